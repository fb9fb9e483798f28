"""MetaBalance: layer by layer, the other tasks' gradients get about the norm of the target task's."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.text import unknown
from benchmark.weightings import JacobianWeighting, register


@register("metabalance")
class MetaBalance(JacobianWeighting):
    r"""Scales the gradients of auxiliary tasks, tensor by tensor, towards the norm of the target task's gradient.

    Paper: He et al., "MetaBalance: Improving Multi-Task Recommendations via Adapting Gradient Magnitudes of Auxiliary
    Tasks", WWW 2022, arXiv 2203.06801. For each tensor of parameters, with $T$ for the target task,

    $$
    m_i \leftarrow \beta\, m_i + (1 - \beta)\, \|g_i\|, \qquad
    d = g_T + \sum_{i \neq T} \left( r\, \frac{m_T}{m_i} + 1 - r \right) g_i
    $$

    - $g_i$: the gradient of task $i$ with respect to the tensor;
    - $m_i$: the moving average of its norm;
    - $r$: the relax factor: 0 is the plain sum; at 1 all tasks have the target's norm, on average.

    Under strategy `reduce` (A in the paper) only gradients with $m_i > m_T$ are scaled, under `enlarge` (B) only those
    with $m_i < m_T$; the others are added as they are.

    Args:
        tasks: The tasks, in the order of the losses.
        target: Name of the target task. None: the first task.
        strategy: Which gradients are scaled: only larger ones than the target's (`reduce`), only smaller ones (`enlarge`),
            or `both`.
        relax: The relax factor, from 0 to 1.
        beta: Decay of the moving averages.
        options: Those of `JacobianWeighting`.

    Shape:
        gradients_AP: (A, P), losses_A: (A,), active_T: (T,) -> (P,).

    Raises:
        ValueError: for an unknown target, a relax factor that is not from 0 to 1, or a beta that is not from 0 to below 1.

    Differs from the paper:
        A moving average is divided by the sum of its coefficients. That changes nothing while every batch has labels of
        every task; otherwise, a task with few labels would seem to have small gradients until its average has warmed up.
        A tensor that the target does not reach keeps the plain sum.

    Differs from other implementations:
        The authors' code has strategy `both` only, and takes a relax factor below 1 only. It keeps the averages outside
        the state; here they are in buffers, so a resumed run goes on exactly.
    """

    norms_TN: Tensor
    masses_TN: Tensor

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        target: str | None = None,
        strategy: Literal["both", "reduce", "enlarge"] = "both",
        relax: float = 0.7,
        beta: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        names = [task.name for task in tasks]
        if target is not None and target not in names:
            raise ValueError(f"weighting.target: {unknown('task', target, names)}")
        if not 0 <= relax <= 1:
            raise ValueError(f"weighting.relax must be from 0 to 1, found {relax}")
        if not 0 <= beta < 1:
            raise ValueError(f"weighting.beta must be at least 0 and less than 1, found {beta}")
        self.target = 0 if target is None else names.index(target)
        self.strategy, self.relax, self.beta = strategy, relax, beta

    def prepare(self, num_tensors: int) -> None:
        # sums of norms, and of their coefficients
        empty_TN = torch.zeros(len(self.tasks), num_tensors, dtype=torch.float64, device=self.last_weights_T.device)
        self.register_buffer("norms_TN", empty_TN)
        self.register_buffer("masses_TN", empty_TN.clone())

    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """See `JacobianWeighting`; S of the N tensors are in scope."""
        device = gradients_AP.device
        in_scope = [number for number, size in enumerate(sizes) if size]
        sizes_S = [sizes[number] for number in in_scope]
        pieces = gradients_AP.split(sizes_S, dim=1)
        norms_AS = torch.stack([torch.linalg.vector_norm(piece, dim=1) for piece in pieces], dim=1).double()
        rows_A1, columns_S = active_T.nonzero(), torch.tensor(in_scope, device=device)
        averages_AS, target_S = self._average(norms_AS, rows_A1, columns_S)
        factors_AS = self._factors(norms_AS, averages_AS, target_S)
        factors_AS = factors_AS.clamp(max=torch.finfo(gradients_AP.dtype).max).to(gradients_AP.dtype)
        return torch.cat([factors_A @ piece for factors_A, piece in zip(factors_AS.T, pieces, strict=True)])

    def _average(self, norms_AS: Tensor, rows_A1: Tensor, columns_S: Tensor) -> tuple[Tensor, Tensor]:
        """The moving averages of the active tasks (A, S) and of the target (S,); 0 where it has never had a gradient."""
        for buffer_TN, value_AS in (self.norms_TN, norms_AS), (self.masses_TN, torch.ones_like(norms_AS)):
            buffer_TN[rows_A1, columns_S] = torch.lerp(value_AS, buffer_TN[rows_A1, columns_S], self.beta)
        averages_TS = self.norms_TN[:, columns_S] / self.masses_TN[:, columns_S].clamp(min=1 - self.beta)
        return averages_TS[rows_A1.flatten()], averages_TS[self.target]

    def _factors(self, norms_AS: Tensor, averages_AS: Tensor, target_S: Tensor) -> Tensor:
        """(A, S) what the gradients are multiplied by; 1 where the target has none, or the task has none now."""
        is_scaled_AS = (norms_AS > 0) & (target_S > 0)
        if self.strategy == "reduce":
            is_scaled_AS &= averages_AS > target_S
        elif self.strategy == "enlarge":
            is_scaled_AS &= averages_AS < target_S
        # the average is at least 1 - beta times the norm, which is above 0
        ratios_AS = target_S / torch.where(is_scaled_AS, averages_AS, 1.0)
        return torch.where(is_scaled_AS, self.relax * ratios_AS + (1 - self.relax), 1.0)
