"""From a parsed table to cached, memory-mapped arrays; R rows, T tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np

from benchmark.datasets import Data, Dataset
from benchmark.datasets._cache import cache_folder, folder_made_once
from benchmark.datasets._catalogue import load_catalogue
from benchmark.datasets._columns import check_precision, cleaned
from benchmark.datasets._features import write_features
from benchmark.datasets._fit import PerColumn, Treatment
from benchmark.datasets._leaks import count_repeated, refuse_labels_as_fields
from benchmark.datasets._reader import reader_digest
from benchmark.datasets._stored import stored
from benchmark.datasets._sums import damage, write_sums
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
from benchmark.pieces import on_disk, pieces
from benchmark.records.record import identity_of_data
from benchmark.rows import Features, Split
from benchmark.schema import Schema, Task

__all__ = ["LEFT_OUT", "SPLITS", "TEST", "TRAIN", "VALIDATION", "Table", "prepare", "random_split"]

FORMAT = 8  # of the arrays as benchmark.rows and .schema write them; a change raises it, and old caches are not read


def prepare(
    dataset: Dataset,
    *,
    read: Callable[[], Table],
    source: dict[str, Any] | None = None,
    numeric: str = "bins",
    min_frequency: PerColumn = 1,
    hash_buckets: PerColumn = None,
) -> Data:
    """The data set as memory-mapped arrays: from the cache, else from `read` and what is fitted on its train rows.

    Arrays that are not what was written are told in a line and prepared again.

    Columns are read, fitted and written in pieces of a million rows. Besides a piece, memory holds the vocabularies and a few
    bytes per row; see `Table.frame` for columns that do not fit in memory.

    Categories are numbered from 1 in the order of their values, missing last. What train does not have is 0, and so is what
    fewer than `min_frequency` of its rows have: neither can be known well, and so the embedding of 0 is trained.
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
        min_frequency: A category of fewer train rows is numbered 0. One number for all categorical columns, or {column: number}.
        hash_buckets: A column of which train has more values than this is hashed into this many buckets, and each bucket is
            a category. One number for all categorical columns but the user's, whom metrics tell apart, or
            {column: number}; None: no hashing.

    Raises:
        ValueError: for an unknown treatment, an empty split, no field at all, a column that is not of its sort, labels that
            are not what their task says, and a field that is a label.
    """
    treatment = Treatment(numeric, min_frequency, hash_buckets)
    named = parameters(dataset)
    key = {
        "format": FORMAT,
        "dataset": named,
        "source": source,
        "reader": reader_digest(type(dataset)),
        **asdict(treatment),
    }
    folder = cache_folder() / "prepared" / f"{named['name']}-{digest(key)[:16]}"

    def fill(made: Path) -> None:
        _write(made, dataset, read(), treatment)
        write_sums(made, folder.name)

    return _load(folder_made_once(folder, fill, damage=damage))


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


def _write(folder: Path, dataset: Dataset, table: Table, treatment: Treatment) -> None:
    with TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        table = cleaned(stored(table, scratch))
        table = replace(table, weights=cleaned_weights(table, scratch))
        _check(dataset, table)
        labels_RT, facts = _labels(dataset, table, scratch)
        weights_RW = stored_weights(table, dataset.tasks, scratch)
        with _beside(table.fingerprint) as fingerprint:  # it takes as long as writing what becomes of the table
            schema, catalogue, missing = write_features(
                folder, dataset, table, treatment, labels_RT, weights_RW, scratch
            )
            train, test = (_load_split(folder, split, schema) for split in ("train", "test"))
            facts |= _facts_of_repeated(train, test, scratch) | facts_of_weights(train, dataset.tasks)
        about = {
            "schema": schema.to_json(),
            "fingerprint": fingerprint.result(),
            "facts": {**table.facts, **facts},
            "best_reachable": table.best_reachable,
            "catalogue": catalogue,
            "missing": missing,
        }
    write_json(folder / "data.json", about)


@contextmanager
def _beside(work: Callable[[Event], str]) -> Iterator[Future[str]]:
    """Does work in a thread beside the body. If the body fails, or someone interrupts it, the work is told to stop."""
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work, stop)
        except BaseException:
            stop.set()
            raise


def _check(dataset: Dataset, table: Table) -> None:
    for task in dataset.tasks:
        if task.name not in table.labels:
            raise ValueError(
                f"{type(dataset).__name__}: no label for task {task.name!r}, only {', '.join(table.labels) or 'none'}"
            )
    if not table.columns:
        raise ValueError(f"{type(dataset).__name__}: a data set needs at least one field, found none")
    for name, number in SPLITS.items():
        if not (table.split == number).any():
            raise ValueError(f"{type(dataset).__name__}: the {name} split has no rows, of {len(table.split)} in all")
    check_precision(table, dataset.tasks)


def _labels(dataset: Dataset, table: Table, scratch: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """(R, T) float64 labels, checked, on disk; and the facts of what was filled in."""
    tasks, filled_T = dataset.tasks, np.zeros(len(dataset.tasks), dtype=np.int64)
    labels_RT = on_disk((len(tasks), len(table.split)), np.float64, scratch).T
    for part in pieces(len(table.split)):
        for column, task in enumerate(tasks):
            labels_RT[part, column] = table.labels[task.name][part]
        filled_T += fill_children(labels_RT[part], tasks)[table.split[part] != LEFT_OUT].sum(axis=0)
    check_labels(labels_RT, table.split, tasks, folder=scratch)
    refuse_labels_as_fields(table, labels_RT, tasks)
    found = {task.name: count for task, count in zip(tasks, filled_T.tolist(), strict=True) if count}
    return labels_RT, {"zeros_filled_in": found} if found else {}


def _facts_of_repeated(train: Split, test: Split, scratch: Path) -> dict[str, Any]:
    """How many rows of test are in train too, as a model sees them."""
    groups = ([[*split.features.keys()], [split.labels]] for split in (train, test))
    features, both = count_repeated(*groups, folder=scratch)
    return {"test_rows_in_train": {"same_features": features, "same_features_and_labels": both}}


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
