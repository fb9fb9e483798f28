"""From a split to the inputs of a step: rows on the device, standardised targets, and one loss per task.

Axes: R rows, B batch, T tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.kinds import KINDS
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
                values = np.asarray(train.labels[:, t], dtype=np.float64)
                known, weights = ~np.isnan(values), weights_of(train, t)
                if weights is not None:
                    known &= weights > 0
                    weights = weights[known]
                values = values[known]
                if values.size == 0 or values.min() == values.max():  # rounding can give a constant a small deviation
                    found = "no observed value" if values.size == 0 else f"the constant {values[0]}"
                    raise ValueError(
                        f"task {task.name!r}: expected a {task.kind} target that varies in train, found {found}; leave the "
                        "task out of dataset.tasks, or choose another split"
                    )
                if weights is None:
                    mean[t], std[t] = values.mean(), values.std()
                else:
                    mean[t] = np.average(values, weights=weights)
                    std[t] = np.sqrt(np.average(np.square(values - mean[t]), weights=weights))
        return cls(torch.from_numpy(mean), torch.from_numpy(std))


def weights_of(split: Split, task: int) -> np.ndarray | None:
    """(R,) the weights of the rows in a task, if there are any."""
    return None if split.weights is None else split.weights[:, min(task, split.weights.shape[1] - 1)]


def scaled_weights(weights_RW: np.ndarray, tasks: int) -> np.ndarray:
    """(R, T) float32: the weights as a power of two of themselves near 1, so that no sum of them overflows.

    A weighted mean does not depend on the scale, and a power of two changes no digit.
    """
    with np.errstate(divide="ignore"):
        scale_W = np.exp2(np.round(np.log2(weights_RW.mean(axis=0))))
    scaled_RW = weights_RW / np.where(scale_W > 0, scale_W, 1.0)
    return np.ascontiguousarray(np.broadcast_to(scaled_RW, (len(weights_RW), tasks)), dtype=np.float32)


class TrainingRows:
    """A split as tensors on the device; on the CPU, features stay memory-mapped. Targets and masks are prepared once.

    A label whose row has the weight 0 in its task counts as not observed.

    Args:
        split: Usually train.
        scale: How targets are standardised.
        device: Where the model is.
    """

    def __init__(self, split: Split, scale: TargetScale, device: torch.device) -> None:
        labels = (split.labels - scale.mean_T.numpy()) / scale.std_T.numpy()
        observed, weights = ~np.isnan(labels), None
        if split.weights is not None:
            weights = scaled_weights(split.weights, labels.shape[1])
            observed &= weights > 0
        self.fully_observed = tuple(bool(column) for column in observed.all(axis=0))
        self._batch = Batch(
            features=split.features.to(device),
            labels=torch.from_numpy(np.nan_to_num(labels, nan=0.0).astype(np.float32)).to(device),
            observed=torch.from_numpy(observed).to(device),
            weights=None if weights is None else torch.from_numpy(weights).to(device),
        )

    def __len__(self) -> int:
        return len(self._batch)

    def batches(self, batch_size: int, generator: torch.Generator, start: int = 0) -> Iterator[Batch]:
        """One pass in a new random order, from batch `start`; the last batch may be smaller. Do not write to `observed`.

        The order is drawn at once, and batches are gathered one by one.
        """
        order = torch.randperm(len(self), generator=generator).to(self._batch.labels.device)
        return map(self._gather, order.split(batch_size)[start:])

    def _gather(self, index: Tensor) -> Batch:
        rows = self._batch
        return Batch(
            rows.features.take(index),
            rows.labels.index_select(0, index),
            # if every label is known, there is no need to gather this
            rows.observed[: len(index)] if all(self.fully_observed) else rows.observed.index_select(0, index),
            None if rows.weights is None else rows.weights.index_select(0, index),
        )

    def slices(self, batch_size: int = 4096) -> Iterator[Batch]:
        """One pass in the rows' own order."""
        for start in range(0, len(self), batch_size):
            yield self._batch.cut(start, start + batch_size)


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
