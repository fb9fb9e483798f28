"""Metrics of whole splits, by task kind, each with a direction, and with a reason where it is undefined.

`METRICS` is the table: a new metric is one function and one line there. A metric is computed on one or more views of a
task's rows (`View`). What is conditional on a funnel's parent comes from outputs alone, alike for every architecture.

Suffixes: R rows, T tasks, G users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from scipy.special import expit, log_expit

from benchmark.schema import Metrics as Metrics
from benchmark.schema import Task, TaskKind, Transform

MAX_CONDITIONAL = 1 - 1e-6  # in log loss and calibration; outputs may say that p(child | parent) is above 1


class View(StrEnum):
    """Which rows a metric is computed on; some views give its key a suffix."""

    OBSERVED = "observed"  # where the label is known: auc, mse
    USERS = "users"  # the same, where the data has users: gauc
    UNIT = "unit"  # the same, in the unit before the target's transform: mae[seconds]
    GIVEN = "given"  # where the parent's label is 1: auc[purchase|click]
    PAIR = "pair"  # all rows, child against parent: incoherent[purchase|click]


@dataclass(frozen=True)
class Rows:
    """What a metric sees of one task.

    Shape:
        labels: (R,) float64; scores: (R,) float64, what ranks the rows, or a regression's values; users: (R,) integers;
        other_logits: (R,) float64, the logits of the predicted probability, where they are not the scores.
    """

    labels: np.ndarray
    scores: np.ndarray
    other_logits: np.ndarray | None = None
    users: np.ndarray | None = None

    @property
    def logits(self) -> np.ndarray:
        """(R,) of the predicted probability."""
        return self.scores if self.other_logits is None else self.other_logits

    @cached_property
    def by_user(self) -> tuple[np.ndarray, np.ndarray]:
        """`auc_by_user`, sorted once for the metrics that need it."""
        assert self.users is not None
        return auc_by_user(self.scores, self.labels, self.users)


class Undefined(Exception):
    """Raised by a metric that has no value on these rows; its message is the reason."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table.

    Args:
        name: The key, before the view's suffix.
        kind: The task kind it is for; None: both.
        direction: +1 if higher is better, -1 if lower is better, 0 if neither (calibration is best at 1).
        function: Its value on some rows; raises `Undefined`.
        meaning: One line for reports.
        views: Which rows it is computed on.
        empty: Its value on no rows; None: undefined.
    """

    name: str
    kind: TaskKind | None
    direction: int
    function: Callable[[Rows], float]
    meaning: str
    views: tuple[View, ...] = (View.OBSERVED,)
    empty: float | None = None


def auc_by_user(scores_R: np.ndarray, labels_R: np.ndarray, users_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The AUC of every user that has both classes: the share of pairs (positive, negative) in order, ties count half.

    With midranks r within a user, P positives and N negatives: AUC = (sum of r over positives - P (P + 1) / 2) / (P N).

    Shape:
        scores_R: (R,); labels_R: (R,) 0 or 1; users_R: (R,) integer codes. Returns AUCs (G,) and numbers of rows (G,),
        of the users with both classes.
    """
    order = np.lexsort((scores_R, users_R)) if users_R.any() else np.argsort(scores_R)
    scores, users, positive = scores_R[order], users_R[order], labels_R[order] > 0
    new_user = np.concatenate(([True], users[1:] != users[:-1]))
    user_starts = np.flatnonzero(new_user)
    tie_starts = np.flatnonzero(new_user | np.concatenate(([True], scores[1:] != scores[:-1])))
    tie_sizes = np.diff(tie_starts, append=len(scores))
    user_sizes = np.diff(user_starts, append=len(scores))
    midranks = np.repeat(tie_starts + (tie_sizes + 1) / 2, tie_sizes) - np.repeat(user_starts, user_sizes)
    positives = np.add.reduceat(positive, user_starts, dtype=np.float64)
    negatives = user_sizes - positives
    rank_sums = np.add.reduceat(midranks * positive, user_starts)
    both = (positives > 0) & (negatives > 0)
    pairs = positives[both] * negatives[both]
    return (rank_sums[both] - positives[both] * (positives[both] + 1) / 2) / pairs, user_sizes[both]


def _auc(rows: Rows) -> float:
    aucs, _ = auc_by_user(rows.scores, rows.labels, np.zeros(len(rows.labels), dtype=np.int8))
    if not len(aucs):
        raise Undefined(f"one class only: all {len(rows.labels)} labels are {rows.labels[0]:g}")
    return float(aucs[0])


