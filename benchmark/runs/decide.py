"""Adds seeds until every comparison is decided: methods are judged at announced looks and stop when decided.

At each look, every open method and the baseline have the look's number of seeds. A method that is better, worse or
equivalent keeps that verdict and gets no more seeds; the others continue to the next look. The error of 5 % is split
over the looks (`benchmark.statistics.looks`). The records store the looks, so that a report judges with the same share.
Nothing else is stored: the same command finds the records, judges again, and continues.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.analysis.gain import endpoint
from benchmark.analysis.question import primary_families
from benchmark.analysis.values import median
from benchmark.files import digest
from benchmark.records.record import BASELINE, GAIN, Record
from benchmark.runs.debug import TRIALS
from benchmark.runs.jobs import Compose, Job, any_debug, compose_all, without_copies
from benchmark.runs.progress import say
from benchmark.runs.search import searches_of
from benchmark.runs.space import Parameter
from benchmark.runs.sweep import Sweep
from benchmark.runs.tuning import check_tuning, run_searches
from benchmark.settings.hydra_text import value_text
from benchmark.settings.registry import plain
from benchmark.statistics import DECIDED, Comparison, Looks, Margin, Verdict
from benchmark.statistics.wording import WORDS, bracketed, places
from benchmark.text import counted, duration, listed


@dataclass(slots=True)
class _Method:
    """A method on a data set, and its progress.

    Args:
        overrides: Hydra's overrides, without a seed.
        name: `mmoe/equal`.
        data: The digest of its data set.
        primary: The primary endpoint.
        runs: The runs of the looks so far.
        trials: The trials of its searches.
        found: The comparison at the last look.
        stopped: Why it is not judged.
    """

    overrides: list[str]
    name: str
    data: str
    primary: str
    runs: list[Job] = field(default_factory=list)
    trials: list[Job] = field(default_factory=list)
    found: Comparison | None = None
    stopped: str | None = None

    @property
    def is_open(self) -> bool:
        """Does it continue to the next look? A method that is not judged does not."""
        return self.stopped is None and (self.found is None or self.found.verdict is Verdict.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How methods are tuned before they are compared. For the arguments, see `benchmark.runs.tuning.tune`."""

    trials: int
    sampler: str
    space: tuple[Parameter, ...]
    replicate: str


def decide(
    overrides: Sequence[list[str]], *, compose: Compose, launch: Callable[[Any], Any],
    looks: Sequence[int], margin: str | None = None, baseline: str = BASELINE,
    trials: int = 0, sampler: str = "halton", space: Mapping[str, Any] | None = None, replicate: str = "search",
) -> None:  # fmt: skip
    """Runs look by look. At each look, it says which methods are decided and what the next look costs.

    Args:
        overrides: One list of overrides per job; their seeds are replaced by the seeds of the looks, from 0 on.
        compose: Makes the configuration of one job.
        launch: Hydra's launcher.
        looks: The numbers of seeds at which methods are judged.
        margin: The margin of the primary endpoint, such as `0.5%` of gain; None: its default.
        baseline: The method that others are compared to.
        trials: Trials per search; 0: compare the default parameters.
        sampler: As for `benchmark.runs.tuning.tune`.
        space: The same.
        replicate: The same.

    Raises:
        ValueError, FileNotFoundError: if a run cannot start; then no run of that stage is started.
        SystemExit: 1, if a run failed or left no record.
    """
    asked = announce(overrides, compose, looks, margin, baseline, trials, sampler, space, replicate)
    plan, tuning, methods, announced = asked.looks, asked.tuning, asked.methods, asked.told
    with Sweep(launch) as sweep:
        say(
            f"mtlbench: {counted(len(methods), 'method')} until decided by {listed(asked.primaries)}: looks "
            f"at {listed(map(str, plan.seeds), 99)} seeds, each with {100 * plan.level:.3g} % of error"
            + (f"; the margin is {margin}" if margin is not None else "")
        )
        for look in plan.seeds:
            going = _going(methods, baseline)
            if not going or not _run(going, asked.jobs(going, look, compose), look, compose, sweep, tuning):
                break
            records = [record for method in methods for job in method.runs if (record := _told(sweep, job, announced))]
            ids = {job.config.id: method for method in methods for job in method.runs}
            for group, family in primary_families(records, baseline):
                of = {name: ids[runs[0].record.id] for name, runs in group.by_method.items()}
                if isinstance(family, str):
                    for method in of.values():
                        method.stopped = family
                    continue
                for comparison in family.comparisons:
                    method = of[comparison.method]
                    if method.is_open:
                        method.found, method.stopped = comparison, comparison.reason
            _tell(methods, baseline, look, plan, sweep, tuning)
    if not sweep.is_complete:
        sys.exit(1)


def _told(sweep: Sweep, job: Job, announced: Mapping[str, Any]) -> Record | None:
    """The record of a job. The looks are added to the record of an earlier run.

    Raises:
        ValueError: if it was judged at other looks: error already spent cannot be split again.
    """
    record = sweep.record(job)
    if record is None or record.config.get("looks") == announced:
        return record
    if other := record.config.get("looks"):
        raise ValueError(
            f"{job.record} was judged at looks {other.get('seeds')} with the margin {other.get('margin')}, found "
            f"{announced.get('seeds')} and {announced.get('margin')}: continue with the same, or use another results_dir"
        )
    record.config["looks"] = dict(announced)
    record.write(job.config.results_dir)
    return record


