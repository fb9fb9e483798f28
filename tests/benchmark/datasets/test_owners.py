"""The sets whose files a test cannot have keep to the contracts, on small files in their layouts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.contracts import Case, cases
from benchmark.contracts import datasets as contracts
from benchmark.datasets.ali_ccp import AliCCP
from benchmark.runs.runner import run
from benchmark.settings.config import RunConfig, TrainerConfig
from benchmark.settings.registry import datasets, plain
from tests.benchmark.datasets.owners import WRITERS, write_ali_ccp

CASES = [pytest.param(name, case, id=f"{name}, {case}") for name in WRITERS for case in cases("dataset", name)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("name", "case"), CASES)
def test_contract(root: Path, name: str, case: Case) -> None:
    WRITERS[name](root)  # type: ignore[operator]
    case.check()


@pytest.mark.parametrize("name", WRITERS)
def test_a_model_learns_from_it(root: Path, tmp_path: Path, name: str) -> None:
    WRITERS[name](root)  # type: ignore[operator]
    trainer = TrainerConfig(max_epochs=3, batch_size=256, learning_rate=0.01)
    config = RunConfig(
        dataset=name,
        architecture="shared_bottom",
        trainer=trainer,
        results_dir=str(tmp_path / "runs"),  # type: ignore[arg-type]
    )
    record = run(config)
    first = next(iter(record.metrics["test"].values()))
    assert first.get("auc", 1.0) > 0.55  # type: ignore[operator]


@pytest.mark.parametrize(
    ("least", "told"),
    [(10, None), (1, "no index 0 of .* in train"), (1000, "index 0 of .* for values on fewer than 1000 rows of train")],
)
def test_rare_values_of_train_may_be_index_0_by_min_frequency_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, least: int, told: str | None
) -> None:
    write_ali_ccp(root, num_rows=300)
    assert (AliCCP().build().train.features.categorical == 0).any()
    built = contracts.built("ali_ccp")
    monkeypatch.setattr(contracts, "built", lambda name: built)
    monkeypatch.setattr(contracts, "declare", lambda name: SimpleNamespace(min_frequency=least))
    if told is None:
        contracts.every_value_that_train_has_is_known("ali_ccp")
    else:
        with pytest.raises(AssertionError, match=told):
            contracts.every_value_that_train_has_is_known("ali_ccp")


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "criteo_uplift"])
def test_rare_and_hashed_categories(root: Path, name: str) -> None:
    WRITERS[name](root)  # type: ignore[operator]
    config = plain(datasets.config(name))
    assert "hash_buckets" not in config
    assert name == "ali_ccp" or "min_frequency" not in config
    every = datasets.build(datasets.config(name, min_frequency=1)).build()
    sizes = {field.name: field.cardinality for field in every.schema.categorical}
    least = 30
    some = datasets.build(datasets.config(name, min_frequency=least)).build()
    for field in some.schema.categorical:
        if not field.name.endswith("_bin"):
            counts = np.bincount(every.train.features.column(field.name), minlength=sizes[field.name])[1:]
            assert field.cardinality == 1 + (counts >= least).sum()
            assert (some.train.features.column(field.name) == 0).sum() == counts[counts < least].sum()
    hashed = datasets.build(datasets.config(name, min_frequency=1, hash_buckets=3)).build()
    for field in hashed.schema.categorical:
        if not field.name.endswith("_bin") and field.name != hashed.schema.user:
            assert field.cardinality <= 1 + 3 + 1  # unseen, buckets, missing
    assert every.fingerprint == some.fingerprint == hashed.fingerprint
