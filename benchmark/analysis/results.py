"""The numbers of one data set for tables and notes, and the titles of metrics with their units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from benchmark import metrics
from benchmark.analysis.families import margin_of, not_ranked
from benchmark.analysis.gain import TASKS, Gain, Scores
from benchmark.analysis.lines import CONSTANT, Line
from benchmark.analysis.question import Answered, Question
from benchmark.analysis.study import Group
from benchmark.analysis.values import Estimate, Values, usable, why_unknown
from benchmark.kinds import KINDS
from benchmark.records.record import GAIN, SelectionName
from benchmark.schema import Task
from benchmark.statistics import Comparison, Family, Interval, Margin, Verdict, multi_task_gain, relative_gain
from benchmark.statistics.rows import RowError, combined_interval, least_visible_difference
from benchmark.text import decimals

Estimates = Mapping[tuple[str, str], Mapping[str, Estimate]]


@dataclass(frozen=True)
class Results:
    """The numbers of one data set, ready to be laid out.

    Args:
        group: Its runs.
        selection: The selected epoch of the numbers.
        baseline: The method that others are compared to, if it has runs.
        wanted: The baseline asked for, tuned or not.
        margins: Margins of equivalence by headline metric; the default is that of the kind of task.
        estimates: The estimates for every task, metric and method, under `selection`.
        other: The same under the other selection.
        gains: The gains of every method except the baseline.
        other_gains: The same under the other selection.
        no_gains: Why there are no gains, if there are none.
        scores: The gain of every run, including the baseline's.
        question: The questions the runs should answer.
        answers: All methods against the baseline; None without a baseline.
        rows: {(task, method): how precisely the test rows determine its difference to the baseline, or why this is
            unknown}; empty if no run has predictions.
        lines: References by their keys.
        against_lines: {key of a reference trained on seeds: all methods against it}.
        values: The values by which methods are compared, from `families.compared`.
    """

    group: Group
    selection: SelectionName
    baseline: str | None
    wanted: str
    margins: Mapping[str, Margin]
    estimates: Estimates
    other: Estimates
    gains: Mapping[str, Gain] = field(default_factory=dict)
    other_gains: Mapping[str, Gain] = field(default_factory=dict)
    no_gains: str | None = None
    scores: Scores = field(default_factory=Scores)
    question: Question = field(default_factory=Question)
    answers: Answered | None = None
    rows: Mapping[tuple[str, str], RowError | str] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    against_lines: Mapping[str, Family] = field(default_factory=dict)
    values: Values = field(default_factory=dict)

    @property
    def primary(self) -> Family | None:
        """All methods against the baseline on the primary endpoint."""
        return self.answers.primary if self.answers is not None else None

    @property
    def family(self) -> Family | None:
        """All methods against the baseline on the tasks, without the primary endpoint."""
        return self.answers.tasks if self.answers is not None else None

    @property
    def contrasts(self) -> Family | None:
        """The declared contrasts."""
        return self.answers.contrasts if self.answers is not None else None

    @property
    def judges_gain(self) -> bool:
        """Is the gain over tasks the primary endpoint, and are methods compared on it?"""
        return self.question.primary == GAIN and self.primary is not None and bool(self.primary.comparisons)

    def unit(self, comparison: Comparison) -> str:
        """The unit of a comparison's numbers: `%` for the gain, else the metric with its unit."""
        if comparison.metric == GAIN:
            return "%"
        return next(label(comparison.metric, task) for task in self.group.tasks if task.name == comparison.task)

    def of_gain(self, method: str) -> Comparison | None:
        """The method against the baseline on the gain over tasks, if that is the primary endpoint."""
        return self.primary.get(TASKS, method) if self.primary is not None else None

    def mean_gain(self, method: str) -> float | None:
        """The mean of the method's gain; 0 for the baseline, None if unknown."""
        if method == self.baseline:
            return 0.0 if self.gains else None
        gain = self.gains.get(method)
        return gain.total.mean if gain is not None and gain.total is not None else None

    def with_rows(self, comparison: Comparison | None) -> Interval | None:
        """A difference to the baseline with its interval over seeds and test rows together; None without a row error."""
        estimate = comparison.estimate if comparison is not None else None
        found = self.rows.get((comparison.task, comparison.method)) if comparison is not None else None
        if not isinstance(found, RowError) or estimate is None or not estimate.error > 0:
            return None
        return combined_interval(estimate.value, estimate.error, estimate.df, found, n=estimate.n)

    def least_visible(self, comparison: Comparison) -> float | None:
        """The smallest difference that seeds can find on these test rows, adjusted for the family; None if unknown."""
        found = self.rows.get((comparison.task, comparison.method))
        if not isinstance(found, RowError):
            return None
        return least_visible_difference(found, comparison.level)

    def estimate(self, task: str, metric: str, method: str) -> Estimate:
        """The estimate of this metric, without a mean if it is undefined."""
        return self.estimates.get((task, metric), {}).get(method, Estimate(None))

    def headline(self, task: Task, method: str) -> Estimate:
        """The estimate of the task's headline metric."""
        return self.estimate(task.name, metrics.headline_name(task), method)

    def comparison(self, task: Task, method: str) -> Comparison | None:
        """The method against the baseline; None for the baseline itself and without a baseline."""
        families = [family for family in (self.family, self.primary) if family is not None]
        return next((c for family in families if (c := family.get(task.name, method)) is not None), None)

    def verdict(self, task: Task, method: str) -> Verdict | None:
        """The verdict on the method against the baseline."""
        found = self.comparison(task, method)
        return found.verdict if found is not None else None

    @cached_property
    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """The ranked methods in groups that cannot be told apart on the primary endpoint, the best first."""
        return self.answers.tiers if self.answers is not None else ()

    @cached_property
    def tier_of(self) -> Mapping[str, int]:
        """{method: number of its tier}, where 1 is the best."""
        return {method: number for number, members in enumerate(self.tiers, start=1) for method in members}

    def line_to_baseline(self, key: str, task: Task) -> Comparison | None:
        """A reference trained on seeds against the baseline, in the family of all methods against the reference."""
        family = self.against_lines.get(key)
        found = family.get(task.name, self.baseline) if family is not None and self.baseline is not None else None
        return found.turned() if found is not None else None

    def line_gain(self, line: Line) -> float | None:
        """The gain over tasks of a reference's means, in per cent; None if methods have no gain or a mean is unknown."""
        if not self.gains or self.baseline is None:
            return None
        parts = []
        for task in self.group.tasks:
            mean, base, constant = line.of(task), self.headline(task, self.baseline).mean, self._constant(task)
            if mean is None or base is None or constant is None:
                return None
            parts.append(relative_gain(mean.mean, base.mean, constant))
        return multi_task_gain(parts)

    def _constant(self, task: Task) -> float | None:
        """The metric without learning: chance if the metric has one, else the constant predictor's value."""
        chance, line = metrics.headline(task).chance, self.lines.get(CONSTANT)
        found = line.of(task) if line is not None else None
        return chance if chance is not None else found.mean if found is not None else None

    def margin(self, task: Task) -> float | None:
        """The margin of equivalence to the baseline, in the metric's unit."""
        mean = self.headline(task, self.baseline).mean if self.baseline is not None else None
        if mean is None:
            return None
        is_primary = self.question.primary == f"{task.name}.{metrics.headline_name(task)}"
        declared = self.question.endpoint(self.group, self.margins).margin if is_primary else None
        return (declared or margin_of(task, self.margins)).of(mean.mean)

    @cached_property
    def places(self) -> Mapping[tuple[str, str], int]:
        """Decimals of a metric's column: {(task, metric): number}; 4 if no method has a value."""
        known = {
            key: decimals(e.mean for e in methods.values() if e.mean is not None)
            for key, methods in self.estimates.items()
        }
        return defaultdict(lambda: 4, known)

    def rare(self, task: Task) -> str | None:
        """How rare the task's positives are on test, if they are rare."""
        data = self.group.example.dataset
        constant = (data.get("constant") or {}).get(task.name) or {}
        return KINDS[task.kind].rarity(constant, data.get("splits", {}).get("test"))

    def on_validation(self, task: Task, method: str) -> float | None:
        """The mean of the task's headline metric on validation, under the same selection."""
        metric = metrics.headline_name(task)
        found = []
        for run in self.group.finished[method]:
            chosen = run.record.metrics if self.selection == "joint" else run.record.metrics_per_task
            found.append(usable(chosen.get("validation", {}).get(task.name, {}).get(metric)))
        every = [value for value in found if value is not None]
        return fmean(every) if every and len(every) == len(found) else None

    def ranked(self, task: Task) -> list[str]:
        """Methods by the mean of the task's headline metric, best first; methods without a mean last."""
        sign = direction(metrics.headline_name(task))

        def order(method: str) -> tuple[bool, float, str]:
            mean = self.headline(task, method).mean
            return (mean is None, -sign * mean.mean if mean else 0.0, method)

        return sorted(self.group.by_method, key=order)

    @cached_property
    def order(self) -> list[str]:
        """All methods by their mean rank over the tasks, best first."""
        places: dict[str, int] = defaultdict(int)
        for task in self.group.tasks:
            for place, method in enumerate(self.ranked(task)):
                places[method] += place
        return sorted(self.group.by_method, key=lambda method: (places[method], method))

    @cached_property
    def by_gain(self) -> list[str]:
        """All methods by their gain, methods without a gain last; without a baseline, the same as `order`."""
        places = {method: place for place, method in enumerate(self.order)}

        def order(method: str) -> tuple[float, int]:
            known = self.mean_gain(method)
            return float("inf") if known is None else -known, places[method]

        return sorted(self.group.by_method, key=order) if self.gains else self.order

    @cached_property
    def eligible(self) -> frozenset[str]:
        """The ranked methods, one of which is the best: every expected seed finished."""
        return self.group.complete - not_ranked(self.group).keys()

    @cached_property
    def best(self) -> dict[tuple[str, str], str]:
        """The ranked method with the best mean, for metrics where higher or lower is better."""
        best = {}
        for key, methods in self.estimates.items():
            score = _score(key[1])
            if score is not None:
                means = {m: score(e.mean.mean) for m, e in methods.items() if e.mean and m in self.eligible}
                if len(means) > 1:
                    best[key] = max(sorted(means), key=means.__getitem__)
        return best

    @cached_property
    def undefined(self) -> dict[tuple[str, str], dict[str, list[str]]]:
        """{(task, metric): {reason: methods}} for test metrics under `selection` without a value."""
        found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for method, runs in self.group.finished.items():
            for run in runs:
                record = run.record
                chosen = record.metrics if self.selection == "joint" else record.metrics_per_task
                for task, row in chosen.get("test", {}).items():
                    for metric, value in ((metric, value) for metric, value in row.items() if usable(value) is None):
                        reason = record.undefined.get(f"test.{task}.{metric}", why_unknown(value))
                        found[task, metric][reason].append(method)
        return {key: dict(reasons) for key, reasons in found.items()}


def label(metric: str, task: Task) -> str:
    """A metric's name for a column heading, with its unit if it has one."""
    name, bracket, view = metric.partition("[")
    known = metrics.METRICS.get(name)  # a metric of another version is shown by its key
    text = known.title if known is not None else name
    if bracket:
        return f"{text}[{view}" if "|" in view else f"{text} [{view}"
    if known is None or not known.unit_power or task.target_unit is None:
        return text
    return f"{text} [{task.target_unit}{ {1: '', 2: '²'}.get(known.unit_power, f'^{known.unit_power}') }]"


def direction(metric: str) -> int:
    """+1 if higher is better, -1 if lower is, 0 if neither or unknown."""
    try:
        return metrics.direction(metric)
    except ValueError:  # a metric of another version: shown, not ranked
        return 0


def _score(metric: str) -> Callable[[float], float] | None:
    sign, known = direction(metric), metrics.METRICS.get(metric.partition("[")[0])
    if sign:
        return lambda value: sign * value
    best = known.best if known is not None else None
    return (lambda value: -abs(value - best)) if best is not None else None
