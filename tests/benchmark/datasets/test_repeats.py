"""Rows that equal an earlier one are found in pieces, and are those that polars finds with all rows in memory."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmark import pieces
from benchmark.datasets._repeats import without_repeats


def log(num_rows: int = 6000) -> pl.DataFrame:
    """Numbers of few values, with nothing and NaN among them, so that a fifth of the rows repeat others."""
    row = pl.int_range(num_rows, eager=True)
    return pl.DataFrame(
        {
            "user": (row * 7 % 31).cast(pl.Int32),
            "flag": (row * 5 % 3).cast(pl.Int8),
            "time": (row * 11 % 13).replace(4, None).cast(pl.Int64),
            "ratio": (row * 3 % 4).cast(pl.Float64).replace(3.0, float("nan")),
        }
    )


@pytest.mark.parametrize("size", [7, 100, 1 << 20])
def test_the_first_of_equal_rows_stays_whatever_the_size_of_a_piece(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", size)
    whole = log()
    expected = whole.unique(maintain_order=True)
    assert len(expected) == 31 * 3 * 13 * 4
    kept, num_rows, num_repeats = without_repeats(whole.lazy())
    assert_frame_equal(kept.collect(), expected)
    assert (num_rows, num_repeats) == (6000, 6000 - len(expected))


def test_without_repeats_nothing_is_left_out() -> None:
    whole = pl.DataFrame({"a": [0, 1, 0], "b": [0.0, 0.0, 1.0]})
    kept, num_rows, num_repeats = without_repeats(whole.lazy())
    assert_frame_equal(kept.collect(), whole)
    assert (num_rows, num_repeats) == (3, 0)


def test_an_empty_log_stays_empty() -> None:
    kept, num_rows, num_repeats = without_repeats(pl.DataFrame({"a": []}, schema={"a": pl.Int64}).lazy())
    assert (len(kept.collect()), num_rows, num_repeats) == (0, 0, 0)
