"""GradVac: each task's gradient is turned until its cosines with the others reach their usual values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, Stream, register
from benchmark.weightings._gram import present

# Targets stay this far from 1 and -1, where the rule divides by zero.
MARGIN = 1e-6
# A projected gradient that has lost all but this share of its squared norm is zero up to rounding.
GONE = 1e-12


@register("gradvac")
class GradVac(GramWeighting):
    r"""Turns a task's gradient towards another's where their cosine is below its moving average.

    Paper: Wang et al., "Gradient Vaccine: Investigating and Improving Multi-task Optimization in Massively Multilingual
    Models", ICLR 2021, arXiv 2010.05874. For each task $i$, start from $v_i = g_i$ and go through the other tasks $j$ in
    random order, with $\phi = \cos(v_i, g_j)$. Wherever $\phi < \tau_{ij}$,

    $$
    v_i \leftarrow v_i + \frac{\| v_i \|}{\| g_j \|}
    \cdot \frac{\tau_{ij} \sqrt{1 - \phi^2} - \phi \sqrt{1 - \tau_{ij}^2}}{\sqrt{1 - \tau_{ij}^2}}\, g_j
    $$

    Then the cosine of $v_i$ and $g_j$ is $\tau_{ij}$. After each visit the target moves on:

    $$
    \tau_{ij} \leftarrow (1 - \beta)\, \tau_{ij} + \beta\, \phi, \qquad d = \sum_i v_i
    $$

    $g_i$ is the gradient of task $i$. Targets start at 0, where the rule is PCGrad's. Every $v_i$ is a combination of the
    $g_j$, so the weights follow from the inner products alone.

    Args:
        tasks: The tasks, in the order of the losses.
        beta: How fast the targets follow the cosines; at 0 they stay at 0, which is PCGrad.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), each weight at least 1.

    Raises:
        ValueError: if beta is not from 0 to 1.

    Differs from the paper:
        It has targets of their own for layers or groups of parameters. Here one pair of tasks has one target, for all
        parameters in scope. A pair with a zero gradient keeps its target.

    Differs from other implementations:
        The paper's rule moves a target at every visit, and so does torchjd. LibMTL moves it only where the cosine is
        below it, so its targets never rise above 0 and tasks that agree are never pulled together; its default of beta is
        0.5. The default of 0.01 is that of another public version. The order of $j$ has a random stream of its own, as in
        `pcgrad`.
    """

    targets_TT: Tensor

    def __init__(self, tasks: tuple[Task, ...], *, beta: float = 0.01, **options: Any) -> None:
        super().__init__(tasks, **options)
        if not 0 <= beta <= 1:
            raise ValueError(f"weighting.beta must be from 0 to 1, found {beta}")
        self.beta = beta
        self.stream = Stream()
        self.register_buffer("targets_TT", torch.zeros(len(tasks), len(tasks), dtype=torch.float64))

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        seeds = self.stream.advance()
        random = np.random.default_rng(seeds) if len(gram_AA) > 2 else None  # two tasks have one order
        active = active_T.nonzero().flatten().tolist()
        targets = self.targets_TT.tolist()
        gram = gram_AA.tolist()
        numbers = present([row[number] for number, row in enumerate(gram)])
        norms = [math.sqrt(row[number]) for number, row in enumerate(gram)]
        totals = [1.0] * len(gram)
        for i in range(len(gram)):
            order = range(len(gram)) if random is None else random.permutation(len(gram)).tolist()
            others = [j for j in order if j != i and j in numbers]
            if i in numbers:
                of_task = [targets[active[i]][task] for task in active]
                for j, share in self._turn(gram, norms, of_task, i, others):
                    totals[j] += share
                for j, task in enumerate(active):
                    targets[active[i]][task] = of_task[j]
        self.targets_TT.copy_(torch.tensor(targets, dtype=torch.float64))
        return torch.tensor(totals, dtype=gram_AA.dtype)

    def _turn(
        self, gram: list[list[float]], norms: list[float], targets: list[float], i: int, others: list[int]
    ) -> list[tuple[int, float]]:
        """How much of which gradients is added to that of task i; its targets, for the active tasks, move on."""
        inner = list(gram[i])  # <v_i, g_k> for every k, and the norm of v_i: kept up to date as v_i changes
        norm, added = norms[i], []
        for j in others:
            cosine = max(-1.0, min(1.0, inner[j] / norm / norms[j]))
            target = max(MARGIN - 1, min(1 - MARGIN, targets[j]))
            targets[j] = (1 - self.beta) * targets[j] + self.beta * cosine
            if cosine < target:
                # the sine of the angle stays, as a length; the new angle fixes the new norm
                across, new_sine = math.sqrt(1 - cosine * cosine), math.sqrt(1 - target * target)
                share = norm / norms[j] * (target * across / new_sine - cosine)
                added.append((j, share))
                inner = [a + share * b for a, b in zip(inner, gram[j], strict=True)]
                norm *= across / new_sine
                if norm * norm <= GONE * norms[i] * norms[i]:
                    break
        return added
