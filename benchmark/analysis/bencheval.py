"""The runs in the layout of bencheval, TabArena's leaderboards (https://pypi.org/project/bencheval): one row per run.

    from bencheval.evaluator import BenchmarkEvaluator
    evaluator = BenchmarkEvaluator(seed_column="seed", columns_to_agg_extra=["time_train_s"])
    evaluator.leaderboard(pandas.read_parquet("leaderboard.parquet"))

Its tasks are our data sets, so each data set counts once. It needs every method on every data set and seed: select rows
by `purpose`, or let its `fillna_data` fill in missing ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import polars as pl

from benchmark import metrics
from benchmark.analysis.lines import CONSTANT, stated
from benchmark.analysis.results import Results
from benchmark.analysis.study import Group, Run, tuned_name
from benchmark.records.record import SelectionName
from benchmark.schema import Task

COLUMNS: dict[str, type[pl.DataType]] = {
    "method": pl.String, "task": pl.String, "seed": pl.Int64, "metric_error": pl.Float64, "time_train_s": pl.Float64,
    "purpose": pl.String,
}  # fmt: skip


def bencheval_table(results: Sequence[Results]) -> pl.DataFrame:
    """One row for each finished run.

    `metric_error` is the mean over tasks of `(best - x) / (best - C)` on test: x is the headline metric, `best` its
    value for a perfect model, and C its value for a constant predictor. So 0 is perfect and 1 is as good as a constant.
    It needs no baseline, so tuned and default methods share one scale. Runs with an unknown error are left out. `seed`
    numbers the runs of a data set if they differ in more than their seed.
    """
    numbers = _numbers(results)
    return pl.DataFrame([row for of in results for row in _rows(of, numbers)], schema=COLUMNS, orient="row")


def _rows(results: Results, numbers: dict[tuple[Any, ...], int]) -> Iterator[tuple[Any, ...]]:
    group, name = results.group, results.group.dataset
    limits = {task: limit for task in group.tasks if (limit := _limits(group, task)) is not None}
    for name_in_group, runs in group.finished.items():
        method = tuned_name(name_in_group) if group.is_tuned else name_in_group
        for run in runs:
            error = _error(run, group, limits, results.selection)
            if error is not None:
                seconds = run.record.cost.get("train_seconds")
                yield method, name, numbers[name, *run.pair], error, seconds, run.record.purpose


def _numbers(results: Sequence[Results]) -> dict[tuple[Any, ...], int]:
    """{(data set, pair): its number}: the seed, unless two pairs of a data set share a seed."""
    pairs: dict[str, set[tuple[Any, ...]]] = {}
    for of in results:
        pairs.setdefault(of.group.dataset, set()).update(
            run.pair for runs in of.group.finished.values() for run in runs
        )
    numbers: dict[tuple[Any, ...], int] = {}
    for name, found in pairs.items():
        seeds = [pair[3] for pair in found]
        is_enough = len(set(seeds)) == len(seeds)
        numbers |= {(name, *pair): pair[3] if is_enough else place for place, pair in enumerate(sorted(found))}
    return numbers


def _limits(group: Group, task: Task) -> tuple[float, float] | None:
    """The metric of a perfect model on the task, and of a constant predictor; None if either is unknown."""
    metric = metrics.headline(task)
    constant = metric.chance
    if constant is None:
        found = stated(group, CONSTANT).get((task.name, metric.name))
        constant = found.mean if found is not None else None
    return None if metric.best is None or constant is None or metric.best == constant else (metric.best, constant)


def _error(run: Run, group: Group, limits: dict[Task, tuple[float, float]], selection: SelectionName) -> float | None:
    record = run.record
    chosen = (record.metrics if selection == "joint" else record.metrics_per_task).get("test", {})
    parts = []
    for task in group.tasks:
        value = chosen.get(task.name, {}).get(metrics.headline_name(task))
        if value is None or task not in limits:
            return None
        best, constant = limits[task]
        parts.append((best - value) / (best - constant))
    return fmean(parts) if parts else None
