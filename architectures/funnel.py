"""Probabilities of a funnel in logit space."""

from __future__ import annotations

import torch
from torch import Tensor


def and_logit(parent: Tensor, conditional: Tensor) -> Tensor:
    r"""The logit of "both": of sigmoid(parent) * sigmoid(conditional).

    With a, c the two logits, 1 / (sigmoid(a) sigmoid(c)) - 1 = exp(-a) + exp(-c) + exp(-a - c), so

    .. math:: \mathrm{and}(a, c) = -\log\left(e^{-a} + e^{-c} + e^{-a-c}\right)

    exactly. A product of probabilities would be 0 or 1 in float32 long before this overflows, and without a gradient.
    Commutative and associative: a chain of steps is a fold. Never above the smaller of the two.

    Shape:
        (B,), (B,) -> (B,).
    """
    return -torch.stack([-parent, -conditional, -parent - conditional]).logsumexp(dim=0)
