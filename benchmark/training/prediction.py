"""From a model and rows to predictions: the same code for evaluation in training, loaded checkpoints and recommendations.

So a checkpoint reproduces, to the last bit, the predictions that its run was judged by.
R rows, B rows in a batch, T tasks, K outputs of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.kinds import KINDS
from benchmark.rows import Batch, Features
from benchmark.schema import Task

if TYPE_CHECKING:
    from architectures import Architecture

BATCH_SIZE = 1024  # fits into the cache of a core: a third faster than 4096. The last bit of a product may depend on it


def predict(
    model: Architecture,
    features: Features,
    *,
    target_mean_T: torch.Tensor,
    target_std_T: torch.Tensor,
    batch_size: int = BATCH_SIZE,
    device: torch.device | str = "cpu",
) -> dict[str, np.ndarray]:
    """The model's outputs for all rows, in evaluation mode and without gradients.

    Args:
        model: An architecture, on `device`. It is left in the mode (train or eval) in which it was.
        features: R rows with the fields of the model's schema.
        target_mean_T: (T,) mean in train of each standardised target, in the order of the schema's tasks.
        target_std_T: (T,) its standard deviation. Entries of other tasks are not read.
        batch_size: Rows per pass.
        device: Where the model is.

    Returns:
        {task: (R,) or (R, K) float64}: the logit of a binary task; mean + std * output, in the target's unit, for a
        standardised target.
    """
    tasks, rows = model.schema.tasks, len(features)
    parts: dict[str, list[torch.Tensor]] = {task.name: [] for task in tasks}
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), model.frozen():
            for start in range(0, rows, batch_size):
                batch = unlabelled(features.cut(start, start + batch_size).to(device), len(tasks), device)
                outputs = model(batch)
                for task in tasks:
                    output, shape = outputs[task.name], (len(batch.labels), *task.output_shape)
                    assert output.shape == shape, f"{task.name}: expected {shape}, found {tuple(output.shape)}"
                    parts[task.name].append(output)
    finally:
        model.train(training)
    predictions = {}
    for index, task in enumerate(tasks):
        # float64 only on the CPU: some accelerators have none
        values = torch.cat(parts.pop(task.name)).cpu().double().numpy() if rows else np.empty((0, *task.output_shape))
        if KINDS[task.kind].is_standardised:
            values = float(target_mean_T[index]) + float(target_std_T[index]) * values
        predictions[task.name] = values
    return predictions


def in_unit(task: Task, values: np.ndarray) -> np.ndarray:
    """(R,) the result of `predict` for a task, as people read it: the probability, or the value in `task.unit`."""
    return KINDS[task.kind].shown(task, values)


def unlabelled(features: Features, tasks: int, device: torch.device | str) -> Batch:
    """A batch whose labels are unknown."""
    shape = len(features), tasks
    return Batch(features, torch.zeros(shape, device=device), torch.zeros(shape, dtype=torch.bool, device=device))
