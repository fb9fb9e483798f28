"""A field that is a label, a data set without fields, and rows of test that train has too."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmark.datasets._leaks import count_repeated
from benchmark.datasets.prepare import Table
from benchmark.kinds import REGRESSION, Transform
from benchmark.schema import Task
from tests.benchmark.datasets.toy import SECONDS, Toy, made, table

CLICKS = np.array([0, 1, 1, np.nan, 1, 0, 1, 0])
LOG_SECONDS = Task("seconds", REGRESSION, unit="seconds", transform=Transform.LOG1P)


def with_column(part: str, values: Any, **labels: np.ndarray) -> Table:
    made = table()
    getattr(made, part)["copy"] = values
    made.labels |= labels
    return made


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("numeric", CLICKS),
        ("numeric", np.where(np.isnan(CLICKS), 7, 1 - 2 * CLICKS)),  # whatever it is where the label is not observed
        ("categorical", np.where(np.isnan(CLICKS), 0, CLICKS).astype(int)),
        ("categorical", pl.Series(["no", "yes", "yes", "unknown", "yes", "no", "yes", "no"])),
        ("categorical", pl.Series([None, "yes", "yes", None, "yes", None, "yes", None])),
    ],
)
def test_a_field_that_is_a_binary_label_is_refused(part: str, values: Any) -> None:
    expected = (
        r"^column 'copy' is the label of task 'click', on all 7 rows where that is observed; leave out the column"
    )
    with pytest.raises(ValueError, match=expected):
        made(lambda: with_column(part, values))
    assert made(lambda: with_column(part, values), ("seconds",)).schema.task_names == ("seconds",)  # not chosen


@pytest.mark.parametrize("part", ["numeric", "categorical"])
@pytest.mark.parametrize("task", [SECONDS, LOG_SECONDS])
def test_a_field_that_is_a_regression_label_is_refused(monkeypatch: pytest.MonkeyPatch, part: str, task: Task) -> None:
    monkeypatch.setattr(Toy, "all_tasks", (task,))
    seconds = np.array([1, 2, np.nan, 3, 4, 5, 600, 7])
    label = seconds if task is SECONDS else np.log1p(seconds).astype(np.float32)
    values = seconds if part == "numeric" else pl.Series(seconds).fill_nan(12).cast(pl.Int64).cast(pl.String)
    with pytest.raises(ValueError, match="column 'copy' is the label of task 'seconds', on all 7 rows"):
        made(lambda: with_column(part, values, seconds=label), ("seconds",))


def test_a_field_that_differs_from_the_label_somewhere_is_none() -> None:
    for row in (0, 1, 7):
        values = np.where(np.arange(8) == row, 1 - CLICKS, CLICKS)
        assert "copy" in [
            field.name for field in made(lambda values=values: with_column("numeric", values)).schema.numeric
        ]
    three = pl.Series(["no", "yes", "yes", "no", "yes", "never", "yes", "no"])
    assert made(lambda: with_column("categorical", three)).schema.task_names == ("click",)


def test_a_difference_after_many_rows_is_seen() -> None:
    rows = 5000
    split = np.arange(rows) % 3
    label = (np.arange(rows) % 7 < 3).astype(float)
    for last in (0.0, 1.0):
        values = label.copy()
        values[-1] = last
        long = Table(categorical={"user": ["u"] * rows, "item": ["i"] * rows}, numeric={"copy": values},
                     labels={"click": label}, split=split, user_fields=("user",), item_fields=("item",))  # fmt: skip
        if last == label[-1]:
            with pytest.raises(ValueError, match="on all 5000 rows"):
                made(lambda long=long: long)
        else:
            assert made(lambda long=long: long).schema.task_names == ("click",)


def test_a_data_set_without_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "user", None)
    monkeypatch.setattr(Toy, "item", None)
    with pytest.raises(ValueError, match=r"^Toy: a data set needs at least one field, found none$"):
        made(lambda: table(categorical={}, numeric={}))


def test_a_field_with_a_tasks_name_is_refused() -> None:
    wrong = table()
    wrong.numeric["click"] = wrong.numeric.pop("price")
    with pytest.raises(ValueError, match="a field has the name of a task: click"):
        made(lambda: wrong)


def test_rows_of_test_that_train_has_are_counted() -> None:
    assert made().facts["test_rows_in_train"] == {"same_features": 0, "same_features_and_labels": 0}
    repeated = table()
    columns = {**repeated.categorical, **repeated.numeric}
    for name, values in columns.items():
        column = pl.Series(values).to_list()
        column[6:] = [column[0], column[2]]  # the price of row 2 is missing
        (repeated.categorical if name in repeated.categorical else repeated.numeric)[name] = column
    repeated.labels["click"] = np.array([0, 1, 1, np.nan, 1, 0, 1, 1])
    assert made(lambda: repeated).facts["test_rows_in_train"] == {"same_features": 2, "same_features_and_labels": 1}


def test_counting_agrees_with_comparing() -> None:
    rng = np.random.default_rng(0)
    train = [rng.integers(0, 3, (70_000, 5), dtype=np.int32), rng.integers(0, 3, (70_000, 2)).astype(np.float32)]
    test = [rng.integers(0, 4, (900, 5), dtype=np.int32), rng.integers(0, 3, (900, 2)).astype(np.float32)]
    train[1][train[1] == 0] = -0.0
    test[1][test[1] == 2] = np.nan
    train[1][train[1] == 2] = -np.float32(np.nan)

    def rows(arrays: list[np.ndarray]) -> list[tuple[float, ...]]:
        return [tuple(row) for row in np.nan_to_num(np.hstack(arrays), nan=99).tolist()]

    known = set(rows(train))
    expected = sum(row in known for row in rows(test))
    assert 0 < expected < 900
    assert list(count_repeated([train], [test])) == [expected]
