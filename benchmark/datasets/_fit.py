"""Vocabularies, bins and scales, fitted on the train rows only; R rows."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import polars as pl

from benchmark.datasets.table import TRAIN, Table, number_categories
from benchmark.schema import Arrays, CategoricalField, Field, NumericField, OtherField

MAX_BINS = 40  # of a numeric column, beside those of zero and of missing
ZERO_SHARE = 0.2  # where more of train than this is zero, zero is a bin of its own
TREATMENTS = ("bins", "standardise", "raw")


@dataclass(frozen=True, slots=True)
class FittedColumn:
    """One field as a model sees it.

    Args:
        field: As train makes it.
        origin: The column of the table that it is made of.
        values: (R,) int32 or float32, or the arrays of another kind.
        vocabulary: For a field with codes, the values behind the numbers from 1 on (None: missing); otherwise None.
    """

    field: Field
    origin: str
    values: np.ndarray | Arrays
    vocabulary: list[Any] | None

    def take(self, rows: np.ndarray) -> Any:
        """The values of the rows of these numbers."""
        if isinstance(self.field, OtherField):
            return self.field.take(cast(Arrays, self.values), rows)
        return cast(np.ndarray, self.values)[rows]

    def usual(self, rows: np.ndarray) -> Any:
        """One value in place of those of these rows: the most frequent code, the mean number, or what the kind says."""
        values = self.take(rows)
        if isinstance(self.field, OtherField):
            return self.field.usual(values)
        return np.bincount(values).argmax() if isinstance(self.field, CategoricalField) else values.mean()


def count_fields(table: Table, numeric: str, owned: Container[str]) -> tuple[int, int]:
    """How many categorical and how many numeric fields `fitted` makes of the columns of these names."""
    numbers = sum(name in owned for name in table.numeric)
    return sum(name in owned for name in table.categorical) + numbers * (numeric == "bins"), numbers


def fitted(table: Table, numeric: str) -> Iterator[FittedColumn]:
    """The fields, categorical, numeric, others, one at a time: a log of hundreds of millions of rows is not held twice.

    Raises:
        ValueError: if a numeric column has an infinite value, or its bins the name of another column.
    """
    train = table.split == TRAIN
    for name in table.numeric if numeric == "bins" else ():
        if f"{name}_bin" in (*table.columns, *table.labels):
            raise ValueError(
                f"column '{name}_bin': numeric=bins makes a field of this name of the numeric column {name!r}; rename one of "
                "the two, or take numeric=standardise or raw"
            )
    for name, values in table.numeric.items():
        if np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            raise ValueError(
                f"column {name!r}: expected finite numbers, or NaN where missing, found {values[row]} in row {row}"
            )
    numbers = Numbers()
    for name in table.categorical:
        codes, numbers.vocabularies[name] = encode(table.series(name), train)
        yield _categorical(name, name, codes, numbers.vocabularies[name])
    if numeric == "bins":
        for name, values in table.numeric.items():
            yield _categorical(f"{name}_bin", name, *bins(values, train))
    for name, values in table.numeric.items():
        yield FittedColumn(NumericField(name), name, scale(values, train, standardise=numeric != "raw"), None)
    for other, values in table.others.items():
        made, arrays, vocabulary = other.fit(values, train, numbers)
        if made.num_rows(arrays) != len(train):
            raise ValueError(
                f"column {other.name!r}: expected {len(train)} values, one for each row of `split`, found {made.num_rows(arrays)}"
            )
        yield FittedColumn(made, other.name, arrays, vocabulary)


def _categorical(name: str, origin: str, codes: np.ndarray, vocabulary: list[Any]) -> FittedColumn:
    return FittedColumn(CategoricalField(name, len(vocabulary) + 1), origin, codes, vocabulary)


def encode(column: pl.Series, train: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Numbers categories: 0 is unseen in train, then train's values in their order, then missing if train has it.

    Shape:
        column: (R,) strings or integers; train: (R,) bool; returns (R,) int32 and what the numbers from 1 on stand for.
    """
    seen = column.filter(pl.Series(train))
    values = seen.drop_nulls().unique().sort()
    has_missing = seen.null_count() > 0
    codes = number_categories(column, values, missing=len(values) + 1 if has_missing else 0)
    return codes, values.to_list() + [None] * has_missing


class Numbers:
    """The categorical fields' numbers, for columns of other kinds: see `benchmark.schema.Numbering`.

    Attributes:
        vocabularies: Of each categorical field, the values behind the numbers from 1 on.
    """

    def __init__(self) -> None:
        self.vocabularies: dict[str, list[Any]] = {}

    def fit(self, column: pl.Series, train: np.ndarray) -> tuple[np.ndarray, list[Any]]:
        """Numbers values of a column's own, see `encode`."""
        return encode(column, train)

    def of(self, field: str, column: pl.Series) -> tuple[np.ndarray, int]:
        """Numbers values as this categorical field does: the codes, and its cardinality."""
        vocabulary = self.vocabularies[field]
        values = pl.Series(
            [value for value in vocabulary if value is not None], dtype=None if vocabulary else pl.String
        )
        if column.dtype != values.dtype:  # text and integers that read alike are alike
            column, values = column.cast(pl.String), values.cast(pl.String)
        return number_categories(column, values), len(vocabulary) + 1


def bins(values: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Numbers the train quantile bins of a numeric column, then those of zero and of missing where train has them.

    Shape:
        values: (R,) float64; train: (R,) bool; returns (R,) int32 and the names of the bins from 1 on, None: missing.
    """
    seen = values[train]
    has_missing = bool(np.isnan(seen).any())
    own_zero = bool((seen == 0).sum() > ZERO_SHARE * len(seen))
    rest = seen[~np.isnan(seen)]
    if own_zero:
        rest = rest[rest != 0]
    edges = np.empty(0)
    if len(rest):
        # quantiles among the values themselves: between two of them an edge would make an empty bin
        edges = np.unique(np.quantile(rest, np.linspace(0, 1, MAX_BINS + 1)[1:-1], method="higher"))
        edges = edges[edges > rest.min()]
    codes = np.searchsorted(edges, values, side="right").astype(np.int32) + np.int32(1)
    names: list[Any] = [f"[{low:g}, {high:g})" for low, high in pairwise([-np.inf, *edges, np.inf])]
    if own_zero:
        names.append("0")
        codes[values == 0] = len(names)
    if has_missing:
        names.append(None)
    codes[np.isnan(values)] = len(names) if has_missing else 0
    return codes, names


def scale(values: np.ndarray, train: np.ndarray, *, standardise: bool) -> np.ndarray:
    """(R,) float32: the column with train's mean where it is missing, and standardised on train if asked for.

    A column that is constant in train is only centred: its computed deviation is rounding error, and need not be 0.
    """
    seen = values[train & ~np.isnan(values)]
    mean = seen.mean() if len(seen) else 0.0
    std = seen.std() if len(seen) and seen.min() < seen.max() else 0.0
    filled = np.where(np.isnan(values), mean, values)
    if standardise:
        filled = (filled - mean) / (std if std > 0 else 1.0)
    return filled.astype(np.float32)
