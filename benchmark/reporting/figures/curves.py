"""What changes over epochs: learning curves and the effective weights of the tasks. E epochs, S seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark import metrics
from benchmark.analysis.balance import SHARE, conflict, has_conflicts, pairs_of, scopes
from benchmark.analysis.study import Group, Run
from benchmark.analysis.values import median
from benchmark.reporting.figures.canvas import Figure, figure, grid, legend, log_axis
from benchmark.reporting.figures.comparisons import Drawn
from benchmark.reporting.figures.medium import MUTED, colour, drawing, named
from benchmark.reporting.figures.styles import Style
from benchmark.schema import Task
from benchmark.text import number

MOST_TOGETHER = 6
"""Most methods whose curves share a panel; with more, each architecture has its own panels."""


def curves(drawn: Drawn) -> Figure | None:
    """The headline metric of every task on validation."""
    group, shown, styles = _runs(drawn)

    def of(task: Task) -> Callable[[dict[str, Any]], float | None]:
        return lambda epoch: epoch["validation"].get(task.name, {}).get(metrics.headline_name(task))

    if not any(run.record.epochs for runs in shown.values() for run in runs):
        return None
    multiples = _multiples(shown, drawn.results.baseline)
    with drawing():
        canvas, panels = grid(len(group.tasks) * len(multiples), a_row=len(group.tasks), labelled=len(multiples) > 1)
        sentences = []
        for number, task in enumerate(group.tasks):
            lines = {method: _series(runs, of(task)) for method, runs in shown.items()}
            sign = metrics.direction(metrics.headline_name(task))
            for row, (name, methods) in enumerate(multiples.items()):
                axes = panels[row * len(group.tasks) + number]
                for method in methods:
                    best = median([run.record.best_epoch for run in shown[method]])
                    _band(axes, lines[method], styles[method], mark=best)
                _limit(axes, [line.values_ES for line in lines.values() if line.epochs], sign)  # the same for all rows
                if row == 0:
                    axes.set_title(f"{named(task.name)}: {metrics.headline(task).title}")
                if number == 0:
                    axes.set_ylabel(named(name))
                axes.set_xlabel("epoch")
                axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            sentences.append(_best_sentence(task, lines, sign))
        legend(canvas, {method: styles[method] for method in shown}, lines=True)
        return figure(
            "Learning curves on validation", canvas, group.name,
            "Mean over seeds; the band spans the seeds. Where some seeds have stopped, the mean of the rest is faint "
            "and has no band. The marker is the median jointly selected epoch. The first validations may be outside the frame.",
            sentences,
        )  # fmt: skip


def _multiples(shown: Mapping[str, list[Run]], baseline: str | None) -> dict[str, list[str]]:
    """The methods in each row of panels: all in one row or, if there are many, one row per architecture, each with the baseline."""
    by_architecture: dict[str, list[str]] = {}
    for method, runs in shown.items():
        if method != baseline:
            by_architecture.setdefault(str(runs[0].record.config["architecture"]["name"]), []).append(method)
    if len(shown) <= MOST_TOGETHER or len(by_architecture) < 2:
        return {"": list(shown)}
    first = [baseline] if baseline is not None and baseline in shown else []
    return {name: [*first, *methods] for name, methods in by_architecture.items()}


def _best_sentence(task: Task, lines: Mapping[str, Series], sign: int) -> str:
    found = []
    for method, line in lines.items():
        means = sign * _mean(line.values_ES)
        if np.isfinite(means).any():
            best = int(np.nanargmax(means))
            found.append((float(means[best]), method, line.epochs[best]))
    if not found:
        return f"{task.name}: no values."
    value, method, epoch = max(found)
    metric = metrics.headline(task).title
    return f"{task.name}: the best mean {metric} is {number(sign * value)}, of {method} at epoch {epoch:g}."


def weights(drawn: Drawn) -> Figure | None:
    """The effective weight of every task, for methods that change it."""
    group, shown, styles = _runs(drawn)

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
                means = _mean(tasks[task.name].values_ES)
                if means.size:
                    sentences.append(f"{task.name}, {method}: from {means[0]:.2g} to {means[-1]:.2g}.")
            values = np.concatenate([tasks[task.name].values_ES.ravel() for tasks in moving.values()])
            log_axis(axes, "y", values[np.isfinite(values)].tolist(), "{:g}".format)
            axes.set_title(f"{named(task.name)}: effective weight")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        legend(canvas, {method: styles[method] for method in moving}, lines=True)
        return figure(
            "Effective task weights", canvas, group.name,
            "The derivative of the update with respect to each task's loss, averaged over the epoch so far, for methods whose "
            "weights change. The band spans the seeds.",
            sentences,
        )  # fmt: skip


def conflicts(drawn: Drawn) -> Figure | None:
    """How often the tasks' gradients are opposed, and the cosine of every pair of tasks, for methods whose records have them."""
    group, every, styles = _runs(drawn)
    shown = {method: runs for method, runs in every.items() if has_conflicts(runs)}
    if not shown:
        return None
    names = {SHARE: "conflicting steps", **{pair: f"cosine of {_joined(pair)}" for pair in pairs_of(shown.values())}}
    found = scopes(shown.values())
    one = f"scope is {found[0]}."
    scope = one if len(found) == 1 else f"scopes are {', '.join(found)}: compare lines of one scope only."
    with drawing():
        canvas, panels = grid(len(names), height=2.1)
        sentences = []
        for axes, (key, title) in zip(panels, names.items(), strict=True):
            for method, runs in shown.items():
                line = _series(runs, partial(conflict, key))
                _band(axes, line, styles[method])
                means = _mean(line.values_ES)
                if np.isfinite(means).any():
                    sentences.append(f"{title}, {method}: {np.nanmean(means):.2g} on average.")
            axes.axhline(0.0, color=MUTED, linewidth=0.6, zorder=1)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        legend(canvas, {method: styles[method] for method in shown}, lines=True)
        return figure(
            "Conflicts between tasks", canvas, group.name,
            "Over the steps of the epoch so far: the share of steps in which the gradients of two tasks have a negative inner "
            f"product, and the mean cosine of two tasks' gradients. The gradients' {scope} The band spans the seeds.",
            sentences,
        )  # fmt: skip


