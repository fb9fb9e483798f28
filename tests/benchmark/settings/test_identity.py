"""Published runs keep their ids, whatever keys are added later."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hydra.core.config_store import ConfigStore

from architectures import Architecture, Schema
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.records.record import load_records
from benchmark.records.reference import load_references
from benchmark.settings import config as settings
from benchmark.settings.composition import compose_run
from benchmark.settings.registry import Neutral, architectures, datasets, plain, restored

RECORDS = Path(__file__).parents[3] / "results" / "records"


@pytest.fixture(scope="module")
def published() -> list[dict[str, Any]]:
    """Id and configuration of every published run, trials included."""
    return [{"id": record.id, "config": record.config} for record in load_records(RECORDS)]


def assert_ids(published: list[dict[str, Any]]) -> None:
    changed = [record["id"] for record in published if RunConfig.restored(record["config"]).id != record["id"]]
    assert not changed, f"{len(changed)} of {len(published)} ids, the first {changed[0]}"


def test_every_published_run_has_its_id(published: list[dict[str, Any]]) -> None:
    assert len(published) > 500
    assert_ids(published)


def test_every_published_reference_line_has_its_id() -> None:
    records = load_references(RECORDS)
    assert len(records) > 20
    for record in records:
        dataset = plain(datasets.restored(record.config["dataset"]))
        again = dataclasses.replace(record, id="", config={**record.config, "dataset": dataset})
        assert again.id == record.id, record.path(RECORDS)


@pytest.fixture
def _toy_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's mmoe and trainer with a key more, whose default is not the neutral value."""

    class Later(Architecture):
        def __init__(
            self,
            schema: Schema,
            *,
            embedding_dim: int = 16,
            num_experts: int = 8,
            expert_dims: tuple[int, ...] = (64,),
            tower_dims: tuple[int, ...] = (32,),
            dropout: float = 0.0,
            toy: Annotated[int, Neutral(0)] = 3,
        ) -> None: ...

    @dataclass(kw_only=True, slots=True)
    class LaterTrainer(TrainerConfig):
        toy: Annotated[float, Neutral(1.0)] = 4.0

    repo = ConfigStore.instance().repo["architecture"]
    monkeypatch.setitem(repo, "mmoe.yaml", repo["mmoe.yaml"])  # to be put back
    monkeypatch.delitem(architectures._classes, "mmoe")
    architectures.register("mmoe")(Later)
    monkeypatch.setattr(settings, "TrainerConfig", LaterTrainer)


@pytest.mark.usefixtures("_toy_keys")
def test_a_later_key_changes_no_id(published: list[dict[str, Any]]) -> None:
    assert configure("architecture", "mmoe").toy == 3
    assert_ids(published)


@pytest.mark.usefixtures("_toy_keys")
def test_a_later_key_off_its_neutral_value_is_identity() -> None:
    old, new = configure("architecture", "mmoe", toy=0), configure("architecture", "mmoe")
    assert "toy" not in plain(old)
    assert plain(new)["toy"] == 3
    assert architectures.restored(plain(old)) == old
    assert architectures.restored(plain(new)) == new
    ids = {RunConfig(dataset="shop", architecture=architecture).id for architecture in (old, new)}
    assert len(ids) == 2


def test_a_configuration_comes_back_from_its_plain_values() -> None:
    made = compose_run(["dataset=shop", "architecture=ple", "weighting=uncertainty", "trainer.clip_norm=1", "seed=4"])
    assert RunConfig.restored(plain(made)) == made
    with pytest.raises(ValueError, match="unknown key 'learning_rte'; did you mean learning_rate"):
        restored(TrainerConfig, {"learning_rte": 1})
