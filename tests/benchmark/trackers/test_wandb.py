"""Trackers see the run's numbers, and cannot end it. wandb is tested on the files that it writes offline."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmark.cli import mtlbench
from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.settings.registry import trackers
from benchmark.trackers import Guarded, Tracker, guarded
from benchmark.trackers.none import NoTracker
from benchmark.trackers.wandb import track_report
from tests.benchmark.reporting import fabricate

CONFIG = {"purpose": "tuned", "seed": 3, "trainer": {"learning_rate": 0.01}}
WHAT = {"id": "0123456789ab", "method": "mmoe/uncertainty", "config": CONFIG, "dataset": "shop", "seed": 3}


def entry(epoch: int) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "seconds": 0.5,
        "learning_rate": 0.01,
        "train_losses": {"click": 1 / epoch, "duration": 0.5},
        "auxiliary": {"calibration": 0.1},
        "validation": {"click": {"auc": 0.6 + epoch / 100, "gauc": None}, "duration": {"mse": 4.0}},
        "criterion": 0.2,
        "effective_weights": {"click": 1.5, "duration": 0.5},
    }


def record(status: str = "finished") -> Record:
    return Record(
        id=WHAT["id"],  # type: ignore[arg-type]
        status=status,
        method="mmoe/uncertainty",
        purpose="tuned",
        seed=3,
        config=CONFIG,
        best_epoch=2 if status == "finished" else None,
        metrics={"test": {"click": {"auc": 0.71, "gauc": None}, "duration": {"mse": 3.5}}}
        if status == "finished"
        else {},
        cost={"parameters": 1234, "train_seconds": 1.0},
        error=None if status == "finished" else {"type": "Diverged", "message": "the loss of click became NaN"},
    )


# the files of wandb ---------------------------------------------------------------------------------------------------


def chunks(file: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format after a header of 7 bytes."""
    data, block = file.read_bytes(), 32768
    assert data[:4] == b":W&B"
    position, parts = 7, b""
    while position + 7 <= len(data):
        if block - position % block < 7:  # a block's tail is too short for a header
            position += block - position % block
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if position + 7 + length > len(data):  # still being written
            return
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or last part
            yield parts
            parts = b""


class Written:
    """What one wandb run left on disk."""

    def __init__(self, file: Path) -> None:
        from wandb.proto import wandb_internal_pb2 as pb

        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.artifacts: list[str] = []
        for data in chunks(file):
            one = pb.Record.FromString(data)
            kind = one.WhichOneof("record_type")
            if kind == "run":
                self.run = one.run
            elif kind == "history":
                self.history.append(values(one.history.item))
            elif kind == "summary":
                self.summary |= values(one.summary.update)
            elif kind == "request" and one.request.WhichOneof("request_type") == "log_artifact":
                self.artifacts += [entry.path for entry in one.request.log_artifact.artifact.manifest.contents]
            elif kind == "artifact":
                self.artifacts += [entry.path for entry in one.artifact.manifest.contents]
            elif kind == "exit":
                self.exit_code = one.exit.exit_code

    @property
    def config(self) -> dict[str, Any]:
        return values(self.run.config.update)


