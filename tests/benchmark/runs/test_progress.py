"""The place of a run in its sweep, and what a worker does that cannot see the sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.records.record import Record
from benchmark.runs.progress import SWEEP, RunProgress, line_of, sweep_progress


def make_record(seed: int = 0) -> Record:
    """A finished one of a single task."""
    names = {"dataset": "shop", "architecture": "mmoe", "weighting": "equal"}
    return Record(
        id=f"{seed:012x}",
        status="finished",
        method="mmoe/equal",
        purpose="default",
        seed=seed,
        config={group: {"name": name} for group, name in names.items()},
        best_epoch=2,
        epochs=[{"epoch": 1}, {"epoch": 2}, {"epoch": 3}],
        metrics={"test": {"click": {"auc": 0.75}, "duration": {"mse": None}}},
        cost={"train_seconds": 5.0},
    )


def test_a_run_on_its_own_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWEEP, raising=False)
    assert line_of(make_record()) == "shop mmoe/equal seed 0: click AUC 0.7500 | epoch 2 of 3, 5 s"


def test_a_run_of_a_sweep_has_its_place_and_the_time_left(tmp_path: Path) -> None:
    records = [make_record(seed) for seed in (0, 1)]
    with sweep_progress() as follow:
        follow([record.path(tmp_path) for record in records])
        records[0].write(tmp_path)
        assert line_of(records[0]).startswith("[1/2] shop")
        assert line_of(records[0]).endswith(" left")
        records[1].write(tmp_path)
        assert line_of(records[1]).startswith("[2/2] shop")
        assert not line_of(records[1]).endswith(" left")


def test_a_worker_that_does_not_see_the_sweeps_file_runs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP, str(tmp_path / "on another machine.json"))
    with RunProgress("a run", 3) as progress:
        progress.step(1)
    assert line_of(make_record()).startswith("shop")


def test_a_worker_of_a_sweep_shows_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps({"pid": -1, "started": 0.0, "records": []}))
    monkeypatch.setenv(SWEEP, str(file))
    assert RunProgress("a run", 3)._bar.disable
