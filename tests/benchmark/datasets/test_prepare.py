"""What is fitted on train, the fingerprint, the catalogue and the cache."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmark import disk
from benchmark.datasets._cache import cache_folder, folder_made_once
from benchmark.datasets._columns import cleaned
from benchmark.datasets._fit import Treatment, fitted
from benchmark.datasets.prepare import TEST, TRAIN, Table, prepare, random_split
from benchmark.datasets.sources import file_digest
from benchmark.datasets.table import LEFT_OUT, check_labels
from benchmark.files import read_memo, write_memo
from benchmark.kinds import REGRESSION
from benchmark.schema import CategoricalField, NumericField, Task
from tests.benchmark.datasets.toy import CLICK, Toy, made, table


def of_column(sort: str, values: Any, train: np.ndarray, treatment: Treatment, place: int) -> tuple[np.ndarray, Any]:
    """A field of a table of this column alone, and what its codes mean."""
    columns = {"categorical": {}, "numeric": {}} | {sort: {"x": values}}
    alone = cleaned(Table(**columns, labels={}, split=np.where(train, TRAIN, TEST)))
    column = list(fitted(alone, treatment))[place]
    return column.of(alone.series("x") if sort == "categorical" else alone.numeric["x"]), column.vocabulary


def encode(values: Any, train: np.ndarray, **options: Any) -> tuple[np.ndarray, Any]:
    return of_column("categorical", pl.Series(values), train, Treatment(**options), 0)


def bins(values: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, Any]:
    return of_column("numeric", values, train, Treatment("bins"), 0)


def scale(values: np.ndarray, train: np.ndarray, *, standardise: bool) -> np.ndarray:
    return of_column("numeric", values, train, Treatment("standardise" if standardise else "raw"), 0)[0]


def test_vocabularies_come_from_train_alone() -> None:
    data = made()
    assert data.schema.categorical == (
        CategoricalField("user", 3),
        CategoricalField("item", 4),  # unseen, a, b, missing
        CategoricalField("size", 4),
        CategoricalField("hour", 3),
        CategoricalField("price_bin", 5),  # unseen, three bins, missing
    )
    assert data.train.features.categorical[:, 0].tolist() == [1, 1, 2, 2]
    assert data.train.features.categorical[:, 1].tolist() == [2, 1, 2, 3]
    assert data.test.features.categorical[:, 0].tolist() == [2, 0]
    assert data.test.features.categorical[:, 2].tolist() == [0, 3]  # xl is not in train
    assert (data.schema.user, data.schema.item) == ("user", "item")


def test_missing_that_train_never_has_is_unseen() -> None:
    codes, vocabulary = encode(["a", "b", None], np.array([True, True, False]))
    assert codes.tolist() == [1, 2, 0]
    assert vocabulary == ["a", "b"]


def test_integers_are_ordered_as_numbers() -> None:
    codes, vocabulary = encode([10, 9, -124], np.array([True, True, True]))
    assert vocabulary == [-124, 9, 10]
    assert codes.tolist() == [3, 2, 1]


def test_bins_have_equal_shares_of_train() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    train = np.arange(5000) < 4000
    codes, names = bins(values, train)
    assert len(names) == 40
    shares = np.bincount(codes[train], minlength=41)
    assert shares[0] == 0
    assert shares[1:].min() == shares[1:].max() == 100
    order = np.argsort(values, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()


def test_zero_and_missing_have_their_own_bins() -> None:
    values = np.array([0.0] * 30 + [np.nan] * 10 + list(range(1, 61)) + [-5.0, 1e9])
    train = np.arange(len(values)) < 100
    codes, names = bins(values, train)
    zero, missing = names.index("0") + 1, len(names)
    assert names[-1] is None
    assert set(codes[:30]) == {zero}
    assert set(codes[30:40]) == {missing}
    assert not {zero, missing} & set(codes[40:])
    assert codes[-2:].tolist() == [1, zero - 1]  # beyond what train has: the first and the last bin


def test_rare_zeros_and_small_integers_are_ordinary() -> None:
    codes, names = bins(np.array([0.0] * 10 + [1, 2, 3] * 30), np.full(100, fill_value=True))
    assert "0" not in names
    assert sorted(set(codes)) == [1, 2, 3, 4]
    assert len(names) == 4


def test_a_constant_column_is_one_bin_and_zero() -> None:
    constant = np.full(10, 3.0)
    assert bins(constant, constant > 0)[0].tolist() == [1] * 10
    assert scale(constant, constant > 0, standardise=True).tolist() == [0.0] * 10
    rounded = np.append(np.full(1000, 0.1), 0.2)  # whose computed deviation is 1e-17
    assert scale(rounded, rounded < 0.15, standardise=True)[-1] == pytest.approx(0.1)


def test_an_infinite_value_is_refused() -> None:
    made = table()
    (name, *_) = made.numeric
    made.numeric[name] = np.where(np.arange(len(made.split)) == 1, np.inf, made.numeric[name])
    with pytest.raises(ValueError, match=f"column '{name}': expected finite numbers.*found inf in row 1"):
        list(fitted(cleaned(made), Treatment("standardise")))


def test_a_column_with_the_name_of_the_bins_of_another_is_told_who_makes_it() -> None:
    made = table()
    made.categorical["price_bin"] = made.categorical["size"]
    with pytest.raises(
        ValueError, match=r"^column 'price_bin': numeric=bins makes .* of the numeric column 'price'; rename"
    ):
        list(fitted(cleaned(made), Treatment("bins")))
    assert [column.field.name for column in fitted(cleaned(made), Treatment("standardise"))].count("price_bin") == 1


@pytest.mark.parametrize(
    ("numeric", "expected", "num_categorical"),
    [
        ("bins", [-1.2247449, 0, 0, 1.2247449], 5),
        ("standardise", [-1.2247449, 0, 0, 1.2247449], 4),
        ("raw", [1, 2, 2, 3], 4),
    ],
)
def test_numeric_treatments(numeric: str, expected: list[float], num_categorical: int) -> None:
    data = made(numeric=numeric)
    assert data.schema.numeric == (NumericField("price"),)
    np.testing.assert_allclose(data.train.features.numeric[:, 0], expected, rtol=1e-6)
    assert data.train.features.numeric.dtype == np.float32
    assert len(data.schema.categorical) == num_categorical


def test_unknown_treatment() -> None:
    with pytest.raises(ValueError, match=r"dataset\.numeric must be one of bins, standardise, raw, found 'log'"):
        made(numeric="log")


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(ValueError, match="the validation split has no rows, of 8 in all"):
        made(lambda: table(split=np.array([TRAIN] * 4 + [TEST] * 4, np.int8)))


def test_the_fingerprint_is_of_the_parsed_columns_and_labels_alone() -> None:
    first = table().fingerprint()
    same = table(titles={}, facts={}, split=np.zeros(8, np.int8), user_fields=(), item_fields=())
    same.categorical = {name: table().series(name).cast(pl.String) for name in reversed(table().categorical)}
    assert same.fingerprint() == first
    assert made(numeric="raw").fingerprint == made(tasks=("seconds",)).fingerprint == first


def test_a_fingerprint_that_nobody_needs_stops() -> None:
    stop = Event()
    assert table().fingerprint(stop) == table().fingerprint()
    stop.set()
    with pytest.raises(InterruptedError):
        table().fingerprint(stop)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_does_not_wait_for_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    stopped = Event()

    def endless(_: Table, stop: Event) -> str:
        if stop.wait(timeout=60):
            stopped.set()
        return ""

    def fails(*_: object) -> None:
        raise error("at once")

    monkeypatch.setattr(Table, "fingerprint", endless)
    monkeypatch.setattr("benchmark.datasets.prepare.write_features", fails)
    with pytest.raises(error, match="at once"):
        made()
    assert stopped.is_set()


@pytest.mark.parametrize("change", ["category", "missing", "number", "label", "name", "order"])
def test_the_fingerprint_sees_every_change(change: str) -> None:
    other = table()
    if change == "category":
        other.categorical["size"] = pl.Series(["s", "m", "l", "s", "s", "m", "l", "s"])
    elif change == "missing":
        other.categorical["item"] = pl.Series(["b", "a", "b", "", "c", "a", "b", "c"])
    elif change == "number":
        other.numeric["price"][0] = 1.5
    elif change == "label":
        other.labels["seconds"][7] = 8  # of a task that is not chosen
    elif change == "name":
        other.categorical["minute"] = other.categorical.pop("hour")
    else:
        other.categorical["user"] = other.categorical["user"][::-1]
    assert other.fingerprint() != table().fingerprint()


def test_the_schema_knows_the_users_fields_with_those_made_of_their_columns() -> None:
    assert made().schema.user_fields == ("user", "size")
    binned = made(lambda: table(user_fields=("user", "price"), item_fields=("item",)))
    assert binned.schema.user_fields == ("user", "price_bin", "price")
    assert made(lambda: table(user_fields=("user",))).schema.user_fields == ("user",)


def test_the_catalogue_has_everybody_as_last_known() -> None:
    data = made()
    assert data.catalogue is not None
    users, items = data.catalogue.users, data.catalogue.items
    assert users.ids.tolist() == ["7", "9", "10"]
    assert users.codes.tolist() == [1, 2, 0]  # 10 is not in train
    assert [field.name for field in users.features.fields] == ["user", "size"]
    # 7 and 9: their last rows of train (m, s), not the later ones of validation and test; 10: its own last row (s)
    assert users.features.column("size").tolist() == [2, 3, 3]
    assert items.ids.tolist() == ["a", "b", "c"]
    assert [field.name for field in items.features.fields] == ["item", "price_bin", "price"]
    assert items.features.numeric.shape == (3, 1)
    assert items.titles is not None
    assert items.titles.tolist() == ["Apple", "Book", ""]
    assert data.catalogue.context.fields == (CategoricalField("hour", 3),)
    assert data.catalogue.context.column("hour").tolist() == [1]


def test_a_row_that_is_left_out_is_nobodys_last() -> None:
    split = table().split.copy()
    split[-1] = LEFT_OUT  # the later row of user 10
    data = made(lambda: table(split=split))
    assert data.catalogue is not None
    users = data.catalogue.users
    assert users.ids.tolist() == ["7", "9", "10"] and users.codes.tolist() == [1, 2, 0]
    assert users.features.column("size").tolist() == [2, 3, 2]  # 10: the earlier row (m)


def test_a_value_may_be_greater_than_the_click_that_it_is_given() -> None:
    seconds = Task("seconds", REGRESSION, given="click")
    labels_RT = np.array([[1, 30.0], [1, 2.5], [0, np.nan], [np.nan, np.nan], [0, 0]])
    check_labels(labels_RT, np.full(5, TRAIN), (CLICK, seconds))
    labels_RT[3, 1] = 4.0
    with pytest.raises(ValueError, match="'seconds' is given 'click', but on 1 rows it is observed and 'click' is not"):
        check_labels(labels_RT, np.full(5, TRAIN), (CLICK, seconds))


@pytest.mark.parametrize("name", ["price", "nobody"])
def test_a_role_that_is_no_categorical_column_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(Toy, "user", name)
    with pytest.raises(ValueError, match=f"the user field '{name}' is not a categorical field of this schema"):
        made()


def test_without_roles_there_is_no_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "user", None)
    assert made().catalogue is None


def test_random_split_hangs_on_its_seed_alone() -> None:
    first = random_split(1000, 3)
    assert np.bincount(first).tolist() == [800, 100, 100]
    np.testing.assert_array_equal(first, random_split(1000, 3))
    assert (first != random_split(1000, 4)).any()


def test_the_second_time_comes_from_the_cache_and_is_mapped() -> None:
    def refuse() -> Table:
        raise AssertionError("read although cached")

    first = prepare(Toy(), read=table, source={"of": "twice"})
    second = prepare(Toy(), read=refuse, source={"of": "twice"})
    assert second.schema == first.schema
    assert second.facts == first.facts
    assert first.facts == {"rows_read": 8, "test_rows_in_train": {"same_features": 0, "same_features_and_labels": 0}}
    assert isinstance(second.train.features.categorical, np.memmap)
    second.train.features.categorical[:] = -1  # the process's own; the file stays
    np.testing.assert_array_equal(
        prepare(Toy(), read=refuse, source={"of": "twice"}).train.features.categorical, first.train.features.categorical
    )
    np.testing.assert_array_equal(second.test.labels, first.test.labels)
    with pytest.raises(AssertionError, match="read although cached"):
        prepare(Toy(), read=refuse, source={"of": "another file"})
    with pytest.raises(AssertionError, match="read although cached"):
        prepare(Toy(("click",)), read=refuse, source={"of": "twice"})


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="validation split"):
        made(lambda: table(split=np.zeros(8, np.int8)))
    assert list((tmp_path / "prepared").iterdir()) == []


def test_two_prepare_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # threads here stand for processes: all that they share is the folder
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    both = Barrier(2, timeout=60)

    def read() -> Table:
        both.wait()  # both have found the cache empty
        return table()

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(prepare, Toy(), read=read, source={}) for _ in range(2)]
        found = [run.result(timeout=60) for run in runs]
    assert [data.fingerprint for data in found] == [table().fingerprint()] * 2
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot be written.*set MTLBENCH_CACHE"):
        made()


def test_a_digest_is_computed_once_per_state_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "data.csv"
    path.write_text("a,b")
    first = file_digest(path)
    assert not (tmp_path / "cache" / "digests").exists()  # a change right now might not show in the file's times
    monkeypatch.setattr(disk, "_TICK", 0)
    assert file_digest(path) == first
    (memo,) = (tmp_path / "cache" / "digests").iterdir()
    write_memo(memo, {**read_memo(memo), "sha256": "from the memo"})
    assert file_digest(path) == "from the memo"
    memo.write_text(memo.read_text().replace("from the memo", "by the way, no"))
    assert file_digest(path) == first
    stat = path.stat()
    path.write_text("b,a")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time of change
    assert file_digest(path) != first
    memo.write_text("damaged")
    path.write_text("a,b")
    assert file_digest(path) == first


def test_a_folder_is_filled_once() -> None:
    target = cache_folder() / "once"
    folder_made_once(target, lambda folder: (folder / "a").write_text("1"))  # type: ignore[arg-type, return-value]
    folder_made_once(target, lambda folder: pytest.fail("filled again"))
    assert (target / "a").read_text() == "1"
