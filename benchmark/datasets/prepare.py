"""From a parsed table to cached, memory-mapped arrays; R rows, T tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import Data, Dataset
from benchmark.datasets._cache import cache_folder, folder_made_once
from benchmark.datasets._catalogue import CONTEXT, ITEMS, USERS, load_catalogue, write_entities
from benchmark.datasets._columns import check_precision, cleaned
from benchmark.datasets._fit import TREATMENTS, count_fields, fitted
from benchmark.datasets._leaks import count_repeated, refuse_labels_as_fields
from benchmark.datasets._reader import reader_digest
from benchmark.datasets._weights import cleaned_weights, facts_of_weights, stored_weights
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
from benchmark.files import digest, write_json
from benchmark.records.record import identity_of_data
from benchmark.rows import Features, FeatureWriter, Split
from benchmark.schema import CategoricalField, NumericField, Schema, Task

__all__ = ["LEFT_OUT", "SPLITS", "TEST", "TRAIN", "VALIDATION", "Table", "prepare", "random_split"]

FORMAT = 8  # of the arrays as benchmark.rows and .schema write them; a change raises it, and old caches are not read


def prepare(
    dataset: Dataset, *, read: Callable[[], Table], source: dict[str, Any] | None = None, numeric: str = "bins"
) -> Data:
    """The data set as memory-mapped arrays: from the cache, else from `read` and what is fitted on its train rows.

    Categories are numbered from 1 in the order of their values, missing last; what train does not have is 0.
    Numeric columns:

    - `bins`: the standardised value, and a categorical field `<name>_bin` of at most 40 bins by train quantiles.
      Where more than a fifth of train is zero, zero has its own bin and the quantiles are of the rest. So has missing.
    - `standardise`: minus the mean, divided by the standard deviation of train; missing becomes the mean.
    - `raw`: as parsed; missing becomes the mean of train.

    Columns of other kinds are fitted as their kind says.

    A funnel's child that is not observed where its parent is 0 is 0 there (see `fill_children`); the facts say on how many
    rows. A task that is about clicked rows only is one without `given`.

    Args:
        dataset: Its name and parameters (each an attribute of its own name) are part of the cache's key, and so is its code,
            see `reader_digest`.
        read: Parses the files; called only if the cache does not have the result.
        source: Plain values that name what is read: digests of the files. None for data that are drawn.
        numeric: The treatment of numeric columns.

    Raises:
        ValueError: for an unknown treatment, an empty split, no field at all, a column that is not of its sort, labels that
            are not what their task says, and a field that is a label.
    """
    if numeric not in TREATMENTS:
        raise ValueError(f"dataset.numeric must be one of {', '.join(TREATMENTS)}, found {numeric!r}")
    named = parameters(dataset)
    reader = reader_digest(type(dataset))
    key = digest({"format": FORMAT, "dataset": named, "numeric": numeric, "source": source, "reader": reader})[:16]
    folder = cache_folder() / "prepared" / f"{named['name']}-{key}"
    return _load(folder_made_once(folder, lambda made: _write(made, dataset, read(), numeric)))


def parameters(dataset: Dataset) -> dict[str, Any]:
    """The name and the parameters that identify a data set as plain values; of tasks, their names."""
    config: Any = type(dataset).Config  # type: ignore[attr-defined]  # `register` sets it
    values = {"name": config.registered_as}
    for parameter in fields(config):
        if parameter.init:
            value = getattr(dataset, parameter.name)
            if isinstance(value, tuple):
                value = [item.name if isinstance(item, Task) else item for item in value]
            values[parameter.name] = value
    return identity_of_data(values)


def _write(folder: Path, dataset: Dataset, table: Table, numeric: str) -> None:
    tasks = dataset.tasks
    table = cleaned(table)
    table = replace(table, weights=cleaned_weights(table, len(table.split)))
    for task in tasks:
        if task.name not in table.labels:
            raise ValueError(
                f"{type(dataset).__name__}: no label for task {task.name!r}, only {', '.join(table.labels) or 'none'}"
            )
    if not table.columns:
        raise ValueError(f"{type(dataset).__name__}: a data set needs at least one field, found none")
    rows = {name: np.flatnonzero(table.split == number) for name, number in SPLITS.items()}
    for name, chosen in rows.items():
        if not len(chosen):
            raise ValueError(f"{type(dataset).__name__}: the {name} split has no rows, of {len(table.split)} in all")
    check_precision(table, tasks)
    labels_RT = np.stack([table.labels[task.name] for task in tasks], axis=1).astype(np.float64, copy=False)
    filled_RT = fill_children(labels_RT, tasks)
    check_labels(labels_RT, table.split, tasks)
    refuse_labels_as_fields(table, labels_RT, tasks)
    weights_RW = stored_weights(table, tasks)
    for name, chosen in rows.items():
        np.save(folder / f"{name}_labels.npy", labels_RT[chosen])
        if weights_RW is not None:
            np.save(folder / f"{name}_weights.npy", weights_RW[chosen])

    schema, catalogue, missing = _write_features(folder, dataset, table, numeric, rows)
    repeated = _facts_of_repeated(*(_load_split(folder, name, schema) for name in ("train", "test")))
    facts = {
        **table.facts,
        **_facts_of_filling(filled_RT, tasks, table.split),
        **repeated,
        **facts_of_weights(weights_RW, tasks, table.split),
    }
    stored = {
        "schema": schema.to_json(),
        "fingerprint": table.fingerprint(),
        "facts": facts,
        "best_reachable": table.best_reachable,
        "catalogue": catalogue,
        "missing": missing,
    }
    write_json(folder / "data.json", stored)


def _facts_of_filling(filled_RT: np.ndarray, tasks: tuple[Task, ...], split: np.ndarray) -> dict[str, Any]:
    counts = filled_RT[split != LEFT_OUT].sum(axis=0).tolist()
    found = {task.name: count for task, count in zip(tasks, counts, strict=True) if count}
    return {"zeros_filled_in": found} if found else {}


def _facts_of_repeated(train: Split, test: Split) -> dict[str, Any]:
    """How many rows of test are in train too, as a model sees them."""
    features = [list(split.features.keys()) for split in (train, test)]
    both = [[*keys, split.labels] for keys, split in zip(features, (train, test), strict=True)]
    counts = {"same_features": count_repeated(*features), "same_features_and_labels": count_repeated(*both)}
    return {"test_rows_in_train": counts}


def _write_features(
    folder: Path, dataset: Dataset, table: Table, numeric: str, rows: dict[str, np.ndarray]
) -> tuple[Schema, dict[str, list[str]] | None, dict[str, int]]:
    """Writes the features of splits, users, items and context, field by field.

    Returns:
        The schema, the fields of users, items and context, and the codes of missing values.
    """
    codes, numbers = (CategoricalField(name, 1) for name in table.categorical), map(NumericField, table.numeric)
    # refuses names and roles before anything is fitted
    known = Schema(tuple(codes), tuple(numbers), dataset.tasks, dataset.user, dataset.item, tuple(table.others))
    columns = {field.name for field in known.fields}
    parts: dict[str, tuple[np.ndarray, set[str]]] = {name: (chosen, columns) for name, chosen in rows.items()}
    entities: list[str] = []
    if dataset.user is not None and dataset.item is not None:
        for role, id_field, its in ((USERS, dataset.user, table.user_fields), (ITEMS, dataset.item, table.item_fields)):
            assert id_field in its, f"{id_field} is one of the columns that belong to it"
            parts[role] = write_entities(folder, table, role, id_field), {*its}
        parts[CONTEXT] = rows["train"], columns - {*table.user_fields, *table.item_fields}
        entities = [USERS, ITEMS, CONTEXT]
    writers = {
        part: FeatureWriter(folder, part, 1 if part == CONTEXT else len(chosen), *count_fields(table, numeric, owned))
        for part, (chosen, owned) in parts.items()
    }
    vocabulary: dict[str, list[Any]] = {}
    missing: dict[str, int] = {}
    user_fields: list[str] = []
    for column in fitted(table, numeric):
        for part, (chosen, owned) in parts.items():
            if column.origin in owned:
                writers[part].add(column.field, column.usual(chosen) if part == CONTEXT else column.take(chosen))
        if column.origin in table.user_fields:
            user_fields.append(column.field.name)
        if column.vocabulary is not None:
            vocabulary[column.field.name] = column.vocabulary
            if column.vocabulary and column.vocabulary[-1] is None and isinstance(column.field, CategoricalField):
                missing[column.field.name] = len(column.vocabulary)
    write_json(folder / "vocabulary.json", vocabulary)
    fields, user, item = writers["train"].fields, dataset.user, dataset.item
    schema = Schema.of(fields, dataset.tasks, user=user, item=item, user_fields=tuple(user_fields))
    catalogue = {part: [field.name for field in writers[part].fields] for part in entities}
    return schema, catalogue or None, missing


def _load_split(folder: Path, name: str, schema: Schema) -> Split:
    # "c": torch shares writable arrays only; what would be written stays with the process, never in the file
    labels = np.load(folder / f"{name}_labels.npy", mmap_mode="c", allow_pickle=False)
    path = folder / f"{name}_weights.npy"
    weights = np.load(path, mmap_mode="c", allow_pickle=False) if path.exists() else None
    return Split(Features.load(folder, name, schema.fields), labels, weights)


def _load(folder: Path) -> Data:
    stored = json.loads((folder / "data.json").read_text(encoding="utf8"))
    schema = Schema.from_json(stored["schema"])
    train, validation, test = (_load_split(folder, name, schema) for name in SPLITS)
    return Data(
        schema=schema,
        train=train,
        validation=validation,
        test=test,
        fingerprint=stored["fingerprint"],
        facts=stored["facts"],
        best_reachable=stored["best_reachable"],
        catalogue=None if stored["catalogue"] is None else load_catalogue(folder, schema, stored["catalogue"]),
        missing=stored["missing"],
    )
