"""Equal weighting: the plain sum of the losses, the baseline of every other method."""

from __future__ import annotations

from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import LossWeighting, register


@register("equal", default=True)
class Equal(LossWeighting):
    r"""Minimises the sum of the losses, with every weight 1.

    Paper: Kurin et al., "In Defense of the Unitary Scalarization for Deep Multi-Task Learning", NeurIPS 2022,
    arXiv 2201.04122. It finds that with ordinary regularisation the sum matches the special methods.

    $$
    L = \sum_t L_t
    $$

    $L_t$ is the loss of task $t$ on the batch, averaged over its observed labels.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Differs from other implementations:
        Some average over tasks. The sum keeps a task's own gradient the same for any number of tasks T. Whatever depends
        on the scale of the loss (SGD, clipping) takes T times the step that it would take with the average.
    """

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return losses_T.sum()
