"""Probabilities of a funnel in logit space."""

from __future__ import annotations

import torch
from torch import Tensor


def and_logit(parent: Tensor, conditional: Tensor) -> Tensor:
    r"""The logit of "both": of sigmoid(parent) * sigmoid(conditional).

    With the two logits $a$ and $c$,

    $$
    \frac{1}{\sigma(a)\,\sigma(c)} - 1 = e^{-a} + e^{-c} + e^{-a-c}, \qquad
    \operatorname{and}(a, c) = -\log\left(e^{-a} + e^{-c} + e^{-a-c}\right)
    $$

    This is exact. A product of probabilities becomes 0 or 1 in float32, and loses its gradient, long before this
    overflows. The operation is commutative and associative, so a chain of steps is a fold. The result is never above the
    smaller of the two.

    Shape:
        (B,), (B,) -> (B,).
    """
    return -torch.stack([-parent, -conditional, -parent - conditional]).logsumexp(dim=0)
