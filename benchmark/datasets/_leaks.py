"""What no column shows alone: a field that is a label under another name, and rows of test that train has too; R rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from benchmark.datasets.table import LEFT_OUT, Table
from benchmark.kinds import KINDS
from benchmark.schema import Task

_BLOCK = 1 << 15  # rows hashed at a time: they stay in the processor's cache


def refuse_labels_as_fields(table: Table, labels_RT: np.ndarray, tasks: Sequence[Task]) -> None:
    """Refuses a field that is equal to a label wherever that is observed.

    A field of two values, one for either class, is equal to a binary label whatever they are called. A regression label is
    compared in the target and in its unit.

    Args:
        table: The parsed columns.
        labels_RT: (R, T) labels of the tasks, each observed somewhere.
        tasks: The chosen ones.

    Raises:
        ValueError: naming field and task.
    """
    for task, label in zip(tasks, labels_RT.T, strict=True):
        known = np.flatnonzero((table.split != LEFT_OUT) & ~np.isnan(label))
        is_same = _same_groups if KINDS[task.kind].is_binary else _same_values
        for name in (*table.categorical, *table.numeric):
            column = pl.Series(table.numeric[name]) if name in table.numeric else table.series(name)
            if is_same(column, task, label, known):
                raise ValueError(
                    f"column {name!r} is the label of task {task.name!r}, on all {len(known)} rows where that is observed; "
                    "leave out the column, or the task"
                )


def _same_groups(column: pl.Series, _: Task, label: np.ndarray, known: np.ndarray) -> bool:
    for rows in (known[:1000], known):  # the first rows tell nearly every column apart
        values = column.gather(rows)
        first = values.eq_missing(pl.Series([values[0]], dtype=values.dtype))
        if not np.array_equal(first.to_numpy(), label[rows] == label[rows[0]]):
            return False
    return values.filter(~first).n_unique() == 1


def _same_values(column: pl.Series, task: Task, label: np.ndarray, known: np.ndarray) -> bool:
    for rows in (known[:1000], known):
        values = column.gather(rows).cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        close = [
            np.allclose(values, other, rtol=1e-5, atol=0) for other in (label[rows], task.transform.undo(label[rows]))
        ]
        if not any(close):
            return False
    return True


def count_repeated(train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> int:
    """The number of rows of test that are in train too, equal in every column of every array.

    Args:
        train: Arrays of (R, W), of 4 or 8 bytes a number, with the same R.
        test: The same for the test rows.
    """
    known, asked = _hashes(train), _hashes(test)
    known.sort()
    places = np.searchsorted(known, asked).clip(max=len(known) - 1)
    return int((known[places] == asked).sum())


def _hashes(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """(R,) uint64: of 64 bits, so that among a billion pairs of different rows none is expected to be equal."""
    hashed = np.zeros(len(arrays[0]), dtype=np.uint64)
    for start in range(0, len(hashed), _BLOCK):
        part = hashed[start : start + _BLOCK]
        for array in arrays:
            block = np.ascontiguousarray(array[start : start + _BLOCK])
            if block.dtype.kind == "f":
                block = np.where(np.isnan(block), np.nan, block + 0).astype(block.dtype)  # one NaN, and one zero
            for column in block.view(f"u{block.itemsize}").T:
                _mix(part, column)
    return hashed


def _mix(state: np.ndarray, column: np.ndarray) -> None:
    """Takes a column into the state, in place: a step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    state ^= column
    state += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
