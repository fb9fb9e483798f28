"""What a reader's columns become at the door of `prepare`: one function for each sort of column; R rows.

Behind that door a category is text or an integer, a number is float64, a label is a float, and what is missing is null or
NaN. What is plainly meant is taken as that; the rest is refused with the column's name.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from decimal import Decimal
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._stored import Stored
from benchmark.datasets.table import LEFT_OUT, SPLITS, TRAIN, Table, is_coarse
from benchmark.kinds import KINDS
from benchmark.pieces import moments, pieces
from benchmark.schema import Task

_EXACT: dict[Any, int] = {pl.Float32: 2**24, pl.Float64: 2**53}  # beyond, neighbouring whole numbers are one
_CATEGORIES = "expected text or whole numbers, null where missing"
_NUMBERS = "expected numbers, NaN where missing"
_CONVERT = "convert it to numbers first"
_REWRITE = "write it all as text, or all as whole numbers"
_OBJECTS: tuple[tuple[Any, Callable[[Any], Any], Any], ...] = (  # what objects may be, one kind a column
    (str, str, pl.String),
    (bool | np.bool_, bool, pl.Boolean),
    (Integral, int, None),
    (Real, float, pl.Float64),
    (datetime.date, copy, None),
)


def cleaned(table: Table) -> Table:
    """The table with every column in its one form. What is stored takes that form piece by piece, whenever it is read.

    Raises:
        ValueError: for a column of the wrong sort or length, with its name, what was expected and what was found.
    """
    split = split_numbers(table.split[:] if isinstance(table.split, Stored) else table.split)

    def formed(what: str, values: Any, form: Callable[[str, Any, int], Any]) -> Any:
        if not isinstance(values, Stored):
            return form(what, values, len(split))
        _check_length(what, len(values), len(split))
        form(what, values[:0], 0)  # its type is known at once
        return replace(values, clean=lambda piece: form(what, piece, len(piece)))

    return replace(
        table,
        categorical={
            name: formed(f"column {name!r}", values, categories) for name, values in table.categorical.items()
        },
        numeric={name: formed(f"column {name!r}", values, _numbers) for name, values in table.numeric.items()},
        labels={name: formed(f"label {name!r}", values, floats) for name, values in table.labels.items()},
        split=split,
    )


def categories(what: str, values: Any, rows: int) -> pl.Series:
    """(R,) text or integers.

    Booleans, dates and polars' categories become text, whole floats integers; None and NaN are missing.

    Raises:
        ValueError: naming `what`.
    """
    column = _series(what, values)
    _check_length(what, len(column), rows)
    dtype = column.dtype
    if dtype == pl.String or dtype.is_integer():
        return column
    if dtype.base_type() in (pl.Boolean, pl.Date, pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if dtype.base_type() in _EXACT:
        column = column.fill_nan(None)
        odd = column.filter((column != column.floor()) | (column.abs() > _EXACT[dtype.base_type()]))
        if len(odd):
            raise ValueError(
                f"{what}: {_CATEGORIES}, found {odd[0]}; numbers that measure something belong in `numeric`, and large "
                "ids in an integer type"
            )
        return column.cast(pl.Int64)
    raise ValueError(f"{what}: {_CATEGORIES}, found {_dtype(dtype)}; {_REWRITE}")


def floats(what: str, values: Any, rows: int) -> np.ndarray:
    """(R,) float64, or float32 where that is what came; booleans are 0 and 1, and None is NaN.

    Raises:
        ValueError: naming `what`.
    """
    if isinstance(values, pl.Series) and values.dtype != pl.Object:
        if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
            raise ValueError(f"{what}: {_NUMBERS}, found {_dtype(values.dtype)}; {_CONVERT}")
        dtype = pl.Float32 if values.dtype == pl.Float32 else pl.Float64
        array = values.cast(dtype).fill_null(float("nan")).to_numpy()
    else:
        array = _array(what, values)
        if array.dtype == object:
            array = np.array([_number(what, row, value) for row, value in enumerate(array)], dtype=np.float64)
        if array.dtype.kind not in "biuf":
            found = "text" if array.dtype.kind in "US" else str(array.dtype)
            raise ValueError(f"{what}: {_NUMBERS}, found {found}; {_CONVERT}")
        if array.dtype != np.float32:
            array = array.astype(np.float64, copy=False)
    _check_length(what, len(array), rows)
    return array


def _numbers(what: str, values: Any, rows: int) -> np.ndarray:
    return floats(what, values, rows).astype(np.float64, copy=False)


def check_precision(table: Table, tasks: Sequence[Task]) -> None:
    """Refuses regression labels that were rounded to float32 before anybody could centre them.

    float32 has 24 bits: of seconds since 1970 it keeps steps of 128. Steps of a tenth of the labels' standard deviation cost
    .001 of R².

    Raises:
        ValueError: naming the task, the step and the deviation.
    """
    for task in tasks:
        label = table.labels[task.name]
        if not KINDS[task.kind].is_standardised or label[:0].dtype != np.float32:
            continue
        seen = moments(partial(_known_in_train, label, table.split))
        if is_coarse(seen):
            step = float(np.spacing(np.float32(seen.furthest)))
            raise ValueError(
                f"label {task.name!r}: came as float32, which has steps of {step:g} at {seen.furthest:g}, while the labels have a "
                f"standard deviation of {seen.std:.3g} in train; give float64"
            )


def _known_in_train(label: Any, split: np.ndarray) -> Iterator[np.ndarray]:
    for part in pieces(len(split)):
        column = label[part].astype(np.float64, copy=False)
        yield column[(split[part] == TRAIN) & np.isfinite(column)]


def split_numbers(values: Any) -> np.ndarray:
    """(R,) int8 of TRAIN, VALIDATION, TEST and LEFT_OUT.

    Raises:
        ValueError: for anything else.
    """
    array = _array("split", values)
    known = {number: name for name, number in SPLITS.items()} | {LEFT_OUT: "left out"}
    is_known = np.isin(array, list(known)) if array.dtype.kind in "iu" else [_is_split(value, known) for value in array]
    wrong = array[~np.asarray(is_known, dtype=bool)]
    if len(wrong):
        meaning = ", ".join(f"{number} ({name})" for number, name in known.items())
        raise ValueError(f"split: expected one of {meaning} for each row, found {wrong.tolist()[0]!r}")
    return array.astype(np.int8, copy=False)


def _is_split(value: Any, known: Mapping[int, str]) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) in known


def _series(what: str, values: Any) -> pl.Series:
    """The values as a typed series, whatever holds them."""
    if isinstance(values, pl.Series) and values.dtype != pl.Object:
        return values
    array = _array(what, values)
    if array.dtype.kind == "f" and array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.dtype.kind in "biufU" or array.dtype == "datetime64[D]":
        return pl.Series(array)
    if array.dtype != object:
        raise ValueError(f"{what}: {_CATEGORIES}, found {array.dtype}; {_REWRITE}")
    column = [None if _is_missing(value) else value for value in array]
    for kind, convert, dtype in _OBJECTS:
        if all(value is None or isinstance(value, kind) for value in column):
            with suppress(OverflowError, TypeError):  # beyond 128 bits; dates with and without a time
                return pl.Series([None if value is None else convert(value) for value in column], dtype=dtype)
    kinds = sorted({type(value).__name__ for value in column if value is not None})
    found = f"{', '.join(kinds[:-1])} and {kinds[-1]} together" if len(kinds) > 1 else kinds[0]
    raise ValueError(f"{what}: {_CATEGORIES}, found {found}; {_REWRITE}")


def _array(what: str, values: Any) -> np.ndarray:
    """The values as an array (R,). A list or objects keep each value as it is: numpy would turn a mixture into text."""
    if isinstance(values, np.ma.MaskedArray):
        values = values.tolist()  # None where masked
    if isinstance(values, pl.Series):
        values = values.to_list() if values.dtype == pl.Object else values.to_numpy()
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        array = np.fromiter(values, dtype=object, count=len(values))
    else:
        array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{what}: expected one value for each row, found the shape {array.shape}")
    return array


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, Real) and value != value)


def _number(what: str, row: int, value: Any) -> float:
    if _is_missing(value):
        return float("nan")
    if isinstance(value, Real | Decimal | np.bool_):
        with suppress(OverflowError):
            return float(value)
        raise ValueError(f"{what}: {_NUMBERS}, found a number beyond float64 in row {row}; {_CONVERT}")
    found = repr(value) if isinstance(value, str) else type(value).__name__
    raise ValueError(f"{what}: {_NUMBERS}, found {found} in row {row}; {_CONVERT}")


def _dtype(dtype: pl.DataType) -> str:
    return "text" if dtype == pl.String else f"polars' {dtype}"


def _check_length(what: str, found: int, rows: int) -> None:
    if found != rows:
        raise ValueError(f"{what}: expected {rows} values, one for each row of `split`, found {found}")
