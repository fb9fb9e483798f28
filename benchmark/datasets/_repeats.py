"""Rows that a log has more than once, found with the memory of a piece: logs of hundreds of millions of rows have some. R rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmark import pieces
from benchmark.datasets._leaks import hash_rows
from benchmark.datasets._stored import count_rows

_ROW = "row of the log"


def without_repeats(log: pl.LazyFrame) -> tuple[pl.LazyFrame, int, int]:
    """The rows that equal no earlier one, in their order.

    Rows are compared by hashes of 64 bits. They are kept on disk, 16 bytes per row, where the system has its temporary files.

    Args:
        log: Columns of numbers. It is read twice, and again when the result is used.

    Returns:
        The rows; how many rows the log has; how many were left out.
    """
    num_rows = count_rows(log)
    hashed_R = pieces.on_disk((num_rows,), np.uint64)
    start = 0
    for batch in log.collect_batches(chunk_size=pieces.PIECE, maintain_order=True, engine="streaming"):
        hash_rows(hashed_R[start : start + len(batch)], [_numbers(column) for column in batch])
        start += len(batch)
    repeated = _repeated(hashed_R)
    if not len(repeated):
        return log, num_rows, 0
    return (
        log.with_row_index(_ROW).filter(~pl.col(_ROW).is_in(pl.Series(repeated).implode())).drop(_ROW),
        num_rows,
        len(repeated),
    )


def _numbers(column: pl.Series) -> np.ndarray:
    """(P, 1) numbers of 8 bytes, equal where the values are; nothing is a number that no log has."""
    if column.dtype.is_float():
        return column.cast(pl.Float64).to_numpy()[:, None]
    return column.cast(pl.Int64).fill_null(np.iinfo(np.int64).min).to_numpy()[:, None]


def _repeated(hashed_R: np.ndarray) -> np.ndarray:
    """The numbers of the rows whose hash an earlier row has."""
    ordered = pieces.on_disk(hashed_R.shape, np.uint64)
    ordered[:] = hashed_R
    ordered.sort()
    twice = [np.empty(0, np.uint64)]
    for part in pieces.pieces(len(ordered)):
        around = ordered[part.start : part.stop + 1]
        twice.append(around[1:][around[1:] == around[:-1]])
    several = np.unique(np.concatenate(twice))
    if not len(several):
        return np.empty(0, np.uint32)
    rows, hashes = [], []
    for part in pieces.pieces(len(hashed_R)):
        piece = hashed_R[part]
        places = np.searchsorted(several, piece).clip(max=len(several) - 1)
        found = np.flatnonzero(several[places] == piece)
        rows.append(found + part.start)
        hashes.append(piece[found])
    row, hash_ = np.concatenate(rows), np.concatenate(hashes)
    _, first = np.unique(hash_, return_index=True)
    return np.delete(row, first).astype(np.uint32)