def _gauc(rows: Rows) -> float:
    aucs, sizes = rows.by_user
    if not len(aucs):
        raise Undefined("no user has both classes")
    return float(np.average(aucs, weights=sizes))


def _gauc_users(rows: Rows) -> float:
    return float(len(rows.by_user[0]))


def _gauc_rows(rows: Rows) -> float:
    return float(rows.by_user[1].sum() / len(rows.labels))


def _log_loss(rows: Rows) -> float:
    # log(1 + e^z) - y z, without overflow
    return float(np.mean(np.logaddexp(0, rows.logits) - rows.labels * rows.logits))


def _calibration(rows: Rows) -> float:
    observed = rows.labels.sum()
    if observed == 0:
        raise Undefined("no positive label")
    return float(expit(rows.logits).sum() / observed)


def _positive_rate(rows: Rows) -> float:
    return float(rows.labels.mean())


def _mse(rows: Rows) -> float:
    return float(np.mean(np.square(rows.scores - rows.labels)))


def _rmse(rows: Rows) -> float:
    return float(np.sqrt(_mse(rows)))


def _mae(rows: Rows) -> float:
    return float(np.mean(np.abs(rows.scores - rows.labels)))


def _r2(rows: Rows) -> float:
    variance = float(rows.labels.var())
    if variance == 0 or rows.labels.min() == rows.labels.max():  # rounding can give a constant some variance
        raise Undefined(f"constant target: all {len(rows.labels)} labels are {rows.labels[0]:g}")
    return 1 - _mse(rows) / variance


def _incoherent(rows: Rows) -> float:
    return float(np.mean(rows.scores > 0))


_BOTH = (View.OBSERVED, View.GIVEN)
METRICS: tuple[Metric, ...] = (
    Metric("auc", TaskKind.BINARY, +1, _auc, "share of pairs of a positive and a negative in order; ties half", _BOTH),
    Metric("gauc", TaskKind.BINARY, +1, _gauc, "mean AUC within a user, weighted by impressions", (View.USERS,)),
    Metric("gauc_users", TaskKind.BINARY, 0, _gauc_users, "users with both classes: gauc's", (View.USERS,), empty=0.0),
    Metric("gauc_rows", TaskKind.BINARY, 0, _gauc_rows, "share of rows that belong to these users", (View.USERS,)),
    Metric("log_loss", TaskKind.BINARY, -1, _log_loss, "mean negative log likelihood, in nats", _BOTH),
    Metric("calibration", TaskKind.BINARY, 0, _calibration, "predicted over observed positives; best at 1", _BOTH),
    Metric("positive_rate", TaskKind.BINARY, 0, _positive_rate, "share of positive labels"),
    Metric("mse", TaskKind.REGRESSION, -1, _mse, "mean squared error, in the target's unit squared", _BOTH),
    Metric("rmse", TaskKind.REGRESSION, -1, _rmse, "root of mse, in the target's unit"),
    Metric("mae", TaskKind.REGRESSION, -1, _mae, "mean absolute error", (View.OBSERVED, View.UNIT)),
    Metric("r2", TaskKind.REGRESSION, +1, _r2, "share of the target's variance that is explained"),
    Metric("rows", None, 0, lambda rows: float(len(rows.labels)), "rows with parent label 1", (View.GIVEN,), 0.0),
    Metric("incoherent", TaskKind.BINARY, -1, _incoherent, "share of rows with p(child) above p(parent)", (View.PAIR,)),
)
_BY_NAME = {metric.name: metric for metric in METRICS}


@np.errstate(all="ignore")  # what overflows is found by its value, and undefined
def evaluate(
    tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray, users: np.ndarray | None = None
) -> tuple[Metrics, dict[str, str]]:
    """All metrics of all tasks.

    Args:
        tasks: The tasks, in the order of the columns of `labels`.
        outputs: {task: (R,)} logits (binary) or values in the unit of the target (regression).
        labels: (R, T), NaN where not observed.
        users: (R,) integer codes, where the data has users.

    Returns:
        {task: {metric: value or None}}, and {"task.metric": reason} for each None.

    Raises:
        ValueError: if an output is missing or has another number of rows, or a funnel's parent is not a binary task.
    """
    _check(tasks, outputs, labels)
    outputs = {task.name: np.asarray(outputs[task.name], dtype=np.float64) for task in tasks}
    metrics: Metrics = {task.name: {} for task in tasks}
    undefined: dict[str, str] = {}
    for task in tasks:
        for view, rows in _views(task, tasks, outputs, labels, users).items():
            for metric in _of(task, view):
                key = metric.name + suffix(task, view)
                try:
                    metrics[task.name][key] = _value(metric, rows)
                except Undefined as reason:
                    metrics[task.name][key] = None
                    undefined[f"{task.name}.{key}"] = str(reason)
    return metrics, undefined


