"""Weights from losses: finite for any losses, without a branch on a tensor. T tasks.

An auxiliary loss can make a task's loss negative. Rules that need positive losses weight it by its magnitude: the weight
stays positive, so the loss keeps falling. Rules with an inverse or a logarithm count a magnitude as at least `SMALLEST`
(`floored`, `magnitudes`); as a loss crosses 0, a rule of inverses gives it a weight of up to 1 / `SMALLEST`. FAMO adds
`SMALLEST` in its logarithms instead, as its authors' code does. `db_mtl` has a floor of its own, a share of the largest loss.

A weighting whose weights have a closed form computes them from the detached losses and returns the sum of weights times
losses. Its backward is then as cheap as that of fixed weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-8
"""In weights, smaller magnitudes of losses count as this one, so that no inverse overflows."""


def taking_part(losses_T: Tensor, active_T: Tensor) -> Tensor:
    """(T,) bool: has the task a label and a loss other than 0? At its minimum of 0 a loss has no gradient to weight."""
    return active_T & (losses_T != 0)


def magnitudes(losses_T: Tensor) -> Tensor:
    """(T,) the `floored` losses, with the derivatives of the losses themselves."""
    return floored(losses_T) + (losses_T - losses_T.detach())


def floored(losses_T: Tensor) -> Tensor:
    """(T,) the detached magnitudes of the losses, at least `SMALLEST`: what an inverse or a logarithm is taken of."""
    return losses_T.detach().abs().clamp(min=SMALLEST)


def softmax_among(scores_T: Tensor, among_T: Tensor) -> Tensor:
    """(T,) softmax of these tasks' scores, and 0 for the others."""
    # without any task, the softmax is NaN everywhere, and the mask makes it 0
    return scores_T.masked_fill(~among_T, -torch.inf).softmax(dim=0).where(among_T, 0.0)
