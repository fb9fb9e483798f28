"""A sweep that a signal ends: in seconds, all of it, with a line that says how to continue."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.runs.jobs import Job
from benchmark.runs.sweep import Sweep
from benchmark.stopping import Stopped
from tests.benchmark.runs.test_launches import Launcher, make_jobs, write
from tests.benchmark.test_stopping import of_session, until

SWEEP = [
    "dataset=shop", "dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=4000", "trainer.max_epochs=9999",
    "trainer.patience=9999", "architecture=shared_bottom", "seed=range(0,5)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
]  # fmt: skip


def test_a_sweep_that_is_stopped_leaves_no_process_and_nothing_half_done(tmp_path: Path) -> None:
    """As `timeout -s TERM` does it: the process first, and then all of its group."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    out, temporaries = tmp_path / "out", tmp_path / "tmp"
    temporaries.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *SWEEP, f"results_dir={out}"],
        stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "TMPDIR": str(temporaries)},
    )  # fmt: skip
    until(lambda: len(list(out.rglob(".*.lock"))) == 2 or process.poll() is not None, seconds=120)
    process.terminate()
    os.killpg(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=20)
    until(lambda: not of_session(process.pid), seconds=5)
    assert process.returncode == 143, told
    assert told.splitlines() == [
        "mtlbench: 5 runs, 0 done before and skipped, 5 to do",
        "mtlbench: stopped by SIGTERM: 0 of 5 runs done; the same command continues where this one stopped",
    ]
    assert not [path for folder in (out, temporaries) for path in folder.rglob("*") if not path.is_dir()]
    shared = Path("/dev/shm")  # where Linux has semaphores, and joblib its arrays
    assert not [path for path in shared.glob("*") if re.search(rf"(loky-|folder_){process.pid}[-_]", path.name)]


@pytest.mark.parametrize(
    ("rerun", "old", "advice"),
    [
        (False, 0, "the same command continues where this one stopped"),
        (True, 1, "the same command without rerun=true continues where this one stopped"),
        (True, 2, "the same command repeats all of them"),  # without rerun=true, it would skip the second one
    ],
)
def test_the_advice_continues_what_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rerun: bool, old: int, advice: str
) -> None:
    jobs = [Job(job.overrides, replace(job.config, rerun=rerun)) for job in make_jobs(tmp_path, 2)]
    for job in jobs[:old]:
        write(job)
        os.utime(job.record, (1, 1))

    def launch(_: object) -> None:
        write(jobs[0])
        raise Stopped(signal.SIGTERM)

    with pytest.raises(Stopped), Sweep(launch) as sweep:
        sweep.run(jobs)
    assert capsys.readouterr().err.splitlines()[-1] == f"mtlbench: stopped by SIGTERM: 1 of 2 runs done; {advice}"


def test_a_signal_during_the_report_says_that_no_run_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(tmp_path, 2)

    def interrupted(_: Sweep) -> None:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(Sweep, "_report", interrupted)
    with pytest.raises(Stopped) as stopped, Sweep(Launcher(jobs, {})) as sweep:
        sweep.run(jobs)
    assert stopped.value.is_told
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"mtlbench: stopped by SIGTERM after the last run; make the report with: mtlbench report {tmp_path}"
