"""Which comparisons the report makes, and who is not ranked: the families that `benchmark.statistics` then judges."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark import metrics
from benchmark.reporting.layout import numbers
from benchmark.reporting.references import Line
from benchmark.reporting.study import Group
from benchmark.reporting.tables import Values
from benchmark.statistics import Endpoint, Family, Margin, against_baseline, against_best

MARGINS: Mapping[str, Margin] = {"auc": Margin(0.001), "mse": Margin(0.01, relative=True)}
"""The default margins, inside which two methods are equivalent: 0.001 of AUC, 1 % of MSE."""


def endpoints(group: Group, margins: Mapping[str, Margin]) -> list[Endpoint]:
    """What methods are compared by: the headline metric of every task."""
    primary = {task.name: metrics.primary(task) for task in group.tasks}
    return [Endpoint(task, metric, metrics.direction(metric), margins[metric]) for task, metric in primary.items()]


def families(
    group: Group, values: Values, baseline: str | None, wanted: str, margins: Mapping[str, Margin]
) -> tuple[Family | None, Family | None]:
    """All methods against the baseline, and all against the best on each task."""
    asked, excluded, ratio = endpoints(group, margins), not_ranked(group, wanted), resampling(group)
    values = _headline(values, asked)
    first = None
    if baseline is not None and len(group.by_method) > 1:
        first = against_baseline(values, asked, baseline, excluded=excluded, test_train_ratio=ratio)
    several = any(len(methods) > 1 for methods in values.values())
    second = against_best(values, asked, excluded=excluded, test_train_ratio=ratio) if several else None
    return first, second


def against_line(group: Group, values: Values, line: Line, wanted: str, margins: Mapping[str, Margin]) -> Family:
    """All methods against a reference that was trained on the same seeds: a family of its own.

    Seeds that the reference alone has are no runs that a method lacks.
    """
    asked = endpoints(group, margins)
    joined = {}
    for key, methods in _headline(values, asked).items():
        pairs = {pair for row in methods.values() for pair in row}
        reference = {pair: value for pair, value in line.values.get(key, {}).items() if pair in pairs}
        joined[key] = {**methods, line.name: reference}
    return against_baseline(
        joined, asked, line.name, excluded=not_ranked(group, wanted), test_train_ratio=resampling(group)
    )


def not_ranked(group: Group, wanted: str) -> dict[str, str]:
    """{method: why it is shown and not ranked}."""
    reasons: dict[str, str] = {}
    plain = wanted.partition("/")[2].partition(" ")[0]
    for method, runs in group.by_method.items():
        for status in ("diverged", "failed"):
            seeds = [run.record.seed for run in runs if run.record.status == status]
            if seeds:
                reasons.setdefault(method, f"{status} on seed {numbers(seeds)}")
        if group.missing[method]:
            reasons.setdefault(method, f"no run of seed {numbers(seed for _, seed in group.missing[method])}")
        weighting = runs[0].record.method.partition("/")[2]
        if method in group.unshared and weighting != plain:
            reasons.setdefault(method, f"it shares no parameter and is compared with {plain} weighting only")
    return reasons


def resampling(group: Group) -> float:
    """Rows of test over rows of train where runs have different test rows of the same data, else 0.

    Data that are drawn anew for every seed share no training row: there the plain test is right.
    """
    rows: dict[str, set[str]] = {}
    for runs in group.finished.values():
        for run in runs:
            rows.setdefault(run.pair[0], set()).add(run.pair[2])
    splits = group.example.dataset.get("splits", {})
    varies = any(len(found) > 1 for found in rows.values())
    return splits["test"] / splits["train"] if varies and splits.get("train") else 0.0


def _headline(values: Values, asked: list[Endpoint]) -> Values:
    keys = [(endpoint.task, endpoint.metric) for endpoint in asked]
    return {key: values[key] for key in keys if key in values}
