"""The summary: one row per mean, with its interval, difference and verdict, for methods and references."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from benchmark import metrics
from benchmark.analysis.gain import TASKS
from benchmark.analysis.results import Results
from benchmark.analysis.study import Run
from benchmark.analysis.values import cost, sizes
from benchmark.records.record import GAIN
from benchmark.statistics import Comparison, Interval

COLUMNS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "task": pl.String, "metric": pl.String, "method": pl.String, "seeds": pl.Int64,
    "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64, "baseline": pl.String, "pairs": pl.Int64,
    "difference": pl.Float64, "difference_low": pl.Float64, "difference_high": pl.Float64, "verdict": pl.String,
    "p_adjusted": pl.Float64, "p_equivalence_adjusted": pl.Float64, "tests": pl.Int64, "margin": pl.Float64,
    "parameters": pl.Int64, "parameters_outside_embeddings": pl.Int64, "embedding_parameters": pl.Int64, "multiply_adds": pl.Int64,
    "shared_parameters": pl.Int64, "train_seconds": pl.Float64,
}  # fmt: skip


def summary(results: Sequence[Results]) -> pl.DataFrame:
    """One row for each data set, task, metric and method, sorted; null without an interval or a difference.

    References follow the methods as `reference/<name>`. The gain over tasks, in per cent, and the declared contrasts
    come last; the method and the baseline of a contrast are its two sides. Intervals are not adjusted for the number of
    comparisons; p values are. Only headline metrics have verdicts, and differences of references.
    """
    return pl.DataFrame([row for of in results for row in _rows(of)], schema=COLUMNS, orient="row")


def _rows(results: Results) -> Iterator[tuple[Any, ...]]:
    costs = {method: _cost(runs) for method, runs in results.group.finished.items()}
    tasks = {task.name: task for task in results.group.tasks}
    order = {name: number for number, name in enumerate(tasks)}
    for (name, metric), methods in sorted(results.estimates.items(), key=lambda item: order.get(item[0][0], math.inf)):
        task = tasks.get(name)
        headline_of = task if task is not None and metrics.headline_name(task) == metric else None
        place = (results.group.name, name, metric)
        for method, estimate in sorted(methods.items()):
            judged = results.comparison(headline_of, method) if headline_of is not None else None
            yield (
                *place, method, *_interval(estimate.mean), results.baseline,
                *_interval(estimate.difference, unknown=None), *_verdict(judged), *costs[method],
            )  # fmt: skip
        for key, line in results.lines.items():
            mean = line.get(name, metric)
            if mean is not None:
                judged = results.line_to_baseline(key, headline_of) if headline_of is not None else None
                seeds, *interval = _interval(mean)
                yield (
                    *place, f"reference/{key}", seeds if line.values else None, *interval, results.baseline,
                    *_interval(judged.difference if judged is not None else None, unknown=None), *_verdict(judged),
                    *NO_COST,
                )  # fmt: skip
    yield from _of_gain(results)


def _of_gain(results: Results) -> Iterator[tuple[Any, ...]]:
    place = (results.group.name, TASKS, GAIN)
    for method, gain in results.gains.items():
        verdict = _verdict(results.of_gain(method))
        runs = results.group.finished[method]
        yield (
            *place,
            method,
            len(runs),
            None,
            None,
            None,
            results.baseline,
            *_interval(gain.total, None),
            *verdict,
            *_cost(runs),
        )
    for c in results.contrasts.comparisons if results.contrasts is not None else ():
        where = (results.group.name, c.task, c.metric)
        yield (
            *where, c.method, None, None, None, None, c.baseline, *_interval(c.difference, None), *_verdict(c),
            *NO_COST,
        )  # fmt: skip


NO_COST = (None,) * 6
"""What stands for the cost of a reference and of a contrast."""


def _cost(runs: list[Run]) -> tuple[int | float | None, ...]:
    """The last columns: sizes, and seconds of training."""
    parameters, shared, seconds = cost(runs)
    return parameters, *sizes(runs).values(), shared, seconds


def _interval(found: Interval | None, unknown: int | None = 0) -> tuple[Any, ...]:
    return (found.n, found.mean, found.low, found.high) if found is not None else (unknown, None, None, None)


def _verdict(judged: Comparison | None) -> tuple[Any, ...]:
    if judged is None:
        return None, None, None, None, None
    tested = judged.p_adjusted is not None
    size = (judged.tests, judged.margin) if tested else (None, None)
    return judged.verdict, judged.p_adjusted, judged.p_equivalence_adjusted, *size
