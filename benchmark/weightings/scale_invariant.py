"""Sum of the losses' logarithms: every task pulls by its relative change."""

from __future__ import annotations

from torch import Tensor

from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import floored, taking_part


@register("scale_invariant")
class ScaleInvariant(LossWeighting):
    r"""Minimises the sum of the logarithms of the losses.

    Paper: Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, arXiv 2202.01017, where it is the baseline
    SI.

    $$
    L = \sum_t \log L_t, \qquad w_t = \frac{1}{L_t}
    $$

    $L_t$ is the loss of task $t$ on the batch, $w_t$ its weight. A factor on one loss is a constant in the sum and changes
    no gradient. `uncertainty` and `imtl_l` settle at these weights (up to a factor of 2), with a lag.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Differs from the paper:
        A loss of 0, which has no gradient and no logarithm, is left out. A negative loss, which auxiliary losses can cause,
        is weighted by its magnitude. Magnitudes below 1e-8 count as 1e-8. So a loss that crosses 0 has a weight of up to
        1e8 for a step; `trainer.clip_norm` bounds what that does.
    """

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        weights_T = taking_part(losses_T, active_T) / floored(losses_T)
        return (weights_T * losses_T).sum()
