"""IMTL-L: learned scales under which all losses are of the same size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import magnitudes, taking_part


@register("imtl_l")
class IMTLL(LossWeighting):
    r"""Learns a scale for each loss together with the model, so that all scaled losses become 1.

    Paper: Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, OpenReview IMPnRXEWpvr (it has no arXiv number),
    there IMTL-L, the half of IMTL that balances losses.

    $$
    L = \sum_t \left( e^{s_t} L_t - s_t \right)
    $$

    $L_t$ is the loss of task $t$ on the batch, and $s_t$ its learned log scale, 0 at the start. It settles where
    $e^{s_t} L_t = 1$, so the weight $e^{s_t}$ becomes $1 / L_t$. With $-s_t$ as log variance, this is twice the objective
    of `uncertainty` for squared errors: the two have the same shares of the tasks, for every kind.

    Args:
        tasks: The tasks, in the order of the losses.
        learning_rate: Learning rate of the log scales; the model has its own.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if the learning rate is not positive.

    Differs from other implementations:
        They train $s_t$ as one of the model's parameters, with its learning rate and weight decay, which biases the scales
        for good. Here $s_t$ has an optimizer group of its own, without decay. A task without a label in the batch sends its
        $s_t$ no gradient, nor does a loss of 0, for which no finite scale is right. For $s_t$, a negative loss counts by
        its magnitude, and magnitudes below 1e-8 count as 1e-8: otherwise $e^{s_t}$ could overflow. The total can be
        negative, so it must not be used for stopping.
    """

    def __init__(self, tasks: tuple[Task, ...], *, learning_rate: float = 0.025, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not learning_rate > 0:
            raise ValueError(f"weighting.learning_rate must be greater than 0, found {learning_rate}")
        self.learning_rate = learning_rate
        self.log_scales_T = nn.Parameter(torch.zeros(len(tasks)))

    def param_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.log_scales_T], "lr": self.learning_rate, "weight_decay": 0.0}]

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        terms_T = torch.exp(self.log_scales_T) * magnitudes(losses_T) - self.log_scales_T
        return torch.where(taking_part(losses_T, active_T), terms_T, 0.0).sum()
