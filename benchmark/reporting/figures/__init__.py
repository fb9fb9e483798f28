"""The figures of a page, by the anchor of the chapter in which they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmark.analysis.results import Results
from benchmark.reporting.figures import comparisons
from benchmark.reporting.figures.canvas import Figure
from benchmark.reporting.figures.comparisons import Drawn
from benchmark.reporting.figures.curves import curves, weights
from benchmark.reporting.figures.styles import Style

__all__ = ["Figure", "figures"]

MOST_LINES, MOST_MARKS = 16, 40
"""Methods in a figure: beyond, lines and marks cannot be told apart."""

_MARKS: dict[str, Callable[[Drawn], Figure | None]] = {
    "differences": comparisons.differences,
    "front": comparisons.front,
    "gains": comparisons.gain,
    "cost": comparisons.costs,
}


def figures(results: Results, styles: Mapping[str, Style]) -> dict[str, Figure]:
    """The figures that the records of one data set allow; of very many methods the best are drawn, and it is said."""
    group = results.group
    finished = [method for method in results.by_gain if group.finished[method]]
    if not finished or not group.tasks:
        return {}
    marks = _first(results, finished, MOST_MARKS)
    lines = _first(results, finished, MOST_LINES)
    shown = {method: group.finished[method] for method in lines}
    drawn = Drawn(results, marks, styles)
    made = {anchor: (draw(drawn), len(marks)) for anchor, draw in _MARKS.items()}
    made["curves"] = curves(group, shown, styles), len(lines)
    made["weights"] = weights(group, shown, styles), len(lines)
    return {
        anchor: figure if number == len(finished) else replace(figure, caption=_caption(figure, number, len(finished)))
        for anchor, (figure, number) in made.items()
        if figure is not None
    }


def _first(results: Results, methods: list[str], most: int) -> list[str]:
    """So many of the methods in order, the baseline always among them."""
    if len(methods) <= most:
        return methods
    baseline = [results.baseline] if results.baseline is not None and results.baseline not in methods[:most] else []
    return [*methods[: most - len(baseline)], *baseline]


def _caption(figure: Figure, number: int, of: int) -> str:
    return f"{figure.caption} {number} of {of} methods are drawn: those that gain most over the tasks."
