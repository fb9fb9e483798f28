"""Methods as rows, the baseline as a line: the gain over tasks, and the difference on each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from benchmark import metrics
from benchmark.analysis.lines import Line
from benchmark.analysis.results import label
from benchmark.reporting.figures.canvas import Figure, Mark, ends, figure, mark, rows
from benchmark.reporting.figures.comparisons import Drawn, near
from benchmark.reporting.figures.medium import INK, MUTED, drawing, named
from benchmark.schema import Task
from benchmark.statistics import Interval, Verdict

_READ = (
    "Right is better in every panel. Filled marks are differences with an adjusted p below 0.05; open marks are not. The grey "
    "band is the margin: inside it, two methods count as equivalent. If near, a dotted line is a reference model and a dashed "
    "line the best reachable value."
)


def forest(drawn: Drawn) -> Figure | None:
    """The gain over tasks on a wide panel, and each task's difference in the unit of its metric beside it."""
    results = drawn.results
    gains = {m: t for m in drawn.compared if (g := results.gains.get(m)) is not None and (t := g.total) is not None}
    if results.baseline is None or not (gains or _knows_differences(drawn)):
        return None
    tasks = results.group.tasks
    with drawing():
        canvas, panels = rows(drawn.compared, len(tasks) + bool(gains), first_wide=bool(gains))
        sentences = [_gain_panel(panels[0], drawn, gains)] if gains else []
        for axes, task in zip(panels[bool(gains) :], tasks, strict=True):
            sentences.append(_task_panel(axes, drawn, task))
        untested = "" if not gains or results.judges_gain else " The gain is not tested, so its marks are open."
        return figure(
            f"All methods against {named(results.baseline)}", canvas, results.group.name,
            f"{'Gain over tasks in per cent, and differences' if gains else 'Differences'} to {named(results.baseline)} on test, with 95 % "
            f"intervals, not adjusted. {_READ}{untested}",
            sentences,
        )  # fmt: skip


def _knows_differences(drawn: Drawn) -> bool:
    results = drawn.results
    return any(results.headline(task, m).difference for task in results.group.tasks for m in drawn.compared)


def _gain_panel(axes: Axes, drawn: Drawn, gains: Mapping[str, Interval]) -> str:
    """Draws the gains. Returns how many methods are better and worse."""
    results = drawn.results
    found = {m: c.verdict for m in drawn.compared if (c := results.of_gain(m)) is not None}
    better, worse = (sum(v is verdict for v in found.values()) for verdict in (Verdict.BETTER, Verdict.WORSE))
    firm = [method for method, verdict in found.items() if verdict in (Verdict.BETTER, Verdict.WORSE)]
    _marks(axes, drawn, gains, firm)
    margin = results.question.gain(results.margins).margin.size if results.judges_gain else None
    _ground(axes, margin, [(line, results.line_gain(line)) for line in results.lines.values()])
    axes.set_title("gain over tasks")
    axes.set_xlabel("gain, %")
    counted = f" {better} of {len(found)} better, {worse} worse." if results.judges_gain else ""
    means = ", ".join(f"{method} {total.mean:+z.2f} %" for method, total in gains.items())
    return f"Gain over tasks: {means}.{counted}"


def _task_panel(axes: Axes, drawn: Drawn, task: Task) -> str:
    """Draws the differences on a task. Returns how many methods are better and worse."""
    results, methods, metric = drawn.results, drawn.compared, metrics.headline_name(task)
    better = [m for m in methods if results.verdict(task, m) is Verdict.BETTER]
    worse = [m for m in methods if results.verdict(task, m) is Verdict.WORSE]
    found = {m: d for m in methods if (d := results.headline(task, m).difference) is not None}
    _marks(axes, drawn, found, [*better, *worse])
    base = results.headline(task, results.baseline or "").mean
    places = [
        (line, mean.mean - base.mean if base is not None and (mean := line.of(task)) is not None else None)
        for line in results.lines.values()
    ]
    _ground(axes, results.margin(task), places)
    axes.set_title(named(task.name))
    axes.set_xlabel(f"Δ {label(metric, task)}")
    if metrics.direction(metric) < 0:
        axes.invert_xaxis()
    return f"{task.name}: {len(better)} of {len(methods)} better, {len(worse)} worse."


def _marks(axes: Axes, drawn: Drawn, found: Mapping[str, Interval], firm: Sequence[str]) -> None:
    place = {method: row for row, method in enumerate(drawn.compared)}
    mark(axes, [_row(drawn, method, place[method], d, filled=method in firm) for method, d in found.items()])


def _row(drawn: Drawn, method: str, row: int, interval: Interval, *, filled: bool = True) -> Mark:
    return Mark(interval.mean, row, drawn.styles[method], ends(interval), filled=filled)


def _ground(axes: Axes, margin: float | None, places: Sequence[tuple[Line, float | None]]) -> None:
    """Draws what marks are compared with: the baseline, the margin around it, and references that are near and not trivial."""
    if margin is not None:
        axes.axvspan(-margin, margin, color=MUTED, alpha=0.12, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for line, place in places:
        if place is not None and not line.trivial and near(place, sorted(axes.get_xlim())):
            axes.axvline(place, color=INK, linewidth=1.2, linestyle="--" if line.bound else ":")
