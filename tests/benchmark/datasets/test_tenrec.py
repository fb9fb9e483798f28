"""Tenrec: its files, gaps as databases write them, and what is no feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.tenrec import Tenrec
from benchmark.lists import SequenceField
from tests.benchmark.datasets.owners import write_tenrec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return write_tenrec(tmp_path)


@pytest.mark.parametrize("variant", ["ctr", "qb_video"])
def test_watching_times_are_no_feature(folder: Path, variant: str) -> None:
    data = Tenrec(variant=variant).build()  # type: ignore[arg-type]
    assert [field.name for field in data.schema.categorical] == [
        "user_id",
        "gender",
        "age",
        "item_id",
        "video_category",
    ]
    assert not data.schema.numeric
    assert [field.name for field in data.schema.others] == ["history"] * (variant == "ctr")


def test_the_history_is_a_sequence_of_items_without_the_zeros_that_fill_it_up(folder: Path) -> None:
    data = Tenrec().build()
    (field,) = data.schema.others
    assert isinstance(field, SequenceField)
    log = pl.read_csv(folder / "ctr_data_1M.csv")
    assert data.catalogue is not None
    users = data.catalogue.users
    items = {int(id_): code for id_, code in zip(data.catalogue.items.ids, data.catalogue.items.codes, strict=True)}
    past = log.select("user_id", pl.concat_list([f"hist_{n}" for n in range(1, 11)]).alias("past")).unique("user_id")
    known = {str(user): [items[item] for item in items_ if item] for user, items_ in past.iter_rows()}
    arrays = users.features.others[field]
    found = [codes.tolist() for codes in np.split(arrays["codes"], arrays["bounds"][1:-1])]
    assert found == [known[user] for user in users.ids]
    assert [] in found
    assert max(map(len, found)) == 10


def test_a_category_may_be_missing(folder: Path) -> None:
    data = Tenrec().build()
    known = {field.name: field.cardinality for field in data.schema.categorical}
    assert known["video_category"] == 1 + 4 + 1  # unseen, values, missing


def test_labels(folder: Path) -> None:
    data = Tenrec().build()
    log = pl.read_csv(folder / "ctr_data_1M.csv")
    counts = sum(split.labels.sum(axis=0) for split in (data.train, data.validation, data.test))
    np.testing.assert_array_equal(counts, log.select("click", "follow", "like", "share").sum().row(0))
    assert [len(data.train), len(data.validation), len(data.test)] == [2400, 300, 300]


def test_both_files_hold_the_same_rows(folder: Path) -> None:
    rows = [len(Tenrec(variant=variant).build().train) for variant in ("ctr", "qb_video")]  # type: ignore[arg-type]
    assert rows[0] == rows[1]


def test_without_files_it_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"qblv.qq.com.*QK-video.csv.*folder tenrec"):
        Tenrec(variant="qk_video").build()


def test_a_label_that_is_neither_0_nor_1_is_located(folder: Path) -> None:
    path = folder / "ctr_data_1M.csv"
    rows = pl.read_csv(path)
    like = pl.when(pl.int_range(pl.len()) == 7).then(-1).otherwise(pl.col("like")).alias("like")
    rows.with_columns(like).write_csv(path)
    with pytest.raises(ValueError, match=r"ctr_data_1M\.csv: line 9, column like: expected 0 or 1, found '-1'$"):
        Tenrec().build()
