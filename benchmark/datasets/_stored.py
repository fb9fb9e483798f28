"""Columns that live on disk: what the expressions of a `Table` give, written by polars in one streaming pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from benchmark import pieces
from benchmark.datasets.table import ALL, Table


@dataclass(frozen=True, slots=True)
class Stored:
    """A column of a Parquet file. A slice of it is read when it is asked for, and nothing is kept.

    Args:
        path: The file.
        name: The column's name there.
        num_rows: R.
        clean: What a slice, as a polars series, becomes.
    """

    path: Path
    name: str
    num_rows: int
    clean: Callable[[pl.Series], Any] = lambda column: column

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, part: slice) -> Any:
        start, stop, _ = part.indices(self.num_rows)
        frame = pl.scan_parquet(self.path, glob=False).select(self.name).slice(start, stop - start).collect()
        return self.clean(frame[self.name])


def count_rows(frame: pl.LazyFrame) -> int:
    """R."""
    number: int = frame.select(pl.len()).collect(engine="streaming").item()
    return number


def stored(table: Table, folder: Path) -> Table:
    """The table with a `Stored` column in place of every expression.

    All expressions are evaluated together, so that the file behind `Table.frame` is read once and rows stay together.

    Args:
        table: As a reader gives it.
        folder: Where the columns are written.

    Raises:
        ValueError: if there are expressions, but no frame that they are about.
    """
    places: dict[str, dict[str, Any]] = {
        "categorical": table.categorical,
        "numeric": table.numeric,
        "labels": table.labels,
        "others": {other.name: values for other, values in table.others.items()},
        "split": {"split": table.split},
        "weights": dict(table.weights) if isinstance(table.weights, Mapping) else {ALL: table.weights},
    }
    expressions = {
        f"{place}.{name}": values.alias(f"{place}.{name}")
        for place, columns in places.items()
        for name, values in columns.items()
        if isinstance(values, pl.Expr)
    }
    if not expressions:
        return table
    if table.frame is None:
        name = next(iter(expressions)).partition(".")[2]
        raise ValueError(f"column {name!r}: a polars expression is about Table.frame, which is None")
    path = folder / "columns.parquet"
    table.frame.select(*expressions.values()).sink_parquet(path, compression="lz4", row_group_size=pieces.PIECE)
    num_rows = count_rows(pl.scan_parquet(path, glob=False))

    def column(place: str, name: str) -> Any:
        key = f"{place}.{name}"
        return Stored(path, key, num_rows) if key in expressions else places[place][name]

    return replace(
        table,
        categorical={name: column("categorical", name) for name in table.categorical},
        numeric={name: column("numeric", name) for name in table.numeric},
        labels={name: column("labels", name) for name in table.labels},
        others={other: column("others", other.name) for other in table.others},
        split=column("split", "split"),
        weights=None if table.weights is None else {name: column("weights", name) for name in places["weights"]},
        frame=None,
    )
