"""The figures of a report by name: those of a page stand in the chapter whose anchor that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmark.analysis.results import Results
from benchmark.reporting.figures import comparisons, forest
from benchmark.reporting.figures.canvas import Figure
from benchmark.reporting.figures.comparisons import Drawn
from benchmark.reporting.figures.curves import curves, weights
from benchmark.reporting.figures.styles import Style

__all__ = ["FIGURES", "Figure", "FigureKind", "draw", "figures"]

MOST_LINES, MOST_MARKS = 16, 40
"""Methods in a figure: beyond, lines and marks cannot be told apart."""


@dataclass(frozen=True, slots=True)
class FigureKind:
    """A figure that a data set may have.

    Args:
        draw: Draws it; None where the records do not allow it.
        most: Methods that it has room for.
        needs: What it asks of the records, to print.
    """

    draw: Callable[[Drawn], Figure | None]
    most: int
    needs: str


FIGURES: Mapping[str, FigureKind] = {
    "forest": FigureKind(forest.forest, MOST_MARKS, "a baseline, and a method to compare with it"),
    "front": FigureKind(
        comparisons.front, MOST_MARKS, "two tasks with different headline metrics, such as AUC and MSE"
    ),
    "cost": FigureKind(
        comparisons.costs, MOST_MARKS, "two methods of which parameters or seconds of training are known"
    ),
    "curves": FigureKind(curves, MOST_LINES, "runs with validations"),
    "weights": FigureKind(weights, MOST_LINES, "a method whose weights of the tasks move"),
}
"""All of them by name. `ranks` is a figure of several data sets together, `ranks.critical_difference`."""


def figures(results: Results, styles: Mapping[str, Style]) -> dict[str, Figure]:
    """The figures that the records of one data set allow; of very many methods the best are drawn, and it is said."""
    made = {name: draw(name, results, styles) for name in FIGURES}
    return {name: figure for name, figure in made.items() if figure is not None}


def draw(name: str, results: Results, styles: Mapping[str, Style]) -> Figure | None:
    """One of them; None where the records do not allow it."""
    kind = FIGURES[name]
    finished = [method for method in results.by_gain if results.group.finished[method]]
    if not finished or not results.group.tasks:
        return None
    chosen = _first(results, finished, kind.most)
    figure = kind.draw(Drawn(results, chosen, styles))
    if figure is None or len(chosen) == len(finished):
        return figure
    return replace(figure, caption=_caption(figure, len(chosen), len(finished)))


def _first(results: Results, methods: list[str], most: int) -> list[str]:
    """So many of the methods in order, the baseline always among them."""
    if len(methods) <= most:
        return methods
    baseline = [results.baseline] if results.baseline is not None and results.baseline not in methods[:most] else []
    return [*methods[: most - len(baseline)], *baseline]


def _caption(figure: Figure, number: int, of: int) -> str:
    return f"{figure.caption} {number} of {of} methods are drawn: those that gain most over the tasks."
