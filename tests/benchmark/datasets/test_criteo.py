"""Criteo's two sets: what happens after the exposure is no feature, splits, and a funnel that some rows contradict."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.criteo_attribution import CATEGORIES, CriteoAttribution
from benchmark.datasets.criteo_uplift import FEATURES, CriteoUplift
from benchmark.kinds import Transform
from tests.benchmark.datasets.owners import write_criteo_attribution, write_criteo_uplift


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_criteo_attribution(tmp_path)
    write_criteo_uplift(tmp_path)
    return tmp_path


def log(root: Path) -> pl.DataFrame:
    return pl.read_csv(root / "criteo_attribution" / "criteo_attribution_dataset.tsv.gz", separator="\t")


def people(root: Path) -> pl.DataFrame:
    return pl.read_csv(root / "criteo_uplift" / "criteo-research-uplift-v2.1.csv.gz")


def test_attribution_has_no_later_column_as_a_feature() -> None:
    data = CriteoAttribution().build()
    assert [field.name for field in data.schema.fields] == ["uid", "campaign", *CATEGORIES, "hour"]
    data = CriteoAttribution(time_since_last_click=True, numeric="standardise").build()
    assert [field.name for field in data.schema.numeric] == ["time_since_last_click"]


def test_attribution_is_split_by_time(root: Path) -> None:
    data = CriteoAttribution().build()
    days = log(root)["timestamp"] // 86_400
    assert [len(data.train), len(data.validation), len(data.test)] == [
        (days < 24).sum(),
        ((days >= 24) & (days < 27)).sum(),
        (days >= 27).sum(),
    ]
    assert data.facts["days"] == 31


def test_attribution_labels(root: Path) -> None:
    data = CriteoAttribution().build()
    last = log(root).filter(pl.col("timestamp") >= 27 * 86_400)
    np.testing.assert_array_equal(data.test.labels[:, 0], last["click"])
    np.testing.assert_array_equal(data.test.labels[:, 1], last["conversion"])
    np.testing.assert_allclose(np.expm1(data.test.labels[:, 2]) / 1000, last["cost"], rtol=1e-4)
    assert data.schema.task("conversion").given is None
    assert (last["conversion"] > last["click"]).any()
    cost = data.schema.task("cost")
    assert (cost.unit, cost.transform) == ("price of a thousand", Transform.LOG1P)


def test_attribution_without_an_earlier_click_has_a_gap() -> None:
    data = CriteoAttribution(time_since_last_click=True).build()
    known = {field.name: field.cardinality for field in data.schema.categorical}
    assert known["time_since_last_click_bin"] == 1 + 40 + 1  # unseen, bins, missing
    raw = CriteoAttribution(time_since_last_click=True, numeric="raw").build().train.features.numeric
    assert raw.min() > 0  # -1 would be -inf as log1p


def test_uplift_has_no_exposure_as_a_feature() -> None:
    data = CriteoUplift(numeric="standardise").build()
    assert [field.name for field in data.schema.fields] == ["treatment", *FEATURES]
    assert data.schema.task("conversion").given == "visit"


def test_uplift_drops_and_counts_conversions_without_a_visit(root: Path) -> None:
    data = CriteoUplift().build()
    assert data.facts["file_rows"] == 3000
    assert data.facts["conversions_without_visit_dropped"] == 2
    assert len(data.train) + len(data.validation) + len(data.test) == 2998


def test_uplift_is_split_at_random_though_the_file_is_sorted_by_arm(root: Path) -> None:
    assert people(root)["treatment"].is_sorted()
    data = CriteoUplift().build()
    for split in (data.train, data.validation, data.test):
        share = np.mean(split.features.column("treatment") == 2)
        assert share == pytest.approx(0.85, abs=0.06)
    assert data.test.labels.tobytes() != CriteoUplift(split_seed=1).build().test.labels.tobytes()


@pytest.mark.parametrize(("treatment", "rows"), [("treated", 2550), ("control", 450)])
def test_uplift_of_one_arm(treatment: str, rows: int) -> None:
    data = CriteoUplift(treatment=treatment, numeric="standardise").build()  # type: ignore[arg-type]
    assert [field.name for field in data.schema.fields] == list(FEATURES)
    assert data.facts["rows_of_the_arm"] == rows
    assert len(data.train) + len(data.validation) + len(data.test) == rows - 1


def test_a_label_that_is_neither_0_nor_1_is_located(root: Path) -> None:
    path = root / "criteo_attribution" / "criteo_attribution_dataset.tsv.gz"
    write(path, log(root).with_columns(click=wrong_in_row_7("click")), separator="\t")
    with pytest.raises(ValueError, match=r"dataset\.tsv\.gz: line 9, column click: expected 0 or 1, found '2'$"):
        CriteoAttribution().build()
    path = root / "criteo_uplift" / "criteo-research-uplift-v2.1.csv.gz"
    write(path, people(root).with_columns(visit=wrong_in_row_7("visit")), separator=",")
    with pytest.raises(ValueError, match=r"v2\.1\.csv\.gz: line 9, column visit: expected 0 or 1, found '2'$"):
        CriteoUplift().build()


def wrong_in_row_7(name: str) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 7).then(2).otherwise(pl.col(name))


def write(path: Path, rows: pl.DataFrame, *, separator: str) -> None:
    path.write_bytes(gzip.compress(rows.write_csv(separator=separator).encode()))
