"""What changes from epoch to epoch: learning curves and the effective weights of the tasks. E epochs, S seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark import metrics
from benchmark.analysis.study import Group, Run
from benchmark.analysis.values import median
from benchmark.reporting.figures.canvas import Figure, colour, drawing, figure, grid, log_axis
from benchmark.reporting.figures.styles import Style
from benchmark.schema import Task
from benchmark.text import number


def curves(group: Group, shown: Mapping[str, list[Run]], styles: Mapping[str, Style]) -> Figure | None:
    """The headline metric of every task on validation."""

    def of(task: Task) -> Callable[[dict[str, Any]], float | None]:
        return lambda epoch: epoch["validation"].get(task.name, {}).get(metrics.headline_name(task))

    if not any(run.record.epochs for runs in shown.values() for run in runs):
        return None
    with drawing():
        canvas, panels = grid(len(group.tasks))
        sentences = []
        for axes, task in zip(panels, group.tasks, strict=True):
            lines = {method: _series(runs, of(task)) for method, runs in shown.items()}
            for method, values in lines.items():
                best = median([run.record.best_epoch for run in shown[method]])
                _band(axes, values, styles[method], mark=None if best is None else round(best))
            sign = metrics.direction(metrics.headline_name(task))
            _limit(axes, [values for values in lines.values() if values.size], sign)
            axes.set_title(f"{task.name}: {metrics.headline(task).title}")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            sentences.append(_best_sentence(task, lines, sign))
        return figure(
            "Learning curves on validation", canvas, group.name,
            "Mean over seeds; the band spans the seeds. Where some seeds have stopped, the mean of the rest is faint, "
            "without a band. The marker is the median jointly selected epoch. The first epochs may lie out of frame.",
            sentences,
        )  # fmt: skip


def _best_sentence(task: Task, lines: Mapping[str, np.ndarray], sign: int) -> str:
    found = []
    for method, values in lines.items():
        means = sign * _mean(values)
        if np.isfinite(means).any():
            epoch = int(np.nanargmax(means))
            found.append((float(means[epoch]), method, epoch + 1))
    if not found:
        return f"{task.name}: no values."
    value, method, epoch = max(found)
    metric = metrics.headline(task).title
    return f"{task.name}: the best mean {metric} is {number(sign * value)}, of {method} at epoch {epoch}."


def weights(group: Group, shown: Mapping[str, list[Run]], styles: Mapping[str, Style]) -> Figure | None:
    """The effective weight of every task, of the methods that change it."""

    def of(task: Task) -> Callable[[dict[str, Any]], float | None]:
        return lambda epoch: epoch.get("effective_weights", {}).get(task.name)

    series = {method: {t.name: _series(runs, of(t)) for t in group.tasks} for method, runs in shown.items()}
    moving = {m: s for m, s in series.items() if any(map(_moves, s.values()))}
    if not moving:
        return None
    with drawing():
        canvas, panels = grid(len(group.tasks), height=2.1)
        sentences = []
        for axes, task in zip(panels, group.tasks, strict=True):
            for method, tasks in moving.items():
                _band(axes, tasks[task.name], styles[method])
                means = _mean(tasks[task.name])
                if means.size:
                    sentences.append(f"{task.name}, {method}: from {means[0]:.2g} to {means[-1]:.2g}.")
            values = np.concatenate([tasks[task.name].ravel() for tasks in moving.values()])
            log_axis(axes, "y", values[np.isfinite(values)].tolist(), "{:g}".format)
            axes.set_title(f"{task.name}: effective weight")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        return figure(
            "Effective task weights", canvas, group.name,
            "The derivative of the update by each task's loss, mean of an epoch, of methods whose weights move; "
            "the band spans the seeds.",
            sentences,
        )  # fmt: skip


def _moves(values_ES: np.ndarray) -> bool:
    steps = np.abs(np.diff(values_ES, axis=0))
    return bool((steps[np.isfinite(steps)] > 1e-9).any())


def _series(runs: Sequence[Run], value: Callable[[dict[str, Any]], float | None]) -> np.ndarray:
    """(E, S) values by epoch and seed, NaN where undefined or where the seed has stopped."""
    length = max((len(run.record.epochs) for run in runs), default=0)
    table = np.full((length, len(runs)), np.nan)
    for seed, run in enumerate(runs):
        for row, epoch in enumerate(run.record.epochs):
            found = value(epoch)
            table[row, seed] = np.nan if found is None else found
    return table


def _mean(values_ES: np.ndarray) -> np.ndarray:
    known = np.isfinite(values_ES)
    with np.errstate(invalid="ignore"):
        means: np.ndarray = np.where(known, values_ES, 0).sum(axis=1) / known.sum(axis=1)
    return means


def _band(axes: Axes, values_ES: np.ndarray, style: Style, mark: int | None = None) -> None:
    if not values_ES.size:
        return
    epochs, means, ink = np.arange(1, len(values_ES) + 1), _mean(values_ES), colour(style)
    line: dict[str, Any] = {"color": ink, "linewidth": 1.4, **({"dashes": style.dash} if style.dash else {})}
    complete = int(np.isfinite(values_ES).all(axis=1).cumprod().sum())
    axes.plot(epochs[:complete], means[:complete], **line)
    if complete < len(epochs):
        start = max(complete - 1, 0)
        axes.plot(epochs[start:], means[start:], alpha=0.4, **line)
    if values_ES.shape[1] > 1 and complete:
        low, high = values_ES[:complete].min(axis=1), values_ES[:complete].max(axis=1)
        axes.fill_between(epochs[:complete], low, high, color=ink, alpha=0.13, linewidth=0)
    if mark is not None and 1 <= mark <= len(means):
        axes.plot([mark], [means[mark - 1]], marker=style.marker, markersize=5, color=ink, linestyle="none")


def _limit(axes: Axes, lines: Sequence[np.ndarray], sign: int) -> None:
    """Frames the part of the curves that tells methods apart: what lies below the means' lower quarter is cut off."""
    if not lines:
        return
    values = sign * np.concatenate([values.ravel() for values in lines])
    values = values[np.isfinite(values)]
    if values.size < 8:
        return
    top, middle = values.max(), np.quantile(values, 0.25)
    bottom = max(values.min(), middle - 1.0 * (top - middle))
    if top > bottom:
        margin = 0.05 * (top - bottom)
        ends = sign * (bottom - margin), sign * (top + margin)
        axes.set_ylim(min(ends), max(ends))
