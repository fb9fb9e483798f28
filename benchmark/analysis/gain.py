"""The gain over the tasks: one number per run, on one scale for tasks of all kinds.

On a task, a run gains `100 (x - B) / (B - C)` per cent. Here x is its headline metric, B the baseline's mean, and C the
value without learning: chance if the metric has one (.5 for an AUC), else the constant predictor's value (for an MSE).
So for every kind of task, one per cent is one per cent of what the baseline has learnt. The gain is the mean over
tasks.

B is the mean of the baseline's runs, not its run with the same seed. Otherwise that run's luck would enter the scores
of all methods, and ten methods that share it would err together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from benchmark import metrics
from benchmark.analysis.estimates import Rows, Terms, differences
from benchmark.analysis.lines import stated
from benchmark.analysis.study import Group
from benchmark.analysis.values import Values
from benchmark.records.record import GAIN
from benchmark.schema import Task
from benchmark.statistics import Endpoint, Family, Interval, Margin, multi_task_gain, relative_gain, t_interval

TASKS = "the mean over tasks"
"""Takes the place of the task in comparisons of gains."""
MARGIN = "0.5%"
"""By default, gains up to this size do not matter."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The gains of all runs.

    Args:
        totals: In per cent, {method: {pair: value}}; the baseline's have the mean 0.
        parts: The same for each task.
        scales: Per cent of gain over all tasks for one unit of a task's metric.
        reason: Why there are no gains, if there are none.
    """

    totals: Rows = field(default_factory=dict)
    parts: Mapping[str, Rows] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """A method's gain over the tasks, in per cent; positive is better.

    Args:
        total: Mean over tasks, with its interval.
        parts: The same for each task: the total is their mean.
    """

    total: Interval | None
    parts: dict[str, Interval]

    @property
    def worst(self) -> tuple[str, Interval] | None:
        """The task that gains least, as a mean over tasks can hide a ruined task."""
        return min(self.parts.items(), key=lambda item: item[1].mean) if self.parts else None


def endpoint(margins: Mapping[str, Margin]) -> Endpoint:
    """The gain as the endpoint of comparisons.

    Raises:
        ValueError: if its margin is not a percentage.
    """
    margin = margins.get(GAIN, Margin.parse(MARGIN))
    if not margin.relative:
        raise ValueError(f"the margin of {GAIN} must be a percentage, such as {MARGIN}, found {margin.size:g}")
    return Endpoint(TASKS, GAIN, 1, Margin(100 * margin.size))


def scores(group: Group, found: Values, baseline: str | None) -> Scores:
    """The gains of all runs over a baseline, for data with at least two tasks.

    Args:
        group: The runs.
        found: The values that methods are compared by, from `families.compared`.
        baseline: The method that others are compared to.
    """
    if baseline is None or len(group.tasks) < 2:
        return Scores(reason="there is no baseline" if baseline is None else "there is only one task")
    constants = stated(group, "constant")
    parts: dict[str, Rows] = {}
    scales: dict[str, float] = {}
    for task in group.tasks:
        metric = metrics.headline(task)
        rows = found.get((task.name, metric.name), {})
        own, constant = rows.get(baseline, {}), metric.chance
        if constant is None and (task.name, metric.name) in constants:
            constant = constants[task.name, metric.name].mean
        if not own or constant is None:
            who = f"{baseline} has no {metric.title}" if not own else f"no record has the constant's {metric.title}"
            return Scores(reason=f"{who} on {task.name}")
        mean, reach = fmean(own.values()), t_interval(own.values())
        if not metric.direction * (mean - constant) > 0:
            return Scores(reason=f"{baseline} is not better than {_knowing_nothing(task)} on {task.name}")
        if reach is not None and reach.half_width is not None and reach.half_width >= abs(mean - constant):
            return Scores(reason=f"{baseline} is not shown to be better than {_knowing_nothing(task)} on {task.name}")
        parts[task.name] = {
            method: {pair: relative_gain(value, mean, constant) for pair, value in row.items()}
            for method, row in rows.items()
        }
        scales[task.name] = 100 / ((mean - constant) * len(group.tasks))
    return Scores(_totals(parts), parts, scales)


def _knowing_nothing(task: Task) -> str:
    return "chance" if metrics.headline(task).chance is not None else "the constant predictor"


def _totals(parts: Mapping[str, Rows]) -> Rows:
    methods = sorted({method for rows in parts.values() for method in rows})
    totals = {}
    for method in methods:
        own = [rows.get(method, {}) for rows in parts.values()]
        pairs = set.intersection(*(set(row) for row in own))
        totals[method] = {pair: multi_task_gain([row[pair] for row in own]) for pair in sorted(pairs)}
    return {method: row for method, row in totals.items() if row}


def gains(of: Scores, baseline: str | None, terms: Terms, judged: Family | None = None) -> dict[str, Gain]:
    """The gain of every method except the baseline, with intervals that agree with its verdict.

    Args:
        of: The scores.
        baseline: The method that others are compared to.
        terms: The terms of all comparisons.
        judged: The primary family: a method decided at a look has the gain at that look.
    """
    if baseline is None or not of.totals:
        return {}
    totals = differences(GAIN, of.totals, baseline, terms)
    for comparison in judged.comparisons if judged is not None else ():
        if comparison.metric == GAIN and comparison.difference is not None:
            totals[comparison.method] = comparison.difference
    parts = {task: differences(GAIN, rows, baseline, terms) for task, rows in of.parts.items()}
    return {
        method: Gain(totals.get(method), {task: rows[method] for task, rows in parts.items() if method in rows})
        for method in sorted({method for rows in parts.values() for method in rows})
    }