def _joined(pair: str) -> str:
    return " and ".join(map(named, pair.split("|")))


def _runs(drawn: Drawn) -> tuple[Group, dict[str, list[Run]], Mapping[str, Style]]:
    group = drawn.results.group
    return group, {method: group.finished[method] for method in drawn.methods}, drawn.styles


@dataclass(frozen=True, slots=True)
class Series:
    """One number of a method's validations.

    Args:
        epochs: (E,) the number of epochs trained at each validation.
        values_ES: (E, S) by validation and seed; NaN if undefined or if the seed has stopped.
    """

    epochs: list[float]
    values_ES: np.ndarray


def _moves(line: Series) -> bool:
    steps = np.abs(np.diff(line.values_ES, axis=0))
    return bool((steps[np.isfinite(steps)] > 1e-9).any())


def _series(runs: Sequence[Run], value: Callable[[dict[str, Any]], float | None]) -> Series:
    epochs = sorted({entry["epoch"] for run in runs for entry in run.record.epochs})
    rows = {epoch: row for row, epoch in enumerate(epochs)}
    table = np.full((len(epochs), len(runs)), np.nan)
    for seed, run in enumerate(runs):
        for entry in run.record.epochs:
            found = value(entry)
            table[rows[entry["epoch"]], seed] = np.nan if found is None else found
    return Series(epochs, table)


def _mean(values_ES: np.ndarray) -> np.ndarray:
    known = np.isfinite(values_ES)
    with np.errstate(invalid="ignore"):
        means: np.ndarray = np.where(known, values_ES, 0).sum(axis=1) / known.sum(axis=1)
    return means


def _band(axes: Axes, series: Series, style: Style, mark: float | None = None) -> None:
    epochs, values_ES = series.epochs, series.values_ES
    if not values_ES.size:
        return
    means, ink = _mean(values_ES), colour(style)
    line: dict[str, Any] = {"color": ink, "linewidth": 1.4, **({"dashes": style.dash} if style.dash else {})}
    complete = int(np.isfinite(values_ES).all(axis=1).cumprod().sum())
    axes.plot(epochs[:complete], means[:complete], **line)
    if complete < len(epochs):
        start = max(complete - 1, 0)
        axes.plot(epochs[start:], means[start:], alpha=0.4, **line)
    if values_ES.shape[1] > 1 and complete:
        low, high = values_ES[:complete].min(axis=1), values_ES[:complete].max(axis=1)
        axes.fill_between(epochs[:complete], low, high, color=ink, alpha=0.13, linewidth=0)
    if mark is not None:
        at = min(range(len(epochs)), key=lambda row: abs(epochs[row] - mark))
        axes.plot([epochs[at]], [means[at]], marker=style.marker, markersize=5, color=ink, linestyle="none")


def _limit(axes: Axes, lines: Sequence[np.ndarray], sign: int) -> None:
    """Frames the part of the curves where methods differ: values below the means' lower quarter are cut off."""
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
