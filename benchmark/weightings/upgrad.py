"""UPGrad: each task's gradient is projected to where no task is harmed, then they are averaged."""

from __future__ import annotations

from torch import Tensor

from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix
from benchmark.weightings._solvers import around_zeros, nonnegative_qp


@register("upgrad")
class UPGrad(GramWeighting):
    r"""Projects each task's gradient onto the directions that raise no loss, and averages.

    Paper: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, arXiv 2406.16232.

    $$
    d = \frac{1}{A} \sum_t \pi(g_t), \qquad
    \pi(g) = \operatorname{argmin}_{p} \|p - g\|^2 \quad \text{with} \quad \langle p, g_s \rangle \ge 0 \text{ for every task } s
    $$

    $g_t$ is the gradient of task $t$, $A$ the number of tasks. Each projection is $g_t + \sum_s x_s g_s$, where
    $x \ge 0$ solves a small quadratic program on the inner products of the gradients, so $d$ is a weighted sum.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), each weight at least 1 / A.

    Differs from other implementations:
        The authors' own adds 1e-4 to the diagonal of the scaled Gram matrix, so the update can raise the loss of a task whose
        gradient is 50 or more times as small as another's. Here the program is solved exactly, whatever the scales.
    """

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return around_zeros(gram_AA, _project_and_average)


def _project_and_average(gram: Matrix) -> list[float]:
    totals = [1.0] * len(gram)
    for row in gram:
        if min(row) < 0:  # a conflict
            added = nonnegative_qp(gram, [-inner for inner in row])
            totals = [total + x for total, x in zip(totals, added, strict=True)]
    return [total / len(gram) for total in totals]
