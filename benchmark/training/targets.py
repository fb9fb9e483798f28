"""From labels to what a step is about: the scale of standardised targets, and one loss per task.

Axes: R rows, B batch, T tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmark.kinds import KINDS
from benchmark.pieces import moments, pieces
from benchmark.rows import Batch, Split
from benchmark.schema import Auxiliary, Task


@dataclass(frozen=True, slots=True)
class TargetScale:
    """Mean and standard deviation in train of each standardised target; 0 and 1 for other targets. (T,) float64 each."""

    mean_T: Tensor
    std_T: Tensor

    @classmethod
    def of(cls, train: Split, tasks: tuple[Task, ...]) -> TargetScale:
        """Fitted on the observed labels of train, each with its weight.

        Raises:
            ValueError: if a target that is to be standardised has no observed value or is constant.
        """
        mean, std = np.zeros(len(tasks)), np.ones(len(tasks))
        for t, task in enumerate(tasks):
            if KINDS[task.kind].is_standardised:
                seen = moments(partial(_observed, train, t))
                if seen.count == 0 or seen.least == seen.most:  # rounding can give a constant a small deviation
                    found = f"the constant {seen.most}" if seen.count else "no observed value"
                    raise ValueError(
                        f"task {task.name!r}: expected a {task.kind} target that varies in train, found {found}; leave the "
                        "task out of dataset.tasks, or choose another split"
                    )
                mean[t], std[t] = (seen.mean, seen.std) if train.weights is None else _weighted(train, t)
        return cls(torch.from_numpy(mean), torch.from_numpy(std))


def _observed(train: Split, task: int) -> Iterator[np.ndarray]:
    return (values for values, _ in _observed_and_weights(train, task))


def _observed_and_weights(train: Split, task: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The known labels of a task and their weights, if there are any, in pieces; without labels of weight 0."""
    for part in pieces(len(train)):
        piece = train.cut(part.start, part.stop)
        values, weights = np.asarray(piece.labels[:, task], dtype=np.float64), piece.weights_in(task)
        known = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0)
        yield values[known], None if weights is None else weights[known]


def _weighted(train: Split, task: int) -> tuple[float, float]:
    """The weighted mean and standard deviation of the known labels of a task."""

    def mean(of: Callable[[np.ndarray], np.ndarray]) -> float:
        sums = [
            (float(weights @ of(values)), float(weights.sum())) for values, weights in parts() if weights is not None
        ]
        return sum(total for total, _ in sums) / sum(weight for _, weight in sums)

    parts = partial(_observed_and_weights, train, task)
    centre = mean(lambda values: values)
    return centre, float(np.sqrt(mean(lambda values: np.square(values - centre))))


class TaskLosses:
    """Each task's loss, defined by its kind: the mean over the rows with a known label, weighted where rows have weights.

    Args:
        tasks: The tasks.
        fully_observed: Tasks with a label on every row; they need no mask.
    """

    def __init__(self, tasks: tuple[Task, ...], fully_observed: tuple[bool, ...]) -> None:
        self.tasks, self.fully_observed = tasks, fully_observed

    def __call__(
        self, outputs: dict[str, Tensor], auxiliaries: dict[str, Auxiliary], batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(T,) losses; (T,) bool: does the task have a label here; and the sum of the auxiliaries without a task."""
        active_T = (
            torch.ones(len(self.tasks), dtype=torch.bool, device=batch.labels.device)
            if all(self.fully_observed)
            else batch.observed.any(dim=0)
        )
        losses = {task.name: self._loss(t, task, outputs[task.name], batch) for t, task in enumerate(self.tasks)}
        active = dict(zip(losses, active_T, strict=True)) if auxiliaries else {}
        extra: Tensor | None = None
        for auxiliary in auxiliaries.values():
            if auxiliary.task is None:
                extra = auxiliary.value if extra is None else extra + auxiliary.value
            else:
                losses[auxiliary.task] = losses[auxiliary.task] + auxiliary.value * active[auxiliary.task]
        return torch.stack(list(losses.values())), active_T, extra

    def _loss(self, t: int, task: Task, output: Tensor, batch: Batch) -> Tensor:
        label = batch.labels[:, t]
        kind = KINDS[task.kind]
        if self.fully_observed[t] and batch.weights is None:
            return kind.loss(output, label, reduction="mean")
        return batch.mean(kind.loss(output, label, reduction="none"), batch.observed[:, t], t)
