"""From jobs to records by Hydra's launcher, also if its workers die or other processes have the same runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import active_children
from typing import Any

from benchmark.records.record import Record
from benchmark.runs.jobs import Job
from benchmark.runs.locks import Busy, holder, run_lock, wait_for, was_begun
from benchmark.runs.progress import line_of, say
from benchmark.runs.resuming import forget_state
from benchmark.runs.runner import build_data, new_record
from benchmark.settings.errors import WorkerDied
from benchmark.stopping import WORKER_SECONDS, before_stop
from benchmark.text import counted, listed

ELSEWHERE = "elsewhere"
"""What a job returns that another process has."""


class Launches:
    """Starts jobs, and starts those again that lost their worker or that another process did not finish.

    Args:
        launch: Hydra's launcher.
        record: The record that a job wrote; None if there is none yet.
        identity: What `benchmark.runs.described.identify` says about a job's data.
    """

    def __init__(
        self,
        launch: Callable[[Any], Any],
        record: Callable[[Job], Record | None],
        identity: Callable[[Job], dict[str, Any]],
    ) -> None:
        self._launch, self._record, self._identity = launch, record, identity

    def run(self, jobs: Sequence[Job]) -> None:
        """Runs the jobs. Jobs of other processes come last: then they are done, or begin here.

        Raises:
            LauncherError: if the launcher gave up, and not because a run killed its worker.
        """
        with before_stop(partial(_stop_workers, jobs)):
            passed_over = self._start(jobs)
            while passed_over:
                held = [(job, by) for job in passed_over if (by := holder(job.record))]
                if len(held) == len(passed_over):
                    told = listed([f"{job.config.method} seed {job.config.seed} ({by})" for job, by in held])
                    say(f"mtlbench: waiting for {counted(len(held), 'run')} of other processes: {told}")
                    wait_for([job.record for job, _ in held])
                passed_over = self._start(self._without_record(passed_over))

    def _start(self, jobs: Sequence[Job]) -> list[Job]:
        """Runs the jobs, and once more the jobs that a worker's death ended. Returns the jobs of other processes."""
        passed_over: list[Job] = []
        is_second = False
        while jobs:
            try:
                return passed_over + self._try(jobs)
            except WorkerDied as error:
                left = self._without_record(jobs)
                begun = [job for job in left if was_begun(job.record)]
                if not begun and is_second:  # no run did that, and it would happen again
                    raise
                is_second = not begun  # another sweep may have taken them in the meantime
                say(
                    f"mtlbench: a worker process died ({error.how}), and all others with it; "
                    f"{counted(len(begun), 'run')} had begun, and run again one at a time"
                )
                for job in begun:
                    passed_over += self._run_alone(job)
                paths = {job.record for job in begun}
                jobs = [job for job in left if job.record not in paths]
        return passed_over

    def _try(self, jobs: Sequence[Job]) -> list[Job]:
        ended = self._launch([job.overrides for job in jobs]) or ()
        returned = (getattr(one, "_return_value", None) for one in ended)  # the property raises what a job raised
        return [job for job, status in zip(jobs, returned, strict=False) if status == ELSEWHERE]

    def _run_alone(self, job: Job) -> list[Job]:
        """Runs a job beside which nothing runs. If its worker dies again, it failed. Returns it if another process has it."""
        try:
            return self._try([job])
        except WorkerDied as error:
            try:
                with run_lock(job.record):
                    if self._record(job) is None:  # else another process did it in the meantime
                        self._fail(job, error.how)
            except Busy:
                return [job]
        return []

    def _fail(self, job: Job, how: str) -> None:
        """Writes the record of a job that ended its worker twice."""
        record = new_record(job.config, build_data(job.config), self._identity(job))
        told = f"its worker process died twice ({how}), the second time with no other run beside it"
        record.error = {"type": "WorkerDied", "message": told, "traceback": ""}
        record.write(job.config.results_dir)
        forget_state(job.config)  # what failed begins anew: the cause may be in the state
        say(line_of(record))

    def _without_record(self, jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs if self._record(job) is None]


def _stop_workers(jobs: Sequence[Job]) -> None:
    """Asks worker processes to stop, and waits for the runs that they have: joblib kills workers when it is interrupted."""
    workers = active_children()
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + WORKER_SECONDS
    while workers and time.monotonic() < deadline and any(holder(job.record) for job in jobs):
        time.sleep(0.05)
