"""Cells that several tables have."""

from __future__ import annotations

from benchmark.analysis.results import Results
from benchmark.analysis.study import Group
from benchmark.analysis.values import cost, sizes
from benchmark.reporting.layout import Cell, Column
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


SIZES = {
    "parameters_outside_embeddings": "parameters outside embeddings",
    "embedding_parameters": "embedding parameters",
    "multiply_adds": "multiply-adds a row",
}
"""{key: title} of the columns of size: what `match_parameters` makes equal, what the data set decides, what a row costs."""


def size_columns(group: Group) -> list[Column]:
    """The columns of size that a run of the group fills; older records do not have the multiply-adds."""
    found = [sizes(group.finished[method]) for method in group.by_method]
    known = [key for key in SIZES if any(of_method[key] is not None for of_method in found)]
    return [Column(key, SIZES[key], spare=True) for key in known]


def size_cells(group: Group, method: str) -> dict[str, Cell]:
    """{key of a column of size: its cell}."""
    return {key: Cell(count(value), value=value) for key, value in sizes(group.finished[method]).items()}


def seconds_cell(group: Group, method: str) -> Cell:
    """Seconds of training."""
    seconds = cost(group.finished[method])[2]
    return Cell(in_seconds(seconds), value=seconds)
