"""Boosted trees by LightGBM: one model per task, on the columns that the architectures get.

R rows.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmark.datasets import Data
from benchmark.kinds import KINDS
from benchmark.metrics import headline_name
from benchmark.rows import Split
from benchmark.runs.space import Range
from benchmark.schema import Schema, Task
from benchmark.seeding import derive

MAX_ROUNDS, PATIENCE = 2000, 50


SPACE = {
    "learning_rate": Range(0.02, 0.2, log=True),
    "num_leaves": Range(8, 256, log=True, whole=True),
    "min_child_samples": Range(10, 500, log=True, whole=True),
    "lambda_l2": Range(1e-3, 30, log=True),
    "cat_smooth": Range(3, 300, log=True),
    # below one, so that each seed draws its own rows and columns, and the spread over seeds is the method's
    "feature_fraction": Range(0.3, 0.9),
    "bagging_fraction": Range(0.5, 0.9),
}
FIXED = {
    "bagging_freq": 1,
    "deterministic": True,
    "force_col_wise": True,  # otherwise LightGBM takes what is faster on this machine, which changes the last bit
    "feature_pre_filter": False,  # otherwise the bins could not serve several values of min_child_samples
    "verbosity": -1,
}


def lightgbm() -> ModuleType:
    """The library.

    Raises:
        ValueError: if it is not installed, with the extra that installs it.
    """
    try:
        return importlib.import_module("lightgbm")
    except ImportError as error:
        raise ValueError(
            "the reference line gbdt needs LightGBM, which is not installed: pip install 'mtlbench[gbdt]' "
            "(only=constant does without)"
        ) from error


def check(schema: Schema) -> None:
    """Checks that there are fields of a kind that trees can split.

    Raises:
        ValueError: if all fields are of other kinds.
    """
    if not schema.categorical and not schema.numeric:
        raise ValueError(
            f"the reference line gbdt reads categorical and numeric fields, found only others: {left_out(schema)} "
            "(only=constant does without)"
        )


def left_out(schema: Schema) -> str:
    """The names of the fields that trees do not read: those of other kinds, such as lists."""
    return ", ".join(field.name for field in schema.others)


def objective(task: Task) -> dict[str, Any]:
    """LightGBM's `objective` and `metric` for a task.

    Raises:
        ValueError: if the task's kind has no trees.
    """
    found = KINDS[task.kind].trees(task)
    if found is None:
        raise ValueError(
            f"the reference line gbdt has no trees for task {task.name!r} of kind {task.kind}; use only=constant, or a "
            "configuration of the data set without the task"
        )
    return found


def draw_parameters(task: str, trial: int) -> dict[str, float]:
    """What trial number `trial` tries for a task. It depends only on these two, so trials may run in any order, anywhere."""
    return {
        name: where.at(np.random.default_rng(derive(trial, "gbdt", task, name)).uniform())
        for name, where in SPACE.items()
    }


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted ensemble of one task.

    Args:
        booster: LightGBM's, cut at its best round on validation.
        centre: What was subtracted from the labels before LightGBM converted them to float32.
        rounds: The number of trees.
        rows: Training rows with a known label.
        seconds: Time of the fit.
    """

    booster: Any
    centre: float
    rounds: int
    rows: int
    seconds: float

    def predict(self, split: Split) -> np.ndarray:
        """(R,) or (R, K) logits, or values in the target's unit, as `metrics.evaluate` takes them."""
        outputs_R: np.ndarray = self.booster.predict(split.features.flat(), raw_score=True)
        return outputs_R + self.centre


class Trees:
    """A data set's splits, binned once for all tasks and trials.

    Categorical fields use LightGBM's own splits, which send a set of categories to either side. Code 0, unseen in
    train, is not in any such set.

    Args:
        data: The data set.
        threads: Threads of LightGBM; 0: all cores.
    """

    def __init__(self, data: Data, threads: int = 0) -> None:
        self._library = lightgbm()
        self._data = data
        self._fixed = {**FIXED, "num_threads": threads}
        self._binned = self._library.Dataset(
            data.train.features.flat(),
            label=np.zeros(len(data.train)),  # each task sets its labels with its rows
            categorical_feature=list(range(len(data.schema.categorical))),
            params=self._fixed,
        ).construct()

    def fit(self, task: Task, parameters: dict[str, float], seed: int) -> Model:
        """Boosts on the training rows with a known label, until validation has not improved for `PATIENCE` rounds.

        A funnel child is trained as it is judged: on all exposures, with the label of the joint. Rows of train have their weights.

        Args:
            task: A task of the data set.
            parameters: LightGBM's, as `draw_parameters` names them.
            seed: Draws the rows and columns of each tree.
        """
        library, started = self._library, time.perf_counter()
        rows, labels = self._known(self._data.train, task)
        weights = self._data.train.weights_in(self._data.schema.tasks.index(task))
        if weights is not None:
            counts = weights[rows] > 0
            rows, labels, weights = rows[counts], labels[counts], weights[rows[counts]]
        # subtracted only if float32 would round; otherwise LightGBM's own mean is enough
        is_rounded = KINDS[task.kind].is_standardised and bool((labels.astype(np.float32) != labels).any())
        centre = float(labels.mean()) if is_rounded else 0.0
        train = self._binned.subset(rows).construct().set_label(labels - centre).set_weight(weights)
        rows_V, labels_V = self._known(self._data.validation, task)
        validation = library.Dataset(
            self._data.validation.features.flat()[rows_V],
            label=labels_V - centre,
            reference=self._binned,
            params=self._fixed,
        )
        booster = library.train(
            {
                **self._fixed,
                **parameters,
                **objective(task),
                "seed": derive(seed, "gbdt", task.name) % 2**31,
            },
            train,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[validation],
            callbacks=[library.early_stopping(PATIENCE, verbose=False)],
        )
        return Model(booster, centre, booster.current_iteration(), len(rows), time.perf_counter() - started)

    def _known(self, split: Split, task: Task) -> tuple[np.ndarray, np.ndarray]:
        labels = split.labels[:, self._data.schema.task_names.index(task.name)].astype(np.float64)
        rows = np.flatnonzero(~np.isnan(labels))
        return rows, labels[rows]


def criteria(tasks: tuple[Task, ...]) -> dict[str, str]:
    """{task: the metric on validation that compares its trials}."""
    return {task.name: headline_name(task) for task in tasks}
