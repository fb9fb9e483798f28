"""Figures as inline SVG that takes its colours from the page; pyplot, and so its state, is not touched."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from benchmark import metrics
from benchmark.reporting.layout import number
from benchmark.reporting.statistics import Interval, t_interval
from benchmark.reporting.study import Group, Run
from benchmark.reporting.styles import Style
from benchmark.reporting.tables import Selection, median
from benchmark.schema import Task, TaskKind

# matplotlib knows only fixed colours: these stand for the page's variables, and are exchanged in the finished SVG
INK, MUTED, GRID = "#0a0a01", "#0a0a02", "#0a0a03"
_VARIABLES = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)"}
_RC: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "text.color": INK, "font.family": "sans-serif", "font.size": 8.5,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.titlesize": 9.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "axes.linewidth": 0.7, "axes.formatter.useoffset": False,
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK,
    "ytick.labelcolor": INK, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "path.simplify_threshold": 0.3,
}  # fmt: skip
_COLUMNS = 3
_MOST_METHODS = 40  # beyond, lines cannot be told apart: the best by the first task are drawn, and the caption says so


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: title, SVG, caption, and the text that stands for it where it cannot be seen."""

    title: str
    svg: str
    caption: str
    alternative: str


def figures(group: Group, styles: Mapping[str, Style], selection: Selection) -> list[Figure]:
    """The figures that the records of one data set allow."""
    finished = {method: runs for method, runs in group.finished.items() if runs}
    if not finished or not group.tasks:
        return []
    ranked = sorted(finished, key=lambda method: _order(finished[method], group.tasks[0], selection))
    shown = {method: finished[method] for method in ranked[:_MOST_METHODS]}
    left_out = f" The best {len(shown)} of {len(finished)} methods are drawn." if len(shown) < len(finished) else ""
    made = [_curves(group, shown, styles), _weights(group, shown, styles), _scatter(group, shown, styles, selection)]
    return [Figure(f.title, f.svg, f.caption + left_out, f.alternative) for f in made if f is not None]


def _figure(title: str, canvas: Canvas, group: Group, caption: str, sentences: Sequence[str]) -> Figure:
    alternative = " ".join((f"{title}.", *sentences))
    return Figure(title, _svg(canvas, f"{title} {group.name}", alternative), caption, alternative)


def _order(runs: Sequence[Run], task: Task, selection: Selection) -> float:
    interval = _on_test(runs, task, selection)
    return -metrics.direction(metrics.primary(task)) * interval.mean if interval else float("inf")


def _on_test(runs: Sequence[Run], task: Task, selection: Selection) -> Interval | None:
    chosen = [(r.record.metrics if selection == "joint" else r.record.metrics_per_task).get("test", {}) for r in runs]
    values = [row.get(task.name, {}).get(metrics.primary(task)) for row in chosen]
    return t_interval(value for value in values if value is not None)


def _curves(group: Group, shown: Mapping[str, list[Run]], styles: Mapping[str, Style]) -> Figure | None:
    def of(task: Task) -> Callable[[dict[str, Any]], float | None]:
        return lambda epoch: epoch["validation"].get(task.name, {}).get(metrics.primary(task))

    if not any(run.record.epochs for runs in shown.values() for run in runs):
        return None
    with _drawing():
        canvas, panels = _grid(len(group.tasks))
        sentences = []
        for axes, task in zip(panels, group.tasks, strict=True):
            curves = {method: _series(runs, of(task)) for method, runs in shown.items()}
            for method, values in curves.items():
                best = median([run.record.best_epoch for run in shown[method]])
                _band(axes, values, styles[method], mark=None if best is None else round(best))
            sign = metrics.direction(metrics.primary(task))
            _limit(axes, [values for values in curves.values() if values.size], sign)
            axes.set_title(f"{task.name}: {metrics.primary(task).upper()}")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            sentences.append(_best_sentence(task, curves, sign))
        return _figure(
            "Learning curves on validation",
            canvas,
            group,
            "Mean over seeds; the band spans the seeds. Where some seeds have stopped, the mean of the rest is faint, "
            "without a band. The marker is the median jointly selected epoch. The first epochs may lie out of frame.",
            sentences,
        )


