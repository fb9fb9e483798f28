"""UW-SO: the weights to which uncertainty weighting converges, computed at once and softened by a temperature."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import floored, softmax_among, taking_part


@register("uncertainty_softmax")
class UncertaintySoftmax(LossWeighting):
    r"""Weights a task by the softmax of the inverse losses.

    Paper: Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning", GCPR 2024,
    arXiv 2408.07985, there UW-SO.

    $$
    L = \sum_t w_t L_t, \qquad w = \operatorname{softmax}\Big( \frac{1}{\tau \operatorname{sg}(L)} \Big)
    $$

    - $L_t$: the loss of task $t$ on the batch;
    - $\tau$: the temperature;
    - $\operatorname{sg}$: its argument is taken as a constant.

    `uncertainty` settles at weights in proportion to $1 / L_t$. These are taken from the batch at hand instead of being
    learned, and the softmax, over the tasks with a label in the batch, makes them sum to 1.

    The softmax is of differences of inverse losses: with losses of 0.05 and 0.5 and a temperature of 1, the second task
    has a weight of $10^{-8}$. Tune the temperature; it is the method's only parameter.

    Args:
        tasks: The tasks, in the order of the losses.
        temperature: Temperature of the softmax; the larger it is, the more even the weights.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Raises:
        ValueError: if the temperature is not positive.

    Differs from the paper:
        It tunes the temperature for every data set. The default of 1 is that of a public implementation. A loss of 0,
        which has no gradient but would take all weight, is left out. A negative loss, which auxiliary losses can
        cause, counts by its magnitude, and magnitudes below 1e-8 count as 1e-8.
    """

    def __init__(self, tasks: tuple[Task, ...], *, temperature: float = 1.0, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not temperature > 0:
            raise ValueError(f"weighting.temperature must be greater than 0, found {temperature}")
        self.temperature = temperature

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        among_T = taking_part(losses_T, active_T)
        scores_T = 1 / (self.temperature * floored(losses_T))
        return (softmax_among(scores_T, among_T) * losses_T).sum()
