"""The table of metrics: what each is, on which rows it is computed, and of which kind of task.

A new metric is one function and one line here; an outside file adds its own by `register`.

Suffixes: R rows, K outputs of a task, G users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from string import Formatter
from typing import Any

import numpy as np
from scipy.special import expit

from benchmark.kinds import BINARY, KINDS, REGRESSION, Kind, Transform
from benchmark.pieces import pieces
from benchmark.schema import Task
from benchmark.text import unknown

AUC = "auc"
"""The key of the metric that DeLong's test is about."""


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
        labels: (R,) float64; scores: (R,) or (R, K) float64, the task's output: what ranks the rows, or their values;
        users: (R,) integers; other_logits: (R,) float64, the logits of the predicted probability, where they are not the
        scores.
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
        kinds: Names of the task kinds that it is for; None: all.
        direction: +1 if higher is better, -1 if lower is better, 0 if neither (calibration is best at 1).
        function: Its value on some rows; raises `Undefined`.
        meaning: One line.
        views: Which rows it is computed on.
        empty: Its value on no rows; None: undefined.
        title: Its name in reports; by default `name`.
        is_shown: Whether reports have a column of it; the CSV file has all metrics.
        best: What a perfect model gets; None: it has no limit.
        chance: What a constant gets, if the data do not matter. A gain is a share of what the baseline has beyond it.
        unit_power: It is in the unit of the target to this power; 0: without unit.
        best_of_truth: Is the true probability or mean the best prediction, up to the luck of the labels?
        low, high: The least and the greatest value it can have; None: it has no limit on that side.
        note: What reports say under a task's table, as `str.format` takes it: `{gauc_users:,.0f}` is the value of that metric
            on the same rows, `{task.given}` an attribute of the task, `{suffix}` the view's.
    """

    name: str
    kinds: tuple[str, ...] | None
    direction: int
    function: Callable[[Rows], float]
    meaning: str
    views: tuple[View, ...] = (View.OBSERVED,)
    empty: float | None = None
    title: str = ""
    is_shown: bool = False
    best: float | None = None
    chance: float | None = None
    unit_power: int = 0
    best_of_truth: bool = False
    low: float | None = None
    high: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.direction not in (-1, 0, 1):
            raise ValueError(f"metric {self.name!r}: direction must be -1, 0 or 1, found {self.direction!r}")
        if not self.title:
            object.__setattr__(self, "title", self.name)


def auc_by_user(scores_R: np.ndarray, labels_R: np.ndarray, users_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""The AUC of every user that has both classes: the share of pairs (positive, negative) in order, ties count half.

    With the midranks $r_i$ of a user's rows, $P$ positives and $N$ negatives:

    $$
    \text{AUC} = \frac{\sum_{i \text{ positive}} r_i - P (P + 1) / 2}{P N}
    $$

    Shape:
        scores_R: (R,); labels_R: (R,) 0 or 1; users_R: (R,) integer codes. Returns AUCs (G,) and numbers of rows (G,),
        of the users with both classes.
    """
    found = [_auc_by_user(scores_R[rows], labels_R[rows], users_R[rows]) for rows in _users_together(users_R)]
    aucs, sizes = zip(*found, strict=True)
    return np.concatenate(aucs), np.concatenate(sizes)


def _users_together(users_R: np.ndarray) -> Iterator[Any]:
    """The rows in parts of about a million, users in their order; all rows of a user are in one part."""
    cuts = list(pieces(len(users_R)))
    if len(cuts) == 1:
        yield slice(None)
        return
    by_user = np.argsort(users_R, kind="stable")
    start = 0
    for part in cuts:
        stop = part.stop
        if stop < len(by_user):  # back to the first row of the user at the cut
            last = users_R[by_user[stop]]
            stop = start + int(np.searchsorted(users_R[by_user[start:stop]], last))
        if stop > start:
            yield by_user[start:stop]
            start = stop


