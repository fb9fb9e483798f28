"""Cells that several tables have."""

from __future__ import annotations

from benchmark import metrics
from benchmark.analysis.results import Results
from benchmark.analysis.study import Group
from benchmark.analysis.values import cost
from benchmark.reporting.layout import Cell
from benchmark.schema import Task
from benchmark.statistics import FEWEST, Comparison, Verdict
from benchmark.text import ABSENT, TOO_FEW, count, in_seconds, with_interval

CLOSE = (Verdict.UNDECIDED, Verdict.EQUIVALENT, Verdict.IDENTICAL)
"""The verdicts of a method that cannot be told from the best."""


def metric_cell(results: Results, task: Task, metric: str, method: str, few: str = TOO_FEW) -> Cell:
    """A mean with its interval, marked if it is the best or cannot be told from it."""
    mean = results.estimate(task.name, metric, method).mean
    text = with_interval(mean, results.places[task.name, metric])
    if mean is not None and mean.n < FEWEST and few:
        text = f"{text}, {few}"
    close = metric == metrics.headline_name(task) and is_close(results.to_best(task, method))
    return Cell(text, best=results.best.get((task.name, metric)) == method, close=close)


def is_close(comparison: Comparison | None) -> bool:
    """Whether a method was compared with the best and not found to be worse."""
    return comparison is not None and comparison.verdict in CLOSE and comparison.reason is None


def seeds_cell(group: Group, method: str) -> Cell:
    """How many runs finished, of how many where some did not."""
    done = len(group.finished[method])
    return Cell(
        str(done) if method in group.complete else f"{done} of {max(len(group.expected), len(group.by_method[method]))}"
    )


def cost_cells(group: Group, method: str) -> tuple[Cell, Cell]:
    """Parameters and seconds of training."""
    parameters, shared, seconds = cost(group.finished[method])
    size = f"{count(parameters)} ({count(shared)})" if parameters is not None else ABSENT
    return Cell(size, short=count(parameters), value=parameters), Cell(in_seconds(seconds))
