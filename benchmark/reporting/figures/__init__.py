"""The figures of a report by name. On a page, a figure is in the chapter with the same anchor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmark.analysis.results import Results
from benchmark.reporting.figures import comparisons, forest, scalarization
from benchmark.reporting.figures.canvas import Figure
from benchmark.reporting.figures.comparisons import Drawn
from benchmark.reporting.figures.curves import conflicts, curves, weights
from benchmark.reporting.figures.styles import Style

__all__ = ["FIGURES", "Figure", "FigureKind", "draw", "figures"]

MOST_LINES, MOST_MARKS, MOST_NAMED = 16, 40, 1_000
"""Most methods in a figure: with more, lines and marks cannot be told apart. Marks with names can."""


@dataclass(frozen=True, slots=True)
class FigureKind:
    """A figure that a data set may have.

    Args:
        draw: Draws it; returns None if the records do not allow it.
        most: The largest number of methods it has room for.
        needs: What it needs in the records, in words.
    """

    draw: Callable[[Drawn], Figure | None]
    most: int
    needs: str


FIGURES: Mapping[str, FigureKind] = {
    "forest": FigureKind(forest.forest, MOST_MARKS, "a baseline, and a method to compare with it"),
    "front": FigureKind(
        comparisons.front, MOST_MARKS, "two tasks with different headline metrics, such as AUC and MSE"
    ),
    "scalarization": FigureKind(
        scalarization.scalarization, MOST_MARKS, "three fixed settings of the weights, and two such tasks"
    ),
    "cost": FigureKind(comparisons.costs, MOST_MARKS, "two methods with known parameters or seconds of training"),
    "curves": FigureKind(curves, MOST_LINES, "runs with validations"),
    "weights": FigureKind(weights, MOST_LINES, "a method whose task weights change"),
    "conflicts": FigureKind(conflicts, MOST_LINES, "runs that logged their gradients' cosines"),
}
"""All of them by name, except `ranks`, which shows several data sets together: `ranks.critical_difference`."""


def figures(results: Results, styles: Mapping[str, Style]) -> dict[str, Figure]:
    """The figures that the records of one data set allow. With very many methods, only the best are drawn, and the caption says so."""
    made = {name: draw(name, results, styles) for name in FIGURES}
    return {name: figure for name, figure in made.items() if figure is not None}


def draw(name: str, results: Results, styles: Mapping[str, Style]) -> Figure | None:
    """One of them; None if the records do not allow it."""
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
    """The first `most` methods in order, always including the baseline."""
    if len(methods) <= most:
        return methods
    baseline = [results.baseline] if results.baseline is not None and results.baseline not in methods[:most] else []
    return [*methods[: most - len(baseline)], *baseline]


def _caption(figure: Figure, number: int, of: int) -> str:
    return f"{figure.caption} The figure shows the {number} of {of} methods with the largest gains."
