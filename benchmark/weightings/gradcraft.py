"""GradCraft: gradients nearer to the largest norm, then each freed of all its conflicts at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix, present, solve

# Conflicting gradients are solved for up to this relative precision: float32 sees no finer dependence between them.
PRECISION = 1e-6


@register("gradcraft")
class GradCraft(GramWeighting):
    r"""Scales the gradients towards the largest norm, then resolves all conflicts of a task in one projection.

    Paper: Bai et al., "GradCraft: Elevating Multi-task Recommendations through Holistic Gradient Crafting", KDD 2024,
    arXiv 2407.19682. With $m_i$ an exponential moving average of the norm of the gradient $g_i$,

    $$
    h_i = \left( r \frac{\max_j m_j}{m_i} + 1 - r \right) g_i, \qquad
    v_i = h_i + \sum_{j \in C_i} a_{ij}\, h_j, \qquad
    d = \frac{1}{A} \sum_i v_i
    $$

    $C_i$ are the tasks with $\langle h_i, h_j \rangle < 0$, and $A$ is the number of tasks. The $a_{ij}$ of a task
    solve the linear equations $\langle v_i, h_j \rangle = \epsilon \| h_i \| \| h_j \|$ for
    all $j \in C_i$ together. Everything is a combination of the $g_j$, so it follows from their inner products.

    Args:
        tasks: The tasks, in the order of the losses.
        balance: r of the equation, from 0 for the gradients' own norms to 1 for the largest norm.
        margin: The cosine that a projected gradient has with those it conflicted with.
        momentum: Share of the moving average of norms that a step keeps; 0 takes each step's own norms.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,).

    Raises:
        ValueError: if balance or margin is outside 0 to 1, or the momentum is not at least 0 and below 1.

    Differs from other implementations:
        The defaults, and the mean over tasks, are the public code's, whose momentum is fixed at 0. Its average of norms
        starts at 0; here it is corrected for that. So a task whose first label comes late is not scaled up, and the ratios
        of the others are the same. Dependent gradients, on which the public code fails, get the least-squares solution.
    """

    norms_T: Tensor
    shares_T: Tensor

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        balance: float = 1.0,
        margin: float = 0.0,
        momentum: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        for name, value in (("balance", balance), ("margin", margin)):
            if not 0 <= value <= 1:
                raise ValueError(f"weighting.{name} must be from 0 to 1, found {value}")
        if not 0 <= momentum < 1:
            raise ValueError(f"weighting.momentum must be at least 0 and below 1, found {momentum}")
        self.balance, self.margin, self.momentum = balance, margin, momentum
        # the averages, and how much of each is not yet the zero that it started from
        self.register_buffer("norms_T", torch.zeros(len(tasks), dtype=torch.float64))
        self.register_buffer("shares_T", torch.zeros(len(tasks), dtype=torch.float64))

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        norms = [math.sqrt(square) for square in gram_AA.diagonal().tolist()]
        numbers = present(gram_AA.diagonal().tolist())
        scales = self._scales(norms, active_T)
        gram = gram_AA.tolist()
        cosines = [[gram[i][j] / norms[i] / norms[j] for j in numbers] for i in numbers]
        totals = list(scales)
        for row, i in enumerate(numbers):
            for column, factor in zip(*self._repairs(cosines, row), strict=True):
                j = numbers[column]
                # of unit vectors; here they have the scaled norms
                totals[j] += factor * scales[i] * norms[i] / norms[j]
        return torch.tensor(totals, dtype=gram_AA.dtype) / len(gram)

    def _scales(self, norms: list[float], active_T: Tensor) -> list[float]:
        """What each gradient is multiplied by; 1 for one that has been zero."""
        active = active_T.nonzero().flatten().to(self.norms_T.device)
        found_A = torch.tensor(norms, dtype=torch.float64, device=self.norms_T.device)
        self.norms_T[active] = self.momentum * self.norms_T[active] + (1 - self.momentum) * found_A
        self.shares_T[active] = self.momentum * self.shares_T[active] + (1 - self.momentum)
        means = (self.norms_T[active] / self.shares_T[active]).tolist()
        largest, scales = max(means), [1.0] * len(means)
        for number in present([mean * mean for mean in means]):
            scales[number] = self.balance * largest / means[number] + 1 - self.balance
        return scales

    def _repairs(self, cosines: Matrix, row: int) -> tuple[list[int], list[float]]:
        """The tasks that conflict with this one, and how much of each one's direction is added to its direction."""
        conflicts = [column for column, cosine in enumerate(cosines[row]) if cosine < 0]
        wanted = [self.margin - cosines[row][column] for column in conflicts]
        among = [[cosines[i][j] for j in conflicts] for i in conflicts]
        try:
            return conflicts, solve([list(entries) for entries in among], wanted, PRECISION)
        except ArithmeticError:
            inverse = np.linalg.pinv(np.array(among), rcond=PRECISION, hermitian=True)
            return conflicts, (inverse @ np.array(wanted)).tolist()
