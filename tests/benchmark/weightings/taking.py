"""What tests take from a weighting."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.weightings import LossWeighting


def weights_of(weighting: LossWeighting, losses_T: Tensor, active_T: Tensor | None = None) -> Tensor:
    """(T,) the derivatives of its scalar by the losses; all tasks are active unless said."""
    leaf_T = losses_T.clone().requires_grad_()
    active_T = torch.ones(len(losses_T), dtype=torch.bool) if active_T is None else active_T
    return torch.autograd.grad(weighting(leaf_T, active_T), leaf_T)[0]
