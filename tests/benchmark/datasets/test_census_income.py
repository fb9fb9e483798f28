"""Census-Income: labels are never features, the protocols, and the official files where they are at hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets import Data
from benchmark.datasets.census_income import CATEGORICAL, LABELS, NOT_FEATURES, NUMERIC, CensusIncome
from tests.benchmark.datasets.fixtures import write_census


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_census(tmp_path / "census_income")
    return tmp_path / "census_income"


def names(data: Data) -> set[str]:
    return {field.name for field in data.schema.fields}


def test_columns() -> None:
    assert len(CATEGORICAL) == 31
    assert len(NUMERIC) == 7


@pytest.mark.parametrize(
    "tasks", [("income",), ("never_married", "education"), ("income", "never_married", "education")]
)
def test_no_label_of_any_task_is_a_feature(files: Path, tasks: tuple[str, ...]) -> None:
    data = CensusIncome(tasks=tasks).build()
    assert data.schema.task_names == tasks
    assert names(data) == {*CATEGORICAL, *NUMERIC, *(f"{name}_bin" for name in NUMERIC)}
    assert not names(data) & {*LABELS, "instance_weight"}


def test_labels_are_those_of_the_files(files: Path) -> None:
    text = gzip.decompress((files / "census-income.test.gz").read_bytes()).decode()
    rows = [line.split(", ") for line in text.splitlines()]
    data = CensusIncome(tasks=("income", "never_married", "education")).build()
    degrees = ("Associates", "Bachelors", "Masters", "Prof", "Doctorate")
    expected = [[row[41] == "50000+.", row[7] == "Never married", row[4].startswith(degrees)] for row in rows]
    np.testing.assert_array_equal(data.test.labels, np.array(expected, np.float32))


def test_na_and_question_marks_are_categories(files: Path) -> None:
    before = {field.name: field.cardinality for field in CensusIncome().build().schema.categorical}
    for path in files.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b" hisp_origin 3,", b" NA,")))
    data = CensusIncome().build()
    after = {field.name: field.cardinality for field in data.schema.categorical}
    assert after == before
    assert before["hisp_origin"] == 6  # 5 values and 'unseen'; nothing is missing
    assert before["mig_chg_msa"] == 3  # ?, Nonmover
    assert (data.test.features.column("hisp_origin") > 0).all()


def test_protocols(files: Path) -> None:
    official, halved = CensusIncome().build(), CensusIncome(protocol="halved").build()
    assert [len(official.train), len(official.validation), len(official.test)] == [2700, 300, 1500]
    assert [len(halved.train), len(halved.validation), len(halved.test)] == [3000, 750, 750]
    parsed = {"protocol": "halved", "train_file_rows": 3000, "test_file_rows": 1500, "left_out": NOT_FEATURES}
    assert set(NOT_FEATURES) == {"income_50k, marital_stat, education", "instance_weight"}
    assert halved.facts == {**parsed, "test_rows_in_train": {"same_features": 0, "same_features_and_labels": 0}}
    assert official.fingerprint == halved.fingerprint


def test_the_split_seed_moves_validation_and_not_the_test_file(files: Path) -> None:
    first, second = CensusIncome().build(), CensusIncome(split_seed=1).build()
    np.testing.assert_array_equal(first.test.labels, second.test.labels)
    assert (first.validation.labels != second.validation.labels).any()


@pytest.mark.parametrize("protocol", ["official", "halved"])
def test_fewer_train_rows_leave_the_other_splits_as_they_are(files: Path, protocol: str) -> None:
    whole, small = CensusIncome(protocol=protocol).build(), CensusIncome(protocol=protocol, train_rows=500).build()
    assert len(small.train) == 500
    for name in ("validation", "test"):
        np.testing.assert_array_equal(getattr(small, name).labels, getattr(whole, name).labels)
    smaller = CensusIncome(protocol=protocol, train_rows=400).build()
    other = CensusIncome(protocol=protocol, train_rows=400, split_seed=1).build()
    assert (smaller.train.labels != other.train.labels).any()
    assert small.fingerprint == whole.fingerprint
    # scales are fitted on the rows that are left
    np.testing.assert_allclose(smaller.train.features.numeric.mean(axis=0), 0, atol=1e-5)
    assert abs(smaller.validation.features.numeric.mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize(("train_rows", "expected"), [(0, "at least 1 or null"), (2701, "at most 2700, found 2701")])
def test_train_rows_that_are_not_there(files: Path, train_rows: int, expected: str) -> None:
    with pytest.raises(ValueError, match=f"dataset.train_rows must be {expected}"):
        CensusIncome(train_rows=train_rows).build()


def test_plain_files_are_as_good(files: Path) -> None:
    zipped = CensusIncome().build()
    for path in list(files.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert CensusIncome().build().fingerprint == zipped.fingerprint


def test_an_unknown_income_is_refused(files: Path) -> None:
    path = files / "census-income.data.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"- 50000.", b"50000", 1)))
    message = r"census-income\.\w+\.gz: line \d+, column income_50k: expected - 50000\. or 50000\+\., found '50000'"
    with pytest.raises(ValueError, match=message):
        CensusIncome().build()


def test_an_unknown_task() -> None:
    with pytest.raises(ValueError, match="unknown task 'marital'; known: income, never_married, education"):
        CensusIncome(tasks=("marital",))


def test_official_files(real_data: Path) -> None:
    data = CensusIncome(tasks=("income", "never_married", "education")).build()
    assert [len(data.train), len(data.validation), len(data.test)] == [179_571, 19_952, 99_762]
    assert data.test.labels.sum(axis=0).tolist() == [6186, 43143, 19456]
    assert data.train.labels.sum(axis=0, dtype=np.float64)[0] + data.validation.labels.sum(axis=0)[0] == 12_382
    cardinalities = {field.name: field.cardinality for field in data.schema.categorical}
    assert cardinalities["det_occ_code"] == 48  # 47 codes and 'unseen'
    assert cardinalities["age_bin"] == 41
    assert data.fingerprint == "fdf86bb93e8f36f0f68aa205d5bad0a9662cd738078ae56ee4efa076203036cc"
    # household status has one category that the test file lacks; nothing of the test file is unseen
    assert (data.test.features.categorical > 0).all()