def _auc_by_user(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((scores, users))
    scores, users, positive = scores[order], users[order], labels[order] > 0
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
    r"""Over the $n_1$ positive rows $P$ and the $n_0$ negative rows $N$, computed by midranks.

    $$
    \text{AUC} = \frac{1}{n_1 n_0} \sum_{i \in P} \sum_{j \in N} \Big( [z_i > z_j] + \frac{1}{2} [z_i = z_j] \Big)
    $$
    """
    positive = rows.labels > 0
    positives, negatives = np.sort(rows.scores[positive]), np.sort(rows.scores[~positive])
    if not (len(positives) and len(negatives)):
        raise Undefined(f"one class only: all {len(rows.labels)} labels are {rows.labels[0]:g}")
    doubled = 0  # of the pairs in order: a whole number, so that its parts add up exactly
    for part in pieces(len(positives)):
        for side in ("left", "right"):
            doubled += int(np.searchsorted(negatives, positives[part], side).sum())
    return doubled / 2 / (len(positives) * len(negatives))


def _gauc(rows: Rows) -> float:
    r"""With $n_u$ the rows of user $u$, over the users with both classes.

    $$
    \text{GAUC} = \frac{\sum_u n_u\, \text{AUC}_u}{\sum_u n_u}
    $$

    Rows of a user whom train does not know are left out.
    """
    aucs, sizes = rows.by_user
    if not len(aucs):
        raise Undefined("no user has both classes")
    return float(np.average(aucs, weights=sizes))


def _gauc_users(rows: Rows) -> float:
    return float(len(rows.by_user[0]))


def _gauc_rows(rows: Rows) -> float:
    return float(rows.by_user[1].sum() / len(rows.labels))


def _log_loss(rows: Rows) -> float:
    r"""From logits, so that it does not overflow.

    $$
    -\frac{1}{n} \sum_i \big( y_i \log p_i + (1 - y_i) \log (1 - p_i) \big)
    = \frac{1}{n} \sum_i \big( \log (1 + e^{z_i}) - y_i z_i \big)
    $$
    """
    # log(1 + e^z) - y z, without overflow
    return float(np.mean(np.logaddexp(0, rows.logits) - rows.labels * rows.logits))


def _calibration(rows: Rows) -> float:
    r"""Above 1, the model predicts too many positives.

    $$
    \frac{\sum_i p_i}{\sum_i y_i}
    $$
    """
    observed = rows.labels.sum()
    if observed == 0:
        raise Undefined("no positive label")
    return float(expit(rows.logits).sum() / observed)


def _positive_rate(rows: Rows) -> float:
    return float(rows.labels.mean())


def _mse(rows: Rows) -> float:
    r"""Mean squared error of the target in its own unit, not of the standardised target.

    $$
    \text{MSE} = \frac{1}{n} \sum_i (\hat{y}_i - y_i)^2
    $$
    """
    return float(np.mean(np.square(rows.scores - rows.labels)))


def _rmse(rows: Rows) -> float:
    r"""In the unit of the target.

    $$
    \text{RMSE} = \sqrt{\text{MSE}}
    $$
    """
    return float(np.sqrt(_mse(rows)))


def _mae(rows: Rows) -> float:
    r"""In the unit of the target, and, where that was transformed, in the unit before.

    $$
    \text{MAE} = \frac{1}{n} \sum_i \left| \hat{y}_i - y_i \right|
    $$
    """
    return float(np.mean(np.abs(rows.scores - rows.labels)))


def _r2(rows: Rows) -> float:
    r"""The variance is that of the labels on the same rows.

    $$
    R^2 = 1 - \frac{\text{MSE}}{\operatorname{var}(y)}
    $$
    """
    variance = float(rows.labels.var())
    if variance == 0 or rows.labels.min() == rows.labels.max():  # rounding can give a constant some variance
        raise Undefined(f"constant target: all {len(rows.labels)} labels are {rows.labels[0]:g}")
    return 1 - _mse(rows) / variance


def _incoherent(rows: Rows) -> float:
    r"""A purchase cannot be more probable than the click that it needs.

    $$
    \frac{1}{n} \sum_i [\, p_i(\text{child}) > p_i(\text{parent}) \,]
    $$
    """
    return float(np.mean(rows.scores > 0))


METRICS: dict[str, Metric] = {}
"""{name: metric}, in the order of records and of the columns of reports."""


def register(metric: Metric) -> None:
    """Adds a metric to the table.

    Raises:
        ValueError: if another function has the name.
    """
    known = METRICS.get(metric.name)
    if known is not None and known.function.__module__ != metric.function.__module__:  # a module may be imported twice
        raise ValueError(
            f"metric {metric.name!r} is registered twice: {known.function.__module__} and {metric.function.__module__}"
        )
    METRICS[metric.name] = metric


_BINARY, _REGRESSION = (BINARY,), (REGRESSION,)
_BOTH, _USERS = (View.OBSERVED, View.GIVEN), (View.USERS,)
for _metric in (
    Metric(
        AUC, _BINARY, +1, _auc, "share of pairs of a positive and a negative in order; ties half", _BOTH,
        title="AUC", is_shown=True, best=1.0, chance=0.5, best_of_truth=True, low=0.0, high=1.0,
    ),
    Metric(
        "gauc", _BINARY, +1, _gauc, "mean AUC within a user, weighted by impressions", _USERS,
        title="GAUC", is_shown=True, best=1.0, chance=0.5, best_of_truth=True, low=0.0, high=1.0,
        note="GAUC is over the {gauc_users:,.0f} users with both classes, who have {gauc_rows:.1%} of the rows.",
    ),
    Metric("gauc_users", _BINARY, 0, _gauc_users, "users with both classes: gauc's", _USERS, empty=0.0, low=0.0),
    Metric("gauc_rows", _BINARY, 0, _gauc_rows, "share of rows that belong to these users", _USERS, low=0.0, high=1.0),
    Metric(
        "log_loss", _BINARY, -1, _log_loss, "mean negative log likelihood, in nats", _BOTH,
        title="log loss", is_shown=True, best=0.0, best_of_truth=True, low=0.0,
    ),
    Metric(
        "calibration", _BINARY, 0, _calibration, "predicted over observed positives; best at 1", _BOTH,
        is_shown=True, best=1.0, low=0.0,
    ),
    Metric("positive_rate", _BINARY, 0, _positive_rate, "share of positive labels", low=0.0, high=1.0),
    Metric(
        "mse", _REGRESSION, -1, _mse, "mean squared error, in the target's unit squared", _BOTH,
        title="MSE", is_shown=True, best=0.0, unit_power=2, best_of_truth=True, low=0.0,
    ),
    Metric(
        "rmse", _REGRESSION, -1, _rmse, "root of mse, in the target's unit",
        title="RMSE", best=0.0, unit_power=1, best_of_truth=True, low=0.0,
    ),
    Metric(
        "mae", _REGRESSION, -1, _mae, "mean absolute error", (View.OBSERVED, View.UNIT),
        title="MAE", is_shown=True, best=0.0, unit_power=1, low=0.0,
    ),
    Metric(
        "r2", _REGRESSION, +1, _r2, "share of the target's variance that is explained",
        title="R²", is_shown=True, best=1.0, chance=0.0, best_of_truth=True, high=1.0,
    ),
    Metric(
        "rows", None, 0, lambda rows: float(len(rows.labels)), "rows with parent label 1", (View.GIVEN,), empty=0.0, low=0.0,
        note="Conditional metrics, {suffix}, are over the {rows:,.0f} test rows where {task.given} is 1.",
    ),
    Metric(
        "incoherent", _BINARY, -1, _incoherent, "share of rows with p(child) above p(parent)", (View.PAIR,),
        best=0.0, low=0.0, high=1.0,
    ),
):  # fmt: skip
    register(_metric)


def headline(task: Task) -> Metric:
    """What methods are compared by on the task, and epochs chosen.

    Raises:
        ValueError: as `headline_of`.
    """
    return headline_of(KINDS[task.kind])


def headline_name(task: Task) -> str:
    """The name of the headline metric: `auc`, `mse`."""
    return headline(task).name


def headline_of(kind: Kind) -> Metric:
    """The headline metric of a kind.

    Raises:
        ValueError: if the kind has no such metric, or it has no better direction.
    """
    metric = _named_by(kind, "headline")
    if metric.direction == 0:
        raise ValueError(
            f"kind {kind.name!r}: headline metric {metric.name!r} must have direction +1 or -1, found 0; "
            "register it with one, or name another metric"
        )
    return metric


def criterion_of(kind: Kind) -> Metric:
    """The metric that enters the monitor `mean`.

    Raises:
        ValueError: if the kind has no such metric, or the way from its `chance` (or 0) to its `best` has no length.
    """
    metric = _named_by(kind, "criterion")
    if metric.best is None or metric.best == (metric.chance or 0.0):
        raise ValueError(
            f"kind {kind.name!r}: criterion metric {metric.name!r} must have a `best` other than its `chance` (0 where it "
            f"has none), found {metric.best}; register it with both, or name another metric"
        )
    return metric


def _named_by(kind: Kind, role: str) -> Metric:
    name = getattr(kind, role)
    metric = METRICS.get(name)
    if metric is None:
        raise ValueError(
            f"kind {kind.name!r}: {unknown(f'{role} metric', name, METRICS)}; register the metric first, with "
            "benchmark.metrics.register"
        )
    if metric.kinds is not None and kind.name not in metric.kinds:
        raise ValueError(
            f"kind {kind.name!r}: {role} metric {name!r} is for tasks of kind {', '.join(metric.kinds)} only; register the "
            f"metric with {kind.name!r} among its kinds, or name another"
        )
    return metric


def shown(task: Task) -> list[str]:
    """The metrics of the task that have a column in reports, in their order."""
    return [metric.name for metric in METRICS.values() if metric.is_shown and _suits(metric, task)]


def notes(task: Task, value: Callable[[str], float | None]) -> list[str]:
    """The notes of the task's metrics, filled in. A note that needs an unknown value is left out.

    Args:
        task: The task.
        value: Gives the value of a metric by its key (see `metric_names`), None where it is unknown.
    """
    found = []
    for view in views_of(task):
        for metric in metrics_of(task, view):
            fields = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(metric.note) if name}
            values = {name: value(name + suffix(task, view)) for name in fields - {"task", "suffix"}}
            if metric.note and None not in values.values():
                found.append(metric.note.format(task=task, suffix=suffix(task, view), **values))
    return found


