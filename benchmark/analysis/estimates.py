"""Means and differences with their intervals, from the same estimates as verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypedDict

from benchmark.analysis.study import Pair
from benchmark.analysis.values import Estimate, Values
from benchmark.statistics import Arms, Contrast, Interval, t_interval, unranked

Rows: TypeAlias = Mapping[str, Mapping[Pair, float]]
"""{method: {pair: value}} of one number."""


class Terms(TypedDict):
    """The terms under which all families of a data set are judged and all its differences estimated."""

    expected: set[Pair]
    excluded: dict[str, str]
    paired: bool
    test_train_ratio: float
    looks: int


def means(metric: str, rows: Rows, terms: Terms, together: Arms | None = None) -> dict[str, Interval]:
    """Every method's mean with its interval; `together` as for `differences`."""
    if terms["paired"]:
        known = {m: t_interval(row.values(), test_train_ratio=terms["test_train_ratio"]) for m, row in rows.items()}
        return {method: mean for method, mean in known.items() if mean is not None}
    together = together or arms(metric, rows, terms)
    return {method: together.contrast({method: 1}).interval() for method in together.arms}


def differences(
    metric: str, rows: Rows, baseline: str, terms: Terms, together: Arms | None = None
) -> dict[str, Interval]:
    """`method - baseline` with its interval, for all other methods: the same estimates as for verdicts.

    Args:
        metric: The metric of the values.
        rows: The values of all methods.
        baseline: The method that the others are compared to.
        terms: From `families.terms`.
        together: `arms` of the same values, if already computed and the terms say not to pair.
    """
    others = rows.keys() - {baseline}
    if terms["paired"]:
        paired = {method: contrast({method: 1, baseline: -1}, metric, rows, terms) for method in others}
        return {method: found.interval() for method, found in paired.items() if found is not None}
    together, reference = together or arms(metric, rows, terms), rows.get(baseline, {})
    known = {
        method: Contrast.paired([0.0] * len(reference))  # identical runs do not differ, whatever their spread
        if rows[method] == reference
        else together.contrast({method: 1, baseline: -1})
        for method in (others & together.arms.keys() if reference else ())
    }
    return {method: found.interval() for method, found in known.items()}


def contrast(weights: Mapping[str, float], metric: str, rows: Rows, terms: Terms) -> Contrast | None:
    """A weighted sum of methods' means, paired or not as the terms say; None if a method has no value.

    Args:
        weights: {method: c_i}.
        metric: The metric of the values.
        rows: The values of all methods, whose spreads are estimated together.
        terms: From `families.terms`.
    """
    if not all(rows.get(method) for method in weights):
        return None
    if not terms["paired"]:
        return arms(metric, rows, terms).contrast(weights)
    common = set.intersection(*(set(rows[method]) for method in weights))
    sums = [sum(weight * rows[method][pair] for method, weight in weights.items()) for pair in sorted(common)]
    return Contrast.paired(sums, terms["test_train_ratio"]) if sums else None


def arms(metric: str, rows: Rows, terms: Terms) -> Arms:
    """All methods' values. Methods that are not ranked are left out of the common spread."""
    out = unranked(metric, rows, terms["excluded"], terms["expected"])
    return Arms({method: row.values() for method, row in rows.items() if row}, out)


def estimates(values: Values, baseline: str | None, terms: Terms) -> dict[tuple[str, str], dict[str, Estimate]]:
    """Means and differences to the baseline with their intervals: {(task, metric): {method: Estimate}}.

    Args:
        values: The values of one data set.
        baseline: The method that the others are compared to.
        terms: From `families.terms`.
    """
    result = {}
    for (task, metric), rows in values.items():
        together = None if terms["paired"] else arms(metric, rows, terms)
        beside = differences(metric, rows, baseline, terms, together) if baseline is not None else {}
        result[task, metric] = {
            method: Estimate(mean, beside.get(method)) for method, mean in means(metric, rows, terms, together).items()
        }
    return result
