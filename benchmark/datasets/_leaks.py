"""What no column shows alone: a field that is a label under another name, and rows of test that train has too; R rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmark.datasets.table import LEFT_OUT, Table
from benchmark.kinds import KINDS
from benchmark.pieces import on_disk, pieces
from benchmark.schema import Task

_BLOCK = 1 << 15  # rows hashed at a time: they stay in the processor's cache
_FEW = 1000


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
        is_same = _same_groups if KINDS[task.kind].is_binary else _same_values
        for name in (*table.categorical, *table.numeric):
            if is_same(_known(table, name, label), task):
                known = sum(int((_is_known(table, label, part)).sum()) for part in pieces(len(label)))
                raise ValueError(
                    f"column {name!r} is the label of task {task.name!r}, on all {known} rows where that is observed; "
                    "leave out the column, or the task"
                )


Known = Iterator[tuple[pl.Series, np.ndarray]]  # a column and a label on the rows where this is observed, in pieces


def _known(table: Table, name: str, label: np.ndarray) -> Known:
    # the first rows tell nearly every column apart
    for part in (slice(0, min(_FEW, len(label))), *pieces(len(label))):
        rows = np.flatnonzero(_is_known(table, label, part))
        if len(rows):
            column = pl.Series(table.numeric[name][part]) if name in table.numeric else table.series(name, part)
            yield column.gather(rows), label[part][rows]


def _is_known(table: Table, label: np.ndarray, part: slice) -> np.ndarray:
    known: np.ndarray = (table.split[part] != LEFT_OUT) & ~np.isnan(label[part])
    return known


def _same_groups(known: Known, _: Task) -> bool:
    first: tuple[pl.Series, float] | None = None
    others: pl.Series | None = None
    for values, label in known:
        first = first or (values[:1], float(label[0]))
        is_first = values.eq_missing(first[0])
        if not np.array_equal(is_first.to_numpy(), label == first[1]):
            return False
        found = values.filter(~is_first).unique()
        others = found if others is None else pl.concat([others, found]).unique()
        if len(others) > 1:
            return False
    return others is not None and len(others) == 1


def _same_values(known: Known, task: Task) -> bool:
    is_target = is_value = True
    for column, label in known:
        values = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        is_target = is_target and np.allclose(values, label, rtol=1e-5, atol=0)
        is_value = is_value and np.allclose(values, task.transform.undo(label), rtol=1e-5, atol=0)
        if not (is_target or is_value):
            return False
    return True


def count_repeated(
    train: Sequence[Sequence[np.ndarray]], test: Sequence[Sequence[np.ndarray]], *, folder: Path | None = None
) -> Iterator[int]:
    """For each group of arrays, the number of rows of test that are in train too, equal in all columns up to this group.

    Args:
        train: Groups of arrays of (R, W), of 4 or 8 bytes a number, with the same R.
        test: The same for the test rows.
        folder: Where 16 bytes per row are kept meanwhile; see `on_disk`.
    """
    known, asked = (on_disk((len(groups[0][0]),), np.uint64, folder) for groups in (train, test))
    for new_known, new_asked in zip(train, test, strict=True):
        hash_rows(known, new_known)
        hash_rows(asked, new_asked)
        ordered, count = on_disk(known.shape, np.uint64, folder), 0
        ordered[:] = known
        ordered.sort()
        for part in pieces(len(asked)):
            places = np.searchsorted(ordered, asked[part]).clip(max=len(ordered) - 1)
            count += int((ordered[places] == asked[part]).sum())
        yield count


def hash_rows(hashed: np.ndarray, arrays: Sequence[np.ndarray]) -> None:
    """Takes arrays into the rows' hashes: of 64 bits, so that among a billion pairs of different rows none is expected equal.

    Args:
        hashed: (R,) uint64, 0 at first; changed in place.
        arrays: The columns, each of (R, W), of 4 or 8 bytes per number.
    """
    for start in range(0, len(hashed), _BLOCK):
        part = hashed[start : start + _BLOCK]
        for array in arrays:
            block = np.ascontiguousarray(array[start : start + _BLOCK])
            if block.dtype.kind == "f":
                block = np.where(np.isnan(block), np.nan, block + 0).astype(block.dtype)  # one NaN, and one zero
            for column in block.view(f"u{block.itemsize}").T:
                _mix(part, column)


def _mix(state: np.ndarray, column: np.ndarray) -> None:
    """Takes a column into the state, in place: a step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    state ^= column
    state += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
