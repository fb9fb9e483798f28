"""A kind of task from outside, as a package of somebody else would have it: one of K classes, with its metrics and a data set.

This file is all there is. Its entry points would be

    [project.entry-points."mtlbench.kinds"]
    classes = "mine.classes"

    [project.entry-points."mtlbench.datasets"]
    classes = "mine.classes"
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax

from benchmark import kinds, metrics
from benchmark.datasets import Data, Dataset, register
from benchmark.datasets.prepare import Table, prepare, random_split
from benchmark.kinds import BINARY, REGRESSION, Kind, Reduction, TaskLike
from benchmark.metrics import Metric, Rows
from benchmark.schema import Task


class Classes(Kind):
    """One of K classes: a label is a number from 0 to K - 1, the outputs are K logits."""

    name, plural = "classes", "tasks of classes"
    headline, criterion, margin = "accuracy", "accuracy", "0.005"
    fewest_outputs = 2

    def loss(self, output: Any, label_B: Any, *, reduction: Reduction) -> Any:
        from torch.nn.functional import cross_entropy

        return cross_entropy(output, label_B.long(), reduction=reduction)

    def constant(self, task: TaskLike, label_R: np.ndarray) -> np.ndarray:
        if not len(label_R):
            return np.full(task.num_outputs, np.nan)
        counts_K = np.bincount(label_R.astype(int), minlength=task.num_outputs) + 0.5
        return np.log(counts_K / counts_K.sum())

    def shown(self, task: TaskLike, output: np.ndarray) -> np.ndarray:
        return output.argmax(axis=1).astype(float)

    def check(self, task: TaskLike, label_R: np.ndarray, train_R: np.ndarray) -> None:
        wrong = ~(np.isnan(label_R) | np.isin(label_R, range(task.num_outputs)))
        if wrong.any():
            found = f"{wrong.sum()} others, first {label_R[wrong][0]:g}"
            raise ValueError(f"task {task.name!r}: a class is from 0 to {task.num_outputs - 1}, found {found}")

    def describe(self, task: TaskLike) -> str:
        return f"{task.num_outputs} classes"


def _accuracy(rows: Rows) -> float:
    return float(np.mean(rows.scores.argmax(axis=1) == rows.labels))


def _cross_entropy(rows: Rows) -> float:
    log_p_RK = log_softmax(rows.scores, axis=1)
    return float(-log_p_RK[np.arange(len(log_p_RK)), rows.labels.astype(int)].mean())


kinds.register(Classes())
metrics.register(
    Metric(
        "accuracy", ("classes",), +1, _accuracy, "share of rows whose likeliest class is right", is_shown=True, best=1.0
    )
)
metrics.register(
    Metric("cross_entropy", ("classes",), -1, _cross_entropy, "in nats", title="cross entropy", is_shown=True, best=0.0)
)


@register("palette")
class Palette(Dataset):
    """The colour in which a user orders an item, whether it is returned, and what is paid. Drawn from a known model.

    Args:
        split_seed: Draws the split.
    """

    all_tasks = (
        Task("colour", "classes", num_outputs=3),
        Task("returned", BINARY),
        Task("price", REGRESSION, unit="euros"),
    )
    user, item = "user", "item"

    def __init__(self, *, split_seed: int = 0) -> None:
        self.split_seed = split_seed

    def build(self) -> Data:
        return prepare(self, read=self._draw, source={"reader": 1})

    def _draw(self) -> Table:
        rng, num_rows = np.random.default_rng(0), 3000
        users, items = rng.integers(30, size=num_rows), rng.integers(20, size=num_rows)
        noise = rng.random((num_rows, 3))
        own_taste = noise[:, 0] < 0.1 + 0.8 * users / 30  # else it is the item's colour
        colour = np.where(own_taste, users % 3, items % 3).astype("f4")
        colour[noise[:, 1] < 0.1] = np.nan
        return Table(
            categorical={"user": users, "item": items},
            numeric={},
            labels={
                "colour": colour,
                "returned": (noise[:, 2] < 0.2 + 0.5 * (users % 2)).astype("f4"),
                "price": (items + noise[:, 2]).astype("f4"),
            },
            split=random_split(num_rows, self.split_seed),
            user_fields=("user",),
            item_fields=("item",),
        )