def _best_sentence(task: Task, curves: Mapping[str, np.ndarray], sign: int) -> str:
    found = []
    for method, values in curves.items():
        means = sign * _mean(values)
        if np.isfinite(means).any():
            epoch = int(np.nanargmax(means))
            found.append((float(means[epoch]), method, epoch + 1))
    if not found:
        return f"{task.name}: no values."
    value, method, epoch = max(found)
    metric = metrics.primary(task).upper()
    return f"{task.name}: the best mean {metric} is {number(sign * value)}, of {method} at epoch {epoch}."


def _weights(group: Group, shown: Mapping[str, list[Run]], styles: Mapping[str, Style]) -> Figure | None:
    def of(task: Task) -> Callable[[dict[str, Any]], float | None]:
        return lambda epoch: epoch.get("effective_weights", {}).get(task.name)

    series = {method: {t.name: _series(runs, of(t)) for t in group.tasks} for method, runs in shown.items()}
    moving = {m: s for m, s in series.items() if any(map(_moves, s.values()))}
    if not moving:
        return None
    with _drawing():
        canvas, panels = _grid(len(group.tasks), height=2.1)
        sentences = []
        for axes, task in zip(panels, group.tasks, strict=True):
            for method, tasks in moving.items():
                _band(axes, tasks[task.name], styles[method])
                means = _mean(tasks[task.name])
                if means.size:
                    sentences.append(f"{task.name}, {method}: from {means[0]:.2g} to {means[-1]:.2g}.")
            values = np.concatenate([tasks[task.name].ravel() for tasks in moving.values()])
            values = values[np.isfinite(values)]
            if values.size and values.min() > 0 and values.max() > 20 * values.min():
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))  # powers of ten would need mathtext
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_title(f"{task.name}: effective weight")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        return _figure(
            "Effective task weights",
            canvas,
            group,
            "The derivative of the update by each task's loss, mean of an epoch, of methods whose weights move; "
            "the band spans the seeds.",
            sentences,
        )


def _moves(values_ES: np.ndarray) -> bool:
    steps = np.abs(np.diff(values_ES, axis=0))
    return bool((steps[np.isfinite(steps)] > 1e-9).any())


def _scatter(
    group: Group, shown: Mapping[str, list[Run]], styles: Mapping[str, Style], selection: Selection
) -> Figure | None:
    binary = [task for task in group.tasks if task.kind is TaskKind.BINARY]
    pairs = [(a, r) for r in group.tasks if r.kind is TaskKind.REGRESSION for a in binary]
    if not pairs:
        return None
    with _drawing():
        canvas, panels = _grid(len(pairs), height=2.6)
        sentences = []
        for axes, (auc_task, mse_task) in zip(panels, pairs, strict=True):
            points = []
            for method, runs in shown.items():
                y, x = _on_test(runs, auc_task, selection), _on_test(runs, mse_task, selection)
                if x is not None and y is not None:
                    _point(axes, x, y, styles[method])
                    points.append((y.mean, x.mean, method))
            _reachable(axes, group, auc_task, mse_task)
            unit = f" [{mse_task.target_unit}²]" if mse_task.target_unit else ""
            axes.set_xlabel(f"{mse_task.name} MSE{unit}, lower is better")
            axes.set_ylabel("AUC, higher is better")
            axes.set_title(f"{auc_task.name} against {mse_task.name}")
            axes.invert_xaxis()
            if points:
                auc, mse, best = max(points)
                pair = f"{auc_task.name} against {mse_task.name}"
                sentences.append(f"{pair}: highest AUC {number(auc)} at MSE {number(mse)}, of {best}.")
        return _figure(
            "AUC against MSE",
            canvas,
            group,
            "Means on test with 95 % t intervals over seeds; MSE falls to the right, so better is up and to the right. "
            "A star is the best reachable, where it is known and near.",
            sentences,
        )


def _point(axes: Axes, x: Interval, y: Interval, style: Style) -> None:
    colour = _series_colour(style)
    axes.errorbar(
        x.mean, y.mean, xerr=x.half_width, yerr=y.half_width, fmt=style.marker, color=colour, markersize=5.5,
        elinewidth=0.9, markeredgewidth=0.0,
    )  # fmt: skip