def direction(metric: str) -> int:
    """+1 if higher is better, -1 if lower is better, 0 if neither; `auc[purchase|click]` goes by `auc`.

    Raises:
        ValueError: for an unknown metric, with the known names.
    """
    name = metric.partition("[")[0]
    if name not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    return METRICS[name].direction


def metric_names(task: Task) -> list[str]:
    """The keys that `evaluate` may give this task, in its order (gauc and its two companions only with users)."""
    return [metric.name + suffix(task, view) for view in views_of(task) for metric in metrics_of(task, view)]


def suffix(task: Task, view: View) -> str:
    """What a view adds to a metric's name: `[purchase|click]`, `[seconds]` or nothing."""
    if view in (View.GIVEN, View.PAIR):
        return f"[{task.name}|{task.given}]"
    return f"[{task.unit}]" if view is View.UNIT else ""


def views_of(task: Task) -> list[View]:
    """On which rows the task has metrics, in the order of its keys."""
    kind, views = KINDS[task.kind], [View.OBSERVED, View.USERS]
    if kind.is_standardised and task.unit is not None and task.transform is not Transform.IDENTITY:
        views.append(View.UNIT)
    if task.given is not None and (kind.is_binary or kind.is_standardised):  # what a parent does to others is unknown
        views.append(View.GIVEN)
    if task.given is not None and kind.is_binary:
        views.append(View.PAIR)
    return views


def metrics_of(task: Task, view: View) -> list[Metric]:
    """The metrics that the task has on these rows."""
    return [metric for metric in METRICS.values() if view in metric.views and _suits(metric, task)]


def _suits(metric: Metric, task: Task) -> bool:
    return metric.kinds is None or task.kind in metric.kinds
