"""Cells that several tables have."""

from __future__ import annotations

from benchmark.analysis.results import Results
from benchmark.analysis.study import Group
from benchmark.analysis.values import cost
from benchmark.reporting.layout import Cell
from benchmark.schema import Task
from benchmark.statistics import FEWEST
from benchmark.text import TOO_FEW, count, in_seconds, with_interval


def metric_cell(results: Results, task: Task, metric: str, method: str, few: str = TOO_FEW) -> Cell:
    """A mean with its interval, marked if it is the best."""
    mean = results.estimate(task.name, metric, method).mean
    text = with_interval(mean, results.places[task.name, metric])
    if mean is not None and mean.n < FEWEST and few:
        text = f"{text}, {few}"
    return Cell(text, best=results.best.get((task.name, metric)) == method)


def seeds_cell(group: Group, method: str) -> Cell:
    """How many runs finished, and out of how many if some did not."""
    done = len(group.finished[method])
    return Cell(
        str(done) if method in group.complete else f"{done} of {max(len(group.expected), len(group.by_method[method]))}"
    )


def cost_cells(group: Group, method: str) -> tuple[Cell, Cell]:
    """Parameters and seconds of training."""
    parameters, _, seconds = cost(group.finished[method])
    return Cell(count(parameters), value=parameters), Cell(in_seconds(seconds), value=seconds)
