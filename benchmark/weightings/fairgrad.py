"""FairGrad: the update that shares progress among the tasks by alpha-fairness."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, register
from benchmark.weightings._fair import fair_weights


@register("fairgrad")
class FairGrad(GramWeighting):
    r"""Takes the update that maximises the sum of an alpha-fair utility of the tasks' gains.

    Paper: Ban and Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024, arXiv 2402.15638. The utility of a gain
    $x = \langle g_i, d \rangle$ is $x^{1 - \alpha} / (1 - \alpha)$, and the weights of the update $d = \sum_i w_i g_i$ are the
    positive solution of

    $$
    G w = w^{-1 / \alpha}, \qquad G_{ij} = \langle g_i, g_j \rangle
    $$

    $g_i$ is the gradient of task $i$, and the power is taken entry by entry. So $\langle g_i, d \rangle = w_i^{-1/\alpha} > 0$
    for every task. $\alpha \to 0$ gives equal weights and $\alpha = 1$ Nash-MTL; the larger $\alpha$ is, the more the
    task with the least gain counts.

    Args:
        tasks: The tasks, in the order of the losses.
        alpha: The degree of fairness.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), positive.

    Raises:
        ValueError: if alpha is not positive and finite.

    Differs from other implementations:
        The equations are solved to convergence by Newton's method in $\log w$. The public code hands them to a
        general least-squares solver and clips the update to norm 1; here nothing is clipped. Its default of alpha is 1,
        which is Nash-MTL; its published runs set 2, the default here. A zero gradient is left out.
    """

    def __init__(self, tasks: tuple[Task, ...], *, alpha: float = 2.0, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ValueError(f"weighting.alpha must be greater than 0, found {alpha}; near 0 it is equal weighting")
        self.alpha = alpha

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return torch.tensor(fair_weights(gram_AA, self.alpha), dtype=gram_AA.dtype)
