"""What validation can judge. This is known from its labels, before training."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.schema import Task

Wanted = tuple[Task, str]  # a task and one of its metrics


def check_judgeable(data: Data, monitor: str) -> None:
    """Refuses a monitor that is undefined on validation for any model.

    Raises:
        ValueError: with the metrics, the reason for each, and the remedies.
    """
    tasks = data.schema.tasks
    needed = metrics.needed(tasks, monitor)
    headlines = [(task, metrics.headline_name(task)) for task in tasks]
    reasons = undefined(data, [*needed, *headlines])
    missing = {f"{task.name}.{metric}": reasons[task, metric] for task, metric in needed if (task, metric) in reasons}
    if not missing:
        return
    ways = ["another dataset.split_seed (where that draws validation)"]
    ways += [f"trainer.monitor={task.name}.{metric}" for task, metric in headlines if (task, metric) not in reasons]
    unjudged = dict.fromkeys(task.name for task, metric in needed if (task, metric) in reasons)
    if len(unjudged) < len(tasks):
        ways.append(f"dataset.tasks without {' and '.join(unjudged)}")
    raise ValueError(
        f"trainer.monitor={monitor} cannot be judged on the {len(data.validation)} rows of validation: "
        f"{', '.join(f'{metric} is undefined there ({reason})' for metric, reason in missing.items())}; "
        f"take {' or '.join(filter(None, (', '.join(ways[:-1]), ways[-1])))}"
    )


def undefined(data: Data, wanted: Iterable[Wanted]) -> dict[Wanted, str]:
    """Which metrics are undefined on validation, and why.

    These are the metrics that are undefined for the constant predictor: its outputs are finite, so the labels are the
    reason.
    """
    tasks, rows = data.schema.tasks, data.validation
    outputs = metrics.constant_outputs(tasks, data.train.labels, len(rows))
    found, reasons = metrics.evaluate(tasks, outputs, rows.labels, data.users(rows))
    return {
        (task, metric): reasons.get(f"{task.name}.{metric}", "the data set has no users")
        for task, metric in wanted
        if found[task.name].get(metric) is None
    }
