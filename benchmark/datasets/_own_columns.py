"""What the columns of a user's table are used for, and the parser of each use; R rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

from benchmark.datasets._columns import categories
from benchmark.datasets._description import (
    BY_COLUMN,
    IGNORE,
    MULTI,
    NUMERIC,
    SEQUENCE,
    TIME,
    WEIGHT,
    Description,
    OwnColumn,
)
from benchmark.datasets._fault import Fault, refuse
from benchmark.datasets._own_times import parse_times
from benchmark.datasets.table import SPLITS
from benchmark.kinds import KINDS, Transform
from benchmark.schema import Task

FEATURE, LABEL, SPLIT = "x:", "y:", "split"
"""The columns of what `read_file` returns: features, time and title by `x:<name>`, labels by `y:<task>`, the split's column."""
_BINARY = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}

Parse = Callable[[pl.Series], pl.Series]


def uses_of(description: Description) -> list[tuple[str, str, Parse]]:
    """Every use of a column: its name in the result, the column, and what parses it."""
    used = [column for column in description.columns.values() if column.kind != IGNORE]
    found = [(f"{FEATURE}{column.name}", column.name, _parser(column, description)) for column in used]
    found += [(f"{LABEL}{task.name}", description.labels[task.name], _label(task)) for task in description.tasks]
    if description.rule == BY_COLUMN:
        meaning = {text: SPLITS[split] for split in SPLITS for text in description.split[split]}
        found.append((SPLIT, description.split["column"], partial(_split_number, meaning=meaning)))
    return found


def _parser(column: OwnColumn, description: Description) -> Parse:
    if column.kind == NUMERIC:
        return _number
    if column.kind == TIME:
        return partial(_times, of=column, required=description.rule == TIME)
    if column.kind == WEIGHT:
        return _weight
    if column.kind in (MULTI, SEQUENCE):
        return partial(_list, separator=column.options["separator"])
    return _category


def _label(task: Task) -> Parse:
    if KINDS.get(task.kind) is not None and KINDS[task.kind].is_binary:
        return _binary
    return _logged if task.transform is Transform.LOG1P else _number


def _category(values: pl.Series) -> pl.Series:
    return categories(f"column {values.name!r}", values, len(values))


def _number(values: pl.Series) -> pl.Series:
    """(R,) finite float64; NaN is missing."""
    dtype = values.dtype
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Null)):
        raise Fault(None, f"expected numbers, found polars' {dtype}")
    numbers = values.cast(pl.Float64, strict=False)
    refuse(values, numbers.is_null() & values.is_not_null(), "a number")
    refuse(values, numbers.is_infinite(), "a finite number")
    return numbers.fill_nan(None)


def _binary(values: pl.Series) -> pl.Series:
    """(R,) 0 or 1."""
    if values.dtype == pl.String:
        found = values.str.to_lowercase().replace_strict(_BINARY, default=None, return_dtype=pl.Float64)
    else:
        numbers = _number(values)
        found = numbers.set((numbers != 0) & (numbers != 1), None)
        values = values.fill_nan(None) if values.dtype.is_float() else values
    refuse(values, found.is_null() & values.is_not_null(), "0 or 1, or nothing where it was not observed")
    return found


def _logged(values: pl.Series) -> pl.Series:
    numbers = _number(values)
    refuse(values, numbers <= -1, "a number above -1, of which log1p is finite")
    return numbers.log1p()


def _weight(values: pl.Series) -> pl.Series:
    numbers = _number(values)
    refuse(values, (numbers < 0) | numbers.is_null(), "a weight of at least 0")
    return numbers


def _times(values: pl.Series, of: OwnColumn, *, required: bool) -> pl.Series:
    if required:
        refuse(values, values.is_null(), "a time, by which the rows are split")
    return parse_times(values, of.options["unit"], of.options["format"])


def _split_number(values: pl.Series, meaning: dict[str, int]) -> pl.Series:
    """(R,) int8 of TRAIN, VALIDATION and TEST."""
    found = values.cast(pl.String).replace_strict(meaning, default=None, return_dtype=pl.Int8)
    refuse(values, found.is_null(), f"{', '.join(map(repr, meaning))} (split)")
    return found


def _list(values: pl.Series, separator: str | None) -> pl.Series:
    """(R,) lists of texts or integers without empty ones; null where all is missing."""
    if values.dtype.base_type() not in (pl.List, pl.Array):
        if separator is None:
            raise Fault(None, "expected lists, found single values; write the key separator")
        texts = values.cast(pl.String)
        parts = texts.str.split(separator).list.eval(pl.element().str.strip_chars())
        values = parts.list.eval(pl.element().filter(pl.element() != ""))
    else:
        inner: Any = values.dtype
        if not (inner.inner.is_integer() or inner.inner.base_type() in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
            raise Fault(None, f"expected lists of text or whole numbers, found lists of {inner.inner}")
        to = pl.Int64 if inner.inner.is_integer() else pl.String
        values = values.cast(pl.List(to)).list.drop_nulls()
    return values


NUMBERS = (_number, _logged, _weight)
"""The parsers of columns that are read as numbers."""
