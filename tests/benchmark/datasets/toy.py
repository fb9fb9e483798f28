"""A data set of eight rows, prepared under a key of its own, for tests of what `prepare` does to a table."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import polars as pl

from benchmark.datasets import Data, Dataset
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table, prepare
from benchmark.kinds import BINARY, REGRESSION
from benchmark.rows import Split
from benchmark.schema import Task
from benchmark.settings.registry import DatasetConfig

CLICK = Task("click", BINARY)
PURCHASE = Task("purchase", BINARY, given="click")
SECONDS = Task("seconds", REGRESSION, unit="seconds")


class Toy(Dataset):
    """A data set that was never registered; what `register` would give it is written out."""

    registered_as: ClassVar[str] = "toy"
    all_tasks = (CLICK, PURCHASE, SECONDS)
    user, item = "user", "item"

    @dataclasses.dataclass(kw_only=True, slots=True)
    class Config(DatasetConfig):
        """Its only parameter."""

        tasks: tuple[str, ...] = ("click", "purchase")
        registered_as: ClassVar[str] = "toy"

    def __init__(self, tasks: tuple[str, ...] = ("click", "purchase")) -> None:
        self._tasks = self.choose(tasks)

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self._tasks

    def build(self) -> Data:
        return prepare(self, read=table, source={})


def table(**changes: Any) -> Table:
    """Eight rows: four of train, two of validation, two of test."""
    values: dict[str, Any] = {
        "categorical": {
            "user": np.array([7, 7, 9, 9, 7, 10, 9, 10]),
            "item": pl.Series(["b", "a", "b", None, "c", "a", "b", "c"]),
            "size": pl.Series(["s", "m", "l", "s", "s", "m", "xl", "s"]),
            "hour": np.array([1, 2, 2, 1, 2, 3, 3, 3]),
        },
        "numeric": {"price": np.array([1.0, 2.0, np.nan, 3.0, 9.0, np.nan, 2.0, 2.0])},
        "labels": {
            "click": np.array([0, 1, 1, np.nan, 1, 0, 1, 0]),
            "purchase": np.array([0, 1, 0, np.nan, 0, 0, 1, 0]),
            "seconds": np.array([1.5, 2, np.nan, 3, 4, 5, 6, 7]),
        },
        "split": np.array([TRAIN] * 4 + [VALIDATION] * 2 + [TEST] * 2, np.int8),
        "user_fields": ("user", "size"),
        "item_fields": ("item", "price"),
        "titles": {"a": "Apple", "b": "Book"},
        "facts": {"rows_read": 8},
    }
    return Table(**{**values, **changes})


def made(read: Callable[[], Table] = table, tasks: tuple[str, ...] = ("click",), **options: Any) -> Data:
    """Prepared under a key of its own, in a cache that other processes share."""
    made.calls += 1  # type: ignore[attr-defined]
    return prepare(Toy(tasks), read=read, source={"call": made.calls, "process": os.getpid()}, **options)  # type: ignore[attr-defined]


made.calls = 0  # type: ignore[attr-defined]


def assert_same_rows(first: Split, second: Split) -> None:
    """Equal features and labels."""
    for one, two in zip(
        (*first.features.arrays(), first.labels), (*second.features.arrays(), second.labels), strict=True
    ):
        np.testing.assert_array_equal(one, two)
