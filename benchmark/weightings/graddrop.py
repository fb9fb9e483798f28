"""GradDrop: at each element of the gradient, one sign is drawn and the other is dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import JacobianWeighting, Stream, register


@register("graddrop")
class GradDrop(JacobianWeighting):
    r"""Draws a sign for each element of the gradient, and drops the tasks whose gradient has the other sign there.

    Paper: Chen et al., "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout", NeurIPS 2020,
    arXiv 2010.06808. At each element,

    $$
    P = \frac{1}{2} \left( 1 + \frac{\sum_i g_i}{\sum_i |g_i|} \right), \qquad
    m_i = \mathbb{1}[g_i > 0]\, \mathbb{1}[U < P] + \mathbb{1}[g_i < 0]\, \mathbb{1}[U \ge P]
    $$

    $$
    d = \sum_i \left( \ell + (1 - \ell)\, m_i \right) g_i
    $$

    - $g_i$: the gradient of task $i$ at this element;
    - $P$: the purity of the positive sign: 1 if no task's gradient is negative, 0 if none is positive;
    - $U$: uniform on $[0, 1)$, one draw for each element, the same for all tasks;
    - $\ell$: the leak, the part of each gradient that is never dropped.

    Where all gradients are zero, $P$ is 1/2 and $d$ is zero. Without conflict it is the plain sum.

    Args:
        tasks: The tasks, in the order of the losses.
        leak: Part of each gradient that passes whatever the sign: 0 drops all of it, 1 is the plain sum.
        options: Those of `JacobianWeighting`.

    Shape:
        gradients_AP: (A, P), losses_A: (A,), active_T: (T,) -> (P,).

    Raises:
        ValueError: if the leak is not from 0 to 1.

    Differs from the paper:
        The paper masks gradients by activations, at one layer, after multiplying them by the activation's sign and
        summing them over the batch. Here the mask is at each parameter, as in public codes that compare it with other
        methods of gradients. Under scope `representation` it is at each element of each row, without that sum.

    Differs from other implementations:
        It has a random stream of its own; versions that use the global generator change dropout and the order of batches
        as well. Seed and step are in a buffer, so a resumed run goes on exactly.
    """

    def __init__(self, tasks: tuple[Task, ...], *, leak: float = 0.0, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not 0 <= leak <= 1:
            raise ValueError(f"weighting.leak must be from 0 to 1, found {leak}")
        self.leak = leak
        self.stream = Stream()

    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        positive_P = gradients_AP.clamp(min=0).sum(dim=0)
        negative_P = gradients_AP.clamp(max=0).sum(dim=0)
        # U < P without its division, which 0 / 0 would spoil: P is the positive share of the sum of absolute values
        is_positive_P = self._draw(positive_P) * (positive_P - negative_P) < positive_P
        # exact at 0 and 1; `where` costs twice as much on the CPU, which predicts no random branch
        kept_P = torch.lerp(negative_P, positive_P, is_positive_P.to(positive_P))
        return kept_P if self.leak == 0 else torch.lerp(kept_P, positive_P + negative_P, self.leak)

    def _draw(self, like_P: Tensor) -> Tensor:
        seed = np.random.SeedSequence(self.stream.advance()).generate_state(1, np.uint64)
        generator = torch.Generator(like_P.device).manual_seed(int(seed[0]) >> 1)  # torch takes 63 bits
        return torch.rand(like_P.shape, generator=generator, dtype=like_P.dtype, device=like_P.device)
