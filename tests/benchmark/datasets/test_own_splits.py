"""dataset=table: which rows belong to which split, and what times mean."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmark import pieces
from benchmark.datasets import Data, _own_files, _own_rows
from benchmark.datasets._description import read_description
from benchmark.datasets._own_files import find_files
from benchmark.datasets._own_rows import read_table
from benchmark.datasets.own_table import OwnTable
from benchmark.datasets.table import SPLITS, random_split
from tests.benchmark.datasets.own import YAML, clicks, write


def sizes(data: Data) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def split_of(tmp_path: Path, split: str, *, seed: int = 0, yaml: str = YAML) -> Data:
    return OwnTable(file=write(tmp_path, yaml + split), split_seed=seed).build()


def test_a_random_split_by_its_seed(tmp_path: Path) -> None:
    split = "split: {by: random, validation: 0.2, test: 0.25}\n"
    data, again, other = (split_of(tmp_path, split, seed=seed) for seed in (0, 0, 1))
    assert sizes(data) == (330, 120, 150)
    np.testing.assert_array_equal(data.test.labels, again.test.labels)
    assert not np.array_equal(data.test.labels, other.test.labels, equal_nan=True)


def test_a_split_by_time_keeps_rows_of_one_time_together(tmp_path: Path) -> None:
    frame = clicks().with_columns(ts=pl.int_range(600) // 50)
    data = OwnTable(file=write(tmp_path, YAML + "split: {by: time, validation: 0.1, test: 0.1}\n", frame)).build()
    assert sizes(data) == (450, 50, 100)
    assert data.facts["protocol"] == "by time"


@pytest.mark.parametrize(
    "bounds",
    [
        "{by: time, validation: 2023-11-17, test: 2023-11-18 06:00:00}",
        "{by: time, validation: 1700179200, test: 1700287200}",
    ],
)
def test_a_split_at_dates(tmp_path: Path, bounds: str) -> None:
    data, times = split_of(tmp_path, f"split: {bounds}\n"), clicks()["ts"]
    assert sizes(data) == (
        (times < 1700179200).sum(),
        times.is_between(1700179200, 1700287199).sum(),
        (times >= 1700287200).sum(),
    )
    assert data.facts["dates"]["train"] == ["2023-11-14 22:13:20", "2023-11-16 23:53:20"]
    assert data.facts["dates"]["test"][0] == "2023-11-18 06:03:20"


def test_texts_of_time(tmp_path: Path) -> None:
    times = pl.from_epoch(clicks()["ts"])
    for form, option in (("%Y-%m-%dT%H:%M:%SZ", ""), ("%d.%m.%Y %H:%M", ", format: '%d.%m.%Y %H:%M'")):
        yaml = (
            YAML.replace("parts: [hour]", f"parts: [hour]{option}")
            + "split: {by: time, validation: 2023-11-17, test: 2023-11-18}\n"
        )
        data = OwnTable(file=write(tmp_path, yaml, clicks().with_columns(ts=times.dt.strftime(form)))).build()
        assert len(data.train) == (times.dt.date() < datetime.date(2023, 11, 17)).sum()
        assert data.facts["dates"]["test"][0][:16] == "2023-11-18 00:03"
        hours = [field.cardinality for field in data.schema.categorical if field.name == "ts_hour"]
        assert hours == [25]


@pytest.mark.parametrize(
    "rule", ["{by: time, validation: 0.15, test: 0.2}", "{by: time, validation: 7, test: 8}", "user", "column"]
)
def test_a_split_in_pieces_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    rng = np.random.default_rng(4)
    times, fold = rng.integers(0, 9, 600), rng.choice(["train", "validation", "test"], 600)
    yaml = YAML if rule != "column" else YAML.replace("note: ignore", "note: ignore\n  more: ignore")
    rule = rule if rule != "column" else "{by: column, column: fold}"
    frame = clicks().with_columns(ts=pl.Series(times), **({"fold": fold, "more": fold} if "fold" in rule else {}))  # type: ignore[arg-type]
    described = read_description(write(tmp_path, f"{yaml}split: {rule}\n", frame))
    files = find_files(described)

    def split(name: str) -> tuple[np.ndarray, dict[str, Any]]:
        (tmp_path / name).mkdir()
        made = read_table(described, files, 0, tmp_path / name)
        return made.split, made.facts

    whole, facts = split("whole")
    for module in (_own_files, _own_rows):
        monkeypatch.setattr(module, "PIECE", 70)
    monkeypatch.setattr(pieces, "PIECE", 70)
    found, again = split("pieces")
    np.testing.assert_array_equal(found, whole)
    assert again == facts
    if "time" in rule:
        ordered = np.sort(times)
        begins = (7, 8) if "7" in rule else (ordered[int(0.65 * 600)], ordered[480])
        np.testing.assert_array_equal(whole, (times >= begins[0]).astype(int) + (times >= begins[1]))
        for number, name in enumerate(("train", "validation", "test")):
            ends = times[whole == number].min(), times[whole == number].max()
            assert [int(text[-1]) for text in facts["dates"][name]] == [*ends]
    elif rule == "user":
        users = pl.Series(frame["user_id"]).unique().sort()
        drawn = dict(zip(users, random_split(len(users), 0), strict=True))
        assert whole.tolist() == [drawn[user] for user in frame["user_id"]]
    else:
        assert whole.tolist() == [SPLITS[name] for name in fold]


def test_days_as_numbers_in_the_column_and_in_the_split(tmp_path: Path) -> None:
    days = (20231101 + pl.int_range(600) // 30).alias("ts")
    yaml = (
        YAML.replace("parts: [hour]", "format: '%Y%m%d'")
        + "split: {by: time, validation: 20231117, test: 2023-11-19}\n"
    )
    assert sizes(OwnTable(file=write(tmp_path, yaml, clicks().with_columns(days))).build()) == (480, 60, 60)


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%d %H:%M:%S%.3f%z"])
def test_times_with_an_offset_and_the_clock_of_a_time_zone(tmp_path: Path, form: str) -> None:
    berlin = pl.from_epoch(clicks()["ts"]).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    frame = clicks().with_columns(ts=berlin.dt.strftime(form))
    split = "split: {by: time, validation: 2023-11-17T01:00+01:00, test: 2023-11-18 06:00:00}\n"
    expected = OwnTable(file=write(tmp_path / "numbers", YAML + split)).build()
    found = OwnTable(file=write(tmp_path / "texts", YAML + split, frame)).build()
    assert (found.fingerprint, found.facts["dates"]) == (expected.fingerprint, expected.facts["dates"])
    assert sizes(found) == sizes(expected)
    zone = YAML.replace("[hour]", "[hour], time_zone: Europe/Berlin") + split
    local = OwnTable(file=write(tmp_path / "texts", zone, frame)).build()
    hours = np.unique(berlin.dt.hour()[:480], return_inverse=True)[1] + 1
    np.testing.assert_array_equal(local.train.features.column("ts_hour"), hours[: len(local.train)])
    assert local.fingerprint != expected.fingerprint


def test_a_split_by_user_has_each_user_once(tmp_path: Path) -> None:
    data = split_of(tmp_path, "split: {by: user, validation: 0.2, test: 0.2}\n")
    held_out = [np.asarray(part.features.column("user_id")) for part in (data.validation, data.test)]
    assert all((codes == 0).all() for codes in held_out), "no user of validation or test is in train"
    assert sum(sizes(data)) == 600


def test_a_split_by_a_column(tmp_path: Path) -> None:
    frame = clicks().with_columns(fold=pl.int_range(600) % 5)
    yaml = YAML + "split: {by: column, column: fold, train: [0, 1, 2], validation: 3, test: 4}\n"
    assert sizes(OwnTable(file=write(tmp_path, yaml, frame)).build()) == (360, 120, 120)
    message = r"clicks\.csv: line 5, column fold: expected '0', '1', '2', '4' \(split\), found '3'"
    with pytest.raises(ValueError, match=message):
        OwnTable(file=write(tmp_path, yaml.replace("1, 2], validation: 3", "1], validation: 2"), frame)).build()


@pytest.mark.parametrize("validation", [True, False])
def test_files_that_are_splits(tmp_path: Path, *, validation: bool) -> None:
    frame = clicks()
    names = {"train": frame[:400], "validation": frame[400:450], "test": frame[450:]}
    if not validation:
        del names["validation"]
    for name, part in names.items():
        part.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "my.yaml").write_text(YAML.replace("clicks.csv", "{" + ", ".join(f"{n}: {n}.csv" for n in names) + "}"))
    data = OwnTable(file=str(tmp_path / "my.yaml")).build()
    assert sizes(data) == ((400, 50, 150) if validation else (360, 40, 150))
