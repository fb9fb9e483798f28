"""From a parsed table to cached, memory-mapped arrays; R rows, F categorical and N numeric fields, T tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import Data, Dataset
from benchmark.datasets._cache import cache_folder, folder_made_once
from benchmark.datasets._catalogue import Arrays, load_catalogue, write_catalogue
from benchmark.datasets._columns import check_precision, cleaned
from benchmark.datasets._fit import TREATMENTS, fitted
from benchmark.datasets._leaks import count_repeated, refuse_labels_as_fields
from benchmark.datasets.table import (
    LEFT_OUT,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Table,
    check_labels,
    fill_children,
    random_split,
)
from benchmark.records.files import digest, write_json
from benchmark.schema import Schema, Split, Task

__all__ = ["LEFT_OUT", "SPLITS", "TEST", "TRAIN", "VALIDATION", "Table", "prepare", "random_split"]

FORMAT = 6  # of the prepared arrays and what is done to them; a change raises it, and old caches are not read


def prepare(dataset: Dataset, *, read: Callable[[], Table], source: dict[str, Any], numeric: str = "bins") -> Data:
    """The data set as memory-mapped arrays: from the cache, else from `read` and what is fitted on its train rows.

    Categories are numbered from 1 in the order of their values, missing last; what train does not have is 0.
    Numeric columns:

    - `bins`: the standardised value, and a categorical field `<name>_bin` of at most 40 bins by train quantiles.
      Where more than a fifth of train is zero, zero has its own bin and the quantiles are of the rest. So has missing.
    - `standardise`: minus the mean, divided by the standard deviation of train; missing becomes the mean.
    - `raw`: as parsed; missing becomes the mean of train.

    A funnel's child that is not observed where its parent is 0 is 0 there (see `fill_children`); the facts say on how many
    rows. A task that is about clicked rows only is one without `given`.

    Args:
        dataset: Its name and parameters (each an attribute of its own name) are part of the cache's key.
        read: Parses the files; called only if the cache does not have the result.
        source: Plain values that name what is read: digests of the files, the version of the reader.
        numeric: The treatment of numeric columns.

    Raises:
        ValueError: for an unknown treatment, an empty split, no field at all, a column that is not of its sort, labels that
            are not what their task says, and a field that is a label.
    """
    if numeric not in TREATMENTS:
        raise ValueError(f"dataset.numeric must be one of {', '.join(TREATMENTS)}, found {numeric!r}")
    named = parameters(dataset)
    key = digest({"format": FORMAT, "dataset": named, "numeric": numeric, "source": source})[:16]
    folder = cache_folder() / "prepared" / f"{named['name']}-{key}"
    return _load(folder_made_once(folder, lambda made: _write(made, dataset, read(), numeric)))


def parameters(dataset: Dataset) -> dict[str, Any]:
    """The name and the parameters of a data set as plain values; of tasks, their names."""
    config: Any = type(dataset).Config  # type: ignore[attr-defined]  # `register` sets it
    values = {"name": config.registered_as}
    for parameter in fields(config):
        if parameter.init:
            value = getattr(dataset, parameter.name)
            if isinstance(value, tuple):
                value = [item.name if isinstance(item, Task) else item for item in value]
            values[parameter.name] = value
    return values


def _write(folder: Path, dataset: Dataset, table: Table, numeric: str) -> None:
    tasks = dataset.tasks
    table = cleaned(table)
    for task in tasks:
        if task.name not in table.labels:
            raise ValueError(
                f"{type(dataset).__name__}: no label for task {task.name!r}, only {', '.join(table.labels) or 'none'}"
            )
    if not table.categorical and not table.numeric:
        raise ValueError(f"{type(dataset).__name__}: a data set needs at least one field, found none")
    rows = [table.split == number for number in SPLITS.values()]
    for name, mask in zip(SPLITS, rows, strict=True):
        if not mask.any():
            raise ValueError(f"{type(dataset).__name__}: the {name} split has no rows, of {len(mask)} in all")
    check_precision(table, tasks)
    labels_RT = np.stack([table.labels[task.name] for task in tasks], axis=1).astype(np.float64, copy=False)
    filled_RT = fill_children(labels_RT, tasks)
    check_labels(labels_RT, table.split, tasks)
    refuse_labels_as_fields(table, labels_RT, tasks)
    labels = [labels_RT[mask] for mask in rows]
    for name, part in zip(SPLITS, labels, strict=True):
        np.save(folder / f"{name}_labels.npy", part)

    schema, origins, arrays = _write_features(folder, dataset, table, numeric, rows)
    facts = _facts_of_filling(filled_RT, tasks, table.split) | _facts_of_repeated(arrays, labels)
    has_roles = schema.user is not None and schema.item is not None
    stored = {
        "schema": schema.to_json(),
        "fingerprint": table.fingerprint(),
        "facts": {**table.facts, **facts},
        "best_reachable": table.best_reachable,
        "catalogue": write_catalogue(folder, table, schema, origins, arrays) if has_roles else None,
    }
    write_json(folder / "data.json", stored)


def _facts_of_filling(filled_RT: np.ndarray, tasks: tuple[Task, ...], split: np.ndarray) -> dict[str, Any]:
    counts = filled_RT[split != LEFT_OUT].sum(axis=0).tolist()
    found = {task.name: count for task, count in zip(tasks, counts, strict=True) if count}
    return {"zeros_filled_in": found} if found else {}


def _facts_of_repeated(arrays: Arrays, labels: list[np.ndarray]) -> dict[str, Any]:
    """How many rows of test are in train too, as a model sees them."""
    train, test = ([parts[number] for parts in arrays.values()] for number in (TRAIN, TEST))
    return {
        "test_rows_in_train": {
            "same_features": count_repeated(train, test),
            "same_features_and_labels": count_repeated([*train, labels[TRAIN]], [*test, labels[TEST]]),
        }
    }


def _write_features(
    folder: Path, dataset: Dataset, table: Table, numeric: str, rows: list[np.ndarray]
) -> tuple[Schema, dict[str, str], Arrays]:
    """The schema, the table's column behind each field, and the arrays, written field by field."""
    num_numeric = len(table.numeric)
    num_categorical = len(table.categorical) + (num_numeric if numeric == "bins" else 0)

    def allocate(kind: str, dtype: type, width: int) -> list[np.ndarray]:
        return [
            np.lib.format.open_memmap(folder / f"{name}_{kind}.npy", "w+", dtype, (int(mask.sum()), width))
            for name, mask in zip(SPLITS, rows, strict=True)
        ]

    arrays = {
        "categorical": allocate("categorical", np.int32, num_categorical),
        "numeric": allocate("numeric", np.float32, num_numeric),
    }
    made: dict[str, list[Any]] = {"categorical": [], "numeric": []}
    vocabulary: dict[str, list[Any]] = {}
    origins: dict[str, str] = {}
    for column in fitted(table, numeric):
        kind = "numeric" if column.vocabulary is None else "categorical"
        for array, mask in zip(arrays[kind], rows, strict=True):
            array[:, len(made[kind])] = column.values[mask]
        made[kind].append(column.field)
        origins[column.field.name] = column.origin
        if column.vocabulary is not None:
            vocabulary[column.field.name] = column.vocabulary
    write_json(folder / "vocabulary.json", vocabulary)
    roles = {"user": dataset.user, "item": dataset.item}
    schema = Schema(tuple(made["categorical"]), tuple(made["numeric"]), dataset.tasks, **roles)
    return schema, origins, arrays


def _load(folder: Path) -> Data:
    stored = json.loads((folder / "data.json").read_text(encoding="utf8"))

    def split(name: str) -> Split:
        kinds = ("categorical", "numeric", "labels")
        # "c": torch shares writable arrays only; what would be written stays with the process, never in the file
        return Split(*(np.load(folder / f"{name}_{kind}.npy", mmap_mode="c", allow_pickle=False) for kind in kinds))

    return Data(
        schema=Schema.from_json(stored["schema"]),
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
        fingerprint=stored["fingerprint"],
        facts=stored["facts"],
        best_reachable=stored["best_reachable"],
        catalogue=None if stored["catalogue"] is None else load_catalogue(folder, stored["catalogue"]),
    )
