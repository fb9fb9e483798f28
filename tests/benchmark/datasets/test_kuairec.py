"""KuaiRec: train and test are two files, validation is carved from train by pair, and the traps of its tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets import Data
from benchmark.datasets._kuaishou import USER_CODES, USER_NUMBERS
from benchmark.datasets.kuairec import CATEGORIES, NOT_FEATURES, SOURCE, VIDEO_CODES, VIDEO_NUMBERS, KuaiRec
from benchmark.datasets.sources import look
from benchmark.kinds import REGRESSION, Transform
from benchmark.rows import Split
from tests.benchmark.datasets.layouts import DAILY, KUAIREC_USERS, KUAIREC_VIDEOS, write_kuairec

TASKS = ("finish", "like", "watch_ratio", "play_time")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_kuairec(tmp_path / "kuairec")
    return tmp_path / "kuairec" / "KuaiRec 2.0" / "data"


def pairs(data: Data, split: Split) -> set[tuple[int, int]]:
    users, videos = (split.features.column(name).tolist() for name in ("user_id", "video_id"))
    return set(zip(users, videos, strict=True))


def test_the_small_matrix_is_test_and_the_big_one_is_the_rest(folder: Path) -> None:
    data = KuaiRec(tasks=TASKS).build()
    big, small = pl.read_csv(folder / "big_matrix.csv"), pl.read_csv(folder / "small_matrix.csv")
    assert len(data.test) == len(small) == 94
    assert len(data.train) + len(data.validation) == len(big) - 3
    np.testing.assert_allclose(np.expm1(data.test.labels[:, 2]), small["watch_ratio"], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(data.test.labels[:, 3]), small["play_duration"] / 1000, rtol=1e-5)
    np.testing.assert_array_equal(data.test.labels[:, 0], small["watch_ratio"] >= 1)
    np.testing.assert_array_equal(data.test.labels[:, 1], small["watch_ratio"] > 2)


def test_facts(folder: Path) -> None:
    data = KuaiRec().build()
    big = pl.read_csv(folder / "big_matrix.csv")
    expected = {
        "protocol": "big matrix: train and validation, by pair; small matrix: test",
        "big_matrix_rows": len(big),
        "small_matrix_rows": 94,
        "duplicates_dropped": 3,
        "test_pairs_in_train": 0,
        "test_rows_without_time": 5,
        "left_out": NOT_FEATURES,
    }
    assert {name: data.facts[name] for name in expected} == expected


def test_a_play_that_is_filed_under_two_dates_is_one(folder: Path) -> None:
    big = pl.read_csv(folder / "big_matrix.csv")
    assert big.unique().height == len(big)  # the dates differ
    assert KuaiRec().build().facts["duplicates_dropped"] == 3


def test_validation_has_pairs_of_its_own(folder: Path) -> None:
    data = KuaiRec().build()
    train, validation, test = (pairs(data, split) for split in (data.train, data.validation, data.test))
    assert not train & validation
    assert not (train | validation) & test
    assert len(validation) == (len(train) + len(validation)) // 10
    assert len(data.train) > len(train), "the plays of a pair stay together"


def test_the_split_seed_moves_validation_and_not_test(folder: Path) -> None:
    first, second = KuaiRec().build(), KuaiRec(split_seed=1).build()
    assert pairs(first, first.validation) != pairs(second, second.validation)
    np.testing.assert_array_equal(first.test.labels, second.test.labels)


def test_fields_are_known_before_the_play(folder: Path) -> None:
    data = KuaiRec().build()
    origins = {field.name.removesuffix("_bin") for field in data.schema.fields}
    items = {"video_id", *VIDEO_CODES, "tags", *CATEGORIES, "video_duration", *VIDEO_NUMBERS}
    assert origins == {"user_id", *USER_CODES, *USER_NUMBERS, *items, "hour"}
    assert len(origins) == 47
    assert not origins & {"play_duration", "watch_ratio", "date", "timestamp", *DAILY}
    assert data.catalogue is not None
    assert len(data.catalogue.users.ids) == KUAIREC_USERS
    assert len(data.catalogue.items.ids) == KUAIREC_VIDEOS
    assert [field.name for field in data.catalogue.context.fields] == ["hour"]


def test_tasks(folder: Path) -> None:
    data = KuaiRec(tasks=TASKS).build()
    ratio, seconds = data.schema.task("watch_ratio"), data.schema.task("play_time")
    assert (ratio.kind, ratio.unit, ratio.transform) == (REGRESSION, "video lengths", Transform.LOG1P)
    assert (seconds.kind, seconds.unit, seconds.transform) == (REGRESSION, "seconds", Transform.LOG1P)
    assert KuaiRec().build().schema.task_names == ("finish", "like", "watch_ratio")


def test_the_hour_is_on_the_clock_of_the_app(folder: Path) -> None:
    data = KuaiRec().build()
    local = pl.read_csv(folder / "small_matrix.csv")["time"].str.slice(11, 2).cast(pl.Int64)
    hours = data.test.features.column("hour")
    assert (hours[-5:] == 0).all()  # without a time
    known = local.drop_nulls().to_numpy()
    assert len(known) == 89
    big = pl.read_csv(folder / "big_matrix.csv")["time"].str.slice(11, 2).cast(pl.Int64).unique().sort().to_list()
    np.testing.assert_array_equal(hours[:-5], [big.index(hour) + 1 for hour in known])


def test_captions_may_have_anything_in_them(folder: Path) -> None:
    text = (folder / "kuairec_caption_category.csv").read_bytes().decode()
    assert 'one, ""two""\nthree' in text
    assert "短视频\r2," in text
    cardinality = {field.name: field.cardinality for field in KuaiRec().build().schema.categorical}
    assert cardinality["first_level_category_id"] == 7  # 6 codes and 'unseen'
    assert cardinality["third_level_category_id"] == 2  # -124 is a code


def test_a_video_has_the_values_of_its_first_day(folder: Path) -> None:
    cardinality = {field.name: field.cardinality for field in KuaiRec().build().schema.categorical}
    assert cardinality["visible_status"] == 2  # public on the first day, private on the second
    assert cardinality["video_type"] == 3


def test_an_older_archive_without_captions_says_what_it_lacks(folder: Path) -> None:
    (folder / "kuairec_caption_category.csv").unlink()
    found, looked = look(SOURCE)
    assert found is None
    assert looked[0].endswith("kuairec: lacks kuairec_caption_category.csv")


def test_tags_as_one_field(folder: Path) -> None:
    data = KuaiRec(tags="list").build()
    (tags,) = data.schema.others
    assert (tags.name, tags.kind) == ("tags", "multi")
    assert "tags" not in {field.name for field in data.schema.categorical}
    arrays, videos = data.test.features.others[tags], pl.read_csv(folder / "small_matrix.csv")["video_id"]
    lengths = np.diff(arrays["bounds"])
    np.testing.assert_array_equal(lengths, np.where(videos % 3 == 0, 2, 1))


def test_a_history_is_of_the_big_matrix_alone(folder: Path) -> None:
    data = KuaiRec(history=4).build()
    (history,) = data.schema.others
    assert (history.name, history.kind) == ("history", "sequence")
    lengths = np.diff(data.test.features.others[history]["bounds"])
    assert lengths.max() == 4
    assert (lengths[-5:] == 0).all(), "nothing is known to be before a row without a time"
    small = pl.read_csv(folder / "small_matrix.csv")["timestamp"].drop_nulls()
    first = pl.read_csv(folder / "big_matrix.csv")["timestamp"].min()
    assert (lengths[:-5][small.to_numpy() <= first] == 0).all()
