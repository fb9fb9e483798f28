"""Fixed weights by task name: static scalarisation, the baseline of tuned comparisons."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.text import unknown
from benchmark.weightings import LossWeighting, register


@register("fixed")
class Fixed(LossWeighting):
    r"""Minimises a weighted sum of the losses with constant weights.

    Paper: Xin et al., "Do Current Multi-Task Optimization Methods in Deep Learning Even Help?", NeurIPS 2022,
    arXiv 2209.11379. It finds no method better than the best fixed weights: sweep these before you claim a gain.

    $$
    L = \sum_t w_t L_t
    $$

    $L_t$ is the loss of task $t$ on the batch (in standardised units for a regression), $w_t$ its weight.

    Args:
        tasks: The tasks, in the order of the losses.
        weights: {task name: weight}; a task that is not named has weight 1. Never mutated.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: for an unknown task, or a weight that is negative or not finite.

    Differs from other implementations:
        Some rescale the weights to a given sum. Here they are taken as they stand, so a common factor changes the step
        of SGD and the effect of clipping, though hardly the step of Adam.
    """

    weights_T: Tensor

    def __init__(self, tasks: tuple[Task, ...], *, weights: dict[str, float] = {}, **options: Any) -> None:  # noqa: B006
        super().__init__(tasks, **options)
        names = [task.name for task in tasks]
        for name, weight in weights.items():
            if name not in names:
                raise ValueError(f"weighting.weights: {unknown('task', name, names)}")
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"weighting.weights.{name} must be a number of at least 0, found {weight}")
        self.register_buffer("weights_T", torch.tensor([float(weights.get(name, 1.0)) for name in names]))

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return (self.weights_T * losses_T).sum()
