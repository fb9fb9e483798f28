"""Random loss weighting: new random weights at every step, which every other method should beat."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, Stream, register
from benchmark.weightings._losses import softmax_among

BLOCK = 256
"""Steps whose numbers are drawn together."""


@register("random")
class Random(LossWeighting):
    r"""Draws new weights at every step, whatever the losses are.

    Paper: Lin, Ye, Zhang and Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning",
    TMLR 2022, arXiv 2111.10603, there RLW with the normal distribution. It finds random weights as good as many designed
    ones: a method that does not beat them has learned nothing about the tasks.

    $$
    L = \sum_t w_t L_t, \qquad w = \operatorname{softmax}(x), \qquad x_t \sim \mathcal{N}(0, 1)
    $$

    $L_t$ is the loss of task $t$ on the batch; $x$ is drawn at every step. The softmax is over the tasks with a label in
    the batch. The weights sum to 1, so on average a task has $1/T$ of the gradient that it has under equal weighting.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Differs from other implementations:
        They draw from the global generator, which changes dropout and the order of batches as well. Here the draws have a
        stream of their own. Seed and step are in a buffer, so a resumed run goes on exactly. A task's draws depend on its
        name, and not on its position or on the other tasks.
    """

    def __init__(self, tasks: tuple[Task, ...], **options: Any) -> None:
        super().__init__(tasks, **options)
        self.stream = Stream()
        self._names = [crc32(task.name.encode()) for task in tasks]
        self._block, self._drawn_ST = (-1, -1), torch.empty(0)

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return (softmax_among(self._draw(losses_T), active_T) * losses_T).sum()

    def _draw(self, losses_T: Tensor) -> Tensor:
        """(T,) the normal numbers of this step, which follow from seed, step and the tasks' names alone."""
        seed, step = self.stream.advance()
        block = (seed, step // BLOCK)
        if block != self._block:  # a generator costs more than its numbers, so it is made once a block
            drawn = [np.random.default_rng([*block, name]).standard_normal(BLOCK) for name in self._names]
            self._block, self._drawn_ST = block, torch.tensor(np.stack(drawn, axis=1)).to(losses_T)
        return self._drawn_ST[step % BLOCK]
