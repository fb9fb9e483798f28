"""A sweep: many runs by Hydra multirun. It skips finished runs, continues after failed runs, and ends with a summary."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig

from benchmark.files import digest
from benchmark.records.packed import damage
from benchmark.records.record import GAIN, TRIAL, Record, find_record
from benchmark.runs.clean import clean, left_by_hydra
from benchmark.runs.debug import MOST_ROWS, STEPS
from benchmark.runs.described import identify
from benchmark.runs.jobs import Compose, Job, Matching, any_debug, compose_all, lines_of_matched, without_copies
from benchmark.runs.launches import ELSEWHERE, Launches
from benchmark.runs.locks import Busy
from benchmark.runs.memory import give_back, in_words
from benchmark.runs.progress import line_of, say, sweep_progress
from benchmark.runs.runner import build_data, check_data, finished_before, keep_test_rows, run
from benchmark.settings import registry
from benchmark.settings.composition import typed
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import plain
from benchmark.stopping import Stopped
from benchmark.temporaries import remove
from benchmark.text import counted
from benchmark.trackers import guarded

SKIPPED, NO_RECORD = "skipped", "no_record"
OUTCOMES = {
    "finished": "finished",
    SKIPPED: "skipped",
    "diverged": "diverged",
    "failed": "failed",
    NO_RECORD: "without a record",
}
"""How a job may end, in the words of the summary: a record's status, or one of two others."""


def attempt(config: DictConfig) -> str:
    """Runs one job of a sweep and prints its line. Returns the status instead of raising; `ELSEWHERE` if another process has it."""
    status = _attempt(typed(config))
    if status == "failed":
        give_back()  # now that nothing refers to the error
    return status


def _attempt(config_: RunConfig) -> str:
    try:
        config_ = Matching()(config_)
        record = run(config_, waits=False)
    except Busy:
        return ELSEWHERE
    except Exception as error:  # noqa: BLE001  whatever it is, the other runs go on; the record has the traceback
        path = config_.record_path
        written = _whole(path)
        if written is None or written.status != "failed":  # then it is from an earlier run
            say(f"{config_.dataset.shown} {config_.method}: failed: {in_words(error)}")
            return "failed"
        say(f"{line_of(written)} (its traceback: mtlbench show {shlex.quote(str(path))})")
        return written.status
    say(line_of(record))
    return record.status


def sweep(overrides: Sequence[list[str]], *, compose: Compose, launch: Callable[[Any], Any]) -> None:
    """Runs all jobs that are not finished, and prints a summary.

    Args:
        overrides: One list of overrides per job.
        compose: Makes the configuration of one.
        launch: Hydra's launcher.

    Raises:
        ValueError, FileNotFoundError: if any job cannot run, or there is no job; then none is started.
        LauncherError: if the launcher gave up, and not because a run killed its worker.
        SystemExit: 1, if a run failed or left no record.
    """
    jobs = without_copies(compose_all(overrides, compose))
    with Sweep(launch) as whole:
        whole.run(jobs)
    if not whole.is_complete:
        sys.exit(1)


