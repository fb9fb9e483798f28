"""Which comparisons the report makes, and who is not ranked: the families that `benchmark.statistics` then judges."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from benchmark import metrics
from benchmark.analysis.estimates import Terms
from benchmark.analysis.lines import Line
from benchmark.analysis.study import Group, Pair, Run
from benchmark.analysis.values import Values
from benchmark.kinds import KINDS
from benchmark.records.record import PLAIN_WEIGHTING
from benchmark.schema import Task
from benchmark.statistics import Endpoint, Family, Margin, against_baseline

EVERY_SEED = -1  # stands for the seed in the pair of a draw


def margin_of(task: Task, margins: Mapping[str, Margin]) -> Margin:
    """Inside which two methods are equivalent on the task: the one given for its headline metric, else its kind's own."""
    kind = KINDS[task.kind]
    return margins[kind.headline] if kind.headline in margins else Margin.parse(kind.margin)


def endpoints(group: Group, margins: Mapping[str, Margin]) -> list[Endpoint]:
    """What methods are compared by: the headline metric of every task."""
    headlines = {task: metrics.headline(task) for task in group.tasks}
    return [Endpoint(task.name, m.name, m.direction, margin_of(task, margins)) for task, m in headlines.items()]


def against_line(group: Group, values: Values, key: str, line: Line, margins: Mapping[str, Margin]) -> Family:
    """All methods against a reference that was trained on the same seeds: a family of its own, on the seeds of both.

    Its comparisons know the reference by its key, which is no method's, as it is no `architecture/weighting`. Seeds that the
    reference alone has are no runs that a method lacks, nor the other way round.
    """
    asked = endpoints(group, margins)
    joined: Values = {}
    for of in ((endpoint.task, endpoint.metric) for endpoint in asked):
        methods = values.get(of, {})
        theirs, own = {pair for row in methods.values() for pair in row}, line.values.get(of, {})
        common = {
            method: {pair: value for pair, value in row.items() if pair in own} for method, row in methods.items()
        }
        joined[of] = {**common, key: {pair: value for pair, value in own.items() if pair in theirs}}
    found = compared(group, joined)
    return against_baseline(found, asked, key, **terms(group, found))


def compared(group: Group, values: Values) -> Values:
    """What methods are compared by: one value a replicate, as `replicates` has it.

    More seeds of one method are in its own comparisons, and make no other incomplete. Where seeds are averaged over a draw
    of the data, only the expected ones are, so that every mean is over the same seeds. Where all methods have the same data, a
    stray run on other data is left out.
    """
    expected = _expected(group, values)
    if not have_several_draws(group):
        data = {run.pair[:3] for run in _judged(group)}
        return {
            key: {method: {pair: row[pair] for pair in row if pair[:3] in data} for method, row in methods.items()}
            for key, methods in values.items()
        }
    if not several_seeds_a_draw(expected):
        return values
    return replicates({
        key: {method: {pair: row[pair] for pair in row if pair in expected} for method, row in methods.items()}
        for key, methods in values.items()
    })  # fmt: skip


def _expected(group: Group, values: Values) -> set[Pair]:
    """The pairs that every method should have, which one more search on a seed is not; of means over a draw, all."""
    expected = set(group.expected)
    return {p for p in _pairs(values) if p[3] == EVERY_SEED or ((p[1], p[3]) in expected and not p[4])}


def _pairs(values: Values) -> set[Pair]:
    return {pair for methods in values.values() for row in methods.values() for pair in row}


def terms(group: Group, found: Values) -> Terms:
    """Runs are paired where their data differ, by the rule of `benchmark.statistics.verdicts`.

    A method that stopped at a look, decided, lacks no run: there nothing is expected.
    """
    return Terms(
        expected=_expected(group, found) if not group.looks else set(),
        excluded=not_ranked(group),
        paired=have_several_draws(group),
        test_train_ratio=resampling(group),
        looks=max(len(group.looks), 1),
    )


def have_several_draws(group: Group) -> bool:
    """Do runs differ in their data: drawn anew, or split anew?"""
    return len({run.pair[:3] for run in _judged(group)}) > 1


def _judged(group: Group) -> list[Run]:
    """The finished runs of what half of the methods have at least; all of them, where none has a partner."""
    expected = set(group.expected or group.replicates)
    return [run for runs in group.finished.values() for run in runs if run.replicate in expected]


def not_ranked(group: Group, first: int | None = None) -> dict[str, str]:
    """{method: why it is shown and not ranked}; as it was with the first so many replicates, if a number is given.

    Where tasks share no parameter, a weighting has nothing to balance: of such an architecture the plain one alone is ranked,
    if it is there.
    """
    reasons: dict[str, str] = {}
    unshared = {group.by_method[method][0].record.method for method in group.unshared}
    known = set(group.replicates[:first])
    for method, every in group.by_method.items():
        runs = [run for run in every if run.replicate in known]
        for status in ("diverged", "failed"):
            stopped = [run.replicate for run in runs if run.record.status == status]
            if stopped:
                reasons.setdefault(method, f"{status} on seed {group.seeds_of(stopped)}")
        if missing := [replicate for replicate in group.missing[method] if replicate in known]:
            reasons.setdefault(method, f"no run of seed {group.seeds_of(missing)}")
        architecture, _, weighting = every[0].record.method.partition("/")
        if (
            method in group.unshared
            and weighting != PLAIN_WEIGHTING
            and f"{architecture}/{PLAIN_WEIGHTING}" in unshared
        ):
            reasons.setdefault(method, f"it shares no parameter and is compared with {PLAIN_WEIGHTING} weighting only")
    return reasons


def replicates(values: Values) -> Values:
    """One value for each draw of the data, the mean over its seeds, where the data were drawn more than once.

    Seeds on one draw are no replicates of the draw: taken for such, 5 on each of 3 draws turn an error of 5 % into 25 %
    where draws vary as much as seeds.
    """
    if not several_seeds_a_draw(_pairs(values)):
        return values
    return {key: {method: _by_draw(row) for method, row in methods.items()} for key, methods in values.items()}


def several_seeds_a_draw(pairs: Iterable[Pair]) -> bool:
    """Were the data drawn more than once, and trained on more than once in some draw?"""
    found = set(pairs)
    return 1 < len({pair[:3] for pair in found}) < len(found)


def _by_draw(row: Mapping[Pair, float]) -> dict[Pair, float]:
    by_draw: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for (fingerprint, draw, test_rows, *_), value in row.items():
        by_draw[fingerprint, draw, test_rows].append(value)
    return {(*draw, EVERY_SEED, 0): math.fsum(found) / len(found) for draw, found in by_draw.items()}


def resampling(group: Group) -> float:
    """Rows of test over rows of train where runs have different test rows of the same data, else 0.

    Data that are drawn anew for every seed share no training row: there the plain test is right.
    """
    rows: dict[str, set[str]] = {}
    for run in _judged(group):
        rows.setdefault(run.pair[0], set()).add(run.pair[2])
    splits = group.example.dataset.get("splits", {})
    varies = any(len(found) > 1 for found in rows.values())
    return splits["test"] / splits["train"] if varies and splits.get("train") else 0.0
