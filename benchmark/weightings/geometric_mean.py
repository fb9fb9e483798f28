"""Geometric mean of the losses: a loss counts by its relative change, not by its size."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.weightings import LossWeighting, register
from benchmark.weightings._losses import floored, taking_part


@register("geometric_mean")
class GeometricMean(LossWeighting):
    r"""Minimises the geometric mean of the losses.

    Paper: Chennupati, Sistu, Yogamani and Rawashdeh, "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning", CVPR Workshops 2019, arXiv 1904.08492, there GLS.

    $$
    L = \Big( \prod_t L_t \Big)^{1/T} = \exp\Big( \frac{1}{T} \sum_t \log L_t \Big), \qquad w_t = \frac{L}{T L_t}
    $$

    $L_t$ is the loss of task $t$ on the batch, $w_t$ its weight, and $T$ the number of tasks with a label in the batch. A
    factor on one loss scales all weighted gradients alike, so the direction of the update does not depend on the units of
    the losses.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `Weighting`.

    Shape:
        losses_T: (T,), active_T: (T,) -> scalar.

    Differs from the paper:
        The paper's focused form multiplies in the losses of some tasks a second time; this is the plain form. A loss of 0,
        which has no gradient but would make the product 0 and stop all tasks, is left out; a negative loss,
        which auxiliary losses can cause, is weighted by its magnitude, and magnitudes below 1e-8 count as 1e-8.

    Differs from other implementations:
        Some take the root of the product, which underflows for many small losses. The logarithms do not.
    """

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        among_T = taking_part(losses_T, active_T)
        number = among_T.sum().clamp(min=1)
        logs_T = floored(losses_T).log()
        mean = (logs_T * among_T).sum() / number
        weights_T = torch.exp(mean - logs_T).where(among_T, 0.0) / number
        return (weights_T * losses_T).sum()