def _reachable(axes: Axes, group: Group, auc_task: Task, mse_task: Task) -> None:
    """A star at the best reachable, unless it is so far off that the methods would shrink to one point."""
    best = group.reference("best_reachable")
    y, x = best.get(auc_task.name, {}).get("auc"), best.get(mse_task.name, {}).get("mse")
    if x is None or y is None:
        return
    near = all(
        low - 2 * (high - low) <= value <= high + 2 * (high - low)
        for value, (low, high) in ((x, sorted(axes.get_xlim())), (y, sorted(axes.get_ylim())))
    )
    if near:
        axes.plot([x], [y], marker="*", markersize=9, color=INK, linestyle="none")


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
    epochs, means, colour = np.arange(1, len(values_ES) + 1), _mean(values_ES), _series_colour(style)
    line: dict[str, Any] = {"color": colour, "linewidth": 1.4, **({"dashes": style.dash} if style.dash else {})}
    complete = int(np.isfinite(values_ES).all(axis=1).cumprod().sum())
    axes.plot(epochs[:complete], means[:complete], **line)
    if complete < len(epochs):
        start = max(complete - 1, 0)
        axes.plot(epochs[start:], means[start:], alpha=0.4, **line)
    if values_ES.shape[1] > 1 and complete:
        low, high = values_ES[:complete].min(axis=1), values_ES[:complete].max(axis=1)
        axes.fill_between(epochs[:complete], low, high, color=colour, alpha=0.13, linewidth=0)
    if mark is not None and 1 <= mark <= len(means):
        axes.plot([mark], [means[mark - 1]], marker=style.marker, markersize=5, color=colour, linestyle="none")


def _limit(axes: Axes, curves: Sequence[np.ndarray], sign: int) -> None:
    """Frames the part of the curves that tells methods apart: what lies below the means' lower quarter is cut off."""
    if not curves:
        return
    values = sign * np.concatenate([values.ravel() for values in curves])
    values = values[np.isfinite(values)]
    if values.size < 8:
        return
    top, middle = values.max(), np.quantile(values, 0.25)
    bottom = max(values.min(), middle - 1.0 * (top - middle))
    if top > bottom:
        margin = 0.05 * (top - bottom)
        ends = sign * (bottom - margin), sign * (top + margin)
        axes.set_ylim(min(ends), max(ends))


def _grid(panels: int, height: float = 2.5) -> tuple[Canvas, list[Axes]]:
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    canvas = Canvas(figsize=(3.15 * columns + 0.1, height * rows), layout="constrained")
    canvas.patch.set_visible(False)
    grid = canvas.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[panels:]:
        unused.remove()
    for axes in grid[:panels]:
        axes.patch.set_visible(False)
        axes.locator_params(nbins=5)
    return canvas, grid[:panels]


@contextmanager
def _drawing() -> Iterator[None]:
    """Matplotlib's settings for a figure, put back afterwards; names in any script are drawn by the browser's fonts."""
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _series_colour(style: Style) -> str:
    return f"#0b0b{style.colour:02x}"


def _svg(canvas: Canvas, salt: str, alternative: str) -> str:
    """The figure as an `<svg>` element: colours as variables, ids of its own, short numbers, its alternative inside."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<style type="text/css">.*?</style>|font-family: [^;"]*; ', "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"(?<=[ :])#0b0b([0-9a-f]{2})", lambda found: f"var(--c{int(found[1], 16)})", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(f": {colour}", f": {variable}")
    svg = re.sub(r'(?<= d=")[^"]*|(?<= points=")[^"]*', lambda found: re.sub(r"(\d+\.\d)\d+", r"\1", found[0]), svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    opening = f'<svg role="img" viewBox="0 0 {width} {height}" style="width:{float(width):.0f}pt"'
    label = f' aria-label="{_attribute(alternative)}"'
    return opening + label + ' xmlns:xlink="http://www.w3.org/1999/xlink">' + svg[svg.index(">") + 1 :]


def _attribute(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
