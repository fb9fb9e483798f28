"""VK-LSVD: weeks as splits, a watch time of one byte, what counts rows of train, and side tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark.datasets.vk_lsvd import FEEDBACK, VKLSVD
from benchmark.kinds import Transform
from tests.benchmark.datasets.owners import write_vk_lsvd

ALL = ("watch_time", *FEEDBACK)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return write_vk_lsvd(tmp_path)


def test_fields_are_known_before_the_exposure(folder: Path) -> None:
    data = VKLSVD(numeric="standardise").build()
    names = [field.name for field in data.schema.fields]
    assert sorted(names) == sorted([
        "user_id", "age", "gender", "geo", "item_id", "author_id", "duration", "place", "platform", "agent",
    ])  # fmt: skip
    assert data.catalogue is not None
    assert {field.name for field in data.catalogue.context.fields} == {"place", "platform", "agent"}


def test_splits_are_weeks(folder: Path) -> None:
    data = VKLSVD(tasks=ALL).build()
    assert [len(data.train), len(data.validation), len(data.test)] == [25 * 60, 60, 60]
    last = pl.read_parquet(folder / "test" / "week_26.parquet")
    for number, name in enumerate(FEEDBACK, 1):
        np.testing.assert_array_equal(data.test.labels[:, number], last[name])
    np.testing.assert_allclose(np.expm1(data.test.labels[:, 0]), last["timespent"], rtol=1e-5)
    assert data.facts["weeks"] == [0, 26]


def test_train_may_be_the_last_weeks(folder: Path) -> None:
    for week in range(21):
        (folder / "train" / f"week_{week:02}.parquet").unlink()
    data = VKLSVD(train_weeks=4).build()
    assert [len(data.train), len(data.validation), len(data.test)] == [240, 60, 60]
    assert data.facts["weeks"] == [21, 26]


def test_a_folder_with_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data [1]"))
    write_vk_lsvd(tmp_path / "data [1]")
    assert len(VKLSVD().build().test) == 60


def test_watch_times_that_fill_their_byte_are_counted(folder: Path) -> None:
    data = VKLSVD().build()
    whole = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*/week_*.parquet"))])
    assert whole["timespent"].dtype == pl.UInt8
    saturated = (whole["timespent"] == 255).sum()
    assert saturated > 0
    assert data.facts["watch_times_of_255_seconds_or_more"] == saturated
    task = data.schema.task("watch_time")
    assert (task.unit, task.transform) == ("seconds", Transform.LOG1P)


def test_a_user_without_a_line_has_missing_values(folder: Path) -> None:
    data = VKLSVD(numeric="raw").build()
    assert data.catalogue is not None
    known = {field.name: field.cardinality for field in data.schema.categorical}
    assert known["gender"] == 4  # unseen, 0, 1, missing
    assert np.isfinite(data.train.features.numeric).all()


@pytest.mark.parametrize("variant", ["ur0.01", "up0.001_ip0.001", "up-0.9_ip-0.9", "ir0.1"])
def test_names_of_subsamples(variant: str) -> None:
    source = VKLSVD(variant=variant).source
    assert source.name == f"vk_lsvd_{variant}"
    addresses = list(source.files)
    assert len(addresses) == 29
    start = "https://huggingface.co/datasets/deepvk/VK-LSVD/resolve/main"
    assert addresses[0] == f"{start}/subsamples/{variant}/train/week_00.parquet"
    assert addresses[25:27] == [
        f"{start}/subsamples/{variant}/validation/week_25.parquet",
        f"{start}/subsamples/{variant}/test/week_26.parquet",
    ]
    assert addresses[-1] == f"{start}/metadata/items_metadata.parquet"


@pytest.mark.parametrize("variant", ["1k", "ur1", "ur0.01-ir0.01", "../ur0.01", ""])
def test_other_names_are_refused(variant: str) -> None:
    with pytest.raises(ValueError, match=r"dataset.variant must name a subsample .*, found "):
        VKLSVD(variant=variant)


@pytest.mark.parametrize("weeks", [0, 26])
def test_there_are_25_weeks_of_train(weeks: int) -> None:
    with pytest.raises(ValueError, match=f"dataset.train_weeks must be from 1 to 25, found {weeks}"):
        VKLSVD(train_weeks=weeks)


def test_a_missing_column_is_told(folder: Path) -> None:
    path = folder / "train" / "week_03.parquet"
    pl.read_parquet(path).drop("share").write_parquet(path)
    with pytest.raises(ValueError, match=r"week_03.parquet: no column share; columns: user_id, "):
        VKLSVD().build()


def test_a_damaged_file_is_told(folder: Path) -> None:
    path = folder / "train" / "week_03.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"week_03.parquet: unreadable as Parquet"):
        VKLSVD().build()


def test_a_repeated_user_is_told(folder: Path) -> None:
    path = folder / "metadata" / "users_metadata.parquet"
    users = pl.read_parquet(path)
    pl.concat([users, users.head(1)]).write_parquet(path)
    message = (
        r"users_metadata.parquet: row 50, column user_id: expected each value once, found '100' again, as in row 1"
    )
    with pytest.raises(ValueError, match=message):
        VKLSVD().build()
