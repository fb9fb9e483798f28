"""What selects an epoch, on validation: the mean over tasks, or one metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.kinds import KINDS
from benchmark.metrics.table import criterion_of, direction, headline, headline_name, metric_names
from benchmark.schema import Metrics, Task


def check_monitor(monitor: str, tasks: Sequence[Task]) -> None:
    """Refuses a monitor that cannot select an epoch, before any training.

    Raises:
        ValueError: for a form other than `mean` and `task.metric`. For an unknown task, a metric that the task does not
            have, or a metric without a better direction, with the known names. For a kind whose headline or criterion
            metric cannot be used.
    """
    needed(tasks, monitor)
    for task in tasks:
        headline(task)  # selects the task's own epoch


def criterion(metrics: Metrics, tasks: Sequence[Task], monitor: str) -> float:
    """What selects the epoch, on validation: higher is better.

    `mean` is the mean over tasks of what their kinds say, 0 for a constant and 1 at best: 2 AUC - 1 (binary), R²
    (regression). `income.auc` is that metric, negated where lower is better.

    Raises:
        ValueError: for a bad monitor (see `check_monitor`), or if a metric that it needs is undefined.
    """
    found = [(task, metric, _defined(metrics, task, metric, monitor)) for task, metric in needed(tasks, monitor)]
    if monitor != "mean":
        ((_, metric, value),) = found
        return direction(metric) * value
    return float(np.mean([_share_of_the_way(task, value) for task, _, value in found]))


def needed(tasks: Sequence[Task], monitor: str) -> list[tuple[Task, str]]:
    """The metrics that a monitor is made of.

    Raises:
        ValueError: for a bad monitor (see `check_monitor`).
    """
    if monitor != "mean":
        return [_split_monitor(monitor, tasks)]
    return [(task, criterion_of(KINDS[task.kind]).name) for task in tasks]


def _split_monitor(monitor: str, tasks: Sequence[Task]) -> tuple[Task, str]:
    task = next((task for task in tasks if monitor.startswith(f"{task.name}.")), None)
    if task is None:
        known = ", ".join(["mean", *(f"{task.name}.{headline_name(task)}" for task in tasks)])
        raise ValueError(f"trainer.monitor must be `mean` or `task.metric`, such as {known}; found {monitor!r}")
    metric = monitor.removeprefix(f"{task.name}.")
    directed = [name for name in metric_names(task) if direction(name) != 0]
    if metric not in directed:
        raise ValueError(f"trainer.monitor={monitor}: {task.name!r} is selected by one of {', '.join(directed)}")
    return task, metric


def _share_of_the_way(task: Task, value: float) -> float:
    """A task's part of `mean`: how far its metric is from chance to the best."""
    metric = criterion_of(KINDS[task.kind])
    chance, best = metric.chance or 0.0, metric.best
    assert best is not None
    return (value - chance) / (best - chance)


def _defined(metrics: Metrics, task: Task, metric: str, monitor: str) -> float:
    value = metrics[task.name].get(metric)
    if value is None:
        raise ValueError(
            f"trainer.monitor={monitor} needs {task.name}.{metric}, which is undefined here (one class, constant, no"
            " users, not finite); expected a metric that is defined on validation"
        )
    return value
