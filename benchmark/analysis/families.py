"""Which comparisons the report makes, and which methods are not ranked: the families that `benchmark.statistics` judges."""

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

EVERY_SEED = -1  # replaces the seed in the pair of a draw


def margin_of(task: Task, margins: Mapping[str, Margin]) -> Margin:
    """The margin on the task: the margin given for its headline metric, or else the default of its kind."""
    kind = KINDS[task.kind]
    return margins[kind.headline] if kind.headline in margins else Margin.parse(kind.margin)


def endpoints(group: Group, margins: Mapping[str, Margin]) -> list[Endpoint]:
    """The endpoints of comparisons: the headline metric of every task."""
    headlines = {task: metrics.headline(task) for task in group.tasks}
    return [Endpoint(task.name, m.name, m.direction, margin_of(task, margins)) for task, m in headlines.items()]


def against_line(group: Group, values: Values, key: str, line: Line, margins: Mapping[str, Margin]) -> Family:
    """All methods against a reference trained on the same seeds: a separate family, on the seeds of both.

    The comparisons name the reference by its key, which cannot be a method's name `architecture/weighting`. Seeds that
    only the reference has do not count as missing from a method, nor the reverse.
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
    """The values that methods are compared by: one per replicate, from `replicates`.

    Extra seeds of one method enter its own comparisons and do not make other methods incomplete. If seeds are averaged
    over a draw of the data, only the expected seeds are used, so that every mean is over the same seeds. If all methods
    have the same data, a stray run on other data is left out.
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
    """The pairs that every method should have, without extra searches on a seed; with means over draws, all pairs."""
    expected = set(group.expected)
    return {p for p in _pairs(values) if p[3] == EVERY_SEED or ((p[1], p[3]) in expected and not p[4])}


def _pairs(values: Values) -> set[Pair]:
    return {pair for methods in values.values() for row in methods.values() for pair in row}


def terms(group: Group, found: Values) -> Terms:
    """How comparisons are judged. Runs are paired if their data differ, by the rule of `benchmark.statistics.verdicts`.

    A method that was decided at a look does not lack runs, so with looks no pairs are expected.
    """
    return Terms(
        expected=_expected(group, found) if not group.looks else set(),
        excluded=not_ranked(group),
        paired=have_several_draws(group),
        test_train_ratio=resampling(group),
        looks=max(len(group.looks), 1),
    )


def have_several_draws(group: Group) -> bool:
    """Do runs differ in their data, by another draw or another split?"""
    return len({run.pair[:3] for run in _judged(group)}) > 1


def _judged(group: Group) -> list[Run]:
    """The finished runs of replicates that at least half of the methods have; all runs if none has a partner."""
    expected = set(group.expected or group.replicates)
    return [run for runs in group.finished.values() for run in runs if run.replicate in expected]


def not_ranked(group: Group, first: int | None = None) -> dict[str, str]:
    """{method: why it is shown but not ranked}; considering only the first replicates, if a number is given.

    If tasks share no parameter, a weighting has nothing to balance. Then only the plain weighting is ranked, if it
    exists.
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
            reasons.setdefault(method, f"it shares no parameter and is only compared with {PLAIN_WEIGHTING} weighting")
    return reasons


def replicates(values: Values) -> Values:
    """One value for each draw of the data, the mean over its seeds, if the data were drawn more than once.

    Seeds on one draw are not replicates of the draw. Treated as replicates, 5 seeds on each of 3 draws raise an error
    of 5 % to 25 % if draws vary as much as seeds.
    """
    if not several_seeds_a_draw(_pairs(values)):
        return values
    return {key: {method: _by_draw(row) for method, row in methods.items()} for key, methods in values.items()}


def several_seeds_a_draw(pairs: Iterable[Pair]) -> bool:
    """Were the data drawn more than once, with more than one run on some draw?"""
    found = set(pairs)
    return 1 < len({pair[:3] for pair in found}) < len(found)


def _by_draw(row: Mapping[Pair, float]) -> dict[Pair, float]:
    by_draw: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for (fingerprint, draw, test_rows, *_), value in row.items():
        by_draw[fingerprint, draw, test_rows].append(value)
    return {(*draw, EVERY_SEED, 0): math.fsum(found) / len(found) for draw, found in by_draw.items()}


def resampling(group: Group) -> float:
    """Test rows over training rows if runs have different test rows of the same data, else 0.

    Data drawn again for every seed share no training rows, so the plain test is right for them.
    """
    rows: dict[str, set[str]] = {}
    for run in _judged(group):
        rows.setdefault(run.pair[0], set()).add(run.pair[2])
    splits = group.example.dataset.get("splits", {})
    varies = any(len(found) > 1 for found in rows.values())
    return splits["test"] / splits["train"] if varies and splits.get("train") else 0.0
