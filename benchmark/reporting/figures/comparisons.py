"""Figures that compare methods on test by two numbers: fronts of two tasks, cost against quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from benchmark import metrics
from benchmark.analysis.fronts import Front, fronts, heading
from benchmark.analysis.results import Results, label
from benchmark.analysis.values import cost, median, same_machine, size
from benchmark.reporting.figures.canvas import Figure, Mark, ends, figure, grid, legend, log_axis, mark
from benchmark.reporting.figures.medium import INK, MUTED, drawing, named
from benchmark.reporting.figures.styles import Style
from benchmark.statistics import Interval, pareto_front
from benchmark.text import count, in_seconds, listed, number


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the figures of a data set show: its numbers, the methods, and their styles."""

    results: Results
    methods: Sequence[str]
    styles: Mapping[str, Style]

    @property
    def compared(self) -> list[str]:
        """The methods shown, without the baseline."""
        return [method for method in self.methods if method != self.results.baseline]


def front(drawn: Drawn) -> Figure | None:
    """AUC against MSE, for every pair of tasks with different headline metrics."""
    pairs = fronts(drawn.results)
    if not pairs:
        return None
    with drawing():
        canvas, panels = grid(len(pairs), height=2.7, labelled=True)
        sentences: list[str] = []
        turned: list[str] = []
        for axes, pair in zip(panels, pairs, strict=True):
            best = _front_points(axes, drawn, pair)
            x, y = metrics.headline(pair.against), metrics.headline(pair.task)
            axes.set_xlabel(f"{named(pair.against.name)} {label(x.name, pair.against)}")
            axes.set_ylabel(f"{named(pair.task.name)} {label(y.name, pair.task)}")
            axes.set_title(pair.title)
            turned += towards_better(axes, x, y)
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
            "Filled marks are on the front (grey line): no ranked method matches them on one task and beats them on the other. "
            "A star is the best reachable point and a cross a reference model, if they are known and near.",
            sentences,
        )  # fmt: skip


def towards_better(axes: Axes, x: metrics.Metric, y: metrics.Metric) -> list[str]:
    """Turns axes of which lower is better, so that better is up and to the right; says which."""
    turned = []
    if x.direction < 0:
        axes.invert_xaxis()
        turned.append(f"{x.title} falls to the right")
    if y.direction < 0:
        axes.invert_yaxis()
        turned.append(f"{y.title} falls upwards")
    return turned


def _best_word(metric: metrics.Metric) -> str:
    return "highest" if metric.direction > 0 else "lowest"


def _front_points(axes: Axes, drawn: Drawn, pair: Front) -> tuple[float, float, str] | None:
    """Draws a panel's points. Returns the best method on `task`: its mean there, its mean on `against`, its name."""
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
    """Whether a value is so near that the methods do not shrink to one point."""
    low, high = limits
    return low - 2 * (high - low) <= value <= high + 2 * (high - low)


def costs(drawn: Drawn) -> Figure | None:
    """Quality against each cost of a method, with the front."""
    results = drawn.results
    quality, direction, title = _quality(drawn)
    measures = [of for of in _measures(results, list(quality)) if len(of.values) > 1]
    if not measures:
        return None
    with drawing():
        canvas, panels = grid(len(measures), height=2.8, labelled=True)
        sentences = []
        for axes, measure in zip(panels, measures, strict=True):
            found = {method: quality[method] for method in measure.values}
            front = _cheapest_first(measure.values, {m: direction * q.mean for m, q in found.items()})
            axes.plot(
                [measure.values[m] for m in front], [found[m].mean for m in front],
                drawstyle="steps-post", color=MUTED, linewidth=0.8, zorder=1,
            )  # fmt: skip
            mark(
                axes,
                [
                    Mark(measure.values[m], q.mean, drawn.styles[m], None, ends(q), filled=m in front)
                    for m, q in found.items()
                ],
            )
            log_axis(axes, "x", list(measure.values.values()), measure.form)
            axes.set_xlabel(measure.name)
            axes.set_ylabel(title)
            on_front = listed(f"{m} ({measure.form(measure.values[m])})" for m in front)
            sentences.append(f"Best for their {measure.name}, the cheapest first: {on_front}.")
        legend(canvas, {method: drawn.styles[method] for method in quality})
        best = max(quality, key=lambda method: direction * quality[method].mean)
        sentences.append(f"Best: {best}.")
        seconds = " Seconds are medians over seeds, on one machine." if measures[-1].name in (SECONDS, CPU) else ""
        return figure(
            "Quality against cost", canvas, results.group.name,
            f"Filled marks are on the front (grey line): no cheaper method has a better mean.{seconds} "
            "95 % intervals over seeds.",
            sentences,
        )  # fmt: skip


SECONDS, CPU = "seconds of training", "CPU seconds of training"


@dataclass(frozen=True, slots=True)
class Measure:
    """A cost: its name, its value for every method that has one, and how to print it."""

    name: str
    values: Mapping[str, float]
    form: Callable[[float], str]


def _measures(results: Results, methods: Sequence[str]) -> list[Measure]:
    """The costs in the records; seconds only if all runs were on one machine."""
    finished = results.group.finished
    embeddings = {m: s for m in methods if (s := size(finished[m], "embedding_parameters")) is not None}
    outside = {m: p - embeddings[m] for m in embeddings if (p := size(finished[m], "parameters")) is not None}
    adds = {m: s for m in methods if (s := size(finished[m], "multiply_adds")) is not None}
    made = [
        Measure("parameters outside embeddings", outside, count),
        Measure("multiply-adds a row", adds, count),
    ]
    if len(set(embeddings.values())) > 1:
        made.insert(1, Measure("parameters of embeddings", embeddings, count))
    if same_machine(run for method in methods for run in finished[method]):
        cpu = {m: median([run.record.cost.get("cpu_seconds") for run in finished[m]]) for m in methods}
        used = {m: each for m, each in cpu.items() if each}
        seconds = {m: each for m in methods if (each := cost(finished[m])[2])}
        known = used if len(used) == len(methods) else seconds  # older records have only the time on the clock
        made.append(Measure(CPU if known is used else SECONDS, known, in_seconds))
    return made


def _cheapest_first(values: Mapping[str, float], scores: Mapping[str, float]) -> list[str]:
    """The methods that no cheaper method matches."""
    methods = list(values)
    return [methods[n] for n in pareto_front([(values[m], -scores[m]) for m in methods])]


def _quality(drawn: Drawn) -> tuple[dict[str, Interval], int, str]:
    """A method's quality: its gain over tasks or, without a baseline, the first task's metric.

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
