"""FAMO: all losses are to fall at the same rate, by what the last update did to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import SMALLEST, softmax_among, taking_part

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Those of Adam."""


@register("famo")
class FAMO(LossWeighting):
    r"""Gives more weight to the tasks whose losses fell at a lower rate in the last update.

    Paper: Liu, Feng, Stone and Liu, "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, arXiv 2306.03792. A step
    minimises

    $$
    c \sum_t z_t \log L_t, \qquad z = \operatorname{softmax}(\xi), \qquad c = \Big( \sum_t \frac{z_t}{L_t} \Big)^{-1}
    $$

    - $L_t$: the loss of task $t$ on the batch;
    - $\xi_t$: the logit of its share, 0 at the start;
    - $c$: a constant, so that the weights $w_t = c\, z_t / L_t$ sum to 1.

    After the update, the losses $L'_t$ of the same batch are computed again, and one step of Adam moves $\xi$ against

    $$
    \Big( \frac{\partial z}{\partial \xi} \Big)^{\top} \delta + \gamma\, \xi, \qquad \delta_t = \log L_t - \log L'_t
    $$

    So a task whose loss fell at a rate $\delta_t$ above the mean loses some of its share. $\gamma$ is the weight decay: it
    pulls the shares towards each other.

    Args:
        tasks: The tasks, in the order of the losses.
        learning_rate: Learning rate of the logits; the model has its own.
        weight_decay: Weight decay of the logits.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if the learning rate is not positive or the weight decay negative.

    Differs from the paper:
        The logits move by Adam, as in the authors' code; the paper's algorithm has a plain gradient step. Every logarithm
        is that of the loss plus 1e-8, also as in that code.

    Differs from other implementations:
        The authors' code clips the shared gradients to a norm of 1, and there the second forward draws other dropout. Here
        clipping is the trainer's, the same for every weighting, and the dropout is the same in both forwards. A task
        without a label, or with a loss of 0, keeps its logit and its moments, and they are in the state: a resumed run goes
        on exactly.
    """

    passes = "1, 2 forward"
    logits_T: Tensor
    first_T: Tensor
    second_T: Tensor
    updates_T: Tensor
    among_T: Tensor

    def __init__(
        self, tasks: tuple[Task, ...], *, learning_rate: float = 0.025, weight_decay: float = 1e-3, **options: Any
    ) -> None:
        super().__init__(tasks, **options)
        if not learning_rate > 0:
            raise ValueError(f"weighting.learning_rate must be greater than 0, found {learning_rate}")
        if not weight_decay >= 0:
            raise ValueError(f"weighting.weight_decay must be at least 0, found {weight_decay}")
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        for name in ("logits_T", "first_T", "second_T", "updates_T"):  # first_T, second_T: the moments of Adam
            self.register_buffer(name, torch.zeros(len(tasks)))
        # which tasks take part in this step: every step sets it before it reads it
        self.register_buffer("among_T", torch.zeros(len(tasks), dtype=torch.bool), persistent=False)

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        among_T = taking_part(losses_T, active_T)
        self.among_T.copy_(among_T)
        # the softmax of xi - log L: the same weights, whose sum cannot underflow
        weights_T = softmax_among(self.logits_T - _log(losses_T.detach()), among_T)
        return (weights_T * losses_T).sum()

    def after_step(self, losses_T: Tensor, recompute: Callable[[], Tensor]) -> None:
        fall_T = torch.where(self.among_T, _fall(losses_T, recompute()), 0.0)
        shares_T = softmax_among(self.logits_T, self.among_T)
        gradient_T = shares_T * (fall_T - (shares_T * fall_T).sum())
        self._move((gradient_T + self.weight_decay * self.logits_T).to(self.logits_T))

    def _move(self, gradient_T: Tensor) -> None:
        """One step of Adam for the tasks that took part."""
        took_T, (beta_1, beta_2) = self.among_T, BETAS
        self.updates_T.add_(took_T)
        self.first_T.lerp_(torch.where(took_T, gradient_T, self.first_T), 1 - beta_1)
        self.second_T.lerp_(torch.where(took_T, gradient_T.square(), self.second_T), 1 - beta_2)
        mean_T = self.first_T / (1 - beta_1**self.updates_T)
        root_T = (self.second_T / (1 - beta_2**self.updates_T)).sqrt()
        # 0 / 0 where there was no update yet: such a task did not take part
        self.logits_T.sub_(torch.where(took_T, self.learning_rate * mean_T / (root_T + EPSILON), 0.0))


def _log(losses_T: Tensor) -> Tensor:
    return torch.log(losses_T.abs() + SMALLEST)


def _fall(before_T: Tensor, after_T: Tensor) -> Tensor:
    """By how much the logarithm fell; where a loss is negative, the change as a share of the larger magnitude."""
    largest_T = torch.maximum(before_T.abs(), after_T.abs()).clamp(min=SMALLEST)
    is_negative_T = torch.minimum(before_T, after_T) < 0
    return torch.where(is_negative_T, (before_T - after_T) / largest_T, _log(before_T) - _log(after_T))
