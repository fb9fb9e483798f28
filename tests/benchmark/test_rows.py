"""Features: taken, cut, joined and checked as one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.contracts.toys import LIKE, make_schema
from benchmark.rows import Batch, Features
from benchmark.schema import Schema

SCHEMA = make_schema(LIKE, cardinalities=(3, 5), num_numeric=1)
CODES, NUMBERS = np.array([[0, 4], [2, 0], [1, 1]], np.int32), np.array([[0.5], [1.5], [2.5]], np.float32)


def features(codes: np.ndarray = CODES, numbers: np.ndarray = NUMBERS) -> Features:
    return Features(SCHEMA.fields, codes, numbers)


def test_rows_are_taken_by_number_from_arrays_and_from_tensors() -> None:
    index = np.array([2, 0, 2])
    for taken in (features().take(index), features().to("cpu").take(torch.from_numpy(index))):
        assert len(taken) == 3
        np.testing.assert_array_equal(taken.categorical, CODES[index])
        np.testing.assert_array_equal(taken.numeric, NUMBERS[index])


def test_a_cut_is_a_view_and_may_reach_beyond_the_end() -> None:
    cut = features().cut(1, 9)
    assert np.shares_memory(cut.categorical, CODES) and np.shares_memory(cut.numeric, NUMBERS)
    np.testing.assert_array_equal(cut.categorical, CODES[1:])


def test_tensors_have_the_types_that_models_take() -> None:
    moved = features(CODES.astype(np.int64), NUMBERS.astype(np.float64)).to("cpu")
    assert (moved.categorical.dtype, moved.numeric.dtype) == (torch.int32, torch.float32)


def test_a_column_is_found_by_name() -> None:
    assert features().column("c1").tolist() == [4, 0, 1]
    assert features().column("n0").tolist() == [0.5, 1.5, 2.5]


def test_joined_are_the_columns_of_the_parts_in_the_order_of_the_fields() -> None:
    c0, c1, n0 = SCHEMA.fields
    last = Features((c1,), CODES[:, 1:], NUMBERS[:, :0])
    first = Features((c0, n0), CODES[:, :1], NUMBERS)
    joined = Features.join(SCHEMA.fields, [last, first])
    assert joined.fields == SCHEMA.fields
    assert (joined.categorical.dtype, joined.numeric.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(joined.categorical, CODES)
    np.testing.assert_array_equal(joined.numeric, NUMBERS)
    np.testing.assert_array_equal(joined.flat(), np.concatenate([CODES, NUMBERS], axis=1))


def test_a_batch_is_taken_and_cut_whole() -> None:
    batch = Batch(features().to("cpu"), torch.arange(3.0)[:, None], torch.tensor([[True], [False], [True]]))
    taken, cut = batch.take(torch.tensor([2, 1])), batch.cut(1, 3)
    assert (taken.labels.flatten().tolist(), taken.observed.flatten().tolist()) == ([2, 1], [True, False])
    assert (cut.labels.flatten().tolist(), cut.categorical.tolist()) == ([1, 2], CODES[1:].tolist())


def test_the_whole_range_of_every_field_is_allowed() -> None:
    features().check(SCHEMA, "train")
    features().cut(0, 0).check(SCHEMA, "train")
    none = make_schema(LIKE, cardinalities=(), num_numeric=1)
    Features(none.fields, CODES[:, :0], NUMBERS).check(none, "train")


@pytest.mark.parametrize(("column", "code", "most"), [(0, 3, 2), (0, -1, 2), (1, 5, 4), (1, 2**32, 4)])
def test_a_code_outside_is_named(column: int, code: int, most: int) -> None:
    codes = CODES.astype(np.int64)
    codes[1, column] = code
    with pytest.raises(ValueError, match=rf"^validation: field 'c{column}' has codes 0 to {most}, found {code} \("):
        features(codes).check(SCHEMA, "validation")


def test_other_fields_or_another_number_of_columns_or_rows_are_named() -> None:
    with pytest.raises(ValueError, match=r"test: categorical must be \(3, 2\), found \(3, 1\)"):
        features(CODES[:, :1]).check(SCHEMA, "test")
    with pytest.raises(ValueError, match=r"test: numeric must be \(3, 1\), found \(1, 1\)"):
        features(CODES, NUMBERS[:1]).check(SCHEMA, "test")
    wider = make_schema(LIKE, cardinalities=(3, 6), num_numeric=1)
    with pytest.raises(ValueError, match=r"test: expected the field .*cardinality=6\), found .*cardinality=5\)"):
        features().check(wider, "test")


@pytest.mark.parametrize(
    ("codes", "numbers", "message"),
    [
        (CODES + 0.5, NUMBERS, "train: categorical codes must be integers, found float64; cast them"),
        (
            CODES,
            np.array([[0.5], [np.nan], [2.5]], np.float32),
            "train: field 'n0' must be finite, found nan in its sum",
        ),
        (
            CODES,
            np.array([[0.5], [np.inf], [2.5]], np.float32),
            "train: field 'n0' must be finite, found inf in its sum",
        ),
    ],
)
def test_values_that_a_model_cannot_take_are_refused(codes: np.ndarray, numbers: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features(codes, numbers).check(SCHEMA, "train")


def test_a_schema_without_fields_is_refused() -> None:
    empty = Features((), np.empty((3, 0), np.int32), np.empty((3, 0), np.float32))
    with pytest.raises(ValueError, match="train: expected at least one field in the schema, found none"):
        empty.check(Schema((), (), (LIKE,)), "train")
