"""A sweep: many runs by Hydra multirun. Finished ones are skipped, a failed one does not stop the rest, the end is summed up."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from benchmark.composition import typed
from benchmark.config import RunConfig, digest
from benchmark.progress import line_of, say, sweep_progress
from benchmark.record import load_record, record_path
from benchmark.runner import build_dataset, check, finished_before, run


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep: Hydra's overrides, and the configuration they compose."""

    overrides: list[str]
    config: RunConfig

    @property
    def record(self) -> Path:
        """Where its record will be."""
        return record_path(self.config.results_dir, self.config.identity, self.config.id)


def attempt(config: DictConfig) -> str:
    """Runs one job of a sweep and prints its line; the status in place of an exception."""
    config_ = typed(config)
    try:
        record = run(config_)
    except Exception as error:  # noqa: BLE001  whatever it is, the other runs go on; the record has the traceback
        path = record_path(config_.results_dir, config_.identity, config_.id)
        if not path.is_file() or load_record(path).status != "failed":  # it is of an earlier run, if there is one
            say(f"{config_.dataset.name} {config_.architecture.name}/{config_.weighting.name}: failed: {error}")
            return "failed"
        record = load_record(path)
    say(line_of(record))
    return record.status


def sweep(
    overrides: Sequence[list[str]], *, compose: Callable[[list[str]], DictConfig], launch: Callable[[Any], Any]
) -> None:
    """Runs all jobs that are not finished, and sums up.

    Args:
        overrides: One list of overrides per job.
        compose: Makes the configuration of one.
        launch: Hydra's launcher.

    Raises:
        ValueError, FileNotFoundError: if any job cannot run, or there is none; then none is started.
        SystemExit: 1, if a run failed or left no record.
    """
    jobs = _distinct(_compose_all(overrides, compose))
    if not jobs:
        raise ValueError("nothing to run: the experiment's hydra.sweeper.leave_out leaves out every combination chosen")
    todo = _unfinished(jobs)
    skipped = len(jobs) - len(todo)
    if len(jobs) > 1 or skipped:
        say(f"mtlbench: {_count(len(jobs), 'run')}, {skipped} finished before and skipped, {len(todo)} to do")
    before = {job.record: _modified(job.record) for job in todo}
    if todo:
        try:
            with sweep_progress([job.record for job in todo]):
                launch([job.overrides for job in todo])
        finally:
            _remove_hydra_folder(todo[0].config.results_dir)
            ok = _sum_up(jobs, before)
    else:
        ok = _sum_up(jobs, before)
    if not ok:
        sys.exit(1)


def _compose_all(overrides: Sequence[list[str]], compose: Callable[[list[str]], DictConfig]) -> list[Job]:
    """Composes once per shape (all but the seed), since composing costs more than many a run."""
    shapes: dict[tuple[str, ...], DictConfig] = {}
    jobs = []
    for job in overrides:
        seeds = [override for override in job if override.startswith("seed=")]
        shape = tuple(override for override in job if override not in seeds)
        if len(seeds) != 1 or not seeds[0].removeprefix("seed=").isdecimal():
            shape, seeds = tuple(job), []
        if shape not in shapes:
            shapes[shape] = compose(list(shape))
            check(typed(shapes[shape]))
        if seeds:  # before interpolations are resolved: dataset.split_seed=${seed} follows it
            shapes[shape].seed = int(seeds[0].removeprefix("seed="))
        jobs.append(Job(job, typed(shapes[shape])))
    return jobs


def _distinct(jobs: list[Job]) -> list[Job]:
    return list({job.record: job for job in jobs}.values())


def _unfinished(jobs: list[Job]) -> list[Job]:
    """Prepares every data set of the sweep once, before any worker needs it, and drops the jobs whose record is there."""
    fingerprints: dict[str, str] = {}
    todo = []
    for job in jobs:
        key = digest(dataclasses.asdict(job.config.dataset))
        if key not in fingerprints:
            fingerprints[key] = build_dataset(job.config).build().fingerprint
        if finished_before(job.config, fingerprints[key]) is None:
            todo.append(job)
    return todo


def _sum_up(jobs: list[Job], before: dict[Path, int]) -> bool:
    """Prints how the sweep ended; False if a run failed or is missing.

    `before`: when the records of the jobs that were to run had been written. One that has not changed is of an earlier run.
    """
    outcomes: Counter[str] = Counter()
    versions = set()
    for job in jobs:
        is_stale = job.record in before and _modified(job.record) == before[job.record]
        record = None if is_stale else load_record(job.record)
        if record is None:
            outcomes["without a record"] += 1
        else:
            outcomes[record.status if job.record in before else "skipped"] += 1
            versions.add((record.environment.get("mtlbench"), record.environment.get("torch")))
    order = ("finished", "skipped", "diverged", "failed", "without a record")
    say("mtlbench: " + ", ".join(f"{outcomes[name]} {name}" for name in order if outcomes[name] or name in order[:4]))
    if len(versions) > 1:
        made = "; ".join(sorted(f"mtlbench {mtlbench} with torch {torch}" for mtlbench, torch in versions))
        say(f"mtlbench: warning: these records were made by different versions: {made}")
    if outcomes["without a record"]:
        say("mtlbench: the same command goes on where this one stopped")
    for folder in sorted({str(job.config.results_dir) for job in jobs}):
        say(f"mtlbench: compare with: mtlbench report {folder}")
    return not (outcomes["failed"] or outcomes["without a record"])


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _remove_hydra_folder(results_dir: str) -> None:
    """Hydra makes the folder it would write to, though it has nothing to write."""
    folder = Path(results_dir, ".hydra")
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
