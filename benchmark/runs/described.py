"""What a record says about its data: the rows, their splits, and the facts that depend on test rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.datasets.table import exact_bytes
from benchmark.pieces import pieces
from benchmark.records.record import TRIAL


def identify(data: Data, purpose: str) -> dict[str, Any]:
    """What is equal for runs on the same rows: fingerprint, splits, schema and, except in trials, a hash of the test rows."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "fingerprint": data.fingerprint,
        "splits": {split: len(rows) for split, rows in splits.items()},
        "schema": data.schema.to_json(),
        **({} if purpose == TRIAL else {"test_rows": _hash_rows(data)}),
    }


def describe(name: str, data: Data, identity: dict[str, Any]) -> dict[str, Any]:
    """A record's `dataset`: the description of the data and, except for trials, facts of the test rows (the constant's metrics).

    Args:
        name: The name of the data set.
        data: The prepared data.
        identity: The result of `identify`.
    """
    described: dict[str, Any] = {
        "name": name,
        "fields": [field.name for field in data.schema.fields],
        "tasks": list(data.schema.task_names),
        **identity,
        "facts": data.facts,
    }
    if "test_rows" in identity:
        tasks, rows = data.schema.tasks, data.test
        constant = metrics.constant_outputs(tasks, data.train.labels, len(rows))
        described |= {
            "best_reachable": data.best_reachable,
            "constant": metrics.evaluate(tasks, constant, rows.labels, data.users(rows))[0],
        }
    return described


def _hash_rows(data: Data) -> str:
    """Hash of the test rows: equal in two records if they were judged on the same rows."""
    hashed = hashlib.sha256()
    for array in data.test.features.arrays():
        for part in pieces(len(array)):
            hashed.update(np.ascontiguousarray(array[part]).tobytes())
    labels_RT = data.test.labels
    for part in pieces(len(labels_RT)):
        hashed.update(labels_RT[part].astype("<f4").tobytes())  # float32 as in records from before labels were float64
    for label in labels_RT.T:
        for content in exact_bytes(label):
            hashed.update(content)
    return hashed.hexdigest()[:16]
