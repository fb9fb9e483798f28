"""What users had before: for every row of a log, the last items of its user in earlier rows of train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets.table import TRAIN, Table
from benchmark.lists import SequenceField


def history(user: Any, item: Any, time: Any, split: Any, length: int, *, including: bool = False) -> pl.Series:
    """For each row, the last items that its user has in rows of train before this row in time.

    Rows at the same time are not before it, nor is the row itself, so no row sees itself, or what was shown with it. Rows of
    validation and test are in no history. Rows of train count whatever their labels are, and an item counts as often as it
    comes.

    Args:
        user: (R,) users, null: unknown, with no history.
        item: (R,) items, null: left out of histories.
        time: (R,) numbers or times, in any unit; None if the files have none.
        split: (R,) of TRAIN and others, as in `Table`.
        length: The most items a row, the last ones, at least 1.
        including: Rows at the same time, and the row itself, are before it too: so what is known after a row.

    Returns:
        (R,) lists of items, the most recent last; rows at one time in their order in the log.

    Raises:
        ValueError: if there are no times, a row has none, or `length` is below 1.
    """
    check_history(length, least=1)
    if time is None:
        raise ValueError(
            f"dataset.history={length} needs the time of every row, and these files have none; leave dataset.history at 0, or "
            "use files with times"
        )
    frame = pl.DataFrame({"user": pl.Series(user), "item": pl.Series(item), "time": pl.Series(time)})
    times = frame["time"]
    if times.dtype.is_float():
        times = times.fill_nan(None)
    if times.null_count():
        raise ValueError(
            f"dataset.history={length} needs the time of every row, found {times.null_count():,} rows without one"
        )
    who = frame["user"].rank("dense").fill_null(0).to_numpy().astype(np.int64)  # from 1 on; 0: unknown
    when = times.rank("dense").to_numpy().astype(np.int64)  # from 1 on
    moment_R = who * (when.max(initial=0) + 1) + when  # grows with the user, then with the time
    is_known = (np.asarray(split) == TRAIN) & (who > 0) & frame["item"].is_not_null().to_numpy()
    known = np.flatnonzero(is_known)
    known = known[np.argsort(moment_R[known], kind="stable")]
    past = moment_R[known]
    end_R = np.searchsorted(past, moment_R, side="right" if including else "left")
    first_R = np.searchsorted(past, moment_R - when, side="left")  # of the user
    start_R = np.where(who > 0, np.maximum(first_R, end_R - length), end_R)
    return _lists(frame["item"].gather(known), start_R, end_R)


def with_history(table: Table, *, user: str, item: str, time: Any, length: int) -> Table:
    """The table with a field `history` that belongs to the user; unchanged if `length` is 0. See `history`.

    Args:
        table: With the split, and these two among its categorical columns.
        user: The name of the user's column.
        item: The name of the item's.
        time: As `history` takes it; None if the files have none.
        length: The most items a row: `dataset.history`.
    """
    if not length:
        return table
    users, items = table.categorical[user], table.categorical[item]
    before, after = (history(users, items, time, table.split, length, including=after) for after in (False, True))
    return replace(
        table,
        others={**table.others, SequenceField("history", of=item, max_length=length): before},
        user_fields=(*table.user_fields, "history"),
        latest={**table.latest, "history": after},
    )


def check_history(length: int, *, least: int = 0) -> None:
    """Checks `dataset.history`.

    Raises:
        ValueError: if it is below this number.
    """
    if length < least:
        raise ValueError(f"dataset.history must be at least {least}, found {length}")


def _lists(items: pl.Series, start_R: np.ndarray, end_R: np.ndarray) -> pl.Series:
    """For each row, the items from `start` to before `end`."""
    lengths_R = end_R - start_R
    bounds = np.cumsum(lengths_R) - lengths_R
    places = np.arange(lengths_R.sum()) + np.repeat(start_R - bounds, lengths_R)
    rows = pl.Series("row", np.repeat(np.arange(len(lengths_R), dtype=np.int64), lengths_R))
    found = pl.DataFrame([rows, items.gather(places).alias("items")]).group_by("row", maintain_order=True).all()
    every = pl.DataFrame({"row": pl.Series(np.arange(len(lengths_R), dtype=np.int64))})
    return every.join(found, on="row", how="left", maintain_order="left")["items"]
