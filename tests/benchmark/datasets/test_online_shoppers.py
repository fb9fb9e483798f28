"""Online Shoppers: what gives a label away is no feature, and the file's traps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.online_shoppers import CATEGORICAL, FILE, NOT_FEATURES, NUMERIC, OnlineShoppers
from benchmark.kinds import BINARY, REGRESSION, Transform
from tests.benchmark.datasets.layouts import write_online_shoppers

FINGERPRINT = "d8fad9de96f7d41be495a4ab3b0ce4a950069fea222162b937f56666aec6a2d1"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_online_shoppers(tmp_path / "online_shoppers")
    return tmp_path / "online_shoppers" / FILE


def test_what_gives_a_label_away_is_no_feature(path: Path) -> None:
    data = OnlineShoppers().build()
    names = {field.name.removesuffix("_bin") for field in data.schema.fields}
    assert names == {*CATEGORICAL, *NUMERIC}
    columns = set(pl.read_csv(path).columns)
    left_out = {name for names in NOT_FEATURES for name in names.split(", ")}
    assert columns == names | left_out | {"ProductRelated_Duration", "Revenue"}
    assert data.facts["left_out"] == NOT_FEATURES


@pytest.mark.parametrize("tasks", [("purchase",), ("product_time",)])
def test_the_other_label_is_no_feature_either(path: Path, tasks: tuple[str, ...]) -> None:
    data = OnlineShoppers(tasks=tasks).build()
    assert data.schema.task_names == tasks
    assert {field.name.removesuffix("_bin") for field in data.schema.fields} == {*CATEGORICAL, *NUMERIC}


def test_labels_are_those_of_the_file(path: Path) -> None:
    data = OnlineShoppers().build()
    kinds = [(task.kind, task.unit, task.transform) for task in data.schema.tasks]
    assert kinds == [(BINARY, None, Transform.IDENTITY), (REGRESSION, "seconds", Transform.LOG1P)]
    rows = pl.read_csv(path)
    labels = np.concatenate([split.labels for split in (data.train, data.validation, data.test)])
    assert labels[:, 0].sum() == rows["Revenue"].sum()
    np.testing.assert_allclose(
        np.sort(np.expm1(labels[:, 1])), np.sort(rows["ProductRelated_Duration"].to_numpy()), rtol=1e-5, atol=1e-5
    )
    assert [len(data.train), len(data.validation), len(data.test)] == [1200, 150, 150]


def test_a_carriage_return_is_no_part_of_the_last_value(path: Path) -> None:
    assert path.read_bytes().count(b"\r\n") == 1501
    windows = OnlineShoppers().build()
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert OnlineShoppers().build().fingerprint == windows.fingerprint


def test_codes_are_categories(path: Path) -> None:
    cardinality = {field.name: field.cardinality for field in OnlineShoppers().build().schema.categorical}
    assert cardinality["OperatingSystems"] == 9  # 8 codes and 'unseen'
    assert cardinality["Month"] == 7
    assert cardinality["Weekend"] == 3


def test_a_label_that_is_neither_true_nor_false_is_located(path: Path) -> None:
    lines = path.read_text().splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ",maybe"
    path.write_text("\n".join(lines))
    with pytest.raises(
        ValueError, match=r"online_shoppers_intention\.csv: line 5, column Revenue: expected FALSE or TRUE, f"
    ):
        OnlineShoppers().build()


def test_the_owners_file(real_data: Path) -> None:
    data = OnlineShoppers().build()
    assert [len(data.train), len(data.validation), len(data.test)] == [9864, 1233, 1233]
    labels = np.concatenate([split.labels for split in (data.train, data.validation, data.test)])
    assert labels[:, 0].sum() == 1908
    assert data.fingerprint == FINGERPRINT
