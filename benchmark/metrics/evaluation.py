"""Metrics of whole splits from outputs and labels. R rows, K outputs of a task, T tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import expit, log_expit

from benchmark.kinds import KINDS
from benchmark.metrics.table import Metric, Rows, Undefined, View, metrics_of, suffix, views_of
from benchmark.pieces import pieces
from benchmark.schema import Metrics, Task

MAX_CONDITIONAL = 1 - 1e-6  # in log loss and calibration; outputs may say that p(child | parent) is above 1


@np.errstate(all="ignore")  # what overflows is found by its value, and undefined
def evaluate(
    tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray, users: np.ndarray | None = None
) -> tuple[Metrics, dict[str, str]]:
    """All metrics of all tasks.

    Args:
        tasks: The tasks, in the order of the columns of `labels`.
        outputs: {task: (R,) or (R, K)} outputs, in the unit of the target where that is standardised.
        labels: (R, T), NaN where not observed.
        users: (R,) integer codes, where the data has users.

    Returns:
        {task: {metric: value or None}}, and {"task.metric": reason} for each None.

    Raises:
        ValueError: if an output is missing or has another shape, or a funnel's parent is not a binary task.
    """
    _check(tasks, outputs, labels)
    outputs = {task.name: np.asarray(outputs[task.name], dtype=np.float64) for task in tasks}
    metrics: Metrics = {task.name: {} for task in tasks}
    undefined: dict[str, str] = {}
    for task in tasks:
        for view, rows in _views(task, tasks, outputs, labels, users):
            for metric in metrics_of(task, view):
                key = metric.name + suffix(task, view)
                try:
                    metrics[task.name][key] = _value(metric, rows)
                except Undefined as reason:
                    metrics[task.name][key] = None
                    undefined[f"{task.name}.{key}"] = str(reason)
    return metrics, undefined


def constant_outputs(tasks: Sequence[Task], train_labels: np.ndarray, num_rows: int) -> dict[str, np.ndarray]:
    """The constant predictor, a line of reference: the mean of the train labels, or what the task's kind has in its place.

    Args:
        tasks: The tasks, in the order of the columns.
        train_labels: (R, T), NaN where not observed.
        num_rows: Rows of the outputs, which are as `evaluate` takes them.
    """
    outputs = {}
    for column, task in enumerate(tasks):
        constant = KINDS[task.kind].constant(task, _observed(np.asarray(train_labels[:, column], dtype=np.float64)))
        outputs[task.name] = np.full((num_rows, *task.output_shape), constant, dtype=np.float64)
    return outputs


def _observed(label: np.ndarray) -> np.ndarray:
    known = [~np.isnan(label[part]) for part in pieces(len(label))]
    if all(part.all() for part in known):
        return label
    return np.concatenate([label[part][chosen] for part, chosen in zip(pieces(len(label)), known, strict=True)])


def unknown_apart(users_R: np.ndarray, known_R: np.ndarray) -> np.ndarray:
    """(R,) codes in which every row of a user whom train does not know is a user of its own.

    The AUC of one row is undefined, so that GAUC leaves them out (`gauc_rows` says how much is left).

    Args:
        users_R: (R,) codes from 0 on.
        known_R: (R,) bool: does train know the row's user?
    """
    return np.where(known_R, users_R, -1 - np.arange(len(users_R)))


def _views(
    task: Task, tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray, users: np.ndarray | None
) -> Iterator[tuple[View, Rows]]:
    """The rows of each view, one at a time: they take more memory than the outputs."""
    names = [other.name for other in tasks]
    label, output = labels[:, names.index(task.name)].astype(np.float64), outputs[task.name]
    known = ~np.isnan(label)
    expected = views_of(task)
    yield View.OBSERVED, Rows(_of(label, known), _of(output, known))
    if users is not None:
        yield View.USERS, Rows(_of(label, known), _of(output, known), users=_of(users, known))
    if View.UNIT in expected:
        yield View.UNIT, Rows(task.transform.undo(_of(label, known)), task.transform.undo(_of(output, known)))
    if task.given is not None and View.GIVEN in expected:
        reached = known & (labels[:, names.index(task.given)] == 1)
        yield View.GIVEN, _conditional(task, label[reached], output[reached], outputs[task.given][reached])
    if task.given is not None and View.PAIR in expected:
        yield View.PAIR, Rows(label, output - outputs[task.given])


def _of(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    return values if known.all() else values[known]


def _conditional(task: Task, label: np.ndarray, child: np.ndarray, parent: np.ndarray) -> Rows:
    # A child's output is about the joint: p(child and parent), or p(parent) E[value | parent]. In float64, since
    # float32 cancels in the difference and makes ties.
    if not KINDS[task.kind].is_binary:
        return Rows(label, child / expit(parent))
    log_p = log_expit(child) - log_expit(parent)
    capped = np.minimum(log_p, np.log(MAX_CONDITIONAL))
    return Rows(label, log_p, capped - np.log(-np.expm1(capped)))


def _value(metric: Metric, rows: Rows) -> float:
    if len(rows.labels) == 0 and metric.empty is not None:
        return metric.empty
    if len(rows.labels) == 0:
        raise Undefined("no observed label")
    if bad := len(rows.scores) - np.count_nonzero(np.isfinite(rows.scores).reshape(len(rows.scores), -1).all(axis=1)):
        raise Undefined(f"{bad} of {len(rows.scores)} outputs are not finite")
    value = metric.function(rows)
    if not np.isfinite(value):
        raise Undefined("not finite: the outputs are too large")
    return value


def _check(tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
    num_rows, binary = len(labels), {task.name for task in tasks if KINDS[task.kind].is_binary}
    if labels.shape != (num_rows, len(tasks)):
        raise ValueError(f"labels must be (rows, {len(tasks)}), found {labels.shape}")
    for task in tasks:
        if task.name not in outputs:
            raise ValueError(f"no output of task {task.name!r}; found: {', '.join(outputs) or 'none'}")
        shape = (num_rows, *task.output_shape)
        if np.shape(outputs[task.name]) != shape:
            raise ValueError(f"the output of {task.name!r} must be {shape}, found {np.shape(outputs[task.name])}")
        if task.given is not None and task.given not in binary:
            raise ValueError(f"task {task.name!r} is given {task.given!r}, which must be a binary task among these")
