"""A sweep over processes that a signal ends: in seconds, all of it, with a line that says how to go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
