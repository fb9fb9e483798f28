"""What compares methods on test by two numbers: fronts of two tasks, cost against quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from benchmark import metrics
from benchmark.analysis.fronts import Front, fronts, heading
from benchmark.analysis.results import Results, label
from benchmark.analysis.values import cost
from benchmark.reporting.figures.canvas import Figure, Mark, ends, figure, grid, legend, log_axis, mark
from benchmark.reporting.figures.medium import INK, MUTED, drawing, named
from benchmark.reporting.figures.styles import Style
from benchmark.statistics import Interval
from benchmark.text import count, in_seconds, listed, number


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the figures of a data set are drawn from: its numbers, the methods that are shown, and their styles."""

    results: Results
    methods: Sequence[str]
    styles: Mapping[str, Style]

    @property
    def compared(self) -> list[str]:
        """The methods shown but the baseline."""
        return [method for method in self.methods if method != self.results.baseline]


def front(drawn: Drawn) -> Figure | None:
    """AUC against MSE, for every pair of tasks with different headline metrics."""
    pairs = fronts(drawn.results)
    if not pairs:
        return None
    with drawing():
        canvas, panels = grid(len(pairs), height=2.7, labelled=True)
        sentences, turned = [], []
        for axes, pair in zip(panels, pairs, strict=True):
            best = _front_points(axes, drawn, pair)
            x, y = metrics.headline(pair.against), metrics.headline(pair.task)
            axes.set_xlabel(f"{named(pair.against.name)} {label(x.name, pair.against)}")
            axes.set_ylabel(f"{named(pair.task.name)} {label(y.name, pair.task)}")
            axes.set_title(pair.title)
            if x.direction < 0:
                axes.invert_xaxis()
                turned.append(f"{x.title} falls to the right")
            if y.direction < 0:
                axes.invert_yaxis()
                turned.append(f"{y.title} falls upwards")
            if best is not None:
                at_y, at_x, method = best
                sentences.append(
                    f"{pair.title}: {_best_word(y)} {y.title} {number(at_y)} at {x.title} {number(at_x)}, of {method}."
                )
            if pair.methods:
                sentences.append(f"On the front, the {_best_word(x)} {x.title} first: {listed(pair.methods)}.")
        legend(canvas, {method: drawn.styles[method] for method in drawn.methods})
        why = f"{', '.join(dict.fromkeys(turned))}, so " if turned else ""
        return figure(
            heading([drawn.results.group.tasks]), canvas, drawn.results.group.name,
            f"Means on test with 95 % t intervals over seeds; {why}better is up and to the right. "
            "A filled mark is on the front, along which the grey line runs: no ranked method matches it on one task and beats "
            "it on the other. "
            "Where known and near, a star is the best reachable, and a cross a reference model.",
            sentences,
        )  # fmt: skip


def _best_word(metric: metrics.Metric) -> str:
    return "highest" if metric.direction > 0 else "lowest"


def _front_points(axes: Axes, drawn: Drawn, pair: Front) -> tuple[float, float, str] | None:
    """Draws a panel's points, and returns the best on `task`: its mean there, its mean on `against`, the method."""
    results, points, marks = drawn.results, [], []
    for method in drawn.methods:
        y, x = results.headline(pair.task, method).mean, results.headline(pair.against, method).mean
        if x is not None and y is not None:
            filled = method in pair.methods
            marks.append(Mark(x.mean, y.mean, drawn.styles[method], ends(x), ends(y), filled=filled))
            points.append((y.mean, x.mean, method))
    along = [pair.means[method] for method in pair.methods]
    axes.plot(
        [x for x, _ in along], [y for _, y in along],
        drawstyle="steps-post", color=MUTED, linewidth=0.8, zorder=1,
    )  # fmt: skip
    mark(axes, marks)
    for line in results.lines.values():
        y, x = line.of(pair.task), line.of(pair.against)
        if x is None or y is None or line.trivial:
            continue
        if near(x.mean, sorted(axes.get_xlim())) and near(y.mean, sorted(axes.get_ylim())):
            shape = "*" if line.bound else "X"
            axes.plot([x.mean], [y.mean], marker=shape, markersize=9 if line.bound else 7, color=INK, linestyle="none")
    sign = metrics.headline(pair.task).direction
    return max(points, key=lambda point: (sign * point[0], *point[1:])) if points else None


def near(value: float, limits: Sequence[float]) -> bool:
    """Whether a value is not so far off that the methods would shrink to one point."""
    low, high = limits
    return low - 2 * (high - low) <= value <= high + 2 * (high - low)


def costs(drawn: Drawn) -> Figure | None:
    """Quality against seconds of training and against parameters."""
    results = drawn.results
    quality, direction, title = _quality(drawn)
    known = {method: cost(results.group.finished[method]) for method in quality}
    seconds = {m: float(s) for m, (_, _, s) in known.items() if s}
    sizes = {m: float(p) for m, (p, _, _) in known.items() if p}
    if len(seconds) < 2 and len(sizes) < 2:
        return None
    with drawing():
        canvas, panels = grid(2, height=2.8, labelled=True)
        for axes, values, name, form in (
            (panels[0], seconds, "seconds of training, median over seeds", in_seconds),
            (panels[1], sizes, "parameters", count),
        ):
            found = {method: quality[method] for method in values}
            mark(axes, [Mark(values[m], q.mean, drawn.styles[m], None, ends(q)) for m, q in found.items()])
            log_axis(axes, "x", list(values.values()), form)
            axes.set_xlabel(name)
            axes.set_ylabel(title)
        legend(canvas, {method: drawn.styles[method] for method in quality})
        quickest = min(seconds, key=seconds.__getitem__, default=None)
        best = max(quality, key=lambda method: direction * quality[method].mean)
        sentences = [f"Best: {best}, {in_seconds(seconds.get(best))} s, {count(sizes.get(best))} parameters."]
        if quickest is not None:
            sentences.append(f"Quickest: {quickest}, {in_seconds(seconds[quickest])} s.")
        return figure(
            "Quality against cost", canvas, results.group.name,
            "Seconds depend on the machine and on what else ran there; compare them only within one sweep. "
            "95 % intervals over seeds.",
            sentences,
        )  # fmt: skip


def _quality(drawn: Drawn) -> tuple[dict[str, Interval], int, str]:
    """What stands for a method's quality: its gain over tasks, or without a baseline the first task's metric.

    Returns:
        {method: mean}, +1 if higher is better and -1 if lower is, and the title of its axis.
    """
    results = drawn.results
    gains = {m: g.total for m in drawn.methods if (g := results.gains.get(m)) is not None and g.total is not None}
    if gains and results.baseline is not None:
        return {results.baseline: Interval(0.0, None, None, 1), **gains}, 1, "gain over tasks, %"
    task = results.group.tasks[0]
    metric = metrics.headline(task)
    means = {m: results.headline(task, m).mean for m in drawn.methods}
    better = "higher" if metric.direction > 0 else "lower"
    title = f"{named(task.name)} {metric.title}, {better} is better"
    return {m: mean for m, mean in means.items() if mean}, metric.direction, title
