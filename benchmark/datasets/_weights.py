"""Weights of rows: what a reader gives, checked, and as the splits store them; R rows, T tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.datasets._columns import floats
from benchmark.datasets.table import TRAIN, Table
from benchmark.schema import Task

ALL = ""
"""Names the weights that all tasks share."""


def cleaned_weights(table: Table, rows: int) -> dict[str, np.ndarray] | None:
    """{task: (R,) float64}, or {ALL: (R,)} where one array is for all tasks; None without weights.

    Raises:
        ValueError: for a task without a label, a column of another length, or a number that is negative or not finite, with
            its row.
    """
    if table.weights is None:
        return None
    given: Mapping[str, Any] = table.weights if isinstance(table.weights, Mapping) else {ALL: table.weights}
    cleaned = {}
    for name, values in given.items():
        if name != ALL and name not in table.labels:
            raise ValueError(
                f"weights: expected names of tasks, found {name!r}; the table has labels of {', '.join(table.labels)}"
            )
        what = "weights" if name == ALL else f"weights of task {name!r}"
        weights = floats(what, values, rows).astype(np.float64)
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(
                f"{what}: expected finite numbers of at least 0, found {weights[row]:g} in row {row}; the weight 0 leaves a row out"
            )
        cleaned[name] = weights
    return cleaned


def stored_weights(table: Table, tasks: Sequence[Task]) -> np.ndarray | None:
    """(R, 1) float64, the weights that all tasks share, or (R, T); None if there are none for these tasks.

    Raises:
        ValueError: for a task all of whose labels in train have the weight 0.
    """
    given: dict[str, np.ndarray] = table.weights or {}
    if not {ALL, *(task.name for task in tasks)} & given.keys():
        return None
    if ALL in given:
        weights_RW = given[ALL][:, None]
    else:
        every = [given.get(task.name) for task in tasks]
        weights_RW = np.stack([np.ones(len(table.split)) if of is None else of for of in every], axis=1)
    train = table.split == TRAIN
    for t, task in enumerate(tasks):
        known = train & ~np.isnan(table.labels[task.name])
        if not (weights_RW[known, min(t, weights_RW.shape[1] - 1)] > 0).any():
            raise ValueError(
                f"task {task.name!r}: all {int(known.sum())} labels in train have the weight 0; leave the task out of "
                "dataset.tasks, or correct the weights"
            )
    return weights_RW


def facts_of_weights(weights_RW: np.ndarray | None, tasks: Sequence[Task], split: np.ndarray) -> dict[str, Any]:
    """For the record: {"weights": {task or all: [least, mean, greatest in train]}}; empty without weights."""
    if weights_RW is None:
        return {}
    names = ["all tasks"] if weights_RW.shape[1] == 1 else [task.name for task in tasks]
    train_RW = weights_RW[split == TRAIN]
    ends = zip(train_RW.min(axis=0), train_RW.mean(axis=0), train_RW.max(axis=0), strict=True)
    return {"weights": {name: [float(value) for value in of] for name, of in zip(names, ends, strict=True)}}
