"""The range of a column: polars and Python agree on it, and every reader refuses what is outside, with file, line and column."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets.text import Domain, check_frame, read_split, read_text, scan_text
from benchmark.settings.registry import datasets
from tests.benchmark.datasets import fixtures, layouts, owners

COLUMNS = (
    Domain(pl.Int8, allowed=(0, 1)),
    Domain(pl.Int16, least=0, most=14),
    Domain(pl.Int64, most=5),
    Domain(pl.Float64, least=-1.5),
    Domain(pl.Float32, allowed=(0.5, 1, 1.5)),
    Domain(pl.Float64),
    Domain(pl.Int32, form="%Y%m%d"),
    Domain(pl.Int16, form="%H%M"),
    Domain(pl.String, allowed=("F", "M")),
    Domain(pl.String, form="%Y-%m-%d"),
)
NUMBERS = st.integers(-20, 40) | st.sampled_from([59, 60, 2359, 2360, 20220430, 20220431, 20240229, 20230229, 1330])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(column=st.sampled_from(COLUMNS), number=NUMBERS, tenths=st.sampled_from([0.0, 0.5, float("nan"), float("inf")]))
def test_polars_and_python_agree_on_what_fits(column: Domain, number: int, tenths: float) -> None:
    if column.kind.is_integer():
        text = str(number)
    elif column.kind.is_float():
        text = str(number + tenths)
    else:
        text = ("F", "M", "X", "2022-04-30", "2022-04-31", "2022-4")[number % 6]
    values = pl.Series([text]).cast(column.kind, strict=False)
    if values[0] is None:  # another type: polars refuses it before any range is looked at
        assert not column.fits(text)
        return
    is_wrong = bool(pl.select(column.wrong(pl.lit(pl.concat([values, pl.Series([None], dtype=column.kind)])))).item())
    assert column.fits(text) is not is_wrong, text


@pytest.mark.parametrize("read", [read_text, scan_text])
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (Domain(pl.Int64, least=0), "-1", "expected an integer of at least 0, found '-1'"),
        (Domain(pl.Int64, most=9), "10", "expected an integer of at most 9, found '10'"),
        (Domain(pl.Float64, least=0, most=1), "nan", "expected a number from 0 to 1, found 'nan'"),
        (Domain(pl.Int32, form="%Y%m%d"), "20220431", "expected a date such as 20240531, found '20220431'"),
        (Domain(pl.Int16, form="%H%M"), "1360", "expected a time such as 1830, found '1360'"),
        (Domain(pl.String, allowed=("a", "b")), "c", "expected a or b, found 'c'"),
        (Domain(pl.Int64, unique=True), "20220401", "expected each value once, found '20220401' again, as in line 2"),
    ],
)
def test_a_value_outside_is_located(
    tmp_path: Path, column: Domain, value: str, message: str, read: Callable[..., object]
) -> None:
    path = tmp_path / "log.csv"
    right = {"%Y%m%d": "20220401", "%H%M": "0"}.get(column.form, "a" if column.allowed else "1")
    right = "20220401" if column.unique else right
    path.write_text(f"id,value\n1,{right}\n2,{value}\n3,{'7' if column.unique else right}\n")
    with pytest.raises(ValueError, match=rf"log\.csv: line 3, column value: {message}$"):
        read(path, {"id": pl.Int32, "value": column})
    path.write_text(f"id,value\n1,{right}\n")
    read(path, {"id": pl.Int32, "value": column})


def test_rows_of_parquet_and_of_long_separators_are_checked_too(tmp_path: Path) -> None:
    columns = {"id": Domain(pl.Int64, unique=True), "age": Domain(pl.Int64, least=0, most=120)}
    frame = pl.DataFrame({"id": [1, 2, 3], "age": [30, None, 500]})
    with pytest.raises(ValueError, match=r"^x: row 3, column age: expected an integer from 0 to 120, found '500'$"):
        check_frame(Path("x"), frame.lazy(), columns)
    check_frame(Path("x"), frame.head(2).lazy(), columns)
    path = tmp_path / "users.dat"
    path.write_text("1::30\n1::40\n")
    with pytest.raises(
        ValueError, match=r"line 2, column id: expected each value once, found '1' again, as in line 1$"
    ):
        read_split(path, columns, "::")


def edited(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("latin-1").splitlines()
    made = ("\n".join(change(lines)) + "\n").encode("latin-1")
    path.write_bytes(gzip.compress(made) if path.suffix == ".gz" else made)


def put(column: int, value: str, separator: str = ",") -> Callable[[list[str]], list[str]]:
    """The third line with another value."""

    def change(lines: list[str]) -> list[str]:
        values = lines[2].split(separator) if len(separator) > 1 else next(csv.reader([lines[2]], delimiter=separator))
        values[column] = value
        quoted = [f'"{text}"' if separator in text else text for text in values]
        return [*lines[:2], separator.join(quoted), *lines[3:]]

    return change


def twice(lines: list[str]) -> list[str]:
    """The second line again, as the third."""
    return [*lines[:2], lines[1], *lines[2:]]


def at(path: Path, column: str) -> int:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines()[0].split(",").index(column)


def movielens_100k(root: Path) -> None:
    fixtures.write_movielens(root / "movielens_100k")


def movielens_1m(root: Path) -> None:
    layouts.write_movielens_1m(root / "movielens_1m")


def movielens_32m(root: Path) -> None:
    layouts.write_movielens_32m(root / "movielens_32m")


def kuairand(root: Path) -> None:
    fixtures.write_kuairand(root / "kuairand_pure", num_rows=400)


def kuairec(root: Path) -> None:
    layouts.write_kuairec(root / "kuairec", num_rows=400)


def census_income(root: Path) -> None:
    fixtures.write_census(root / "census_income", num_train=60, num_test=30)


def online_shoppers(root: Path) -> None:
    layouts.write_online_shoppers(root / "online_shoppers", num_rows=60)


def criteo_attribution(root: Path) -> None:
    owners.write_criteo_attribution(root, num_rows=60)


WRONG = [
    (movielens_100k, "u.data", 2, "99", "rating: expected 1, 2, 3, 4 or 5, found '99'"),
    (movielens_100k, "u.user", 1, "1000000000", "age: expected an integer from 1 to 120, found '1000000000'"),
    (movielens_100k, "u.user", None, "", "user: expected each value once, found '2' again, as in line 2"),
    (movielens_100k, "u.item", None, "", "item: expected each value once, found '2' again, as in line 2"),
    (movielens_1m, "ratings.dat", 2, "0", "rating: expected 1, 2, 3, 4 or 5, found '0'"),
    (movielens_1m, "users.dat", 2, "33", "age: expected 1, 18, 25, 35, 45, 50 or 56, found '33'"),
    (movielens_1m, "users.dat", None, "", "user: expected each value once, found '2' again, as in line 2"),
    (movielens_32m, "ratings.csv", 2, "0.7", "rating: expected 0.5, 1, .* or 5, found '0.7'"),
    (movielens_32m, "ratings.csv", 3, "-5", "timestamp: expected an integer from 0 to 4294967295, found '-5'"),
    (movielens_32m, "movies.csv", None, "", "movieId: expected each value once, found '1' again, as in line 2"),
    (
        kuairand,
        "log_standard_4_22_to_5_08_pure.csv",
        "play_time_ms",
        "-1",
        "play_time_ms: expected an integer of at least 0",
    ),
    (kuairand, "log_standard_4_22_to_5_08_pure.csv", "date", "20220431", "date: expected a date such as 20240531"),
    (kuairand, "log_standard_4_22_to_5_08_pure.csv", "hourmin", "2400", "hourmin: expected a time such as 1830"),
    (kuairand, "log_standard_4_22_to_5_08_pure.csv", "tab", "15", "tab: expected an integer from 0 to 14, found '15'"),
    (kuairand, "user_features_pure.csv.gz", "register_days", "-3", "register_days: expected a number of at least 0"),
    (kuairand, "user_features_pure.csv.gz", None, "", "user_id: expected each value once, found '0' again"),
    (
        kuairand,
        "video_features_basic_pure.csv.gz",
        "upload_dt",
        "2022-13-01",
        "upload_dt: expected a date such as 2024-05-31",
    ),
    (kuairand, "video_features_basic_pure.csv.gz", None, "", "video_id: expected each value once, found '0' again"),
    (kuairec, "big_matrix.csv", "play_duration", "-1", "play_duration: expected an integer of at least 0, found '-1'"),
    (kuairec, "small_matrix.csv", "watch_ratio", "-0.5", "watch_ratio: expected a number of at least 0, found '-0.5'"),
    (kuairec, "user_features.csv", None, "", "user_id: expected each value once, found '0' again"),
    (census_income, "census-income.data.gz", 0, " 1e9", "age: expected a number from 0 to 90, found '1e9'"),
    (census_income, "census-income.test.gz", 39, " 53", "weeks_worked: expected a number from 0 to 52, found '53'"),
    (
        census_income,
        "census-income.test.gz",
        41,
        " maybe",
        r"income_50k: expected - 50000\. or 50000\+\., found 'maybe'",
    ),
    (
        online_shoppers,
        "online_shoppers_intention.csv",
        "SpecialDay",
        "1.2",
        "SpecialDay: expected a number from 0 to 1",
    ),
    (
        online_shoppers,
        "online_shoppers_intention.csv",
        "ProductRelated_Duration",
        "-1",
        "ProductRelated_Duration: expected",
    ),
    (criteo_attribution, "criteo_attribution_dataset.tsv.gz", 10, "-0.1", "cost: expected a number of at least 0"),
    (
        criteo_attribution,
        "criteo_attribution_dataset.tsv.gz",
        0,
        "2678400",
        "timestamp: expected an integer from 0 to 2678399",
    ),
]
SEPARATORS = {
    "u.data": "\t",
    "u.user": "|",
    "ratings.dat": "::",
    "users.dat": "::",
    "criteo_attribution_dataset.tsv.gz": "\t",
}


@pytest.mark.parametrize(("write", "name", "column", "value", "message"), WRONG)
def test_every_reader_refuses_what_is_out_of_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], name: str, column: int | str | None,
    value: str, message: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write(tmp_path)
    (path,) = (path for path in tmp_path.rglob(name) if path.is_file())
    place = at(path, column) if isinstance(column, str) else column
    edited(path, twice if place is None else put(place, value, SEPARATORS.get(name, ",")))
    set_name = write.__name__
    variant = {"movielens_1m": "1m", "movielens_32m": "32m"}.get(set_name)
    config = datasets.config("movielens", variant=variant) if variant else datasets.config(set_name)
    with pytest.raises(ValueError, match=rf"{name}: line 3, column {message}"):
        datasets.build(config).build()


@pytest.mark.parametrize(
    ("kind", "one", "same"),
    [
        (pl.Int32, "1", "01"),
        (pl.Int32, "0", "-0"),
        (pl.Float64, "1", "1.0"),
        (pl.Float64, "-0.0", "0"),
        (pl.Float32, "16777216", "16777217"),
    ],
)
def test_a_value_written_otherwise_is_there_again(tmp_path: Path, kind: type[pl.DataType], one: str, same: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"id\n{one}\n7\n{same}\n")
    with pytest.raises(
        ValueError, match=rf"line 4, column id: expected each value once, found '{same}' again, as in line 2$"
    ):
        read_text(path, {"id": Domain(kind, unique=True)})
