"""The cost of every method: seconds, memory, parameters, epochs."""

from __future__ import annotations

from typing import Any

from benchmark.analysis.results import Results
from benchmark.analysis.study import Run
from benchmark.analysis.values import cost, median
from benchmark.reporting.cells import size_cells, size_columns
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.text import ABSENT, count, in_seconds


def cost_table(results: Results) -> TextTable | None:
    """Medians over seeds, with the seconds relative to the baseline's."""
    group, rows, sizes = results.group, [], size_columns(results.group)
    base = cost(group.finished[results.baseline])[2] if results.baseline is not None else None
    for method in sorted(group.by_method, key=lambda m: (cost(group.finished[m])[2] or float("inf"), m)):
        runs = group.finished[method]
        parameters, shared, seconds = cost(runs)
        if not runs or (parameters is None and seconds is None):
            continue
        ratio = f"{seconds / base:.2f}" if seconds is not None and base else ABSENT
        epochs = median([run.record.best_epoch for run in runs])
        rate, memory = _median(runs, "rows_per_second"), _median(runs, "peak_memory_bytes")
        cells = [Cell(in_seconds(seconds)), *([Cell(ratio)] if base else [])]
        cells += [Cell(count(rate), value=rate), Cell(f"{memory / 2**20:.0f}" if memory else ABSENT)]
        cells += [Cell(f"{epochs:g}" if epochs is not None else ABSENT)]
        known = size_cells(group, method)
        cells += [*(known[column.key] for column in sizes), Cell(count(shared), value=shared)]
        rows.append(Row((Cell(method, method=method), *cells)))
    if not rows:
        return None
    columns = (
        Column("method", numeric=False), Column("seconds", "train\u00a0s"), *([Column("ratio", "to the baseline's")] if base else []),
        Column("rate", "rows/s"), Column("memory", "peak MiB"), Column("epochs", "epochs to the best"),
        *sizes, Column("shared", "shared parameters"),
    )  # fmt: skip
    where = ", ".join(sorted({str(run.record.cost.get("device", "unknown")) for run in group.runs if run.finished}))
    return TextTable(
        "cost", "Cost of each method", columns, tuple(rows), f"medians over seeds; on {where}", detail=True, folded=True,
    )  # fmt: skip


def _median(runs: list[Run], key: str) -> float | None:
    values: list[Any] = [run.record.cost.get(key) for run in runs]
    return median(values)
