"""Rows that do not fit a schema are refused, with field and value."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.contracts.toys import LIKE, make_schema
from benchmark.rows import check_rows

SCHEMA = make_schema(LIKE, cardinalities=(3, 5), num_numeric=1)
CODES, NUMBERS = np.array([[0, 4], [2, 0]], np.int32), np.zeros((2, 1), np.float32)


def test_the_whole_range_of_every_field_is_allowed() -> None:
    check_rows(SCHEMA, CODES, NUMBERS, "train")
    check_rows(SCHEMA, CODES[:0], NUMBERS[:0], "train")
    check_rows(make_schema(LIKE, cardinalities=(), num_numeric=1), CODES[:, :0], NUMBERS, "train")


@pytest.mark.parametrize(("column", "code", "most"), [(0, 3, 2), (0, -1, 2), (1, 5, 4), (1, 2**32, 4)])
def test_a_code_outside_is_named(column: int, code: int, most: int) -> None:
    codes = CODES.astype(np.int64)
    codes[1, column] = code
    with pytest.raises(ValueError, match=rf"^validation: field 'c{column}' has codes 0 to {most}, found {code} \("):
        check_rows(SCHEMA, codes, NUMBERS, "validation")


def test_another_number_of_columns_or_rows_is_named() -> None:
    with pytest.raises(ValueError, match=r"test: categorical must be \(2, 2\), found \(2, 1\)"):
        check_rows(SCHEMA, CODES[:, :1], NUMBERS, "test")
    with pytest.raises(ValueError, match=r"test: numeric must be \(2, 1\), found \(1, 1\)"):
        check_rows(SCHEMA, CODES, NUMBERS[:1], "test")
