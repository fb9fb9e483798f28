"""From records to numbers: the long table, one row per value, and the estimates from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from benchmark.analysis.study import Pair, Run, Study
from benchmark.records.record import SelectionName
from benchmark.statistics import Interval

Values: TypeAlias = dict[tuple[str, str], dict[str, dict[Pair, float]]]
"""{(task, metric): {method: {pair: value}}} on the test rows of one data set."""

LARGEST = 1e60
"""The largest number that is compared: squares of squares of larger ones would overflow."""

RUN_COLUMNS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "method": pl.String, "architecture": pl.String, "weighting": pl.String, "purpose": pl.String,
    "id": pl.String, "status": pl.String, "seed": pl.Int64, "search": pl.Int64, "draw": pl.String, "fingerprint": pl.String,
    "test_rows": pl.String, "best_epoch": pl.Float64, "parameters": pl.Int64, "embedding_parameters": pl.Int64,
    "shared_parameters": pl.Int64, "multiply_adds": pl.Int64, "train_seconds": pl.Float64,
}  # fmt: skip
VALUE_COLUMNS: dict[str, type[pl.DataType]] = {
    "selection": pl.String, "split": pl.String, "task": pl.String, "metric": pl.String, "value": pl.Float64,
    "undefined": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of one metric of one method on one task.

    Args:
        mean: Mean over seeds; None if no seed has a value.
        difference: Difference to the baseline; None without a baseline value, and for the baseline itself.
    """

    mean: Interval | None
    difference: Interval | None = None


def usable(value: float | None) -> float | None:
    """A metric as it enters all means and tests, each task by itself. None if it is undefined, or no number to compare.

    Records in files have no NaN. A model whose predictions grow without bound can have a squared error of 1e77.
    """
    return None if value is None or not abs(value) <= LARGEST else float(value)


def why_unknown(value: float | None) -> str:
    """Why `usable` is None, for a value without a reason in its record."""
    return "the record gives no reason" if value is None else f"{value:g} is not a number to compare"


def long_table(study: Study) -> pl.DataFrame:
    """One row for each run, selection, split, task and metric; a run without metrics is one row with nulls."""
    runs: list[tuple[Any, ...]] = []
    values: dict[str, list[Any]] = {name: [] for name in ("run", *VALUE_COLUMNS)}
    for number, run in enumerate(study.runs):
        runs.append((number, *_run_row(run)))
        record = run.record
        for selection, splits in (("joint", record.metrics), ("per_task", record.metrics_per_task)):
            for split, tasks in splits.items():
                for task, row in tasks.items():
                    of_row: tuple[Any, ...] = (number, selection, split, task)
                    for name, same in zip(values, of_row, strict=False):
                        values[name] += [same] * len(row)
                    values["metric"] += row
                    values["value"] += row.values()
                    values["undefined"] += [
                        None if value is not None else record.undefined.get(f"{split}.{task}.{metric}")
                        for metric, value in row.items()
                    ]
    left = pl.DataFrame(runs, schema={"run": pl.Int64, **RUN_COLUMNS}, orient="row")
    right = pl.DataFrame(values, schema={"run": pl.Int64, **VALUE_COLUMNS}, strict=False)
    return left.join(right, on="run", how="left", maintain_order="left_right").drop("run")


def _run_row(run: Run) -> tuple[Any, ...]:
    record = run.record
    fingerprint, draw, test_rows, seed, search = run.pair
    return (
        run.dataset, run.method, record.config["architecture"]["name"], record.config["weighting"]["name"],
        record.purpose, record.id, record.status, seed, search, draw, fingerprint, test_rows, record.best_epoch,
        record.cost.get("parameters"), record.cost.get("embedding_parameters"), record.shared_parameters,
        record.cost.get("multiply_adds"), record.cost.get("train_seconds"),
    )  # fmt: skip


def values_on_test(study: Study, selection: SelectionName) -> dict[str, Values]:
    """The defined test metrics of a study, by data set."""
    values: dict[str, Values] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for run in study.runs:
        record, pair = run.record, run.pair
        of_run = record.metrics if selection == "joint" else record.metrics_per_task
        for task, row in of_run.get("test", {}).items():
            for metric, value in row.items():
                if (number := usable(value)) is not None:
                    values[run.dataset][task, metric][run.method][pair] = number
    return {dataset: {key: dict(methods) for key, methods in rows.items()} for dataset, rows in values.items()}


def cost(runs: list[Run]) -> tuple[int | None, int | None, float | None]:
    """Parameters, parameters shared between tasks, and the median seconds of training."""
    shared = next((run.record.shared_parameters for run in runs), None)
    return size(runs, "parameters"), shared, median([run.record.cost.get("train_seconds") for run in runs])


def size(runs: Sequence[Run], key: str) -> int | None:
    """A size of a method's models: the median over its runs, because each search may choose another; None if unknown.

    Args:
        runs: The runs of one method.
        key: A key of `Record.cost`: parameters, embedding_parameters or multiply_adds (older records lack it).
    """
    middle = median([run.record.cost.get(key) for run in runs])
    return None if middle is None else round(middle)


def sizes(runs: Sequence[Run]) -> dict[str, int | None]:
    """The sizes of a method's models that are shown side by side; see `size`.

    Returns:
        parameters_outside_embeddings, as `match_parameters` counts them; embedding_parameters; and multiply_adds, of a row.
    """
    costs = [run.record.cost for run in runs]
    known = [c for c in costs if c.get("parameters") is not None and c.get("embedding_parameters") is not None]
    outside = median([c["parameters"] - c["embedding_parameters"] for c in known])
    return {
        "parameters_outside_embeddings": None if outside is None else round(outside),
        "embedding_parameters": size(runs, "embedding_parameters"),
        "multiply_adds": size(runs, "multiply_adds"),
    }


def same_machine(runs: Iterable[Run]) -> bool:
    """Whether seconds of these runs are comparable: the same platform, number of cores, device and number of threads."""
    machines = {
        (
            *(run.record.environment.get(key) for key in ("platform", "cores")),
            *(run.record.cost.get(key) for key in ("device", "threads")),
        )
        for run in runs
    }
    return len(machines) == 1


def median(numbers: Sequence[float | None]) -> float | None:
    """Median of the values that are not None; None if all are."""
    known = sorted(float(number) for number in numbers if number is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
