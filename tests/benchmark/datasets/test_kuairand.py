"""KuaiRand: duplicates, the split by date, what must not leak, and the local part of the log where it is at hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets import Data
from benchmark.datasets._kuaishou import USER_CODES, USER_NUMBERS
from benchmark.datasets.kuairand import LOG, NOT_FEATURES, VIDEO_CODES, VIDEO_NUMBERS, KuaiRand, _source
from benchmark.datasets.sources import look
from benchmark.kinds import REGRESSION, Transform
from benchmark.lists import MultiValuedField, SequenceField
from tests.benchmark.datasets.fixtures import write_kuairand

LOG_NAME = "log_standard_4_22_to_5_08_pure.csv"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_kuairand(tmp_path / "kuairand_pure")
    return tmp_path / "kuairand_pure" / "data"


def sizes(data: Data) -> list[int]:
    return [len(data.train), len(data.validation), len(data.test)]


def test_fields_are_known_before_the_impression(folder: Path) -> None:
    data = KuaiRand().build()
    origins = {field.name.removesuffix("_bin") for field in data.schema.fields}
    expected = {"user_id", *USER_CODES, *USER_NUMBERS, "video_id", *VIDEO_CODES, *VIDEO_NUMBERS, "tab", "hour"}
    assert origins == expected
    assert len(expected) == 45
    assert not origins & set(LOG) - {"user_id", "video_id", "tab"}
    assert (data.schema.user, data.schema.item) == ("user_id", "video_id")


def test_duplicates_are_dropped_and_counted(folder: Path) -> None:
    data = KuaiRand().build()
    assert data.facts["log_rows"] == 4003
    assert data.facts["duplicates_dropped"] == 3
    assert sum(sizes(data)) == 4000


def test_the_split_is_by_date(folder: Path) -> None:
    data = KuaiRand().build()
    dates = pl.read_csv(folder / LOG_NAME).unique()["date"]
    assert sizes(data) == [
        (dates <= 20220504).sum(),
        ((dates > 20220504) & (dates <= 20220506)).sum(),
        (dates > 20220506).sum(),
    ]
    assert data.facts["dates"] == {
        "train": [20220425, 20220504],
        "validation": [20220505, 20220506],
        "test": [20220507, 20220508],
    }
    assert sizes(KuaiRand(split_seed=5).build()) == sizes(data)


def test_targets(folder: Path) -> None:
    data = KuaiRand().build()
    play_time = data.schema.task("play_time")
    assert (play_time.kind, play_time.unit, play_time.transform) == (REGRESSION, "seconds", Transform.LOG1P)
    log = pl.read_csv(folder / LOG_NAME).unique(maintain_order=True).filter(pl.col("date") > 20220506)
    np.testing.assert_array_equal(data.test.labels[:, 0], log["is_click"])
    np.testing.assert_array_equal(data.test.labels[:, 1], log["long_view"])
    np.testing.assert_array_equal(data.test.labels[:, 2], log["is_like"])
    np.testing.assert_allclose(np.expm1(data.test.labels[:, 3]), log["play_time_ms"] / 1000, rtol=1e-5)


def test_gaps_and_odd_codes_are_categories(folder: Path) -> None:
    data = KuaiRand(tasks=("like",)).build()
    cardinality = {field.name: field.cardinality for field in data.schema.categorical}
    assert cardinality["is_live_streamer"] == 3  # unseen, -124, 1
    assert cardinality["onehot_feat4"] == 17  # unseen, 15 codes, missing
    assert data.catalogue is not None
    assert len(data.catalogue.users.ids) == 120
    assert len(data.catalogue.items.ids) == 60
    assert {field.name for field in data.catalogue.context.fields} == {"tab", "hour"}
    assert np.isfinite(data.train.features.numeric).all()


def test_the_earlier_log_joins_train(folder: Path) -> None:
    without = KuaiRand().build()
    early = pl.read_csv(folder / LOG_NAME).head(50).with_columns(pl.lit(20220409).alias("date"))
    early.write_csv(folder / "log_standard_4_08_to_4_21_pure.csv")
    data = KuaiRand().build()
    assert sizes(data) == [len(without.train) + 50, len(without.validation), len(without.test)]
    assert data.facts["log_files"] == ["log_standard_4_08_to_4_21_pure.csv", LOG_NAME]
    assert data.facts["dates"]["train"] == [20220409, 20220504]


def write_variant(folder: Path, variant: str) -> pl.DataFrame:
    """A variant in the official layout; returns the log of 04-22 on. Files that no reader should open are not CSV."""
    write_kuairand(folder / f"kuairand_{variant}", variant=variant)
    data = folder / f"kuairand_{variant}" / "data"
    log = pl.read_csv(data / f"log_standard_4_22_to_5_08_{variant}.csv")
    early = log.head(60).with_columns(pl.lit(20220408).alias("date"), pl.col("time_ms") - 10**9)
    (data / f"log_standard_4_22_to_5_08_{variant}.csv").unlink()
    parts = ("_part1", "_part2") if variant == "27k" else ("",)
    for number, part in enumerate(parts):
        for days, rows in (("4_08_to_4_21", early), ("4_22_to_5_08", log)):
            first = number * len(rows) // len(parts)
            rows[first : first + len(rows) // len(parts)].write_csv(data / f"log_standard_{days}_{variant}{part}.csv")
    (data / f"log_random_4_22_to_5_08_{variant}.csv").write_text("not for training")
    for part in ("_part1", "_part2", "_part3") if variant == "27k" else ("",):
        (data / f"video_features_statistic_{variant}{part}.csv").write_text("a leak")
    return log


@pytest.mark.parametrize("variant", ["1k", "27k"])
def test_the_larger_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    log = write_variant(tmp_path, variant)
    data = KuaiRand(variant=variant).build()  # type: ignore[arg-type]
    late = log.unique()["date"]
    assert sizes(data) == [
        60 + (late <= 20220504).sum(),
        late.is_in([20220505, 20220506]).sum(),
        (late > 20220506).sum(),
    ]
    parts = ["_part1", "_part2"] if variant == "27k" else [""]
    days = ("4_08_to_4_21", "4_22_to_5_08")
    assert data.facts["log_files"] == [f"log_standard_{name}_{variant}{part}.csv" for name in days for part in parts]
    assert data.facts["dates"]["train"] == [20220408, 20220504]
    assert data.facts["left_out"] == NOT_FEATURES
    write_kuairand(tmp_path / "kuairand_pure")
    assert [field.name for field in data.schema.fields] == [field.name for field in KuaiRand().build().schema.fields]


def test_27k_needs_both_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_variant(tmp_path, "27k")
    (tmp_path / "kuairand_27k" / "data" / "log_standard_4_22_to_5_08_27k_part2.csv").unlink()
    found, looked = look(_source("27k"))
    assert found is None
    assert looked[0].endswith("kuairand_27k: lacks log_standard_4_22_to_5_08_27k_part2.csv")


def test_tags_as_one_field(folder: Path) -> None:
    path = folder / "video_features_basic_pure.csv.gz"
    videos = pl.read_csv(path).with_columns(tag=pl.Series(["7,12", "12", None, "3,7,12"] * 15))
    path.write_bytes(gzip.compress(videos.write_csv().encode()))
    data = KuaiRand(tags="list").build()
    assert data.schema.others == (MultiValuedField("tags", cardinality=4),)
    assert "tag" not in [field.name for field in data.schema.categorical]
    assert data.catalogue is not None
    items = data.catalogue.items
    arrays = items.features.others[data.schema.others[0]]
    found = [row.tolist() for row in np.split(np.asarray(arrays["codes"]), np.asarray(arrays["bounds"])[1:-1])]
    code = {"12": 1, "3": 2, "7": 3}
    expected = {0: ["7", "12"], 1: ["12"], 2: [], 3: ["3", "7", "12"]}
    assert found == [[code[tag] for tag in expected[int(video) % 4]] for video in items.ids]


def test_a_history_has_the_videos_of_train_before_a_row(folder: Path) -> None:
    data = KuaiRand(history=4).build()
    (field,) = data.schema.others
    assert field == SequenceField("history", of="video_id", max_length=4, cardinality=61)
    log = pl.read_csv(folder / LOG_NAME).unique(maintain_order=True)
    train = log.filter(pl.col("date") <= 20220504)
    arrays = data.test.features.others[field]
    rows = np.split(np.asarray(arrays["codes"]), np.asarray(arrays["bounds"])[1:-1])
    test = log.filter(pl.col("date") > 20220506)
    for row in range(0, len(rows), 50):
        seen = train.filter(pl.col("user_id") == test["user_id"][row]).sort("time_ms")["video_id"][-4:]
        assert rows[row].tolist() == [1 + video for video in seen]


def test_a_wrong_value_is_located(folder: Path) -> None:
    lines = (folder / LOG_NAME).read_text().splitlines()
    lines[2] = lines[2].replace(",202204", ",April", 1)
    (folder / LOG_NAME).write_text("\n".join(lines))
    with pytest.raises(
        ValueError, match=rf"{LOG_NAME}: line 3, column date: expected a date such as 20240531, found 'April\d\d'"
    ):
        KuaiRand().build()


def test_the_local_part_of_the_log(real_data: Path) -> None:
    data = KuaiRand().build()
    if data.facts["log_rows"] != 228_329:
        pytest.skip("another part of the log")
    assert data.facts["duplicates_dropped"] == 5460
    assert sizes(data) == [167_281, 26_683, 28_905]
    assert data.train.labels.sum(axis=0, dtype=np.float64)[:3].tolist() == [75_453, 53_219, 2964]
    assert data.fingerprint == "6275aa589c3087c0081127c909ee010efb9a3da549014ee901cf5b2fd1a29c9f"
    assert data.catalogue is not None
    assert len(data.catalogue.users.ids) == 25_156
