"""PE-MTL: the shortest combination of the gradients in which every task keeps a least weight."""

from __future__ import annotations

from math import isfinite
from typing import Any

from torch import Tensor

from benchmark.schema import Task
from benchmark.text import unknown
from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix, present
from benchmark.weightings._solvers import around_zeros, min_norm


@register("pe_mtl")
class PEMTL(GramWeighting):
    r"""Takes the shortest combination of the gradients in which no task falls below its least weight.

    Paper: Lin et al., "A Pareto-Efficient Algorithm for Multiple Objective Optimization in E-Commerce Recommendation",
    RecSys 2019, doi 10.1145/3298689.3346998.

    $$
    w = \operatorname{argmin}_{w_t \ge c_t,\; \sum_t w_t = 1} \left\| \sum_t w_t\, g_t \right\|^2
    $$

    $g_t$ is the gradient of task $t$ and $c_t$ its least weight. If all $c_t$ are 0 this is MGDA; if they sum to 1 the
    weights are fixed at them.

    Args:
        tasks: The tasks, in the order of the losses.
        bounds: {task name: least weight}, of sum at most 1. Never mutated.
        share: Least weight of a task that is not in `bounds`, as a share of its even part of what `bounds` leave over. With no
            bounds, each of A tasks with a label in the batch keeps at least `share` / A.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), of sum 1.

    Raises:
        ValueError: for an unknown task, a bound that is negative or not finite, bounds of a sum above 1, or a share
            outside 0 to 1.

    Differs from the paper:
        The paper first solves the problem without $w_t \ge c_t$, then takes the nearest weights that satisfy it, as public
        code does. For more than two tasks these need not be the shortest; here the problem is solved as it is stated.
        It has no default for the bounds. A task whose gradient is zero is left out of it and gets the mean weight.
    """

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        bounds: dict[str, float] = {},  # noqa: B006
        share: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        names = [task.name for task in tasks]
        for name, bound in bounds.items():
            if name not in names:
                raise ValueError(f"weighting.bounds: {unknown('task', name, names)}")
            if not (isfinite(bound) and bound >= 0):
                raise ValueError(f"weighting.bounds.{name} must be a number of at least 0, found {bound}")
        if sum(bounds.values()) > 1 + 1e-9:
            raise ValueError(f"weighting.bounds must have a sum of at most 1, found {sum(bounds.values()):g}")
        if not 0 <= share <= 1:
            raise ValueError(f"weighting.share must be between 0 and 1, found {share}")
        self.bounds, self.share = dict(bounds), share

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        active = [task.name for task, is_active in zip(self.tasks, active_T.tolist(), strict=True) if is_active]
        least = self._least([active[task] for task in present(gram_AA.diagonal().tolist())])
        return around_zeros(gram_AA, lambda gram: _bounded(gram, least))

    def _least(self, names: list[str]) -> list[float]:
        """Least weights of these tasks."""
        left = max(1 - sum(self.bounds.get(name, 0.0) for name in names), 0.0)
        even = left / max(sum(name not in self.bounds for name in names), 1)
        return [self.bounds.get(name, self.share * even) for name in names]


def _bounded(gram: Matrix, least: list[float]) -> list[float]:
    """What the bounds leave over, s, is split by MGDA between the points s g_t + sum_r c_r g_r."""
    left = max(1 - sum(least), 0.0)
    inner = [sum(c * g for c, g in zip(least, row, strict=True)) for row in gram]
    square = sum(c * b for c, b in zip(least, inner, strict=True))
    everyone = range(len(gram))
    points = [[left * (left * gram[i][j] + inner[i] + inner[j]) + square for j in everyone] for i in everyone]
    return [c + left * w for c, w in zip(least, min_norm(points), strict=True)]
