"""PCGrad: each task's gradient loses what conflicts with the other tasks' gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, Stream, register


@register("pcgrad")
class PCGrad(GramWeighting):
    r"""Projects each task's gradient onto the normal planes of the gradients that it conflicts with, and sums.

    Paper: Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, arXiv 2001.06782. For each task $i$, start
    from $v_i = g_i$ and go through the other tasks $j$ in random order. Wherever $\langle v_i, g_j \rangle < 0$,

    $$
    v_i \leftarrow v_i - \frac{\langle v_i, g_j \rangle}{\langle g_j, g_j \rangle}\, g_j
    $$

    The update is the sum over tasks:

    $$
    d = \sum_i v_i = \sum_j w_j\, g_j
    $$

    $g_i$ is the gradient of task $i$. Every $v_i$ is a combination of the $g_j$, so the weights $w_j$ follow from the
    inner products $G_{ij} = \langle g_i, g_j \rangle$ alone.

    Args:
        tasks: The tasks, in the order of the losses.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), each weight at least 1.

    Differs from other implementations:
        The projected gradients are summed, which without conflicts is equal weighting. In a well-known PyTorch version,
        `reduction="sum"` is by mistake a mean. The order of $j$ matters from three tasks on. It has a random stream of its
        own; versions that use the global generator change dropout and the order of batches as well. Seed and step are in a
        buffer, so a resumed run goes on exactly.
    """

    def __init__(self, tasks: tuple[Task, ...], **options: Any) -> None:
        super().__init__(tasks, **options)
        self.stream = Stream()

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        order = np.random.default_rng(self.stream.advance())
        gram = gram_AA.tolist()  # few tasks: plain numbers are faster than tensors
        totals = [1.0] * len(gram)
        for i in range(len(gram)):
            inner = list(gram[i])  # <v_i, g_k> for every k, kept up to date as v_i changes
            for j in order.permutation(len(gram)).tolist():
                if j != i and inner[j] < 0 < gram[j][j]:  # a square may underflow where a product does not
                    step = -inner[j] / gram[j][j]
                    totals[j] += step
                    inner = [a + step * b for a, b in zip(inner, gram[j], strict=True)]
        return torch.tensor(totals, dtype=gram_AA.dtype)
