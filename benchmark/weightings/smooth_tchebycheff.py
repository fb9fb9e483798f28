"""Smooth Tchebycheff scalarisation: a smooth maximum of the losses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.text import unknown
from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import floored, softmax_among, taking_part


@register("smooth_tchebycheff")
class SmoothTchebycheff(LossWeighting):
    r"""Minimises a smooth maximum of the losses, so that the worst task gets most of the weight.

    Paper: Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024, arXiv 2402.19078,
    there STCH. With `nadir_steps=0`, the plain form of the paper:

    $$
    L = \mu \log \sum_t \exp \frac{\lambda_t (L_t - z_t)}{\mu}
    $$

    - $L_t$: the loss of task $t$ on the batch;
    - $\lambda_t$: its preference, scaled so that those of the $T$ tasks with a label in the batch sum to 1;
    - $z_t$: its ideal loss, the lowest that can be hoped for;
    - $\mu$: the smoothness. As it goes to 0, $L$ becomes the largest $\lambda_t (L_t - z_t)$.

    This form compares the losses as they are, so they should be of one scale. With `nadir_steps=N`, the form of the
    authors' experiments divides each loss by its nadir, the loss to improve on:

    $$
    L = T \mu \log \sum_t \exp \frac{T \lambda_t \log(L_t / n_t)}{\mu}
    $$

    $n_t$ is the mean loss of task $t$ over those of the first $N$ steps in which it had a label, or 1 if there were none.
    The first $N$ steps minimise $\sum_t \log L_t$. This form has no ideals, and leaves out a loss of 0.

    Args:
        tasks: The tasks, in the order of the losses.
        mu: The smoothness $\mu$.
        preferences: {task name: preference}; a task that is not named has 1. Never mutated.
        ideals: {task name: ideal loss}; a task that is not named has 0. Never mutated.
        nadir_steps: Steps at the start whose mean losses are the nadirs. 0: the plain form.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if $\mu$ or a preference is not positive and finite, an ideal is not finite, a task is unknown, the
            number of steps is negative, or ideals are given together with it.

    Differs from other implementations:
        The authors' code for multi-task learning minimises the sum of logarithms for four epochs and takes the mean losses of
        the fifth as nadirs; here both are the same steps, counted from the start, since models of this kind are often best
        after one epoch. It has no preferences: its $T \lambda_t$ is 1.
    """

    preferences_T: Tensor
    ideals_T: Tensor
    sums_T: Tensor
    counts_T: Tensor
    steps: Tensor

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        mu: float = 1.0,
        preferences: dict[str, float] = {},  # noqa: B006
        ideals: dict[str, float] = {},  # noqa: B006
        nadir_steps: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        names = [task.name for task in tasks]
        _check(names, mu, preferences, ideals, nadir_steps)
        self.mu, self.nadir_steps = mu, nadir_steps
        self.register_buffer("preferences_T", torch.tensor([float(preferences.get(name, 1.0)) for name in names]))
        self.register_buffer("ideals_T", torch.tensor([float(ideals.get(name, 0.0)) for name in names]))
        self.register_buffer("sums_T", torch.zeros(len(tasks)))
        self.register_buffer("counts_T", torch.zeros(len(tasks)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        if self.nadir_steps:
            weights_T = self._below_nadirs(losses_T.detach(), taking_part(losses_T, active_T))
        else:
            shares_T = self._shares(active_T)
            weights_T = shares_T * softmax_among(shares_T * (losses_T.detach() - self.ideals_T) / self.mu, active_T)
        return (weights_T * losses_T).sum()

    def _shares(self, among_T: Tensor) -> Tensor:
        """(T,) these tasks' preferences, which sum to 1."""
        preferences_T = self.preferences_T * among_T
        return torch.nan_to_num(preferences_T / preferences_T.sum())  # 0 / 0 without a task

    def _below_nadirs(self, losses_T: Tensor, among_T: Tensor) -> Tensor:
        """(T,) weights of the form with nadirs."""
        losses_T, number = floored(losses_T), among_T.sum()
        warms_up = self.steps < self.nadir_steps
        self._count(losses_T, among_T & warms_up)
        nadirs_T = torch.where(self.counts_T > 0, self.sums_T / self.counts_T, 1.0)
        preferences_T = number * self._shares(among_T)
        parts_T = softmax_among(preferences_T * torch.log(losses_T / nadirs_T) / self.mu, among_T)
        return torch.where(warms_up, among_T, number * preferences_T * parts_T) / losses_T

    def _count(self, losses_T: Tensor, counted_T: Tensor) -> None:
        self.sums_T.add_(torch.where(counted_T, losses_T, 0.0))
        self.counts_T.add_(counted_T)
        self.steps.add_(1)


def _check(
    names: list[str], mu: float, preferences: dict[str, float], ideals: dict[str, float], nadir_steps: int
) -> None:
    if not (math.isfinite(mu) and mu > 0):
        raise ValueError(f"weighting.mu must be greater than 0 and finite, found {mu}")
    for key, values in (("preferences", preferences), ("ideals", ideals)):
        for name, value in values.items():
            if name not in names:
                raise ValueError(f"weighting.{key}: {unknown('task', name, names)}")
            if not math.isfinite(value) or (key == "preferences" and value <= 0):
                wanted = "a number greater than 0" if key == "preferences" else "a finite number"
                raise ValueError(f"weighting.{key}.{name} must be {wanted}, found {value}")
    if nadir_steps < 0:
        raise ValueError(f"weighting.nadir_steps must be at least 0 steps, found {nadir_steps}")
    if nadir_steps and ideals:
        raise ValueError(
            f"weighting.ideals belong to the plain form, found them with weighting.nadir_steps={nadir_steps}; "
            "set weighting.nadir_steps=0, or leave out the ideals"
        )
