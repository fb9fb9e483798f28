"""Ali-CCP: the lists of features with their separators, the join of common features, the funnel, and the splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.ali_ccp import CONTEXT, ITEM, USER, AliCCP, _users
from tests.benchmark.datasets.owners import features, write_ali_ccp


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return write_ali_ccp(tmp_path)


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def edit(path: Path, line: int, column: int, value: str) -> None:
    rows = cells(path)
    rows[line][column] = value
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def test_fields_are_those_of_aitm(folder: Path) -> None:
    data = AliCCP().build()
    assert [field.name for field in data.schema.categorical] == [*USER, *ITEM, *CONTEXT]
    assert len(data.schema.fields) == 18
    assert (data.schema.user, data.schema.item) == ("user_id", "item_id")
    assert data.catalogue is not None
    assert set(data.catalogue.users.ids) <= {str(500 + number) for number in range(60)}


def test_a_value_stands_between_its_field_and_its_weight(tmp_path: Path) -> None:
    """A field's number may be the end of another's, a field may be listed twice, and it may be missing."""
    listed = [
        features(("1101", 1, 1.0), ("109_101", 2, 1.0), ("101", 33, 1.0), ("121", 4, 0.5)),
        features(("121", 5, 1.0), ("121", 6, 1.0), ("101", 7, 1.0)),
        features(("129", 101, 101.0), ("150_14", 8, 1.0)),
    ]
    path = tmp_path / "common_features_train.csv"
    path.write_text("".join(f"c{number},3,{text}\n" for number, text in enumerate(listed)))
    users = _users(path)
    assert users["user_id"].to_list() == ["33", "7", None]
    assert users["user_121"].to_list() == ["4", "5", None]
    assert users["user_129"].to_list() == [None, None, "101"]


def test_purchases_without_a_click_are_dropped_and_counted(folder: Path) -> None:
    data = AliCCP().build()
    assert data.facts["file_rows"] == 4000
    assert data.facts["purchases_without_click_dropped"] == 20
    assert len(data.train) + len(data.validation) + len(data.test) == 3980
    assert data.schema.task("purchase").given == "click"
    for split in (data.train, data.validation, data.test):
        assert (split.labels[:, 1] <= split.labels[:, 0]).all()


def test_rows_of_the_same_common_features_stay_together(folder: Path) -> None:
    data = AliCCP().build()
    known = [row for row in cells(folder / "sample_train" / "sample_skeleton_train.csv") if row[1:3] != ["0", "1"]]
    sizes = {id_: sum(row[3] == id_ for row in known) for id_ in {row[3] for row in known}}
    assert len(sizes) == 100
    assert len(data.test) == 1990
    assert len(data.validation) in {  # of ten ids
        sum(sizes[id_] for id_ in chosen) for chosen in [_validation_ids(0)]
    }
    assert len(AliCCP(split_seed=1).build().validation) == sum(sizes[id_] for id_ in _validation_ids(1))


def _validation_ids(seed: int) -> list[str]:
    split = AliCCP(split_seed=seed)._split(100)
    return [f"train{number:012x}" for number in np.flatnonzero(split == 1)]


def test_a_cross_that_is_not_listed_is_missing(folder: Path) -> None:
    data = AliCCP().build()
    known = {field.name: field.cardinality for field in data.schema.categorical}
    assert known["cross_508"] == 1 + 13 + 1  # unseen, values, missing
    assert known["cross_509"] == 2  # never listed


def test_common_features_that_are_nowhere_are_told(folder: Path) -> None:
    skeleton = folder / "sample_train" / "sample_skeleton_train.csv"
    edit(skeleton, 7, 3, "nobody")
    with pytest.raises(
        ValueError, match=r"sample_skeleton_train.csv: .*nobody \(column 4\) are not in .*features_train"
    ):
        AliCCP().build()


def test_repeated_common_features_are_told(folder: Path) -> None:
    path = folder / "sample_test" / "common_features_test.csv"
    edit(path, 3, 0, cells(path)[2][0])
    with pytest.raises(
        ValueError,
        match=r"common_features_test.csv: line 4, column common_id: expected each value once, found 'test0+2' again",
    ):
        AliCCP().build()


@pytest.mark.parametrize("label", ["yes", "", "2"])
def test_a_wrong_label_is_located(folder: Path, label: str) -> None:
    edit(folder / "sample_train" / "sample_skeleton_train.csv", 4, 1, label)
    with pytest.raises(
        ValueError, match=rf"skeleton_train.csv: line 5, column click: expected 0 or 1, found '{label}'"
    ):
        AliCCP().build()


def test_a_short_line_is_located(folder: Path) -> None:
    path = folder / "sample_train" / "sample_skeleton_train.csv"
    path.write_text(path.read_text() + "2001,1")
    with pytest.raises(
        ValueError, match=r"sample_skeleton_train.csv: line 2001 has 2 values, expected 6; is the file trunc"
    ):
        AliCCP().build()


def test_rare_values_are_as_unseen_ones(folder: Path) -> None:
    every = AliCCP(min_frequency=1).build()
    assert every.catalogue is not None
    codes = np.bincount(every.train.features.column("item_id"), minlength=41)[1:]
    least = int(np.median(codes))
    some = AliCCP(min_frequency=least).build()
    known = {field.name: field.cardinality for field in some.schema.categorical}
    assert known["item_id"] == 1 + (codes >= least).sum() < 41
    assert (some.train.features.column("item_id") == 0).sum() == codes[codes < least].sum()
    assert some.fingerprint == every.fingerprint
    assert AliCCP().min_frequency == 10


def test_without_files_it_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"a Tianchi account.*tianchi.aliyun.com/dataset/408.*folder ali_ccp"):
        AliCCP().build()
