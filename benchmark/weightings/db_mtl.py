"""DB-MTL: gradients of the losses' logarithms, all at the largest norm."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import filled, present

# A loss counts as at least this share of the largest in the batch: the logarithm of 0 has no gradient.
FLOOR = 1e-8


@register("db_mtl")
class DBMTL(GramWeighting):
    r"""Brings the gradients of all tasks to one norm: the largest among the gradients of the losses' logarithms.

    Paper: Lin et al., "Dual-Balancing for Multi-Task Learning", arXiv 2308.12029 (2023). The update is

    $$
    d = \alpha \sum_i \frac{g_i}{\| g_i \|}, \qquad \alpha = \max_i \frac{\| g_i \|}{L_i}
    $$

    $L_i$ is the loss of task $i$ and $g_i$ its gradient, so $g_i / L_i$ is the gradient of $\log L_i$. The weights are
    $w_i = \alpha / \| g_i \|$; a factor on a task's loss divides its weight and changes nothing else.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), positive.

    Differs from the paper:
        The paper replaces each gradient by an exponential moving average of its gradients. That is left out: it needs a
        copy of all parameters in scope for every task. This is the paper's method with its forgetting rate at 0. In the
        paper the heads get the gradients of the logarithms; here the option `head_gradients` says what they get.

    Differs from other implementations:
        The public code adds 1e-8 to losses and norms. Here the floor of a loss is relative to the largest loss, so a
        common factor on all losses changes nothing, and a zero gradient is left out. A negative loss, which auxiliary losses
        can cause, counts by its magnitude.
    """

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        squares, losses = gram_AA.diagonal().tolist(), losses_A.abs().tolist()
        numbers = present(squares)
        norms = [math.sqrt(squares[number]) for number in numbers]
        floor = FLOOR * max(losses, default=0.0)
        of_logarithms = [
            norm / max(losses[number], floor) for number, norm in zip(numbers, norms, strict=True) if floor > 0
        ]
        # with losses of 0 only there is no logarithm, and the norms are the losses' own
        target = max(of_logarithms or norms, default=1.0)
        weights = filled([target / norm for norm in norms], numbers, len(squares))
        return torch.tensor(weights, dtype=gram_AA.dtype)
