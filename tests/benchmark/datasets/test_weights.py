"""Weights of rows from the table to the splits, the fingerprint and the record."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.prepare import Table
from tests.benchmark.datasets.toy import made, table

WEIGHTS = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])


def weighted(values: Any) -> Table:
    return table(weights=values)


def test_weights_follow_their_rows_into_the_splits() -> None:
    data = made(lambda: weighted(WEIGHTS), ("click", "seconds"))
    found = [split.weights for split in (data.train, data.validation, data.test)]
    assert [weights.tolist() for weights in found] == [  # type: ignore[union-attr]
        [[1], [2], [3], [4]],
        [[5], [6]],
        [[7], [8]],
    ]
    assert data.facts["weights"] == {"all tasks": [1.0, 2.5, 4.0]}
    assert made().train.weights is None and "weights" not in made().facts


def test_a_task_may_have_weights_of_its_own() -> None:
    data = made(lambda: weighted({"seconds": WEIGHTS.astype(int)}), ("click", "seconds"))
    assert data.train.weights.tolist() == [[1, 1], [1, 2], [1, 3], [1, 4]]  # type: ignore[union-attr]
    assert data.facts["weights"] == {"click": [1.0, 1.0, 1.0], "seconds": [1.0, 2.5, 4.0]}
    assert made(lambda: weighted({"seconds": WEIGHTS}), ("click",)).train.weights is None  # the task is not chosen


def test_the_fingerprint_has_the_weights_and_only_where_there_are_any() -> None:
    plain = made().fingerprint
    assert made(lambda: weighted(None)).fingerprint == plain
    prints = [
        made(lambda values=values: weighted(values)).fingerprint
        for values in (WEIGHTS, WEIGHTS.tolist(), WEIGHTS[::-1], {"click": WEIGHTS})
    ]
    assert prints[0] == prints[1]
    assert len({plain, *prints}) == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(WEIGHTS == 3, -1, WEIGHTS), r"^weights: expected finite numbers of at least 0, found -1 in row 2; rows of"),
        (np.where(WEIGHTS == 8, np.nan, WEIGHTS), r"^weights: expected finite numbers of at least 0, found nan in row 7"),
        ({"click": WEIGHTS * [1, np.inf, 1, 1, 1, 1, 1, 1]}, r"^weights of task 'click': expected .*, found inf in row 1"),
        (WEIGHTS[:5], r"^weights: expected 8 values, one for each row of `split`, found 5"),
        (["a"] * 8, r"^weights: expected numbers, NaN where missing, found 'a' in row 0"),
        ({"clicks": WEIGHTS}, r"^weights: expected names of tasks, found 'clicks'; the table has labels of click, purch"),
        (np.array([0, 0, 0, 9.0, 1, 1, 1, 1]), r"^task 'click': all 3 labels in train have the weight 0; leave the task out"),
    ],
)  # fmt: skip
def test_wrong_weights_are_named(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(lambda: weighted(values))


def test_weights_may_be_an_expression_like_any_column() -> None:
    frame = pl.LazyFrame({"weight": WEIGHTS})
    whole = made(lambda: weighted(WEIGHTS), ("click",))
    for weights in (pl.col("weight"), {"click": pl.col("weight"), "seconds": np.ones(8)}):
        data = made(lambda weights=weights: table(weights=weights, frame=frame), ("click",))
        np.testing.assert_array_equal(data.train.weights, whole.train.weights)
    with pytest.raises(ValueError, match=r"^weights: expected finite numbers of at least 0, found -3 in row 0"):
        made(lambda: table(weights=pl.col("weight") - 4, frame=frame), ("click",))
