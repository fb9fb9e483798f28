"""All methods over all data sets. Each data set counts once, however many tasks and seeds it has.

Tuned methods and methods with default parameters have separate leaderboards, each against a baseline of the same kind.
Against an untuned baseline, tuning itself would look like a gain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Literal, TypeAlias

from benchmark.analysis.results import Results
from benchmark.analysis.values import cost, same_machine
from benchmark.records.record import GAIN, name_of_data
from benchmark.statistics import Interval, Verdict, t_interval
from benchmark.statistics.aggregates import (
    geometric_mean,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    trimmed,
)

FEWEST_FOR_MEAN, FEWEST_FOR_RANK = 4, 6
"""Below these numbers of data sets, there is no mean over them, or no rank."""

ParameterKind: TypeAlias = Literal["tuned", "default"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A method on one data set, against the baseline there.

    Args:
        gain: Over the tasks, in per cent.
        runs: The gain of each run.
        baseline_runs: The same for the baseline; their mean is 0.
        verdict: The verdict on the data set's primary endpoint; None if the method is not ranked.
        reason: Why it is not ranked.
        worst: The task that gains least, and its gain.
        seconds: Training time over the baseline's, from medians over seeds; None if unknown.
        parameters: The same for parameters.
    """

    gain: Interval
    runs: tuple[float, ...]
    baseline_runs: tuple[float, ...]
    verdict: Verdict | None
    reason: str | None
    worst: tuple[str, float]
    seconds: float | None
    parameters: float | None


@dataclass(frozen=True)
class Standing:
    """A row: one method on all data sets where it has gains.

    Args:
        method: Its name.
        entries: By data set.
        families: {data set: the data set's own name}, without options: variants of one data set count as one.
        mean: Mean of the gains over data sets, with data sets as the random effect; None for fewer than four.
        probability: Probability that a run of the method gains more than a run of the baseline, averaged over data
            sets; None as for `mean`.
        degrees: Degrees of freedom of `mean`'s interval.
        rank: Rank by `mean`, where 1 is best; None without a rank.
    """

    method: str
    entries: Mapping[str, Entry]
    families: Mapping[str, str]
    mean: Interval | None = None
    probability: Interval | None = None
    degrees: int = 0
    rank: int | None = None

    @cached_property
    def judged(self) -> dict[str, Entry]:
        """The entries of data sets on which it is ranked; only these enter the means."""
        return {name: entry for name, entry in self.entries.items() if entry.verdict is not None}

    @property
    def weights(self) -> list[float]:
        """The weights of the judged data sets: each family counts once, and its variants equally."""
        return weights([self.families[name] for name in self.judged])

    @property
    def num_datasets(self) -> int:
        """The number of data sets on which it is ranked; variants of one count once."""
        return len({self.families[name] for name in self.judged})

    def count(self, *verdicts: Verdict) -> int:
        """The number of data sets, counting variants separately, with one of these verdicts."""
        return sum(entry.verdict in verdicts for entry in self.entries.values())

    @property
    def worst(self) -> tuple[str, str, float]:
        """Data set, task and gain of the task with the smallest gain anywhere."""
        name, entry = min(self.entries.items(), key=lambda item: item[1].worst[1])
        return name, *entry.worst

    @property
    def seconds(self) -> float | None:
        """Training time over the baseline's: the geometric mean over data sets with both known."""
        return self._ratio({name: entry.seconds for name, entry in self.entries.items()})

    @property
    def parameters(self) -> float | None:
        """The same for parameters."""
        return self._ratio({name: entry.parameters for name, entry in self.entries.items()})

    def _ratio(self, ratios: Mapping[str, float | None]) -> float | None:
        by_family: dict[str, list[float]] = defaultdict(list)
        for name, ratio in ratios.items():
            if ratio:
                by_family[self.families[name]].append(ratio)
        return geometric_mean([mean for own in by_family.values() if (mean := geometric_mean(own)) is not None])

    def profile(self, at: Sequence[float]) -> list[float]:
        """For each gain, the share of data sets and runs that gain more."""
        return performance_profile([entry.runs for entry in self.judged.values()], at, self.weights)


@dataclass(frozen=True)
class Leaderboard:
    """The methods of one kind over all data sets.

    Args:
        kind: Whether their parameters were tuned.
        baseline: The baseline of the gains, as most data sets name it.
        families: {data set: the data set's own name} for data sets that count.
        left_out: {data set: why it does not count}.
        other_primary: {data set: its declared primary endpoint}, if that is not the gain; verdicts use it.
        standings: One per method except the baseline, by mean if methods are ranked, else by name.
        is_iqm: Whether `mean` is the interquartile mean.
    """

    kind: ParameterKind
    baseline: str
    families: Mapping[str, str]
    left_out: Mapping[str, str]
    other_primary: Mapping[str, str]
    standings: tuple[Standing, ...]
    is_iqm: bool = False

    @property
    def num_datasets(self) -> int:
        """How many data sets count; variants of one count once."""
        return len(set(self.families.values()))

    @property
    def has_means(self) -> bool:
        """Are there enough data sets for a mean over them?"""
        return self.num_datasets >= FEWEST_FOR_MEAN

    @property
    def has_ranks(self) -> bool:
        """Are there enough data sets for a rank?"""
        return self.num_datasets >= FEWEST_FOR_RANK

    @property
    def baseline_rank(self) -> int | None:
        """The baseline's place among the ranked methods: its gain is 0."""
        ranked = [s.mean.mean for s in self.standings if s.rank is not None and s.mean is not None]
        return 1 + sum(mean > 0 for mean in ranked) if ranked else None

    @property
    def variants(self) -> dict[str, list[str]]:
        """{a data set's own name: its variants} for data sets with several variants."""
        names: dict[str, list[str]] = defaultdict(list)
        for name, family in self.families.items():
            names[family].append(name)
        return {family: own for family, own in names.items() if len(own) > 1}


