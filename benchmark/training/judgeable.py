"""What validation can judge: known from its labels alone, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.schema import Task

Wanted = tuple[Task, str]  # a task and one of its metrics


def check_judgeable(data: Data, monitor: str) -> None:
    """Refuses a monitor that validation leaves undefined, whatever a model predicts.

    Raises:
        ValueError: with the metrics, the one reason that applies to each, and the ways out.
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

    They are those that the constant predictor does not have: its outputs are finite, so the reason is in the labels.
    """
    tasks, rows = data.schema.tasks, data.validation
    outputs = metrics.constant_outputs(tasks, data.train.labels, len(rows))
    found, reasons = metrics.evaluate(tasks, outputs, rows.labels, data.users(rows))
    return {
        (task, metric): reasons.get(f"{task.name}.{metric}", "the data set has no users")
        for task, metric in wanted
        if found[task.name].get(metric) is None
    }
