"""Metrics of whole splits, by kind of task, each with a direction, and with a reason where it is undefined.

- `table`: the metrics themselves. A metric is computed on one or more views of a task's rows. What is conditional on a
  funnel's parent comes from outputs alone, alike for every architecture.
- `evaluation`: all metrics of all tasks from outputs and labels, and the constant predictor's outputs.
- `monitor`: what selects an epoch.
"""

from __future__ import annotations

from benchmark.metrics.evaluation import constant_outputs, evaluate, unknown_apart
from benchmark.metrics.monitor import check_monitor, criterion, needed
from benchmark.metrics.table import (
    AUC,
    METRICS,
    Metric,
    Rows,
    Undefined,
    View,
    auc_by_user,
    direction,
    headline,
    headline_name,
    headline_of,
    metric_names,
    notes,
    register,
    shown,
)
from benchmark.schema import Metrics

__all__ = [
    "AUC", "METRICS", "Metric", "Metrics", "Rows", "Undefined", "View", "auc_by_user", "check_monitor",
    "constant_outputs", "criterion", "direction", "evaluate", "headline", "headline_name", "headline_of", "metric_names",
    "needed", "notes", "register", "shown", "unknown_apart",
]  # fmt: skip