@dataclass(frozen=True, slots=True)
class Announced:
    """What stands before anything runs.

    Args:
        looks: At which it is judged.
        told: The same as records have it, with the margin.
        tuning: None: the default parameters are compared.
        methods: All of them, the baseline too.
    """

    looks: Looks
    told: dict[str, Any]
    tuning: Tuning | None
    methods: list[_Method]

    @property
    def primaries(self) -> list[str]:
        """What methods are judged by."""
        return sorted({method.primary for method in self.methods})

    def jobs(self, methods: Sequence[_Method], look: int, compose: Compose) -> list[list[Job]]:
        """The runs of each of some methods up to a look, with default parameters."""
        return [compose_all([[*m.overrides, f"seed={seed}"] for seed in range(look)], compose) for m in methods]


def announce(
    overrides: Sequence[list[str]], compose: Compose, looks: Sequence[int], margin: str | None, baseline: str,
    trials: int, sampler: str, space: Mapping[str, Any] | None, replicate: str,
) -> Announced:  # fmt: skip
    """Composes the methods and checks all terms; for the arguments see `decide`. Under `debug=true` there is one look.

    Raises:
        ValueError: if anything cannot run, or there is nothing to compare.
    """
    plan = Looks(tuple(looks))
    space_ = check_tuning(trials, sampler, space or {}, replicate) if trials else ()
    shapes = dict.fromkeys(tuple(o for o in job if not o.startswith("seed=")) for job in overrides)
    jobs = without_copies(compose_all([list(shape) for shape in shapes], compose), what=None)
    if any_debug(jobs):
        plan, trials = Looks(plan.seeds[:1]), min(trials, TRIALS)
    told: dict[str, Any] = {"seeds": list(plan.seeds), **({"margin": margin} if margin is not None else {})}
    methods = [
        _Method(
            [*job.overrides, f"++looks={value_text(told)}"],
            job.config.method,
            digest(plain(job.config.dataset)),
            job.config.primary,
        )
        for job in jobs
    ]
    for data in {method.data for method in methods}:
        names = [method.name for method in methods if method.data == data]
        if names.count(baseline) != 1 or len(names) < 2:
            raise ValueError(
                f"hydra/sweeper=decide compares methods with hydra.sweeper.baseline={baseline}: expected it once on every data "
                f"set and another method beside it, found {', '.join(names)}"
            )
    announced = Announced(plan, told, Tuning(trials, sampler, space_, replicate) if trials else None, methods)
    if margin is not None:
        declared = Margin.parse(margin)
        if GAIN in announced.primaries:
            endpoint({GAIN: declared})  # refuses a wrong one
    return announced


def _going(methods: Sequence[_Method], baseline: str) -> list[_Method]:
    """The open methods and the baselines of their data sets."""
    rivals = [method for method in methods if method.name != baseline and method.is_open]
    data = {method.data for method in rivals}
    return [method for method in methods if method in rivals or (method.name == baseline and method.data in data)]


def _run(
    going: Sequence[_Method], asked: list[list[Job]], look: int, compose: Compose, sweep: Sweep, tuning: Tuning | None
) -> bool:
    """Runs the seeds of a look; False if a run left no record."""
    title = f"look at {look} seeds: "
    if tuning is None:
        for method, jobs in zip(going, asked, strict=True):
            method.runs = jobs
    else:
        terms = tuning.space, tuning.sampler, compose, tuning.replicate
        searches = [searches_of(jobs, *terms) for jobs in asked]
        if not run_searches([search for own in searches for search in own], tuning.trials, sweep, title):
            return False
        for method, own in zip(going, searches, strict=True):
            method.runs = [job for search in own for job in search.tuned()]
            method.trials = [trial.job for search in own for trial in search.trials]
    runs = [job for method in going for job in method.runs]
    sweep.run(runs, title=title)
    return all(sweep.record(job) is not None for job in runs)


def _tell(
    methods: Sequence[_Method], baseline: str, look: int, plan: Looks, sweep: Sweep, tuning: Tuning | None
) -> None:
    """Which methods are decided, which are open, and what the next look costs."""
    rivals = [method for method in methods if method.name != baseline]
    parts = []
    for verdict, word in WORDS.items():
        of = [m for m in rivals if m.found is not None and m.found.verdict is verdict]
        if of:
            parts.append(f"{word if verdict in DECIDED else 'open'}: {listed(map(_said, of), 99)}")
    if lost := [m for m in rivals if m.found is None or m.found.verdict is None]:
        parts.append(f"not ranked: {listed(map(_reason, lost))}")
    say(f"mtlbench: look at {look} seeds: {'; '.join(parts)}")
    going, following = _going(methods, baseline), plan.after(look)
    if not going:
        say(f"mtlbench: no method is open after {look} seeds")
    elif following is None:
        say(f"mtlbench: {counted(sum(m.is_open for m in rivals), 'method')} undecided after the last look")
    else:
        again = tuning is not None and tuning.replicate == "search"
        runs = len(going) * (following - look) * (1 + tuning.trials if tuning is not None and again else 1)
        known = [sweep.record(job) for method in going for job in [*method.runs, *(method.trials if again else [])]]
        each = median([record.cost.get("train_seconds") for record in known if record is not None])
        cost = f", about {duration(runs * each)} of training" if each is not None else ""
        say(f"mtlbench: the next look, at {following} seeds, takes {counted(runs, 'run')}{cost}")


def _said(method: _Method) -> str:
    assert method.found is not None
    found = method.found.improvement
    return method.name if found is None else f"{method.name} ({bracketed(found, places(method.found), sign='+')})"


def _reason(method: _Method) -> str:
    return f"{method.name} ({method.stopped or 'no run finished'})"
