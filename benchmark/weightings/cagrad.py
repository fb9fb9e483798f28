"""CAGrad: near the mean gradient, the update that helps most the task it helps least."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix
from benchmark.weightings._solvers import ROUNDING, around_zeros, nonnegative_qp


@register("cagrad")
class CAGrad(GramWeighting):
    r"""Finds, near the mean gradient, the update that helps most the task that it helps least.

    Paper: Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, arXiv 2110.14048.

    $$
    d = \operatorname{argmax}_{d} \min_t\, \langle g_t, d \rangle \quad \text{with} \quad \|d - g_0\| \le c\, \|g_0\|
    $$

    $g_t$ is the gradient of task $t$, $g_0 = \frac{1}{A} \sum_t g_t$ the mean over the $A$ tasks. The paper solves the
    dual, $d = g_0 + c\, \|g_0\|\, g_w / \|g_w\|$ with $g_w = \sum_t w_t g_t$ and

    $$
    w = \operatorname{argmin}_{w \ge 0,\; \sum_t w_t = 1} \langle g_w, g_0 \rangle + c\, \|g_0\|\, \|g_w\|
    $$

    Here the same $d$ is found from the least improvement $\mu = \min_t \langle g_t, d \rangle$. Project $g_0$ onto the
    updates that give every task at least $\mu$: $d$ is the projection for the largest $\mu$ that is near enough to $g_0$.

    Args:
        tasks: The tasks, in the order of the losses.
        c: How far the update may be from the mean gradient, as a share of its norm. 0: the mean gradient. Below 1 the
            update is zero only where the mean gradient is.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), each weight at least 1 / A.

    Raises:
        ValueError: if c is negative or not finite.

    Differs from the paper:
        Where several updates are equally good ($g_w = 0$), the formula is 0 / 0. Here the one nearest to $g_0$ is taken.

    Differs from other implementations:
        The update is the paper's. The authors' code multiplies it by the number of tasks; others divide it by $1 + c^2$.
        They call a general-purpose solver, and one of them gives no update at all if the gradients are small. Here the
        solution is exact at any scale.
    """

    def __init__(self, tasks: tuple[Task, ...], *, c: float = 0.5, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not (isfinite(c) and c >= 0):
            raise ValueError(f"weighting.c must be a number of at least 0, found {c}")
        self.c = c

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return around_zeros(gram_AA, self._solve)

    def _solve(self, gram: Matrix) -> list[float]:
        mean = 1 / len(gram)
        inner = [mean * sum(row) for row in gram]  # <g_t, g_0>
        square = mean * sum(inner)  # |g_0|^2
        diagonal = [row[task] for task, row in enumerate(gram)]
        if square <= ROUNDING * max(diagonal) or self.c == 0:
            return [mean] * len(gram)
        radius = self.c * sqrt(square)
        added = _farthest_of_two(gram, inner, radius) if len(gram) == 2 else None
        added = added or _farthest(gram, inner, radius)
        return [mean + value for value in added]


def _farthest(gram: Matrix, inner: list[float], radius: float) -> list[float]:
    """What the solution adds to the weights of the mean gradient.

    The distance from the mean gradient to the projection is convex and rises with the least improvement, so Newton's
    method comes down to the radius from above without a line search.
    """
    # what each task alone could have at most, so the distance is at least the radius here
    improvement = min(b + radius * sqrt(row[task]) for task, (b, row) in enumerate(zip(inner, gram, strict=True)))
    added, distance, is_possible = _projected(gram, inner, improvement)
    if improvement > 0 and not is_possible:  # no update helps all tasks
        improvement = 0.0
        added, distance, _ = _projected(gram, inner, improvement)
    for _ in range(100):
        excess = distance - radius
        if excess <= ROUNDING * radius:
            break
        improvement -= excess * distance / sum(added)
        added, distance, _ = _projected(gram, inner, improvement)
    return added


def _farthest_of_two(gram: Matrix, inner: list[float], radius: float) -> list[float] | None:
    """The same for two tasks in closed form; None where it is 0 / 0.

    Either one task limits the least improvement, and the update goes from the mean gradient along its gradient. Or both
    improve equally, and the update is a multiple of the shortest combination of sum 1.
    """
    (first, product), (_, second) = gram
    apart = first + second - 2 * product
    if apart <= ROUNDING * (first + second) or first * second - product * product <= ROUNDING * first * second:
        return None
    gains = [radius * sqrt(first), radius * sqrt(second)]
    limiting = 0 if inner[0] + gains[0] < inner[1] + gains[1] else 1
    alone = radius / sqrt(gram[limiting][limiting])
    if inner[1 - limiting] + alone * product >= inner[limiting] + gains[limiting]:
        return [alone, 0.0] if limiting == 0 else [0.0, alone]
    shortest = (first * second - product * product) / apart  # its square
    factor = 1 + sqrt(max(1 - (sum(inner) / 2 - radius * radius) / shortest, 0.0))
    return [max(factor * (gram[1 - task][1 - task] - product) / apart - 0.5, 0.0) for task in (0, 1)]


def _projected(gram: Matrix, inner: list[float], improvement: float) -> tuple[list[float], float, bool]:
    """The projection onto the updates of this least improvement: weights, distance, and whether there is such an update."""
    added = nonnegative_qp(gram, [improvement - b for b in inner])
    gains = [sum(x * g for x, g in zip(added, row, strict=True)) for row in gram]
    lacking = max(improvement - b - gain for b, gain in zip(inner, gains, strict=True))
    square = sum(x * gain for x, gain in zip(added, gains, strict=True))
    # without such an update some task lacks all of a positive improvement, with one there is only rounding
    return added, sqrt(max(square, 0.0)), lacking <= abs(improvement) / 2
