"""Jobs whose workers die, and jobs that other processes have: every one is done once, or its record says why not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark import RunConfig, configure
from benchmark.records.record import find_record
from benchmark.runs import launches, locks, sweep
from benchmark.runs.jobs import Job
from benchmark.runs.launches import ELSEWHERE, Launches
from benchmark.runs.locks import lock_path, run_lock
from benchmark.runs.runner import build_data, identify, new_record
from benchmark.settings.errors import LauncherError, WorkerDied

KILLED = "A worker was terminated.\n\nThe exit codes of the workers are {SIGKILL(-9)}\nDetailed tracebacks"


def make_jobs(folder: Path, number: int = 4) -> list[Job]:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    configs = [
        RunConfig(dataset=shop, architecture="shared_bottom", seed=seed, results_dir=str(folder))  # type: ignore[arg-type]
        for seed in range(number)
    ]
    return [Job([f"seed={config.seed}"], config) for config in configs]


class Launcher:
    """Writes records in place of training. Jobs in `kills` end their worker, and with it those in `beside`."""

    def __init__(self, jobs: list[Job], kills: dict[int, int], beside: tuple[int, ...] = ()) -> None:
        self.jobs, self.kills, self.beside = {job.overrides[0]: job for job in jobs}, dict(kills), beside
        self.launched: list[list[int]] = []

    def __call__(self, asked: list[list[str]]) -> list[Any]:
        jobs = [self.jobs[overrides[0]] for overrides in asked]
        self.launched.append([job.config.seed for job in jobs])
        returned = []
        for job in jobs:
            seed = job.config.seed
            if self.kills.get(seed, 0):
                self.kills[seed] -= 1
                for begun in {seed, *(self.beside if len(jobs) > 1 else ())}:
                    lock_path(self.jobs[f"seed={begun}"].record).parent.mkdir(parents=True, exist_ok=True)
                    lock_path(self.jobs[f"seed={begun}"].record).touch()
                raise WorkerDied(BrokenProcessPool(KILLED))
            try:
                with run_lock(job.record):
                    write(job)
                    returned.append(SimpleNamespace(_return_value="diverged"))
            except locks.Busy:
                returned.append(SimpleNamespace(_return_value=ELSEWHERE))
        return returned


def write(job: Job) -> None:
    record = new_record(job.config, build_data(job.config), identity(job))
    record.status = "diverged"  # it needs no metrics
    record.error = {"type": "Diverged", "message": "the loss of click became NaN"}
    record.write(job.config.results_dir)


def identity(job: Job) -> dict[str, Any]:
    return identify(build_data(job.config), job.config.purpose)


def run(jobs: list[Job], launch: Callable[[Any], Any]) -> list[str]:
    """The statuses of the jobs."""
    Launches(launch, lambda job: find_record(job.record), identity).run(jobs)
    return [record.status if (record := find_record(job.record)) else "none" for job in jobs]


def test_runs_of_a_dead_worker_run_again_alone_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = make_jobs(tmp_path)
    launcher = Launcher(jobs, {1: 1}, beside=(2,))
    assert run(jobs, launcher) == ["diverged"] * 4
    assert launcher.launched == [[0, 1, 2, 3], [1], [2], [3]]
    told = "a worker process died (SIGKILL(-9)), and all others with it; 2 runs had begun, and run again one at a time"
    assert told in capsys.readouterr().err
    assert not list(tmp_path.rglob(".*.lock"))


def test_a_run_that_kills_its_worker_twice_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = make_jobs(tmp_path)
    launcher = Launcher(jobs, {1: 9, 3: 9})
    assert run(jobs, launcher) == ["diverged", "failed", "diverged", "failed"]
    assert launcher.launched == [[0, 1, 2, 3], [1], [2, 3], [3]]
    record = find_record(jobs[1].record)
    assert record is not None and record.error is not None
    assert record.error["message"] == (
        "its worker process died twice (SIGKILL(-9)), the second time with no other run beside it"
    )
    assert "failed: WorkerDied: its worker process died twice" in capsys.readouterr().err
    assert not list(tmp_path.rglob(".*.lock"))


def test_workers_that_die_before_any_run_end_the_sweep(tmp_path: Path) -> None:
    def launch(_: object) -> None:
        raise WorkerDied(BrokenProcessPool("A task has failed to un-serialize."))

    with pytest.raises(LauncherError, match="the launcher gave up: BrokenProcessPool: A task has failed"):
        run(make_jobs(tmp_path, 2), launch)


def test_runs_of_other_processes_come_last_and_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs, others = make_jobs(tmp_path), ExitStack()
    for job in jobs[:2]:
        others.enter_context(run_lock(job.record))
    launcher = Launcher(jobs, {})

    def end_of_the_other(records: list[Path]) -> None:
        """It finishes the first run and is killed in the second."""
        assert records == [job.record for job in jobs[:2]]
        write(jobs[0])
        others.close()

    monkeypatch.setattr(launches, "wait_for", end_of_the_other)
    assert run(jobs, launcher) == ["diverged"] * 4
    assert launcher.launched == [[0, 1, 2, 3], [1]]
    told = capsys.readouterr().err
    assert "mtlbench: waiting for 2 runs of other processes: shared_bottom/equal seed 0 (process " in told
    assert not list(tmp_path.rglob(".*.lock"))


def test_a_job_of_a_sweep_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = make_jobs(tmp_path, 1)
    monkeypatch.setattr(sweep, "typed", lambda config: config)
    with run_lock(job.record):
        assert sweep.attempt(job.config) == ELSEWHERE  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_that_another_process_takes_over_after_two_deaths_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs, other = make_jobs(tmp_path, 1), ExitStack()
    launcher = Launcher(jobs, {0: 2})

    def launch(asked: list[list[str]]) -> list[Any]:
        try:
            return launcher(asked)
        finally:
            if launcher.launched == [[0], [0]]:  # died twice
                other.enter_context(run_lock(jobs[0].record))

    def end_of_the_other(records: list[Path]) -> None:
        write(jobs[0])
        other.close()

    monkeypatch.setattr(launches, "wait_for", end_of_the_other)
    assert run(jobs, launch) == ["diverged"]
    assert launcher.launched == [[0], [0]]
    assert "mtlbench: waiting for 1 run of other processes" in capsys.readouterr().err


def test_a_run_that_another_process_finished_after_two_deaths_did_not_fail(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, 1)
    launcher = Launcher([job], {0: 2})

    def launch(asked: list[list[str]]) -> list[Any]:
        try:
            return launcher(asked)
        finally:
            if launcher.launched == [[0], [0]]:
                write(job)

    assert run([job], launch) == ["diverged"]
