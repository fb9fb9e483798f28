"""MGDA: the shortest convex combination of the tasks' gradients."""

from __future__ import annotations

from torch import Tensor

from benchmark.weightings import GramWeighting, register
from benchmark.weightings._solvers import around_zeros, min_norm


@register("mgda")
class MGDA(GramWeighting):
    r"""Takes the shortest convex combination of the gradients, which lowers every loss or is zero.

    Paper: Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, arXiv 1810.04650, after
    Désidéri, "Multiple-gradient Descent Algorithm (MGDA) for Multiobjective Optimization", Comptes Rendus Mathématique
    2012, doi 10.1016/j.crma.2012.03.014.

    $$
    w = \operatorname{argmin}_{w \ge 0,\; \sum_t w_t = 1} \left\| \sum_t w_t\, g_t \right\|^2
    $$

    $g_t$ is the gradient of task $t$. The update $d = \sum_t w_t g_t$ has $\langle d, g_t \rangle \ge \|d\|^2$ for every
    task. It is zero only where no direction lowers all losses (a Pareto-stationary point). Tasks with small gradients get
    large weights: the update is never longer than the shortest gradient.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), at least 0, of sum 1.

    Differs from the paper:
        The paper approximates the minimum for more than two tasks with the Frank-Wolfe method. Here it is exact for any
        number of tasks. A task whose gradient is zero is left out; with it, the update would be zero.

    Differs from other implementations:
        Gradients are compared as they are. Public codes can divide them by their norms or losses first, which is another
        method. A common one keeps the weights of two tasks between 0.001 and 0.999.
    """

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return around_zeros(gram_AA, min_norm)
