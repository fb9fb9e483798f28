"""Dynamic weight average: more weight to the task whose loss falls more slowly."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register


@register("dwa")
class DWA(LossWeighting):
    r"""Weights a task by how slowly its loss has been falling.

    Paper: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, arXiv 1803.10704.

    $$
    w = T \operatorname{softmax}(r / \tau), \qquad r_t = \frac{m_t(k - 1)}{m_t(k - 2)}
    $$

    $m_t(k)$ is the mean loss of task $t$ in period $k$, an epoch or a window of steps, over the batches in which it had
    a label; $\tau$ is the temperature. Until two periods have passed, and for a task without a label in one of them,
    $r_t = 1$: the weight of a task whose loss stands still. The $T$ weights sum to $T$. Auxiliary losses can make a mean
    negative; then $r_t = 2 - m_t(k - 1) / m_t(k - 2)$. In both cases $r_t$ is 1 plus the rise as a share of the magnitude
    of $m_t(k - 2)$.

    Args:
        tasks: The tasks, in the order of the losses.
        temperature: Temperature of the softmax; the larger it is, the more even the weights.
        window: Steps in a period. 0: a period is an epoch.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if the temperature is not positive or the window negative.

    Differs from the paper:
        Only where a window is set. With epochs as periods, as published, it is equal weighting for two epochs, so a model
        that is best after one or two never sees another weight. A window of some tens of steps acts early.

    Differs from other implementations:
        The means are in buffers. Codes that keep them outside the state forget them when a run is resumed.
    """

    weights_T: Tensor
    means_2T: Tensor
    sums_T: Tensor
    counts_T: Tensor
    steps: Tensor

    def __init__(self, tasks: tuple[Task, ...], *, temperature: float = 2.0, window: int = 0) -> None:
        super().__init__(tasks)
        if not temperature > 0:
            raise ValueError(f"weighting.temperature must be greater than 0, found {temperature}")
        if window < 0:
            raise ValueError(f"weighting.window must be at least 0 steps, found {window}")
        self.temperature, self.window = temperature, window
        self.register_buffer("weights_T", torch.ones(len(tasks)))
        # of the period before the last, and of the last
        self.register_buffer("means_2T", torch.full((2, len(tasks)), torch.nan))
        self.register_buffer("sums_T", torch.zeros(len(tasks)))
        self.register_buffer("counts_T", torch.zeros(len(tasks)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        if self.window:
            self._end_period()
            self._count(losses_T.detach(), active_T)
        return (self.weights_T * losses_T).sum()

    def on_epoch_end(self, mean_losses_T: Tensor) -> None:
        if not self.window:
            # a mean of 0 is that of a task which had no label
            means_T = torch.where(mean_losses_T == 0, torch.nan, mean_losses_T).to(self.means_2T)
            self.means_2T.copy_(torch.stack([self.means_2T[1], means_T]))
            self._weigh()

    # Neither of these branches on a tensor, which on a GPU would wait for the device in every step.

    def _end_period(self) -> None:
        """If the steps so far fill a period; here and not after a step, whose backward still needs its weights."""
        is_full = self.steps % self.window == 0
        ended_2T = torch.stack([self.means_2T[1], self.sums_T / self.counts_T])
        self.means_2T.copy_(torch.where(is_full, ended_2T, self.means_2T))
        self.sums_T.masked_fill_(is_full, 0.0)
        self.counts_T.masked_fill_(is_full, 0.0)
        self._weigh()

    def _count(self, losses_T: Tensor, active_T: Tensor) -> None:
        self.sums_T.add_(torch.where(active_T, losses_T, 0.0))
        self.counts_T.add_(active_T)
        self.steps.add_(1)

    def _weigh(self) -> None:
        ratios_T = self.means_2T[1] / self.means_2T[0]
        # of negative means, the smaller is the better
        ratios_T = torch.where(self.means_2T[0] < 0, 2 - ratios_T, ratios_T)
        ratios_T = torch.where(ratios_T.isfinite(), ratios_T, 1.0)
        self.weights_T.copy_(len(self.tasks) * torch.softmax(ratios_T / self.temperature, dim=0))
