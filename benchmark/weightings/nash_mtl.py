"""Nash-MTL: the update on which the tasks would agree in a bargain."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.weightings import GramWeighting, register
from benchmark.weightings._fair import fair_weights


@register("nash_mtl")
class NashMTL(GramWeighting):
    r"""Takes the update that maximises the product of the tasks' gains, the Nash solution of a bargain between them.

    Paper: Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, arXiv 2202.01017. The weights are the
    positive solution of

    $$
    G w = \frac{1}{w}, \qquad G_{ij} = \langle g_i, g_j \rangle
    $$

    $g_i$ is the gradient of task $i$, and $1 / w$ is taken entry by entry. So the update $d = \sum_i w_i g_i$ has
    $\langle g_i, d \rangle = 1 / w_i > 0$ for every task. A factor on a task's loss divides its weight and changes nothing
    else. For two tasks with cosine $c$ between their gradients, $w_i = 1 / (\| g_i \| \sqrt{1 + c})$; for more,
    Newton's method in $\log w$ finds the solution.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), positive.

    Differs from other implementations:
        The equations are solved to convergence in every step. The public code and its ports solve a sequence of convex
        problems, which on badly scaled conflicts stops far from the solution, and may solve in every n-th step only. They
        also clip the update to norm 1. Here nothing is clipped: the norm is always the square root of the number of tasks,
        so their clipping is a constant factor. As the norm does not shrink with the gradients, tune the learning rate.
        Gradients that cancel exactly have no solution. Here they get large weights, and the update is zero.
    """

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return torch.tensor(fair_weights(gram_AA, alpha=1.0), dtype=gram_AA.dtype)
