"""What readers hand over in their columns: taken where it is plain what is meant, else refused by the column's name."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmark.datasets._columns import categories, floats, split_numbers
from tests.benchmark.datasets.toy import assert_same_rows, made, table

DAY = datetime.date(2024, 5, 1)
NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array(["a", "b"]), ["a", "b"]),
        (["a", None], ["a", None]),
        (np.array(["a", NAN], dtype=object), ["a", None]),
        (np.array([3, None, 5], dtype=object), [3, None, 5]),
        (np.ma.array([3, 4], mask=[False, True]), [3, None]),
        ((7, 8), [7, 8]),
        (np.array([7.0, NAN, 9.0]), [7, None, 9]),
        (np.array([7.0, 9.0], dtype=np.float32), [7, 9]),
        (np.array([7.0, 9.0], dtype=np.float16), [7, 9]),
        (np.array([7, 9.0, None], dtype=object), [7, 9, None]),
        (np.array([True, False]), ["true", "false"]),
        (pl.Series([True, None]), ["true", None]),
        (np.array([True, None], dtype=object), ["true", None]),
        (pl.Series(["x", "y", None], dtype=pl.Categorical), ["x", "y", None]),
        (pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])), ["x", "y"]),
        (pl.Series([DAY, None]), ["2024-05-01", None]),
        ([DAY, DAY], ["2024-05-01", "2024-05-01"]),
        (np.array(["2024-05-01", "NaT"], dtype="datetime64[D]"), ["2024-05-01", None]),
        (pl.Series(["x", None], dtype=pl.Object), ["x", None]),
        ([None, None], [None, None]),
        (np.array([2**63], dtype=np.uint64), [2**63]),
    ],
)
def test_categories_that_are_plainly_meant(values: Any, expected: list[Any]) -> None:
    assert categories("column 'x'", values, len(expected)).to_list() == expected


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.array([1.5, 2.0]), "found 1.5; numbers that measure something belong in `numeric`"),
        (np.array([np.inf, 2.0]), "found inf;"),
        (np.array([2.0**53 + 2, 2.0]), "found 9007199254740994.0;"),
        (np.array([2**24 + 2, 2.0], np.float32), "found 16777218.0;"),
        (np.array(["a", 1], dtype=object), "found int and str together; write it all as text, or all as whole numbers"),
        (["a", 1], "found int and str together"),
        ([DAY, NOON], "found date and datetime together"),
        ([2**200, 1], "found 1.6069380442589903e+60;"),
        (np.array([b"a", b"b"]), "found |S1;"),
        (np.array([1j, 2j]), "found complex128;"),
        (np.array(["2024-05-01T10", "2024-05-01T11"], dtype="datetime64[h]"), "found datetime64[h];"),
        (pl.Series([NOON] * 2), "found polars' Datetime(time_unit='us', time_zone='UTC')"),
        ([{"a": 1}, {"b": 2}], "found dict;"),
        ([[1, 2], [3, 4]], "found list;"),
        (np.zeros((2, 2), int), "expected one value for each row, found the shape (2, 2)"),
        ("ab", "expected one value for each row, found the shape ()"),
        (["a", "b", "c"], "expected 2 values, one for each row of `split`, found 3"),
    ],
)
def test_other_categories_are_refused(values: Any, found: str) -> None:
    with pytest.raises(ValueError, match=r"^column 'x': expected [^\n]*$") as caught:
        categories("column 'x'", values, 2)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, NAN]),
        np.array([1.0, NAN], dtype=np.float16),
        np.array([1, None], dtype=object),
        np.ma.array([1, 5], mask=[False, True]),
        [1, None],
        (True, NAN),
        pl.Series([1, None]),
        pl.Series([True, None]),
        pl.Series([decimal.Decimal("1.0"), None]),
        [decimal.Decimal("1.0"), None],
        pl.Series([1, None], dtype=pl.Object),
    ],
)
def test_numbers_that_are_plainly_meant(values: Any) -> None:
    found = floats("column 'x'", values, 2)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1.0, NAN])


def test_numbers_keep_what_they_are() -> None:
    exact = np.array([0.1, 1 / 3])
    assert floats("column 'x'", exact, 2) is exact
    assert floats("column 'x'", exact.astype(np.float32), 2).dtype == np.float32
    assert floats("column 'x'", pl.Series(exact, dtype=pl.Float32), 2).dtype == np.float32
    assert floats("column 'x'", [2**53 - 1, 1], 2)[0] == 2**53 - 1


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.array(["1", "2"]), "found text; convert it to numbers first"),
        (pl.Series(["1", "2"]), "found text; convert it to numbers first"),
        ([1, "many"], "found 'many' in row 1; convert it to numbers first"),
        (np.array([1, {}], dtype=object), "found dict in row 1"),
        (pl.Series([DAY, DAY]), "found polars' Date; convert it to numbers first"),
        ([DAY, DAY], "found date in row 0"),
        (np.array(["2024-05-01"] * 2, dtype="datetime64[D]"), "found datetime64[D]"),
        (np.array([1j, 2j]), "found complex128"),
        (np.zeros((2, 1)), "expected one value for each row, found the shape (2, 1)"),
        (np.zeros(3), "expected 2 values, one for each row of `split`, found 3"),
    ],
)
def test_other_numbers_are_refused(values: Any, found: str) -> None:
    with pytest.raises(ValueError, match=r"^column 'x': expected [^\n]*$") as caught:
        floats("column 'x'", values, 2)
    assert found in str(caught.value)


def test_a_split_is_the_numbers_of_its_parts() -> None:
    for values in ([0, 1, -1], pl.Series([0, 1, -1]), np.array([0, 1, -1])):
        found = split_numbers(values)
        assert found.dtype == np.int8 and found.tolist() == [0, 1, -1]
    wrong: tuple[tuple[list[Any], str], ...] = (
        ([0, 1, 3], "3"),
        ([0, "test"], "'test'"),
        ([1.0, 0], "1.0"),
        ([0, None, 1], "None"),
        ([0, True], "True"),
    )
    for values, found in wrong:
        with pytest.raises(
            ValueError,
            match=rf"^split: expected one of 0 \(train\), 1 \(validation\), 2 \(test\), -1 \(left out\) .*, found {found}$",
        ):
            split_numbers(values)


def test_a_number_beyond_float64_is_told_by_its_column() -> None:
    with pytest.raises(ValueError, match=r"column 'x': expected .*, found a number beyond float64 in row 1"):
        floats("column 'x'", [1, 10**400], 2)


def test_the_same_data_in_other_containers_are_the_same_data() -> None:
    plain = made(tasks=("click", "purchase"))
    first = table()
    other = made(
        lambda: table(
            categorical={
                "user": first.categorical["user"].astype(float),
                "item": first.series("item").to_list(),
                "size": first.series("size").cast(pl.Categorical),
                "hour": pl.Series(first.categorical["hour"], dtype=pl.UInt8),
            },
            numeric={"price": [None if np.isnan(value) else value for value in first.numeric["price"]]},
            labels={name: pl.Series(values).fill_nan(None) for name, values in first.labels.items()},
            split=first.split.tolist(),
        ),
        ("click", "purchase"),
    )
    assert (other.fingerprint, other.schema) == (plain.fingerprint, plain.schema)
    for name in ("train", "validation", "test"):
        assert_same_rows(getattr(other, name), getattr(plain, name))


def test_a_column_that_is_wrong_is_named_by_prepare() -> None:
    for part, name, values, expected in (
        ("categorical", "size", ["s", 1] * 4, "column 'size': expected text or whole numbers"),
        ("categorical", "size", ["s"] * 7, "column 'size': expected 8 values, one for each row of `split`, found 7"),
        ("numeric", "price", ["1.5"] * 8, "column 'price': expected numbers, NaN where missing, found '1.5' in row 0"),
        ("labels", "click", np.array(["0", "1"] * 4), "label 'click': expected numbers, NaN where missing, found text"),
        ("labels", "seconds", np.zeros(9), "label 'seconds': expected 8 values, one for each row of `split`, found 9"),
    ):
        wrong = table()
        getattr(wrong, part)[name] = values
        with pytest.raises(ValueError, match="^" + expected.replace("(", r"\(")):
            made(lambda wrong=wrong: wrong)


def test_minus_one_is_no_label_and_nan_is_named() -> None:
    wrong = table()
    wrong.labels["click"] = np.array([0, 1, 1, -1, 1, 0, -1, 0])
    with pytest.raises(
        ValueError,
        match=r"^task 'click': a label is 0 or 1, found -1 on 2 rows; give NaN where it was not observed, 0 where",
    ):
        made(lambda: wrong)
    fine = table()
    fine.labels["seconds"][0] = -1  # of a regression it is a value
    assert made(lambda: fine, ("seconds",)).train.labels[0, 0] == -1


def test_a_label_that_the_reader_does_not_have_is_named() -> None:
    wrong = table()
    del wrong.labels["click"]
    with pytest.raises(ValueError, match=r"^Toy: no label for task 'click', only purchase, seconds$"):
        made(lambda: wrong)