def kind_of(results: Results) -> ParameterKind:
    """Whether the parameters of its methods were tuned."""
    return "tuned" if results.group.is_tuned else "default"


def weights(families: Sequence[str]) -> list[float]:
    """A weight for each data set: families count equally, and so do the variants within each."""
    return [1 / (len(set(families)) * families.count(family)) for family in families]


def leaderboards(results: Sequence[Results], *, iqm: bool = False) -> tuple[Leaderboard, ...]:
    """One leaderboard for tuned methods and one for methods with default parameters, if any data set has such gains.

    Args:
        results: The numbers of all data sets.
        iqm: Whether to use the interquartile mean over data sets instead of the mean.
    """
    kinds: tuple[ParameterKind, ...] = ("tuned", "default")
    boards = [_leaderboard(kind, [r for r in results if kind_of(r) == kind], iqm=iqm) for kind in kinds]
    return tuple(board for board in boards if board.families)


def _leaderboard(kind: ParameterKind, results: Sequence[Results], *, iqm: bool) -> Leaderboard:
    reasons = {r.group.dataset: reason for r in results if (reason := _why_not(r)) is not None}
    counted = [r for r in results if r.group.dataset not in reasons]
    families = {r.group.dataset: name_of_data(r.group.example.config["dataset"]) for r in counted}
    entries: dict[str, dict[str, Entry]] = defaultdict(dict)
    for r in counted:
        for method in r.gains:
            if (entry := _entry(r, method)) is not None:
                entries[method][r.group.dataset] = entry
    names = [r.baseline for r in counted if r.baseline is not None]
    board = Leaderboard(
        kind,
        max(dict.fromkeys(names), key=names.count, default=""),
        families,
        reasons,
        {r.group.dataset: r.question.primary for r in counted if r.question.primary != GAIN},
        tuple(_standing(method, own, families, iqm=iqm) for method, own in sorted(entries.items())),
        iqm,
    )
    return _ranked(board) if board.has_ranks else board


def _why_not(results: Results) -> str | None:
    """Why a data set does not count; None if it does."""
    if results.baseline is None:
        return f"no run of {results.wanted} finished"
    if not results.gains:
        return results.no_gains or "no other method has a gain"
    found = results.primary.comparisons if results.primary is not None else ()
    if any(c.verdict is not None for c in found):
        return None
    return next((c.reason for c in found if c.reason), "no method is ranked")


def _entry(results: Results, method: str) -> Entry | None:
    gain, totals, baseline = results.gains[method], results.scores.totals, results.baseline
    if gain.total is None or gain.worst is None or baseline is None or method not in totals:
        return None
    family = results.primary
    found = next((c for c in family.comparisons if c.method == method), None) if family is not None else None
    mine, other = (cost(results.group.finished[name]) for name in (method, baseline))
    runs = [run for name in (method, baseline) for run in results.group.finished[name]]
    return Entry(
        gain.total,
        tuple(totals[method].values()),
        tuple(totals[baseline].values()),
        found.verdict if found is not None else None,
        found.reason if found is not None else "it is not compared",
        (gain.worst[0], gain.worst[1].mean),
        mine[2] / other[2] if mine[2] and other[2] and same_machine(runs) else None,
        mine[0] / other[0] if mine[0] and other[0] else None,
    )


def _standing(method: str, entries: Mapping[str, Entry], families: Mapping[str, str], *, iqm: bool) -> Standing:
    standing = Standing(method, entries, families)
    if standing.num_datasets < FEWEST_FOR_MEAN:
        return standing
    gains: dict[str, list[float]] = defaultdict(list)
    for name, entry in standing.judged.items():
        gains[families[name]].append(entry.gain.mean)
    means = [fmean(own) for own in gains.values()]
    sides = [(entry.runs, entry.baseline_runs) for entry in standing.judged.values()]
    return replace(
        standing,
        mean=interquartile_mean(means) if iqm else t_interval(means),
        probability=probability_of_improvement(sides, standing.weights),
        degrees=len(means) - 1 - (2 * trimmed(len(means)) if iqm else 0),
    )


def _ranked(board: Leaderboard) -> Leaderboard:
    """The standings with ranks for methods ranked on every data set, best first; the others follow."""
    whole = {s.method: s.mean.mean for s in board.standings if s.mean and s.judged.keys() == board.families.keys()}
    above = [*whole.values(), 0.0]  # the baseline's
    ranked = [
        replace(s, rank=1 + sum(mean > whole[s.method] for mean in above)) if s.method in whole else s
        for s in board.standings
    ]
    ranked.sort(key=lambda s: (s.rank is None, -s.mean.mean if s.mean else 0.0, s.method))
    return replace(board, standings=tuple(ranked))