class DoneBefore:
    """Tells which jobs are done before. Prepares every data set once, and checks it where a job is to be trained on it."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, bool, bool], dict[str, Any]] = {}  # what `identify` says of each data set
        self._checked: set[str] = set()  # the data sets, each with what selects epochs, on which runs can be judged

    def split(self, jobs: Sequence[Job]) -> tuple[list[Job], list[tuple[Job, Record]]]:
        """The jobs to do, and the others with their records.

        Raises:
            ValueError: if one that is to do cannot be trained or judged on its data.
        """
        todo, done = [], []
        for job in jobs:
            before = finished_before(job.config, self.identity(job))
            if before is None:
                todo.append(job)
            else:
                done.append((job, before))
        for job in todo:
            config = job.config
            judged = digest([plain(config.dataset), plain(config.embedding), config.debug, config.trainer.monitor])
            if judged not in self._checked:
                check_data(job.config, build_data(job.config))
                self._checked.add(judged)
        return todo, done

    def identity(self, job: Job) -> dict[str, Any]:
        """What `identify` says about its data."""
        key = digest(plain(job.config.dataset)), job.config.debug, job.config.purpose == TRIAL
        if key not in self._data:
            self._data[key] = identify(build_data(job.config), job.config.purpose)
        return self._data[key]


class Sweep:
    """The jobs of one command, run at once or stage by stage. It skips finished jobs, and says at the end how each ended.

    Args:
        launch: Hydra's launcher.

    Attributes:
        is_complete: On exit: did every job write a record, and none fail?
    """

    def __init__(self, launch: Callable[[Any], Any]) -> None:
        self._launch = launch
        self._jobs: dict[Path, Job] = {}
        self._before: dict[Path, int] = {}  # when the records of the jobs that were to run had been written
        self._done = DoneBefore()
        self._told: set[str] = set()  # lines that are said once
        self._stack = ExitStack()
        self._tracked: set[str] = set()  # the trackers that are prepared
        self.is_complete = False

    def __enter__(self) -> Sweep:
        self._follow = self._stack.enter_context(sweep_progress())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if isinstance(error, KeyboardInterrupt):
                self._tell_stopped(error)
                return
            self.is_complete = self._sum_up()
            jobs = list(self._jobs.values())
            if error is None and (len(jobs) > 1 or any_debug(jobs)):
                try:
                    self._report()
                except KeyboardInterrupt as stopped:
                    self._tell_unreported(stopped)
                    raise

    def run(self, jobs: Sequence[Job], what: str = "run", title: str = "") -> None:
        """Runs the jobs that are not finished.

        Args:
            jobs: The jobs to run.
            what: The word for one of them.
            title: Goes before the line that counts them.

        Raises:
            ValueError: if a job cannot be trained or judged on its data; then none is started.
        """
        clean({job.record.parent for job in jobs}, deep=False)
        written = {job.record: _modified(job.record) for job in jobs}  # another sweep may write one from now on
        todo, skipped = self._done.split(jobs)
        damaged = dict.fromkeys(text for job in todo for text in damage(job.record))
        for line in lines_of_matched(job.config for job in jobs):
            self._tell(line)
        for text in damaged:
            self._tell(f"mtlbench: warning: {text}; runs whose records it had run again")
        for job, _ in skipped:
            keep_test_rows(job.config, self._done.identity(job))
        if len(jobs) > 1 or skipped:
            say(
                f"mtlbench: {title}{counted(len(jobs), what)}, {len(skipped)} done before and skipped, {len(todo)} to do"
            )
        if other := sum(_asks_otherwise(job, record) for job, record in skipped):
            say(
                f"mtlbench: warning: {other} of those skipped declared another primary endpoint or other contrasts; their records "
                "keep what was declared before they ran, and rerun=true runs them again"
            )
        if diverged := sum(record.status == "diverged" for _, record in skipped):
            say(
                f"mtlbench: {diverged} of those skipped had diverged; rerun=true runs them again, as after a change of code"
            )
        self._before |= {job.record: written[job.record] for job in todo}
        self._jobs |= {job.record: job for job in jobs}
        if todo:
            try:
                self._follow([job.record for job in todo])
                self._prepare_trackers(todo)
                Launches(self._launch, self.record, self._done.identity).run(todo)
            finally:
                for folder in {job.config.results_dir for job in todo}:
                    for path in left_by_hydra(Path(folder)):
                        remove(path)

    def _prepare_trackers(self, jobs: Sequence[Job]) -> None:
        """What a tracker finds before the first run holds for all of them: a server is waited for once."""
        for config in (job.config.tracker for job in jobs):
            key = digest(plain(config))
            if key in self._tracked:
                continue
            self._tracked.add(key)
            with guarded(registry.trackers.build(config)) as tracker:
                for name, value in (tracker.prepare() or {}).items():
                    os.environ[name] = value
                    self._stack.callback(os.environ.pop, name, None)

    def record(self, job: Job) -> Record | None:
        """The record that a job wrote; None if there is none, or it is broken. An unchanged record is from an earlier run."""
        if job.record in self._before and _modified(job.record) == self._before[job.record]:
            return None
        return _whole(job.record, self._tell)

    def _tell(self, line: str) -> None:
        """Says a line once."""
        if line not in self._told:
            say(line)
        self._told.add(line)

    def _tell_stopped(self, error: KeyboardInterrupt) -> None:
        """One line: where the sweep stands, and how to continue."""
        jobs = list(self._jobs.values())
        done, reason = sum(self.record(job) is not None for job in jobs), str(error) or "stopped"
        if jobs:
            what = "trials and runs" if any(job.config.purpose == TRIAL for job in jobs) else "runs"
            say(f"mtlbench: {reason}: {done} of {len(jobs)} {what} done; {self._how_to_continue()}")
        if isinstance(error, Stopped):
            error.is_told = bool(jobs)

    def _tell_unreported(self, error: KeyboardInterrupt) -> None:
        """One line: no run is missing, and how to make the report."""
        folders = [shlex.quote(folder) for folder in self._folders()]
        later = " and ".join(f"mtlbench report {folder}" for folder in folders)
        say(f"mtlbench: {str(error) or 'stopped'} after the last run; make the report with: {later}")
        if isinstance(error, Stopped):
            error.is_told = True

    def _how_to_continue(self) -> str:
        jobs = self._jobs.values()
        if any(job.config.rerun and self._before.get(job.record) and self.record(job) is None for job in jobs):
            return "the same command repeats all of them"  # without rerun=true, it would skip those that have an old record
        without = " without rerun=true" if any(job.config.rerun for job in jobs) else ""
        return f"the same command{without} continues where this one stopped"

    def _sum_up(self) -> bool:
        """Prints how the jobs ended, by purpose; False if one failed or left no record."""
        outcomes: dict[str, Counter[str]] = {}
        versions = set()
        for job in self._jobs.values():
            record, counts = self.record(job), outcomes.setdefault(job.config.purpose, Counter())
            if record is None:
                counts[NO_RECORD] += 1
            else:
                counts[record.status if job.record in self._before else SKIPPED] += 1
                versions.add((record.environment.get("mtlbench"), record.environment.get("torch")))
        for purpose, counts in outcomes.items():
            label = f"{'trials' if purpose == TRIAL else purpose}: " if len(outcomes) > 1 or purpose == TRIAL else ""
            told = [f"{counts[key]} {words}" for key, words in OUTCOMES.items() if counts[key] or key != NO_RECORD]
            say(f"mtlbench: {label}{', '.join(told)}")
        if len(versions) > 1:
            made = "; ".join(sorted(f"mtlbench {mtlbench} with torch {torch}" for mtlbench, torch in versions))
            say(f"mtlbench: warning: these records were made by different versions: {made}")
        total: Counter[str] = sum(outcomes.values(), Counter())
        if total[NO_RECORD]:
            say(f"mtlbench: {self._how_to_continue()}")
        self._point_to_records(has_results=set(outcomes) != {TRIAL})
        return not (total["failed"] or total[NO_RECORD])

    def _report(self) -> None:
        """Hands the report to the trackers; under `debug=true` it is made whether one takes it or not."""
        from benchmark.reporting import report  # a second, and only for sweeps that end well

        configs = {job.config.records_dir: job.config for job in self._jobs.values()}
        for folder, config in configs.items():
            if config.debug and self.is_complete:
                report(folder, skip_broken=True)
            with guarded(registry.trackers.build(config.tracker)) as tracker:
                tracker.report(partial(report, folder, skip_broken=True))

    def _folders(self) -> list[str]:
        """Where the records are that reports compare."""
        return sorted({job.config.records_dir for job in self._jobs.values()})

    def _point_to_records(self, *, has_results: bool) -> None:
        folders = self._folders()
        if any_debug(list(self._jobs.values())):
            say(
                f"mtlbench: debug=true: {STEPS} steps on at most {MOST_ROWS:,} rows of each split, only to try the "
                f"configuration; the records are in {', '.join(folders)}, which no report of other runs reads"
            )
        for folder in folders:
            if any(job.config.purpose == TRIAL for job in self._jobs.values()):
                say(f"mtlbench: the trials' records are in {Path(folder, 'trials')}")
            if has_results:
                say(f"mtlbench: compare with: mtlbench report {shlex.quote(folder)}")


def _whole(path: Path, tell: Callable[[str], object] = say) -> Record | None:
    """The record at a path; None if there is none, or it is broken, which is told."""
    try:
        return find_record(path)
    except ValueError as error:
        tell(f"mtlbench: {error}; the same command runs it again")
        return None


def _asks_otherwise(job: Job, record: Record) -> bool:
    asked, now = record.config, job.config
    return (asked.get("primary", GAIN), asked.get("contrasts", [])) != (now.primary, list(now.contrasts))


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0