def constant_outputs(tasks: Sequence[Task], train_labels: np.ndarray, num_rows: int) -> dict[str, np.ndarray]:
    """The constant predictor, a line of reference: the mean of the train labels, as the logit for a binary task.

    A mean of 0 or 1 is moved by half a row, so that its logit is finite; without an observed label the output is NaN.

    Args:
        tasks: The tasks, in the order of the columns.
        train_labels: (R, T), NaN where not observed.
        num_rows: Rows of the outputs, (num_rows,) a task, as `evaluate` takes them.
    """
    outputs = {}
    for column, task in enumerate(tasks):
        label = train_labels[:, column].astype(np.float64)
        observed = label[~np.isnan(label)]
        mean = observed.mean() if len(observed) else np.nan
        if task.kind is TaskKind.BINARY and len(observed):
            mean = np.clip(mean, 0.5 / len(observed), 1 - 0.5 / len(observed))
            mean = np.log(mean) - np.log1p(-mean)
        outputs[task.name] = np.full(num_rows, mean, dtype=np.float64)
    return outputs


def primary(task: Task) -> str:
    """The headline metric of a task: `auc` or `mse`."""
    return "auc" if task.kind is TaskKind.BINARY else "mse"


def direction(metric: str) -> int:
    """+1 if higher is better, -1 if lower is better, 0 if neither; `auc[purchase|click]` goes by `auc`.

    Raises:
        ValueError: for an unknown metric, with the known names.
    """
    name = metric.partition("[")[0]
    if name not in _BY_NAME:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(_BY_NAME)}")
    return _BY_NAME[name].direction


def metric_names(task: Task) -> list[str]:
    """The keys that `evaluate` may give this task, in its order (gauc and its two companions only with users)."""
    return [metric.name + suffix(task, view) for view in _views_of(task) for metric in _of(task, view)]


def check_monitor(monitor: str, tasks: Sequence[Task]) -> None:
    """Refuses a monitor that cannot select an epoch, before any training.

    Raises:
        ValueError: for a form other than `mean` and `task.metric`, an unknown task, a metric that the task does not
            have, or one that has no better direction; with the known names.
    """
    if monitor != "mean":
        _split_monitor(monitor, tasks)


def criterion(metrics: Metrics, tasks: Sequence[Task], monitor: str) -> float:
    """What selects the epoch, on validation: higher is better.

    `mean` is the mean over tasks of 2 AUC - 1 (binary) and R² (regression), both 0 for a constant and 1 at best;
    `income.auc` is that metric, negated where lower is better.

    Raises:
        ValueError: for a bad monitor (see `check_monitor`), or if a metric that it needs is undefined.
    """
    found = [(task, metric, _defined(metrics, task, metric, monitor)) for task, metric in needed(tasks, monitor)]
    if monitor != "mean":
        ((_, metric, value),) = found
        return direction(metric) * value
    binary = [2 * value - 1 for task, _, value in found if task.kind is TaskKind.BINARY]
    regression = [value for task, _, value in found if task.kind is TaskKind.REGRESSION]
    return float(np.mean(binary + regression))


def needed(tasks: Sequence[Task], monitor: str) -> list[tuple[Task, str]]:
    """The metrics that a monitor is made of.

    Raises:
        ValueError: for a bad monitor (see `check_monitor`).
    """
    if monitor != "mean":
        return [_split_monitor(monitor, tasks)]
    return [(task, "auc" if task.kind is TaskKind.BINARY else "r2") for task in tasks]


def unknown_apart(users_R: np.ndarray, known_R: np.ndarray) -> np.ndarray:
    """(R,) codes in which every row of a user whom train does not know is a user of its own.

    The AUC of one row is undefined, so that GAUC leaves them out (`gauc_rows` says how much is left).

    Args:
        users_R: (R,) codes from 0 on.
        known_R: (R,) bool: does train know the row's user?
    """
    return np.where(known_R, users_R, -1 - np.arange(len(users_R)))


def to_unit(task: Task, values: np.ndarray) -> np.ndarray:
    """Values of the target in the task's `unit`: the inverse of its transform, infinite where that overflows."""
    if task.transform is Transform.IDENTITY:
        return values
    with np.errstate(over="ignore"):
        original: np.ndarray = np.expm1(values)
    return original


