"""`--dry-run`: what a command would do, and about how long that takes. Trains nothing, and writes no record.

It composes, checks and prepares all that the command itself would before its first run, and so ends in the same errors. Prepared
data are kept in the cache, as always.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.naming import distinguish
from benchmark.analysis.study import undrawn
from benchmark.console import echo
from benchmark.files import digest
from benchmark.records.record import BASELINE
from benchmark.runs.debug import TRIALS
from benchmark.runs.decide import Tuning, announce
from benchmark.runs.duration import STEPS as TIMED
from benchmark.runs.duration import Durations, Expected
from benchmark.runs.jobs import Compose, Job, any_debug, compose_all, lines_of_matched, without_copies
from benchmark.runs.search import searches_of
from benchmark.runs.sweep import DoneBefore
from benchmark.runs.tuning import check_tuning
from benchmark.settings.config import RunConfig
from benchmark.settings.listing import aligned
from benchmark.settings.registry import plain
from benchmark.text import counted, duration, numbers

MOST_LINES = 24
"""Methods that are listed."""
TRIED, CHOSEN, RUN = "trial", "tuned run", "run"


@dataclass(frozen=True, slots=True)
class Planned:
    """One run that the command asks for.

    Args:
        what: trial, tuned run or run.
        method: Its configuration with the parameters that no search has chosen yet.
        seed: The seed of the run or of the search.
        is_done: Is its record there?
    """

    what: str
    method: RunConfig
    seed: int
    is_done: bool


def preview(
    overrides: Sequence[list[str]], *, compose: Compose, launcher: Mapping[str, Any],
    looks: Sequence[int] = (), margin: str | None = None, baseline: str = BASELINE,
    trials: int = 0, sampler: str = "halton", space: Mapping[str, Any] | None = None, replicate: str = "search",
    with_defaults: bool = True,
) -> None:  # fmt: skip
    """Prints the runs, which of them are done before, and about how long the others take.

    Args:
        overrides: One list of overrides per job.
        compose: Makes the configuration of one.
        launcher: The configuration of Hydra's launcher.
        looks: This and the next two: as for `benchmark.runs.decide.decide`.
        margin: The margin of the primary endpoint.
        baseline: The method that others are compared to.
        trials: This and the next four: as for `benchmark.runs.tuning.tune`.
        sampler: halton or tpe.
        space: What is tried.
        replicate: What is repeated of a tuned method.
        with_defaults: Whether the default parameters run too.

    Raises:
        ValueError, FileNotFoundError: as the command itself would before its first run.
    """
    echo("mtlbench: dry run: nothing is trained, and no record is written")
    before, durations = DoneBefore(), Durations()
    if looks:
        asked = announce(overrides, compose, looks, margin, baseline, trials, sampler, space, replicate)
        seeds = asked.looks.seeds
        for look in dict.fromkeys((seeds[0], seeds[-1])):
            jobs = [job for own in asked.jobs(asked.methods, look, compose) for job in own]
            planned = _planned(jobs, asked.tuning, compose, before, with_defaults=asked.tuning is None)
            if look == seeds[0]:
                _tell(planned)
                _sum_up(planned, f"the first look, at {look} seeds", durations, launcher)
            else:
                _sum_up(planned, f"at most, if no method is decided before {look} seeds", durations, launcher)
        return
    tuning = None
    if trials:
        tuning = Tuning(trials, sampler, check_tuning(trials, sampler, space or {}, replicate), replicate)
    jobs = without_copies(compose_all(overrides, compose))
    planned = _planned(jobs, tuning, compose, before, with_defaults=tuning is None or with_defaults)
    _tell(planned)
    _sum_up(planned, "", durations, launcher)


def _planned(
    jobs: Sequence[Job], tuning: Tuning | None, compose: Compose, before: DoneBefore, *, with_defaults: bool
) -> list[Planned]:
    """All runs of the command, in its order."""
    found = _searched(jobs, tuning, compose, before) if tuning is not None else []
    if with_defaults:
        done = _done(jobs, before)
        found += [Planned(RUN, job.config, job.config.seed, job.record in done) for job in jobs]
    return found


def _searched(jobs: Sequence[Job], tuning: Tuning, compose: Compose, before: DoneBefore) -> list[Planned]:
    """The trials of every search, and the runs of what it chooses: known, where all of its trials are there."""
    searches = searches_of(jobs, tuning.space, tuning.sampler, compose, tuning.replicate)
    trials = min(tuning.trials, TRIALS) if any_debug(jobs) else tuning.trials
    tried, chosen = [], []
    for number in range(trials):
        asked = [(search, search.ask(number)) for search in searches]
        _, done = before.split([trial.job for _, trial in asked])
        records = {job.record: record for job, record in done}
        for search, trial in asked:
            trial.record = records.get(trial.job.record)
            tried.append(Planned(TRIED, search.config, search.search_seed, trial.record is not None))
    for search in searches:
        runs: set[int] = set()
        if all(trial.record is not None for trial in search.trials):
            tuned = search.tuned()
            done_runs = _done(tuned, before)
            runs = {job.config.seed for job in tuned if job.record in done_runs}
        chosen += [Planned(CHOSEN, search.config, seed, seed in runs) for seed in search.seeds]
    return tried + chosen


def _done(jobs: Sequence[Job], before: DoneBefore) -> set[Path]:
    return {job.record for job, _ in before.split(jobs)[1]}


def _tell(planned: Sequence[Planned]) -> None:
    """The runs by data set and method, after the lines that say which widths were chosen."""
    for line in lines_of_matched(run.method for run in planned):
        echo(line)
    rows: dict[tuple[str, str], list[Planned]] = defaultdict(list)
    for run, label in zip(planned, _labels([run.method for run in planned]), strict=True):
        rows[label].append(run)
    told = [(data, method, _told(own)) for (data, method), own in rows.items()]
    echo("\n".join(aligned(told[:MOST_LINES], indent=2)))
    if len(told) > MOST_LINES:
        echo(f"  and {counted(len(told) - MOST_LINES, 'method')} more")


def _labels(configs: Sequence[RunConfig]) -> list[tuple[str, str]]:
    """Names of data set and method, each with the parameters in which it differs from others of its name."""
    data: dict[str, tuple[str, dict[str, Any]]] = {}
    methods: dict[str, tuple[str, dict[str, Any]]] = {}
    keys = []
    for config in configs:
        whole = plain(config)
        dataset = undrawn(whole["dataset"])
        parts: dict[str, Any] = {group: whole[group] for group in ("architecture", "weighting", "trainer")}
        parts["embedding"] = asdict(config.embedding)
        keys.append((digest(dataset), digest(parts)))
        data[keys[-1][0]] = config.dataset.shown, dataset
        methods[keys[-1][1]] = config.method, parts
    data_names, method_names = distinguish(data), distinguish(methods)
    return [(data_names[of_data], method_names[of_method]) for of_data, of_method in keys]


def _told(own: Sequence[Planned]) -> str:
    """`24 trials (8 done before); 3 tuned runs: seeds 0–2; 3 runs: seed 2 (done before: 0, 1)`."""
    parts = []
    for what in (TRIED, CHOSEN, RUN):
        found = [run for run in own if run.what == what]
        todo, done = ([run.seed for run in found if run.is_done == is_done] for is_done in (False, True))
        if what == TRIED and found:
            parts.append(counted(len(found), what) + (f" ({len(done):,} done before)" if done else ""))
        elif found:
            seeds = f"{'seed' if len(set(todo)) == 1 else 'seeds'} {numbers(todo)}" if todo else ""
            known = f"done before: {numbers(done)}" if done else ""
            both = f"{seeds} ({known})" if seeds and known else seeds or known
            parts.append(f"{counted(len(found), what)}: {both}")
    return "; ".join(parts)


def _sum_up(planned: Sequence[Planned], title: str, durations: Durations, launcher: Mapping[str, Any]) -> None:
    """How many runs, and how long they take."""
    todo = [run for run in planned if not run.is_done]
    kinds = [
        counted(number, what) for what in (TRIED, CHOSEN, RUN) if (number := sum(run.what == what for run in planned))
    ]
    begins = f"mtlbench: {title}: " if title else "mtlbench: "
    echo(f"{begins}{', '.join(kinds)}; {len(planned) - len(todo):,} done before and skipped, {len(todo):,} to do")
    found = [durations.of(run.method) for run in todo]
    for reason in dict.fromkeys(
        f"{run.method.method} fails in its first steps: {expected}"
        for run, expected in zip(todo, found, strict=True)
        if isinstance(expected, str)
    ):
        echo(f"mtlbench: {reason}")
    known = [expected for expected in found if isinstance(expected, Expected)]
    if known:
        echo(f"mtlbench: {_how_long(known, launcher)}; {_whence(known, searched=any(r.what != RUN for r in todo))}")


def _how_long(known: Sequence[Expected], launcher: Mapping[str, Any]) -> str:
    """`about 5 min to 40 min of training and validation, 2 runs at a time`, and what the ends mean."""
    at_once = _at_once(launcher)
    workers = min(at_once or 1, len(known))

    def whole(seconds: Iterable[float]) -> str:
        each = list(seconds)
        return duration(max(sum(each) / workers, *each))

    low, high = whole(e.low for e in known), whole(e.high for e in known)
    told = f"about {low if low == high else f'{low} to {high}'} of training and validation"
    if at_once is None:
        told += " in all, divided among as many runs as the launcher starts at a time"
    elif workers > 1:
        told += f", {workers} runs at a time"
    if low != high:
        told += (
            " (the least if early stopping ends every run as soon as it can, the most if all reach trainer.max_epochs)"
        )
    return told


def _whence(known: Sequence[Expected], *, searched: bool) -> str:
    """Where the number comes from."""
    by_record = [expected for expected in known if expected.records]
    parts = []
    if by_record:
        number = sum(expected.records for expected in set(by_record))
        parts.append(f"from {counted(number, 'record')} of a machine like this one")
    if len(by_record) < len(known):
        method = f"each {'other ' if by_record else ''}method" + (" with its default parameters" if searched else "")
        parts.append(f"measured: {TIMED} steps of {method}")
    return "; ".join(parts)


def _at_once(launcher: Mapping[str, Any]) -> int | None:
    """How many runs the launcher has going at a time; None where only the cluster knows."""
    if "n_jobs" in launcher:
        jobs = int(launcher["n_jobs"])
        return jobs if jobs > 0 else max((os.cpu_count() or 1) + 1 + jobs, 1)  # as joblib counts: -1 is all cores
    return 1 if str(launcher["_target_"]).endswith(".BasicLauncher") else None
