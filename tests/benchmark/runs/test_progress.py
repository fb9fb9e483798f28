"""The place of a run in its sweep, and what a worker does that cannot see the sweep."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from benchmark.console import echo
from benchmark.records.record import Record
from benchmark.runs import progress
from benchmark.runs.progress import RunProgress, line_of, sweep_progress
from benchmark.temporaries import SWEEP


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


def test_a_trial_is_named_with_its_search() -> None:
    record = make_record()
    record.purpose = "trial"
    record.config |= {"tuning": {"trial": 3}, "trainer": {"monitor": "mean"}}
    assert line_of(record).startswith("shop mmoe/equal trial 3: ")
    record.config["search_seed"] = 2
    assert line_of(record).startswith("shop mmoe/equal search 2 trial 3: ")


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
    with RunProgress("a run", 3) as shown:
        shown.step(1)
    assert line_of(make_record()).startswith("shop")


def test_a_worker_of_a_sweep_shows_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps({"pid": -1, "started": 0.0, "records": []}))
    monkeypatch.setenv(SWEEP, str(file))
    assert RunProgress("a run", 3)._bar.disable


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)
        monkeypatch.delenv(SWEEP, raising=False)


def test_without_a_terminal_a_long_run_tells_how_far_it_is_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    validation = {"click": {"auc": 0.75}, "duration": {"mse": 2.5, "mae": 1.0}}
    entry = {"epoch": 0.5, "train_losses": {"click": 0.7}, "criterion": 0.5, "validation": validation}
    with RunProgress("shop mmoe/equal seed 0", 1000, 10) as shown:
        for count in range(10):
            clock.now += 30
            shown.step(25)
            if count == 1:
                shown.epoch(entry)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5  # in five minutes
    assert lines[0] == (
        "shop mmoe/equal seed 0: not yet validated | now at epoch 0.5 of at most 10, at most 19 min left"
    )  # 50 of 1000 steps in 60 s
    assert lines[1] == (
        "shop mmoe/equal seed 0: click AUC 0.7500, duration MSE 2.5000 on validation at epoch 0.5 | "
        "now at epoch 1.0 of at most 10, at most 18 min left"
    )


def test_a_short_run_and_the_last_step_have_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with RunProgress("a run", 4, 2) as shown:
        clock.now += 59
        shown.step(2)
        clock.now += 59
        shown.step(2)  # its own line follows at once
    assert capsys.readouterr().err == ""


def test_what_has_no_epochs_counts_its_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with RunProgress("shop gbdt seed 0", 3) as shown:
        clock.now += 80
        shown.step(1)
    assert capsys.readouterr().err == "shop gbdt seed 0: 1 of 3 done, 3 min left\n"


def test_workers_have_lines_in_a_file_and_nothing_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps({"pid": -1, "started": 0.0, "records": []}))
    monkeypatch.setenv(SWEEP, str(file))
    for on_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda on_terminal=on_terminal: on_terminal)
        with RunProgress(f"terminal {on_terminal}", 10, 1) as shown:
            clock.now += 61
            shown.step(1)
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["terminal False"]


class Raw(io.RawIOBase):
    """What a file or a pipe gets, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes.append(bytes(data))
        return len(data)


def test_a_line_is_one_write_so_that_lines_of_workers_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Raw()
    unbuffered = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stderr", unbuffered)  # as with PYTHONUNBUFFERED=1
    progress.say("a run")
    echo("a note", file=sys.stderr)
    assert [one for one in raw.writes if one] == [b"a run\n", b"a note\n"]
