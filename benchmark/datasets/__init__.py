"""Data sets: one file each, a class that declares its tasks and roles without reading data, and builds its splits.

A new data set is one file: parse with a library into a `Table`, say which rows belong to which split, and hand it to
`prepare`. That fits vocabularies and scales on train only and keeps the arrays in the cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from benchmark import metrics
from benchmark.datasets.sources import Source, availability
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField, Schema, Task
from benchmark.settings.registry import datasets

__all__ = ["Catalogue", "Data", "Dataset", "Entities", "datasets"]

register = datasets.register


@dataclass(frozen=True, slots=True)
class Entities:
    """All users, or all items: the last known values (from train) of the fields that belong to them.

    Shape:
        ids: (M,) str, the data set's own; codes: (M,) int32, their numbers in the user or item field;
        features: of M rows, that field among them; titles: (M,) str, where the data has them.
    """

    ids: np.ndarray
    codes: np.ndarray
    features: Features
    titles: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What recommending needs beside a model: users, items, and the usual value of every other (context) field.

    Args:
        users, items: Everybody, and everything.
        context: One row: the most frequent code of a categorical field in train, the mean of a numeric one.
    """

    users: Entities
    items: Entities
    context: Features


@dataclass(frozen=True, slots=True)
class Data:
    """A prepared data set.

    Args:
        schema: Fields and tasks.
        train, validation, test: The splits.
        fingerprint: Hash of the parsed columns and labels: equal for two owners' formats of the same data.
        facts: Plain values for the record, beside the sizes of the splits: the protocol, rows read, duplicates dropped.
        best_reachable: {task: {metric: value}} on the test rows, where the model that drew the data is known.
        catalogue: For data sets with users and items.
        missing: {categorical field: the code of a missing value}, of the fields in which train has missing values.
    """

    schema: Schema
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    facts: dict[str, Any] = field(default_factory=dict)
    best_reachable: dict[str, dict[str, float]] | None = None
    catalogue: Catalogue | None = None
    missing: dict[str, int] = field(default_factory=dict)

    def users(self, split: Split) -> np.ndarray | None:
        """(R,) the users of a split's rows, where the data set has users.

        Users unseen in train share code 0 and cannot be told apart; see `metrics.unknown_apart`.
        """
        if self.schema.user is None:
            return None
        users = np.array(split.features.column(self.schema.user), dtype=np.int64)
        return metrics.unknown_apart(users, users != 0)


class Dataset(ABC):
    """Base of all data sets. A subclass's keyword-only parameters are its configuration; `split_seed` is one of them.

    Attributes, most often of the class, and properties say what is known without reading data: `all_tasks`, the `user` and
    `item` fields, the `source` of its files, and how many `rows` they have.
    """

    all_tasks: tuple[Task, ...]
    user: str | None = None
    item: str | None = None
    drawn: ClassVar[bool] = False  # its code draws it, and needs no files

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of this configuration."""
        return self.all_tasks

    @property
    def source(self) -> Source | None:
        """The official files of this configuration, and where they are found; None if there are none, or its code knows."""
        return None

    @property
    def rows(self) -> int | None:
        """How many rows this configuration has, as far as that is known without reading."""
        return None if self.source is None else self.source.rows

    @property
    def files(self) -> str:
        """Whether its files are on this machine, in words; empty if nobody knows. Nothing is read or downloaded."""
        if self.drawn:
            return "needs no files"
        return "" if self.source is None else availability(self.source)

    def declared(self) -> Schema:
        """A schema with tasks and roles only (one field per role): enough for an architecture's `requires`; reads nothing."""
        roles = tuple(CategoricalField(name, 1) for name in (self.user, self.item) if name is not None)
        return Schema(categorical=roles, numeric=(), tasks=self.tasks, user=self.user, item=self.item)

    @abstractmethod
    def build(self) -> Data:
        """Finds, parses (or takes from the cache) and splits the data.

        Raises:
            FileNotFoundError: with what to do, if the files are nowhere.
            ValueError: with file, row and column, if they are not what was expected.
        """

    def choose(self, names: tuple[str, ...]) -> tuple[Task, ...]:
        """The tasks of these names, which come in the order of `all_tasks`.

        Raises:
            ValueError: for an unknown name, none, or another order.
        """
        known = {task.name: task for task in self.all_tasks}
        for name in names:
            if name not in known:
                raise ValueError(f"dataset.tasks: unknown task {name!r}; known: {', '.join(known)}")
        if not names:
            raise ValueError(f"dataset.tasks: expected at least one of {', '.join(known)}, found none")
        ordered = [name for name in known if name in names]
        if list(names) != ordered:  # another order would be the same run under another id
            raise ValueError(
                f"dataset.tasks: expected the data set's order, [{','.join(ordered)}], found [{','.join(names)}]"
            )
        return tuple(known[name] for name in names)
