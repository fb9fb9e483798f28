"""A training that is resumed from a snapshot ends as one that went straight through, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.settings.registry import architectures, weightings
from benchmark.training import batches as batches_module
from benchmark.training import trainer as trainer_module
from tests.benchmark.training import resuming
from tests.benchmark.training.resuming import (
    EPOCHS,
    MIDDLE,
    STEPS_PER_EPOCH,
    VARIANTS,
    Training,
    assert_equal,
    last_ten,
    load,
    long,
    store,
)

INSIDE, BOUNDARY = 7, 8  # steps done
# every weighting where tasks share much, with auxiliary losses, and nothing; every architecture with a weighting of losses that
# learns, and with one of gradients. All with all would grow as their product
PAIRS = [(architecture, *variant) for architecture in ("mmoe", "aitm", "single_task") for variant in VARIANTS]
PAIRS += [
    (architecture, weighting, {})
    for architecture in architectures.names()
    for weighting in ("uncertainty", "pcgrad")
    if (architecture, weighting, {}) not in PAIRS
]


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
        store(snapshot, tmp_path)
        resumed.state.restore(load(tmp_path))
        assert_equal(resumed.fit().end(), expected)
        assert sum(resumed.shown) == EPOCHS * STEPS_PER_EPOCH - steps


def test_a_fresh_process_takes_the_next_ten_steps_of_every_weighting_alike(tmp_path: Path) -> None:
    expected = []
    for number, variant in enumerate(VARIANTS):
        straight = long(*variant).fit(MIDDLE)
        store(straight.snapshots[MIDDLE], tmp_path / f"middle_{number}")
        expected.append(last_ten(straight))
    # one process for all of them: it spends seconds on importing torch
    command = [sys.executable, "-m", resuming.__name__, str(tmp_path), str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for number, wanted in enumerate(expected):
        assert_equal(load(tmp_path / f"end_{number}"), wanted)


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
    store(straight.after_validations[-1], tmp_path)
    resumed.state.restore(load(tmp_path))
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
        store(snapshot, tmp_path)
        resumed.state.restore(load(tmp_path))
        assert_equal(resumed.fit().end(), expected)


def test_resumed_in_blocks_it_ends_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Training("mmoe", "uncertainty", {}).fit().end()
    for name, value in (("WHOLE", 0), ("BLOCK", 400), ("RUN", 100)):
        monkeypatch.setattr(batches_module, name, value)
    straight = Training("mmoe", "uncertainty", {}).fit(*range(EPOCHS * STEPS_PER_EPOCH))
    expected = straight.end()
    assert expected["entries"] != whole["entries"]
    for snapshot in straight.snapshots.values():
        resumed = Training("mmoe", "uncertainty", {})
        store(snapshot, tmp_path)
        resumed.state.restore(load(tmp_path))
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
