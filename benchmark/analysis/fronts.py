"""AUC against MSE: which methods no other beats on both, and the area that they dominate together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from benchmark.analysis.lines import CONSTANT
from benchmark.analysis.results import Results
from benchmark.schema import Task, TaskKind
from benchmark.statistics import hypervolume, pareto_front

Place = tuple[float, float]
"""Mean MSE and mean AUC."""


@dataclass(frozen=True)
class Front:
    """The methods that are ranked, by a binary task and a regression.

    Args:
        auc_task: The binary task.
        mse_task: The regression.
        means: {method: its means on test}.
        constant: Those of the constant predictor, from which areas are measured; None if the records do not say them.
    """

    auc_task: Task
    mse_task: Task
    means: Mapping[str, Place]
    constant: Place | None

    @property
    def key(self) -> str:
        """`click/play_time`."""
        return f"{self.auc_task.name}/{self.mse_task.name}"

    @property
    def title(self) -> str:
        """`click against play_time`."""
        return f"{self.auc_task.name} against {self.mse_task.name}"

    @cached_property
    def methods(self) -> list[str]:
        """The methods on the front, the lowest MSE first."""
        names = list(self.means)
        return [names[index] for index in pareto_front([(mse, 1 - auc) for mse, auc in self.means.values()])]

    def area(self, without: str | None = None) -> float | None:
        """The share that the methods dominate of the area between the constant predictor and a perfect one."""
        if self.constant is None:
            return None
        mse, auc = self.constant
        points = [(m, 1 - a) for method, (m, a) in self.means.items() if method != without]
        whole = mse * (1 - auc)
        return hypervolume(points, (mse, 1 - auc)) / whole if whole > 0 else None

    def loss(self, method: str) -> float | None:
        """How much smaller the area is without the method."""
        whole, rest = self.area(), self.area(without=method)
        return None if whole is None or rest is None else whole - rest


def fronts(results: Results) -> list[Front]:
    """One for every pair of a binary task and a regression."""
    tasks, line = results.group.tasks, results.lines.get(CONSTANT)
    found = []
    for mse_task in (task for task in tasks if task.kind is TaskKind.REGRESSION):
        for auc_task in (task for task in tasks if task.kind is TaskKind.BINARY):
            means = {}
            for method in results.by_gain:
                mse, auc = (results.headline(task, method).mean for task in (mse_task, auc_task))
                if method in results.eligible and mse is not None and auc is not None:
                    means[method] = mse.mean, auc.mean
            mse, auc = (line.of(task) if line is not None else None for task in (mse_task, auc_task))
            constant = (mse.mean, auc.mean) if mse is not None and auc is not None else None
            found.append(Front(auc_task, mse_task, means, constant))
    return found
