"""AliExpress: the join on the search, labels in one column, two layouts of one set, and validation by search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.aliexpress import CATEGORICAL, CODES, ITEM_FILE, NUMBERS, NUMERICAL, AliExpress
from tests.benchmark.datasets.owners import preprocess_aliexpress, write_aliexpress


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_aliexpress(tmp_path)
    return tmp_path


def items(root: Path, part: str) -> pl.DataFrame:
    return pl.read_csv(root / "aliexpress_nl" / f"nl_item_{part}.csv", has_header=False, new_columns=list(ITEM_FILE))


def test_fields_are_numbered_as_in_the_preprocessed_files() -> None:
    assert (len(CATEGORICAL), len(NUMERICAL)) == (16, 63)
    assert (CODES[0], CODES[7], CODES[9], CODES[15]) == ("user_2", "user_32", "item_19", "item_42")
    assert (NUMBERS[0], NUMBERS[22], NUMBERS[23], NUMBERS[-1]) == ("user_9", "user_31", "item_2", "item_48")


def test_the_search_is_no_feature(root: Path) -> None:
    data = AliExpress(numeric="standardise").build()
    assert [field.name for field in data.schema.fields] == [*CATEGORICAL, *NUMERICAL]


def test_labels(root: Path) -> None:
    data = AliExpress().build()
    labels = items(root, "test")["label"].head(-1)  # the last result has no search
    np.testing.assert_array_equal(data.test.labels[:, 0], labels >= 1)
    np.testing.assert_array_equal(data.test.labels[:, 1], labels == 2)
    assert data.schema.task("purchase").given == "click"


def test_results_of_an_unknown_search_are_dropped_and_counted(root: Path) -> None:
    data = AliExpress().build()
    assert data.facts["file_rows"] == len(items(root, "train")) + len(items(root, "test"))
    assert data.facts["results_without_search_dropped"] == 1
    assert len(data.test) == len(items(root, "test")) - 1


def test_validation_has_whole_searches_of_train(root: Path) -> None:
    data = AliExpress().build()
    sizes = items(root, "train").group_by("search_id").len()
    known = dict(sizes.iter_rows())
    split = AliExpress()._split(pl.Series([id_ for id_ in sorted(known) for _ in range(known[id_])]), 0)
    searches = np.repeat(sorted(known), [known[id_] for id_ in sorted(known)])
    validation = set(searches[split == 1])
    assert len(validation) == 30
    assert not validation & set(searches[split == 0])
    assert len(data.validation) == sum(known[id_] for id_ in validation)
    assert len(data.train) + len(data.validation) == len(searches)


def test_both_layouts_give_the_same_data(root: Path) -> None:
    official = AliExpress().build()
    preprocess_aliexpress(root)
    preprocessed = AliExpress().build()
    assert (official.facts["format"], preprocessed.facts["format"]) == ("official", "preprocessed")
    assert preprocessed.fingerprint == official.fingerprint
    np.testing.assert_array_equal(preprocessed.validation.labels, official.validation.labels)


def test_each_country_has_files_of_its_own(root: Path) -> None:
    write_aliexpress(root, variant="us", seed=3)
    assert AliExpress(variant="us").build().fingerprint != AliExpress().build().fingerprint


@pytest.mark.parametrize(
    ("name", "column", "value", "told"),
    [
        ("item", 48, "3", r"nl_item_train.csv: line 3, column label: expected 0, 1 or 2, found '3'"),
        (
            "user",
            0,
            "4",
            r"nl_user_train.csv: line 5, column search_id: expected each value once, found '4' again, as in line 3",
        ),
        ("item", 1, "much", r"nl_item_train.csv: line 3, column item_2: expected a number, found 'much'"),
    ],
)
def test_what_is_wrong_is_told(root: Path, name: str, column: int, value: str, told: str) -> None:
    path = root / "aliexpress_nl" / f"nl_{name}_train.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[2][column] = value
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=told):
        AliExpress().build()
