"""Weights of rows: what a reader gives, checked, and as the splits store them; R rows, T tasks, W columns of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets._columns import floats
from benchmark.datasets._stored import Stored
from benchmark.datasets.table import ALL, TRAIN, Table
from benchmark.pieces import moments, on_disk, pieces
from benchmark.rows import Split
from benchmark.schema import Task


def cleaned_weights(table: Table, scratch: Path) -> dict[str, np.ndarray] | None:
    """{task: (R,) float64}, or {ALL: (R,)} where one array is for all tasks, on disk; None without weights.

    Raises:
        ValueError: for a task without a label, a column of another length, or a number that is negative or not finite, with
            its row.
    """
    if table.weights is None:
        return None
    given: Mapping[str, Any] = table.weights if isinstance(table.weights, Mapping) else {ALL: table.weights}
    cleaned, rows = {}, len(table.split)
    for name, values in given.items():
        if name != ALL and name not in table.labels:
            raise ValueError(
                f"weights: expected names of tasks, found {name!r}; the table has labels of {', '.join(table.labels)}"
            )
        what = "weights" if name == ALL else f"weights of task {name!r}"
        kept = on_disk((rows,), np.float64, scratch)
        column = values if isinstance(values, Stored) else floats(what, values, rows)
        for part in pieces(rows):
            kept[part] = floats(what, column[part], part.stop - part.start)
            wrong = np.flatnonzero(~(np.isfinite(kept[part]) & (kept[part] >= 0)))
            if len(wrong):
                row = part.start + int(wrong[0])
                raise ValueError(
                    f"{what}: expected finite numbers of at least 0, found {kept[row]:g} in row {row}; rows of weight 0 are "
                    "left out"
                )
        cleaned[name] = kept
    return cleaned


def stored_weights(table: Table, tasks: Sequence[Task], scratch: Path) -> np.ndarray | None:
    """(R, 1) float64, the weights that all tasks share, or (R, T), on disk; None if there are none for these tasks.

    Raises:
        ValueError: for a task all of whose labels in train have the weight 0.
    """
    given: dict[str, np.ndarray] = table.weights or {}
    if not {ALL, *(task.name for task in tasks)} & given.keys():
        return None
    if ALL in given:
        weights_RW = given[ALL][:, None]
    else:
        weights_RW = on_disk((len(tasks), len(table.split)), np.float64, scratch).T
        for column, task in enumerate(tasks):
            weights_RW[:, column] = given.get(task.name, 1.0)
    for column, task in enumerate(tasks):
        known = counted = 0
        for part in pieces(len(table.split)):
            train = (table.split[part] == TRAIN) & ~np.isnan(table.labels[task.name][part])
            known += int(train.sum())
            counted += int((weights_RW[part, min(column, weights_RW.shape[1] - 1)][train] > 0).sum())
        if not counted:
            raise ValueError(
                f"task {task.name!r}: all {known} labels in train have the weight 0; leave the task out of "
                "dataset.tasks, or correct the weights"
            )
    return weights_RW


def facts_of_weights(train: Split, tasks: Sequence[Task]) -> dict[str, Any]:
    """For the record: {"weights": {task or all tasks: [least, mean, greatest in train]}}; empty without weights."""
    if train.weights is None:
        return {}
    names = ["all tasks"] if train.weights.shape[1] == 1 else [task.name for task in tasks]
    found = [moments(partial(_parts, column_R)) for column_R in train.weights.T]
    return {"weights": {name: [of.least, of.mean, of.most] for name, of in zip(names, found, strict=True)}}


def _parts(column_R: np.ndarray) -> Iterator[np.ndarray]:
    return (column_R[part] for part in pieces(len(column_R)))