def values(items: Any) -> dict[str, Any]:
    return {"".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def written(folder: Path) -> list[Written]:
    """All runs, once their last record is there: wandb's own process may still be writing when `finish` returns."""
    for _ in range(100):
        runs = [Written(file) for file in sorted(folder.rglob("*.wandb"))]
        if all(run.exit_code is not None for run in runs):
            return runs
        time.sleep(0.1)
    raise TimeoutError(f"a wandb run under {folder} did not end")


def track(folder: Path, *, status: str = "finished") -> None:
    with guarded(trackers.build(trackers.config("wandb", folder=str(folder), project="tests"))) as tracker:
        tracker.start(**WHAT)
        for epoch in (1, 2):
            tracker.epoch(entry(epoch))
        tracker.finish(record(status))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked")
    track(folder)
    return folder


@pytest.fixture
def run(folder: Path) -> Written:
    (only,) = written(folder)
    return only


def test_a_run_is_a_wandb_run_grouped_by_method(run: Written) -> None:
    assert run.run.project == "tests"
    assert run.run.run_group == "mmoe/uncertainty"
    assert run.run.job_type == "tuned"
    assert run.run.display_name == "shop mmoe/uncertainty seed 3"
    assert sorted(run.run.tags) == ["mmoe", "shop", "uncertainty"]
    assert run.config["id"] == WHAT["id"]
    assert run.config["trainer"] == {"learning_rate": 0.01}


def test_curves_have_one_point_an_epoch(run: Written) -> None:
    assert [step["epoch"] for step in run.history] == [1, 2]
    assert [step["validation/click/auc"] for step in run.history] == [0.61, 0.62]
    assert [step["train_loss/click"] for step in run.history] == [1.0, 0.5]
    assert run.history[0]["weight/click"] == 1.5
    assert run.history[0]["auxiliary/calibration"] == 0.1
    assert "validation/click/gauc" not in run.history[0]  # undefined: no point, not a zero


def test_the_summary_has_the_test_metrics_and_how_it_ended(run: Written) -> None:
    assert run.summary["test/click/auc"] == 0.71
    assert run.summary["test/duration/mse"] == 3.5
    assert run.summary["status"] == "finished"
    assert run.summary["best_epoch"] == 2
    assert run.summary["parameters"] == 1234
    assert run.exit_code == 0


def test_a_diverged_run_is_marked(tmp_path: Path) -> None:
    track(tmp_path, status="diverged")
    (run,) = written(tmp_path)
    assert run.summary["status"] == "diverged"
    assert run.summary["error"] == "the loss of click became NaN"
    assert run.exit_code == 1


def test_an_exception_between_closes_the_wandb_run(tmp_path: Path) -> None:
    tracker = trackers.build(trackers.config("wandb", folder=str(tmp_path)))

    def interrupted() -> None:
        with guarded(tracker) as guard:
            guard.start(**WHAT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    (run,) = written(tmp_path)
    assert run.summary["status"] == "failed"
    assert run.exit_code == 1


def test_several_runs_in_one_process_stay_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    track(tmp_path)
    track(tmp_path)
    assert len(written(tmp_path)) == 2
    assert capfd.readouterr() == ("", "")


def test_tracking_draws_no_random_numbers_of_the_run(tmp_path: Path) -> None:
    before = random.getstate(), torch.get_rng_state()
    track(tmp_path)
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_wandb_is_imported_only_by_who_asks_for_it() -> None:
    code = "import sys; from benchmark.settings.registry import trackers; trackers.names(); sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# failing --------------------------------------------------------------------------------------------------------------


class Broken(Tracker):
    """A tracker that fails at everything."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, **what: Any) -> None:
        self.calls.append("start")
        raise ConnectionError("no network")

    def epoch(self, entry: dict[str, Any]) -> None:
        self.calls.append("epoch")
        raise OSError("no space left")

    def finish(self, record: Record) -> None:
        self.calls.append("finish")
        raise KeyError("gone")

    def close(self) -> None:
        self.calls.append("close")
        raise RuntimeError("never opened")


def test_a_failing_tracker_warns_once_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    broken = Broken()
    with guarded(broken) as tracker:
        tracker.start(**WHAT)
        tracker.epoch(entry(1))
        tracker.epoch(entry(2))
        tracker.finish(record())
    assert broken.calls == ["start", "epoch", "epoch", "finish", "close"]
    warning = "mtlbench: tracking failed, and the run continues without it: ConnectionError: no network\n"
    assert capsys.readouterr().err == warning


def test_every_hook_of_a_tracker_goes_through_the_guard() -> None:
    class Seen(Tracker):
        def later(self, value: int) -> int:
            return value + 1

    hooks = [name for name in vars(Tracker) if not name.startswith("_")]
    with guarded(Seen()) as tracker:
        assert all(callable(getattr(tracker, hook)) for hook in hooks)
        assert tracker.later(1) == 2


def test_ctrl_c_is_not_a_failure_of_the_tracker() -> None:
    class Interrupted(Tracker):
        def epoch(self, entry: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded(Interrupted()).epoch(entry(1))


def test_an_unwritable_folder_costs_the_tracking_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    track(tmp_path / "file")
    assert "the run continues without it: FileExistsError" in capsys.readouterr().err


def test_none_tracks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded(trackers.build(trackers.config("none"))) as tracker:
        tracker.start(**WHAT)
        tracker.epoch(entry(1))
        tracker.finish(record())
    assert isinstance(tracker.inner, NoTracker)
    assert capsys.readouterr() == ("", "")


def test_a_report_is_a_run_of_its_own_with_page_tables_and_files(tmp_path: Path) -> None:
    made = report(fabricate.records(("shop",), 3, num_epochs=3))
    place = track_report(made, project="tests", folder=str(tmp_path))
    assert place.is_relative_to(tmp_path.resolve()) or place.is_relative_to(tmp_path)
    (run,) = written(tmp_path)
    assert run.run.job_type == "report" and run.config["methods"] == made.study.methods
    (logged,) = run.history
    assert logged["report_type"] == "html-file"
    assert logged["summary_type"] == "table-file" and logged["summarynrows"] == made.summary.height
    assert logged["tables/overview_type"] == "table-file"
    assert {"report.html", "report.md", "report.csv", "report.parquet", "latex/task_click.tex"} <= set(run.artifacts)
    (page,) = tmp_path.rglob("media/html/report*.html")
    assert "Head-to-head report" in page.read_text(encoding="utf-8")


def test_the_command_tracks_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in fabricate.records(("shop",), 1, num_epochs=2):
        run.write(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(
        mtlbench, ["report", str(tmp_path / "runs"), "--tracker", "wandb", "--tracker", "project=tests"]
    )
    assert found.exit_code == 0 and "tracked: " in found.output
    assert len(written(tmp_path / "results")) == 1
    with pytest.raises(ValueError, match="unknown tracker 'wandbb'; did you mean wandb"):
        CliRunner().invoke(mtlbench, ["report", str(tmp_path), "--tracker", "wandbb"], catch_exceptions=False)
