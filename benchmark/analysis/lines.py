"""References to compare methods with: the constant predictor, boosted trees, the best reachable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmark import metrics
from benchmark.analysis.study import Group, Pair, draw_of
from benchmark.analysis.values import usable
from benchmark.records.record import TRIAL
from benchmark.schema import Task
from benchmark.statistics import Interval, t_interval

if TYPE_CHECKING:
    from benchmark.records.reference import ReferenceRecord

CONSTANT, BEST = "constant", "best_reachable"
LABELS = {CONSTANT: "constant (mean of train)", BEST: "best reachable"}  # references in the runs' own records


@dataclass(frozen=True, slots=True)
class Line:
    """A reference on the test rows of one data set.

    Args:
        name: Its name in print.
        trivial: It predicts without looking at a row.
        bound: Nothing can be better.
        estimates: {(task, metric): mean, with an interval if seeds have a spread}.
        values: {(task, metric): {pair: value}} if it was trained on seeds, like a method.
    """

    name: str
    trivial: bool = False
    bound: bool = False
    estimates: dict[tuple[str, str], Interval] = field(default_factory=dict)
    values: dict[tuple[str, str], dict[Pair, float]] = field(default_factory=dict)

    @property
    def seeds(self) -> int | None:
        """The number of seeds it was trained on; None if it was not trained."""
        return max(map(len, self.values.values())) if self.values else None

    def get(self, task: str, metric: str) -> Interval | None:
        """The mean of a metric, if it is known."""
        return self.estimates.get((task, metric))

    def of(self, task: Task) -> Interval | None:
        """The mean of a task's headline metric, if it is known."""
        return self.get(task.name, metrics.headline_name(task))


def reference_lines(group: Group, references: Sequence[ReferenceRecord]) -> dict[str, Line]:
    """The references of a data set by key: those in the runs' records, and those trained on the same rows."""
    lines = {}
    for key in (CONSTANT, BEST):
        found = stated(group, key)
        if found:
            lines[key] = Line(LABELS[key], trivial=key == CONSTANT, bound=key == BEST, estimates=found)
    labels: dict[str, str] = {}
    values: dict[str, dict[tuple[str, str], dict[Pair, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in trained(group, references):
        if record.name not in lines:
            labels[record.name] = record.label
            pair = (*_rows_of(record), record.seed, 0)
            for task, row in record.metrics.get("test", {}).items():
                for metric, value in row.items():
                    if (number := usable(value)) is not None:
                        values[record.name][task, metric][pair] = number
    for name, found_values in sorted(values.items()):
        means = {key: t_interval(row.values()) for key, row in found_values.items()}
        estimates = {key: mean for key, mean in means.items() if mean is not None}
        lines[name] = Line(labels[name], estimates=estimates, values=dict(found_values))
    return lines


def fitting(group: Group, references: Sequence[ReferenceRecord]) -> list[ReferenceRecord]:
    """The references with the rows of this data set, including trials."""
    rows = {run.pair[:3] for runs in group.finished.values() for run in runs}
    return [record for record in references if _rows_of(record) in rows]


def trained(group: Group, references: Sequence[ReferenceRecord]) -> list[ReferenceRecord]:
    """The references without trials. If a search was extended, the choice from fewer trials is left out."""
    found = [record for record in fitting(group, references) if record.purpose != TRIAL]
    most: dict[str, int] = defaultdict(int)
    for record in found:
        most[record.name] = max(most[record.name], record.num_trials)
    return [record for record in found if record.num_trials == most[record.name]]


def _rows_of(record: ReferenceRecord) -> tuple[str, str, str]:
    data = record.dataset
    return data.get("fingerprint", ""), draw_of(record.config["dataset"]), data.get("test_rows", "")


def stated(group: Group, key: str) -> dict[tuple[str, str], Interval]:
    """Metrics of references in the runs' own records; over several draws of the data, their mean."""
    by_rows = {run.pair[:3]: run.record.dataset.get(key) or {} for runs in group.finished.values() for run in runs}
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for tasks in by_rows.values():
        for task, row in tasks.items():
            for metric, value in row.items():
                if (number := usable(value)) is not None:
                    values[task, metric].append(number)
    return {place: Interval(sum(found) / len(found), None, None, len(found)) for place, found in values.items()}
