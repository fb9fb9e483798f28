"""IMTL-G: the update has the same projection onto every task's gradient."""

from __future__ import annotations

from math import sqrt

import numpy as np
from torch import Tensor

from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix
from benchmark.weightings._solvers import ROUNDING, around_zeros, spectrum


@register("imtl_g")
class IMTLG(GramWeighting):
    r"""Weights the gradients so that the update goes equally far along each of them.

    Paper: Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, openreview.net/forum?id=IMPnRXEWpvr (no arXiv
    number); its part for shared parameters, IMTL-G.

    $$
    \left\langle \sum_s w_s\, g_s,\; \frac{g_t}{\|g_t\|} \right\rangle \text{ is the same for every task } t, \qquad
    \sum_t w_t = 1
    $$

    $g_t$ is the gradient of task $t$. With $G_{st} = \langle g_s, g_t \rangle$ and its pseudoinverse $G^+$,

    $$
    w \propto G^+ \left( \|g_1\|, \dots, \|g_A\| \right)^\top
    $$

    For two tasks this is $w_t \propto 1 / \|g_t\|$, whatever the angle. From three tasks on, weights may be negative.
    With norms far apart, the only weights of sum 1 may even be those of an update that raises every loss.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), of sum 1.

    Differs from the paper:
        The paper inverts a matrix that is singular if gradients are dependent. The pseudoinverse gives the same weights
        where the inverse exists. Two tasks have the closed form also where their gradients are parallel or opposite.

    Differs from other implementations:
        A well-known one has IMTL-L, which learns scales of the losses, in the same method. Here that is another weighting.
    """

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return around_zeros(gram_AA, _impartial)


def _impartial(gram: Matrix) -> list[float]:
    norms = np.array([sqrt(row[task]) for task, row in enumerate(gram)])
    found = 1 / norms
    if len(gram) > 2:
        values, vectors = spectrum(gram)
        if len(values) == len(gram):  # at length 1, where tasks of very different scales cost no digits
            found = np.linalg.solve(np.array(gram) / np.outer(norms, norms), np.ones(len(gram))) / norms
        else:
            found = vectors @ (vectors.T @ norms / values)
        if abs(found.sum()) <= ROUNDING * np.abs(found).sum():  # only an update of zero is impartial
            found = 1 / norms
    weights: list[float] = (found / found.sum()).tolist()
    return weights
