"""Uncertainty weighting: weights learned as the noise of each task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.kinds import KINDS
from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import magnitudes, taking_part


@register("uncertainty")
class Uncertainty(LossWeighting):
    r"""Learns the noise of each task together with the model, and weights a task by its precision.

    Paper: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics", CVPR 2018, arXiv 1705.07115.

    $$
    L = \sum_t \left( c_t\, e^{-s_t} L_t + \frac{s_t}{2} \right)
    $$

    - $L_t$: the loss of task $t$ on the batch;
    - $s_t = \log \sigma_t^2$: its learned log variance, 0 at the start;
    - $c_t$: 1/2 for a squared error, 1 for a cross entropy.

    For a squared error this is the likelihood of a Gaussian with variance $\sigma_t^2$; for a cross entropy it is that of
    logits divided by $\sigma_t^2$, approximated as in the paper.

    Args:
        tasks: The tasks, in the order of the losses.
        learning_rate: Learning rate of the log variances; the model has its own.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if the learning rate is not positive.

    Differs from other implementations:
        Some have $c_t = 1/2$ for every task. That changes the start only: $s_t$ settles at $\log(2 c_t L_t)$, so the
        effective weight $c_t e^{-s_t}$ becomes $1 / (2 L_t)$ in either form. Others train $s_t$ as one of the model's
        parameters: with a learning rate of 1e-3 it takes thousands of steps to follow a loss of 1e-3, and weight decay
        biases the weights for good. Here $s_t$ has an optimizer group of its own, without decay. A task without a label
        in the batch sends its $s_t$ no gradient. For $s_t$, a negative loss counts by its magnitude, and magnitudes
        below 1e-8 count as 1e-8: otherwise $s_t$ would fall without end, until $e^{-s_t}$ overflows. The total can be
        negative, so it must not be used for stopping.
    """

    factors_T: Tensor

    def __init__(self, tasks: tuple[Task, ...], *, learning_rate: float = 0.025, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not learning_rate > 0:
            raise ValueError(f"weighting.learning_rate must be greater than 0, found {learning_rate}")
        self.learning_rate = learning_rate
        self.log_variances_T = nn.Parameter(torch.zeros(len(tasks)))
        factors = [KINDS[task.kind].likelihood_factor for task in tasks]
        self.register_buffer("factors_T", torch.tensor(factors))

    def param_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.log_variances_T], "lr": self.learning_rate, "weight_decay": 0.0}]

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        s_T = self.log_variances_T
        terms_T = self.factors_T * torch.exp(-s_T) * magnitudes(losses_T) + s_T / 2
        # at a loss of 0, s would fall without end
        return torch.where(taking_part(losses_T, active_T), terms_T, 0.0).sum()
