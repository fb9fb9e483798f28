"""What users had before: for every row of a log, the last items of its user in earlier rows of train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets.table import TRAIN, Table
from benchmark.lists import SequenceField
from benchmark.pieces import pieces

AT_ONCE = 1 << 16  # rows whose lists are made together


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """(R,) lists of items, the most recent last. Only those of the rows that are asked for are made.

    Indexed with a slice or an array of rows, it gives a polars series of lists, null where one is empty.

    Args:
        items_K: The items of train, one user's after another's, each user's in the order of time.
        past_K: Their moments. A moment is `span` times the number of the user, plus the number of the time.
        moment_R: The moments of the rows.
        first_U: The place of each user's first item, and K after the last user's. User 0 is unknown, and has none.
        span: More than the number of any time.
        length: The most items of a row.
        is_latest: Are they what is known after all of train, not only before a row?
    """

    items_K: pl.Series
    past_K: np.ndarray
    moment_R: np.ndarray
    first_U: np.ndarray
    span: int
    length: int
    is_latest: bool = False

    def __len__(self) -> int:
        return len(self.moment_R)

    def __getitem__(self, rows: Any) -> pl.Series:
        moments = self.moment_R[rows]
        return pl.concat([self._lists(moments[part]) for part in pieces(len(moments), AT_ONCE)])

    def _lists(self, moment_P: np.ndarray) -> pl.Series:
        who_P = moment_P // self.span
        end_P = self.first_U[who_P + 1] if self.is_latest else np.searchsorted(self.past_K, moment_P)
        start_P = np.maximum(self.first_U[who_P], end_P - self.length)
        lengths_P = end_P - start_P
        bounds_P = np.cumsum(lengths_P) - lengths_P
        places = np.arange(lengths_P.sum()) + np.repeat(start_P - bounds_P, lengths_P)
        every = pl.DataFrame({"row": np.arange(len(moment_P), dtype=np.int32)})
        row = np.repeat(every["row"].to_numpy(), lengths_P)
        found = pl.DataFrame({"row": row, "items": self.items_K.gather(places)}).group_by("row", maintain_order=True)
        return every.join(found.all(), on="row", how="left", maintain_order="left")["items"]


def history(user: Any, item: Any, time: Any, split: Any, length: int) -> Histories:
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
    users, items, times = pl.Series(user), pl.Series(item), pl.Series(time)
    if times.dtype.is_float():
        times = times.fill_nan(None)
    if times.null_count():
        raise ValueError(
            f"dataset.history={length} needs the time of every row, found {times.null_count():,} rows without one"
        )
    moment_R = times.rank("dense").to_numpy().astype(np.int64)  # from 1 on
    span = int(moment_R.max(initial=0)) + 1
    who_R = users.rank("dense").fill_null(0).to_numpy()  # from 1 on; 0: unknown
    moment_R += who_R.astype(np.int64) * span  # grows with the user, then with the time
    known = np.flatnonzero((np.asarray(split) == TRAIN) & (who_R > 0) & items.is_not_null().to_numpy())
    past_K = moment_R[known]
    order = np.argsort(past_K, kind="stable")
    past_K = past_K[order]
    first_U = np.searchsorted(past_K, np.arange(int(who_R.max(initial=0)) + 2) * span)
    return Histories(items.gather(known[order]), past_K, moment_R, first_U, span, length)


def with_history(table: Table, *, user: str, item: str, time: Any, length: int) -> Table:
    """The table with a field `history` that belongs to the user; unchanged if `length` is 0. See `history`.

    Args:
        table: With the split, and these two among its categorical columns.
        user: The name of the user's column.
        item: The name of the item's.
        time: As `history` takes it, or an expression over `Table.frame`; None if the files have none.
        length: The most items a row: `dataset.history`.
    """
    if not length:
        return table
    users, items, times, split = _evaluated(table, table.categorical[user], table.categorical[item], time, table.split)
    before = history(users, items, times, split, length)
    return replace(
        table,
        others={**table.others, SequenceField("history", of=item, max_length=length): before},
        user_fields=(*table.user_fields, "history"),
        latest={**table.latest, "history": replace(before, is_latest=True)},
    )


def _evaluated(table: Table, *columns: Any) -> list[Any]:
    """The columns, with what `Table.frame` has in place of expressions."""
    wanted = {str(place): column for place, column in enumerate(columns) if isinstance(column, pl.Expr)}
    if not wanted or table.frame is None:
        return list(columns)
    found = table.frame.select(**wanted).collect(engine="streaming")
    return [found[str(place)] if str(place) in wanted else column for place, column in enumerate(columns)]


def check_history(length: int, *, least: int = 0) -> None:
    """Checks `dataset.history`.

    Raises:
        ValueError: if it is below this number.
    """
    if length < least:
        raise ValueError(f"dataset.history must be at least {least}, found {length}")
