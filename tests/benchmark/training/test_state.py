"""A training that is resumed from a snapshot ends as one that went straight through, to the last bit."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from architectures import Batch
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.datasets import Data
from benchmark.runs.runner import build_model
from benchmark.settings.registry import architectures, datasets, weightings
from benchmark.training import trainer as trainer_module
from benchmark.training.step import StepOutcome
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Trainer

SHOP = configure("dataset", "shop", num_users=20, num_items=15, num_rows=500)
STEPS_PER_EPOCH, EPOCHS = 4, 3
INSIDE, BOUNDARY = 7, 8  # steps done
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in weightings.names()),
    ("dwa", {"window": 3}),
    ("pcgrad", {"scope": "representation", "head_gradients": "weighted"}),
]
# every weighting where tasks share much, with auxiliary losses, and nothing; every architecture with a weighting of losses that
# learns, and with one of gradients. All with all would grow as their product
PAIRS = [(architecture, *variant) for architecture in ("mmoe", "aitm", "single_task") for variant in VARIANTS]
PAIRS += [
    (architecture, weighting, {})
    for architecture in architectures.names()
    for weighting in ("uncertainty", "pcgrad")
    if (architecture, weighting, {}) not in PAIRS
]
Snapshot = dict[str, Any]


@cache
def shop(tasks: tuple[str, ...]) -> Data:
    data: Data = datasets.build(dataclasses.replace(SHOP, tasks=tasks)).build()
    return data


def tasks_for(architecture: str) -> tuple[str, ...]:
    """All tasks of the shop, or its funnel, if the architecture is for nothing else."""
    is_for_all = architectures.get(architecture).requires(datasets.build(SHOP).declared()) is None
    return ("click", "purchase", "duration") if is_for_all else ("click", "purchase")


class Training:
    """A trainer of a config, built anew.

    Where steps are given to `fit`, there are snapshots before each of them, after each validation, and at reads.
    """

    def __init__(self, architecture: str, weighting: str, options: dict[str, Any], **trainer: Any) -> None:
        known = {field.name for field in dataclasses.fields(architectures.config(architecture))}
        dropout = {"dropout": 0.2} if "dropout" in known else {}
        data = shop(tasks_for(architecture))
        config = RunConfig(
            dataset=SHOP,
            architecture=configure("architecture", architecture, **dropout),
            weighting=configure("weighting", weighting, **options),
            trainer=TrainerConfig(
                **{
                    "batch_size": 100,
                    "max_epochs": EPOCHS,
                    "learning_rate": 0.01,
                    "scheduler": "cosine",
                    "clip_norm": 1.0,
                }
                | trainer
            ),
        )
        self.model, weighting_ = build_model(config, data)
        scale = TargetScale.of(data.train, data.schema.tasks)
        self.trainer = Trainer(
            self.model, weighting_, data, config.trainer, scale=scale, seed=7, device=torch.device("cpu")
        )
        self.state = self.trainer.state
        self.snapshots: dict[int, Snapshot] = {}
        self.after_validations: list[Snapshot] = []
        self.at_reads: list[Snapshot] = []
        self.shown: list[int] = []
        self.is_noted = False

    def fit(self, *before_steps: int) -> Training:
        step, self.is_noted = self.trainer.step, bool(before_steps)

        def noting(batch: Batch) -> StepOutcome:
            if self.trainer.watch.step in before_steps:
                self.snapshots[self.trainer.watch.step] = self.state.snapshot()
            return step(batch)

        self.trainer.step = noting  # type: ignore[assignment]
        fit = self.trainer.fit(self, lambda entry: self.note(self.after_validations))
        assert fit.diverged is None
        return self

    def note(self, snapshots: list[Snapshot]) -> None:
        if self.is_noted:
            snapshots.append(self.state.snapshot())

    def step(self, count: int) -> None:
        self.shown.append(count)
        self.note(self.at_reads)

    def epoch(self, entry: dict[str, Any]) -> None:
        pass

    def end(self) -> Snapshot:
        """All that is there at the end but the time it took, and the validation metrics at the best epoch."""
        snapshot = self.state.snapshot()
        for entry in snapshot["entries"]:
            del entry["seconds"]
        selection = self.state.selection
        self.model.load_state_dict(selection.state(selection.best))
        return snapshot | {"metrics": self.trainer.evaluate(self.trainer.data.test)[0]}


def through_files(snapshot: Snapshot, folder: Path) -> Snapshot:
    """As tensors in safetensors and all else in JSON give it back."""
    tensors = {key: value for key, value in snapshot.items() if isinstance(value, Tensor)}
    plain = {key: value for key, value in snapshot.items() if key not in tensors}
    save_file(tensors, folder / "state.safetensors")
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    return load_file(folder / "state.safetensors") | json.loads(text)  # type: ignore[no-any-return]


def assert_equal(found: Snapshot, expected: Snapshot) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(found[key], value, rtol=0, atol=0, equal_nan=True, msg=f"{key} differs")
        else:
            assert found[key] == value, key


@pytest.mark.parametrize(("architecture", "weighting", "options"), PAIRS, ids=str)
def test_resumed_it_ends_as_if_it_had_gone_straight_through(
    architecture: str, weighting: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_READS", 2)  # so that in the middle some sums are made, some not
    straight = Training(architecture, weighting, options).fit(INSIDE, BOUNDARY)
    expected = straight.end()
    assert expected["epoch"] == EPOCHS
    for steps, snapshot in straight.snapshots.items():
        assert (snapshot["epoch"], snapshot["position"]) == divmod(steps, STEPS_PER_EPOCH)
        torch.manual_seed(steps)  # where the global generators stand elsewhere is nothing to it
        resumed = Training(architecture, weighting, options)
        resumed.state.restore(through_files(snapshot, tmp_path))
        assert_equal(resumed.fit().end(), expected)
        assert sum(resumed.shown) == EPOCHS * STEPS_PER_EPOCH - steps


@pytest.mark.parametrize("architecture", ["aitm", "mmoe"])  # one with auxiliary losses
def test_a_snapshot_disturbs_nothing(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_READS", 2)
    plain, noted = Training(architecture, "pcgrad", {}).fit(), Training(architecture, "pcgrad", {}).fit(*range(12))
    assert len(noted.snapshots) == EPOCHS * STEPS_PER_EPOCH
    assert_equal(noted.end(), plain.end())


def test_an_epoch_s_end_is_where_the_next_one_begins(tmp_path: Path) -> None:
    straight = Training("mmoe", "pcgrad", {}).fit(BOUNDARY)
    assert_equal(straight.after_validations[1], straight.snapshots[BOUNDARY])
    resumed = Training("mmoe", "pcgrad", {})
    resumed.state.restore(through_files(straight.after_validations[-1], tmp_path))
    expected = straight.end()
    assert_equal(resumed.fit().end(), expected)
    assert resumed.shown == []


@pytest.mark.parametrize(
    ("architecture", "weighting", "validations"),
    [("mmoe", "dwa", 4), ("mmoe", "uncertainty", 2), ("aitm", "pcgrad", 2), ("aitm", "pcgrad", 4)],
)
def test_resumed_at_any_step_read_or_validation_within_an_epoch_it_ends_alike(
    architecture: str, weighting: str, validations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_READS", 3)
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_VALIDATIONS", 1)
    options = {"validations_per_epoch": validations}
    straight = Training(architecture, weighting, {}, **options).fit(*range(EPOCHS * STEPS_PER_EPOCH))
    expected = straight.end()
    assert [entry["epoch"] for entry in expected["entries"]] == [
        (number + 1) / validations for number in range(EPOCHS * validations)
    ]
    for snapshot in [*straight.snapshots.values(), *straight.at_reads, *straight.after_validations]:
        resumed = Training(architecture, weighting, {}, **options)
        resumed.state.restore(through_files(snapshot, tmp_path))
        assert_equal(resumed.fit().end(), expected)


@pytest.mark.parametrize("weighting", weightings.names())
def test_validation_within_an_epoch_moves_nothing_that_is_trained(
    weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_READS", 3)
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_VALIDATIONS", 1)
    seldom, often = (
        Training("aitm", weighting, {}, validations_per_epoch=number, batch_size=57, patience=9).fit()
        for number in (1, 4)
    )
    assert [len(training.state.entries) for training in (seldom, often)] == [EPOCHS, 4 * EPOCHS]
    trained = ("model.", "weighting.", "optimizer.", "schedule.", "step.", "streams.")
    first, second = (
        {key: value for key, value in training.state.snapshot().items() if key.startswith(trained)}
        for training in (seldom, often)
    )
    assert_equal(second, first)
    for entry, like in zip(often.state.entries[3::4], seldom.state.entries, strict=True):
        assert {**entry, "seconds": 0} == {**like, "seconds": 0}


def test_a_snapshot_before_the_start_is_the_start() -> None:
    first, second = Training("mmoe", "pcgrad", {}), Training("mmoe", "pcgrad", {})
    snapshot = first.state.snapshot()
    expected = first.fit().end()
    torch.manual_seed(1)
    second.state.restore(snapshot)
    assert_equal(second.fit().end(), expected)


def test_the_same_training_goes_back_in_place_and_as_often_as_wished() -> None:
    training = Training("mmoe", "uncertainty", {}).fit(INSIDE)
    expected, snapshot = training.end(), training.snapshots[INSIDE]
    tensors = [*training.model.state_dict().values(), *training.trainer.weighting.state_dict().values()]
    places = [tensor.data_ptr() for tensor in tensors]
    for _ in range(2):
        training.state.restore(snapshot)
        assert_equal(training.fit().end(), expected)
    now = [*training.model.state_dict().values(), *training.trainer.weighting.state_dict().values()]
    assert [tensor.data_ptr() for tensor in now] == places


def test_training_goes_on_from_its_own_end_when_more_epochs_are_allowed() -> None:
    options = {"scheduler": "none", "patience": 9}
    twice, once = Training("mmoe", "dwa", {}, **options), Training("mmoe", "dwa", {}, **options, max_epochs=EPOCHS + 2)
    twice.fit()
    twice.trainer.config.max_epochs += 2
    assert_equal(twice.fit().end(), once.fit().end())


def test_what_patience_has_ended_stays_ended() -> None:
    training = Training("mmoe", "equal", {}, learning_rate=0.3, patience=1, max_epochs=30).fit()
    snapshot = training.state.snapshot()
    assert snapshot["epoch"] < 30
    resumed = Training("mmoe", "equal", {}, learning_rate=0.3, patience=1, max_epochs=30)
    resumed.state.restore(snapshot)
    assert resumed.fit().shown == []


def test_the_tensors_of_a_snapshot_are_its_own() -> None:
    training = Training("single_task", "uncertainty", {}).fit(INSIDE)
    tensors = [value for value in training.snapshots[INSIDE].values() if isinstance(value, Tensor)]
    places = [tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()]
    assert len(set(places)) == len(places)
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in tensors)
