"""One task against another, AUC against MSE: the methods that no other beats on both, and the area they dominate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from benchmark import metrics
from benchmark.analysis.lines import CONSTANT
from benchmark.analysis.results import Results
from benchmark.kinds import KINDS
from benchmark.schema import Task
from benchmark.statistics import hypervolume, pareto_front

Place = tuple[float, float]
"""Mean headline metrics of `against` and of `task`: MSE and AUC."""


@dataclass(frozen=True)
class Front:
    """The ranked methods, by two tasks with different headline metrics.

    Args:
        task: One task, a binary one of the two if there is one.
        against: The other, a regression.
        means: {method: its means on test}.
        corner: From where areas are measured: the means of the constant predictor; None if not in the records.
    """

    task: Task
    against: Task
    means: Mapping[str, Place]
    corner: Place | None

    @property
    def key(self) -> str:
        """`click/play_time`."""
        return f"{self.task.name}/{self.against.name}"

    @property
    def title(self) -> str:
        """`click against play_time`."""
        return f"{self.task.name} against {self.against.name}"

    @cached_property
    def methods(self) -> list[str]:
        """The methods on the front, the best on `against` first."""
        names = list(self.means)
        return [names[index] for index in pareto_front([self._lacking(place) for place in self.means.values()])]

    def area(self, without: str | None = None) -> float | None:
        """The hypervolume: the dominated share of the area between the corner and a perfect predictor.

        None without a corner, or if a metric has no best value.
        """
        if self.corner is None or any(metrics.headline(task).best is None for task in (self.against, self.task)):
            return None
        corner = self._lacking(self.corner)
        points = [self._lacking(place) for method, place in self.means.items() if method != without]
        whole = corner[0] * corner[1]
        return hypervolume(points, corner) / whole if whole > 0 else None

    def loss(self, method: str) -> float | None:
        """How much the area shrinks without the method."""
        whole, rest = self.area(), self.area(without=method)
        return None if whole is None or rest is None else whole - rest

    def with_methods(self, means: Mapping[str, Place]) -> Front:
        """The front of these methods too."""
        return replace(self, means={**self.means, **means})

    def dominating(self, place: Place) -> list[str]:
        """The methods that are as good as these means on both tasks, and better on one."""
        x, y = self._lacking(place)
        return [
            m for m, mean in self.means.items() if (at := self._lacking(mean)) != (x, y) and at[0] <= x and at[1] <= y
        ]

    def worst(self) -> Place | None:
        """The worst mean of any method on each task; None without methods."""
        if not self.means:
            return None
        x, y = zip(*self.means.values(), strict=True)
        of = [metrics.headline(task).direction for task in (self.against, self.task)]
        return min(x, key=lambda mean: of[0] * mean), min(y, key=lambda mean: of[1] * mean)

    def _lacking(self, place: Place) -> Place:
        """How far both means are from the best; lower is better."""
        lacking = []
        for task, mean in zip((self.against, self.task), place, strict=True):
            metric = metrics.headline(task)
            lacking.append(metric.direction * ((metric.best or 0.0) - mean))
        return lacking[0], lacking[1]


def pairs(tasks: Sequence[Task]) -> list[tuple[Task, Task]]:
    """The pairs of tasks with different headline metrics that have a front, as (task, against).

    If one of the two metrics is better when lower, its task is `against`; otherwise the order of the kinds decides.
    """
    kinds = list(KINDS)

    def order(task: Task) -> tuple[int, int]:
        return -metrics.headline(task).direction, kinds.index(task.kind)

    return [
        (task, against)
        for against in tasks
        for task in tasks
        if metrics.headline_name(task) != metrics.headline_name(against) and order(task) < order(against)
    ]


def heading(tasks: Iterable[Sequence[Task]]) -> str:
    """The title of the fronts of some data sets: `AUC against MSE`."""
    found = {
        f"{metrics.headline(task).title} against {metrics.headline(against).title}"
        for of in tasks
        for task, against in pairs(of)
    }
    return found.pop() if len(found) == 1 else "One task against another"


def fronts(results: Results, methods: Sequence[str] | None = None) -> list[Front]:
    """One for every pair of tasks with different headline metrics.

    Args:
        results: The numbers of the data set.
        methods: The methods, of which the ranked ones enter; all by default.
    """
    line, found = results.lines.get(CONSTANT), []
    for task, against in pairs(results.group.tasks):
        means = {}
        for method in results.by_gain if methods is None else methods:
            x, y = (results.headline(of, method).mean for of in (against, task))
            if method in results.eligible and x is not None and y is not None:
                means[method] = x.mean, y.mean
        x, y = (line.of(of) if line is not None else None for of in (against, task))
        constant = (x.mean, y.mean) if x is not None and y is not None else None
        found.append(Front(task, against, means, constant))
    return found
