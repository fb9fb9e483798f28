"""Columns that live on disk, and pieces of a few rows: the same arrays, to the last bit, as those of a table in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import benchmark.pieces as module
from benchmark.datasets import Data, table
from benchmark.datasets._fit import hashed
from benchmark.datasets.prepare import SPLITS, TEST, TRAIN, VALIDATION, Table, random_split
from benchmark.datasets.text import read_text, scan_text
from tests.benchmark.datasets.toy import assert_same_rows, made

TASKS = ("click", "purchase", "seconds")


def drawn(num_rows: int = 900) -> Table:
    """A log with everything that is treated apart: missing values, zeros, unseen values, users in validation alone."""
    rng = np.random.default_rng(5)
    click = (rng.random(num_rows) < 0.5).astype(np.float32)
    frame = pl.DataFrame({
        "user": rng.integers(0, 60, num_rows), "item": [f"i{number}" for number in rng.integers(0, 90, num_rows)],
        "size": rng.choice(["s", "m", "", "ü"], num_rows), "price": np.where(rng.random(num_rows) < 0.3, 0, rng.normal(size=num_rows)),
        "age": np.where(rng.random(num_rows) < 0.1, np.nan, rng.integers(1, 9, num_rows)),
    })  # fmt: skip
    frame = frame.with_columns(pl.when(pl.col("user") % 7 == 0).then(None).otherwise(pl.col("size")).alias("size"))
    return Table(
        categorical={name: frame[name] for name in ("user", "item", "size")},
        numeric={name: frame[name].to_numpy() for name in ("price", "age")},
        labels={
            "click": click,
            "purchase": np.where(click == 1, rng.random(num_rows) < 0.4, np.nan),
            "seconds": np.where(click == 1, 1.7e9 + rng.normal(size=num_rows), np.nan),
        },
        split=rng.choice([TRAIN, TRAIN, TRAIN, VALIDATION, TEST, table.LEFT_OUT], num_rows).astype(np.int8),
        user_fields=("user", "age"),
        item_fields=("item",),
    )


def lazily(known: Table, path: Path) -> Table:
    """The same columns in a Parquet file, as expressions over a scan of it."""
    columns = {**known.categorical, **known.numeric, **known.labels, "split": known.split}
    pl.DataFrame({name: pl.Series(values) for name, values in columns.items()}).write_parquet(path)

    def expressions(values: dict[str, Any]) -> dict[str, Any]:
        return {name: pl.col(name) for name in values}

    return dataclasses.replace(
        known,
        categorical=expressions(known.categorical),
        numeric=expressions(known.numeric),
        labels=expressions(known.labels),
        split=pl.col("split"),
        frame=pl.scan_parquet(path),
    )


def assert_same(one: Data, other: Data) -> None:
    assert (one.schema, one.fingerprint, one.facts) == (other.schema, other.fingerprint, other.facts)
    for name in SPLITS:
        assert_same_rows(getattr(one, name), getattr(other, name))
    assert one.catalogue is not None and other.catalogue is not None
    for role in ("users", "items"):
        first, second = getattr(one.catalogue, role), getattr(other.catalogue, role)
        assert first.ids.tolist() == second.ids.tolist()
        for left, right in zip(first.features.arrays(), second.features.arrays(), strict=True):
            np.testing.assert_array_equal(left, right)
    for left, right in zip(one.catalogue.context.arrays(), other.catalogue.context.arrays(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("piece", "num_rows", "numeric"), [(1, 40, "bins"), (7, 100, "raw"), (128, 900, "standardise"), (899, 900, "bins")]
)
def test_pieces_and_the_disk_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, num_rows: int, numeric: str
) -> None:
    known = drawn(num_rows)
    whole = made(lambda: known, TASKS, numeric=numeric, min_frequency=3, hash_buckets={"item": 20})
    monkeypatch.setattr(module, "PIECE", piece)
    for read in (lambda: known, lambda: lazily(known, tmp_path / "log.parquet")):
        assert_same(made(read, TASKS, numeric=numeric, min_frequency=3, hash_buckets={"item": 20}), whole)


def test_nothing_is_left_of_what_was_written_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    made(lambda: lazily(drawn(), tmp_path / "log.parquet"), TASKS)
    (folder,) = (tmp_path / "cache" / "prepared").iterdir()
    assert {file.suffix for file in folder.iterdir()} == {".npy", ".json"}


def test_a_cache_in_a_folder_with_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made(lambda: lazily(drawn(), tmp_path / "log.parquet"), TASKS)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache [1]"))
    assert_same(made(lambda: lazily(drawn(), tmp_path / "log.parquet"), TASKS), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": None}, r"^column 'user': a polars expression is about Table\.frame, which is None$"),
        ({"numeric": {"price": pl.col("size")}}, r"^column 'price': expected numbers, NaN where missing, found text"),
        ({"categorical": {"user": pl.col("user"), "item": pl.col("price")}}, r"^column 'item': expected text or whole"),
        (
            {"split": np.zeros(3, np.int8)},
            r"^column 'user': expected 3 values, one for each row of `split`, found 900$",
        ),
        ({"numeric": {"age": pl.col("age") / 0}}, r"^column 'age': expected finite numbers.*found inf in row"),
        (
            {"labels": {"click": pl.col("click") * 2}},
            r"^task 'click': a binary label is 0 or 1, found \d+ others, first 2$",
        ),
        ({"numeric": {"copy": pl.col("click")}}, r"^column 'copy' is the label of task 'click', on all \d+ rows"),
    ],
)
def test_what_is_wrong_on_disk_is_told_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(module, "PIECE", 100)
    with pytest.raises(ValueError, match=message):
        made(lambda: dataclasses.replace(lazily(drawn(), tmp_path / "log.parquet"), **change), ("click",))


def test_the_row_of_an_infinite_value_is_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 100)
    known = drawn()
    known.numeric["price"] = np.where(np.arange(900) == 523, np.inf, known.numeric["price"])
    with pytest.raises(ValueError, match="found inf in row 523"):
        made(lambda: known)


def with_sizes(sizes: list[str | None]) -> Callable[[], Table]:
    def read() -> Table:
        known = drawn(len(sizes))
        known.categorical["size"] = pl.Series(sizes)
        known.split = np.array([TRAIN] * (len(sizes) - 4) + [VALIDATION, VALIDATION, TEST, TEST], np.int8)
        return known

    return read


SIZED = ["s"] * 30 + ["m"] * 3 + ["l"] * 2 + [None] * 5 + ["s", "l", "xl", None]


def test_what_is_rare_in_train_is_numbered_as_what_is_not_there() -> None:
    place = 2
    plain, frequent = made(with_sizes(SIZED)), made(with_sizes(SIZED), min_frequency={"size": 3})
    assert plain.schema.categorical[place].cardinality == 5  # unseen, l, m, s, missing
    assert frequent.schema.categorical[place].cardinality == 4  # unseen or rare, m, s, missing
    assert frequent.train.features.categorical[:, place].tolist() == [2] * 30 + [1] * 3 + [0] * 2 + [3] * 5
    assert frequent.validation.features.categorical[:, place].tolist() == [2, 0]
    assert frequent.test.features.categorical[:, place].tolist() == [0, 3]
    np.testing.assert_array_equal(frequent.train.features.categorical[:, :2], plain.train.features.categorical[:, :2])
    assert (
        made(with_sizes(SIZED), min_frequency=6).schema.categorical[place].cardinality == 2
    )  # s alone, missing is rare too
    assert frequent.fingerprint == plain.fingerprint


def test_a_column_of_many_categories_is_hashed_and_others_are_not() -> None:
    known = drawn()
    items = known.categorical["item"]
    data = made(lambda: known, hash_buckets=20)
    by_name = {field.name: field.cardinality for field in data.schema.categorical}
    assert by_name["item"] == 21
    assert (by_name["user"], by_name["size"]) == (61, 6)  # users are told apart; few sizes are not hashed
    places = hashed(items, 20).to_numpy()
    train = known.split == TRAIN
    np.testing.assert_array_equal(data.train.features.column("item"), places[train] + 1)
    assert hashed(pl.Series(["i0", "i1", None]), 20).to_list() == [5, 7, None], "the same on every machine"
    assert hashed(pl.Series([7, 80]), 1000).to_list() == hashed(pl.Series(["7", "80"]), 1000).to_list()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_frequency": 0}, r"^dataset\.min_frequency must be at least 1, found 0$"),
        ({"hash_buckets": {"item": 1}}, r"^dataset\.hash_buckets must be at least 2, found 1$"),
        ({"min_frequency": {"items": 2}}, r"categorical column 'items'.*item"),
        ({"hash_buckets": {"user": 9}}, r"^hash_buckets: column 'user' has the users.*give it a min_frequency$"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(drawn, **options)


def test_a_large_random_split_is_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = random_split(1000, 3)
    monkeypatch.setattr(table, "DRAWN_AT_ONCE", 640)
    np.testing.assert_array_equal(random_split(640, 3), np.asarray(random_split(640, 3)))
    split = random_split(1000, 3)
    assert np.bincount(split).tolist() == [800, 100, 100]
    np.testing.assert_array_equal(split, random_split(1000, 3))
    assert (split != plain).any() and (split != random_split(1000, 4)).any()
    tested = np.mean([random_split(1000, seed)[:50] == TEST for seed in range(200)], axis=0)
    assert np.abs(tested - 0.1).max() < 0.1  # every row alike


def test_a_random_split_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed(split: np.ndarray) -> str:
        return hashlib.sha256(split.tobytes()).hexdigest()[:16]

    assert printed(random_split(100_003, 3)) == "0a7c99a3b4a5dd2d"
    monkeypatch.setattr(table, "DRAWN_AT_ONCE", 640)
    assert printed(random_split(1000, 3)) == "8b09b13fe6f71db6"


@pytest.mark.parametrize("at_once", [640, 5000])
def test_a_random_split_with_other_shares(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(table, "DRAWN_AT_ONCE", at_once)
    assert np.bincount(random_split(1000, 3, validation=0.2, test=0.25)).tolist() == [550, 200, 250]
    assert np.bincount(random_split(1000, 3, validation=0.3, test=0)).tolist() == [700, 300]


TYPES: dict[str, type[pl.DataType]] = {"user": pl.Int32, "price": pl.Float64, "size": pl.String}
GOOD = "size,user,more,price\ns,1,x,2.5\nm,2,x,\n,3,x,1\n"


def test_a_scan_gives_what_reading_gives(tmp_path: Path) -> None:
    path = tmp_path / "mit Leerzeichen ü.csv"
    path.write_text(GOOD)
    options: dict[str, Any] = {"nullable": ("price", "size")}
    assert scan_text(path, TYPES, **options).collect().equals(read_text(path, TYPES, **options))
    path.write_text(" 1| 2.5|s \n 2| 3|m \n")
    options = {"header": False, "separator": "|", "quote": None, "strip": True}
    assert scan_text(path, TYPES, **options).collect().equals(read_text(path, TYPES, **options))
    path.write_bytes("1,2,für\n".encode("latin-1"))
    options = {"header": False, "encoding": "latin-1"}
    assert scan_text(path, TYPES, **options).collect().equals(read_text(path, TYPES, **options))


@pytest.mark.parametrize(
    "text",
    [
        GOOD,  # an empty price
        GOOD.replace("2.5", "two"),
        GOOD.replace(",2,", ",1e9,"),
        GOOD.replace("3,x,1", "3,x"),
        GOOD.replace("3,x,1", "3,x,1,9"),
        GOOD.replace("price", "prize"),
        GOOD.replace("m", "\udcff"),
        "",
    ],
)
def test_a_scan_says_what_is_wrong_before_anything_is_done(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode("utf8", "surrogateescape"))
    with pytest.raises(ValueError) as expected:
        read_text(path, TYPES, nullable=("size",))
    with pytest.raises(ValueError) as found:
        scan_text(path, TYPES, nullable=("size",))
    assert str(found.value) == str(expected.value)
