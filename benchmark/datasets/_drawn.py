"""What the data sets that are drawn from a stated model share: the metrics of the truth. R rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.datasets.prepare import TEST, TRAIN
from benchmark.metrics import METRICS, evaluate, unknown_apart
from benchmark.schema import Task


def best_reachable(
    tasks: Sequence[Task],
    truth: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    split_R: np.ndarray,
    users_R: np.ndarray | None = None,
) -> dict[str, dict[str, float]]:
    """The metrics of the truth on the test rows: what the best model would get there, up to the luck of these labels.

    Args:
        tasks: The chosen tasks.
        truth: Task name to (R,) true logits of p(label = 1 | exposure), or true means; may have more tasks.
        labels: Task name to (R,) labels as a model gets them; NaN where not observed.
        split_R: (R,) of TRAIN, VALIDATION, TEST.
        users_R: (R,) integer codes, where the data has users.

    Returns:
        {task: {metric: value}}, as `evaluate` computes and names them. Undefined metrics are left out, and so are metrics
        for which the truth need not be the best prediction (for the absolute error the median is best).
    """
    test_R = split_R == TEST
    if users_R is not None:
        users_R = unknown_apart(users_R, np.isin(users_R, users_R[split_R == TRAIN]))
    metrics, _ = evaluate(
        tasks,
        {task.name: truth[task.name][test_R] for task in tasks},
        np.stack([labels[task.name][test_R] for task in tasks], axis=1),
        None if users_R is None else users_R[test_R],
    )
    return {
        task: {
            metric: value
            for metric, value in values.items()
            if value is not None and METRICS[metric.partition("[")[0]].best_of_truth
        }
        for task, values in metrics.items()
    }