def suffix(task: Task, view: View) -> str:
    """What a view adds to a metric's name: `[purchase|click]`, `[seconds]` or nothing."""
    if view in (View.GIVEN, View.PAIR):
        return f"[{task.name}|{task.given}]"
    return f"[{task.unit}]" if view is View.UNIT else ""


def _views_of(task: Task) -> list[View]:
    views = [View.OBSERVED, View.USERS]
    if task.kind is TaskKind.REGRESSION and task.unit is not None and task.transform is not Transform.IDENTITY:
        views.append(View.UNIT)
    return views if task.given is None else [*views, View.GIVEN, View.PAIR]


def _of(task: Task, view: View) -> list[Metric]:
    return [metric for metric in METRICS if metric.kind in (None, task.kind) and view in metric.views]


def _views(
    task: Task, tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray, users: np.ndarray | None
) -> dict[View, Rows]:
    columns = {task.name: labels[:, column].astype(np.float64) for column, task in enumerate(tasks)}
    label, output = columns[task.name], outputs[task.name]
    known = ~np.isnan(label)
    views = {View.OBSERVED: Rows(label[known], output[known])}
    if users is not None:
        views[View.USERS] = Rows(label[known], output[known], users=users[known])
    if View.UNIT in _views_of(task):
        views[View.UNIT] = Rows(to_unit(task, label[known]), to_unit(task, output[known]))
    if task.given is not None:
        parent = outputs[task.given]
        reached = known & (columns[task.given] == 1)
        views[View.GIVEN] = _conditional(task, label[reached], output[reached], parent[reached])
        views[View.PAIR] = Rows(label, output - parent)
    return views


def _conditional(task: Task, label: np.ndarray, child: np.ndarray, parent: np.ndarray) -> Rows:
    # A child's output is about the joint: p(child and parent), or p(parent) E[value | parent]. In float64, since
    # float32 cancels in the difference and makes ties.
    if task.kind is TaskKind.REGRESSION:
        return Rows(label, child / expit(parent))
    log_p = log_expit(child) - log_expit(parent)
    capped = np.minimum(log_p, np.log(MAX_CONDITIONAL))
    return Rows(label, log_p, capped - np.log(-np.expm1(capped)))


def _value(metric: Metric, rows: Rows) -> float:
    if len(rows.labels) == 0 and metric.empty is not None:
        return metric.empty
    if len(rows.labels) == 0:
        raise Undefined("no observed label")
    if bad := np.count_nonzero(~np.isfinite(rows.scores)):
        raise Undefined(f"{bad} of {len(rows.scores)} outputs are not finite")
    value = metric.function(rows)
    if not np.isfinite(value):
        raise Undefined("not finite: the outputs are too large")
    return value


def _check(tasks: Sequence[Task], outputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
    num_rows, kinds = len(labels), {task.name: task.kind for task in tasks}
    if labels.shape != (num_rows, len(tasks)):
        raise ValueError(f"labels must be (rows, {len(tasks)}), found {labels.shape}")
    for task in tasks:
        if task.name not in outputs:
            raise ValueError(f"no output of task {task.name!r}; found: {', '.join(outputs) or 'none'}")
        if np.shape(outputs[task.name]) != (num_rows,):
            raise ValueError(f"the output of {task.name!r} must be ({num_rows},), found {np.shape(outputs[task.name])}")
        if task.given is not None and kinds.get(task.given) is not TaskKind.BINARY:
            raise ValueError(f"task {task.name!r} is given {task.given!r}, which must be a binary task among these")


def _split_monitor(monitor: str, tasks: Sequence[Task]) -> tuple[Task, str]:
    task = next((task for task in tasks if monitor.startswith(f"{task.name}.")), None)
    if task is None:
        known = ", ".join(["mean", *(f"{task.name}.{primary(task)}" for task in tasks)])
        raise ValueError(f"trainer.monitor must be `mean` or `task.metric`, such as {known}; found {monitor!r}")
    metric = monitor.removeprefix(f"{task.name}.")
    directed = [name for name in metric_names(task) if direction(name) != 0]
    if metric not in directed:
        raise ValueError(f"trainer.monitor={monitor}: {task.name!r} is selected by one of {', '.join(directed)}")
    return task, metric


def _defined(metrics: Metrics, task: Task, metric: str, monitor: str) -> float:
    value = metrics[task.name].get(metric)
    if value is None:
        raise ValueError(
            f"trainer.monitor={monitor} needs {task.name}.{metric}, which is undefined here (one class, constant, no"
            " users, not finite); expected a metric that is defined on validation"
        )
    return value
