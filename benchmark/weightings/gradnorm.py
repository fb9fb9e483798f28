"""GradNorm: weights learned so that all tasks train at similar rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, register

# The smallest weight that a step leaves, before weights are scaled to their sum. At 0 a task would never come back.
FLOOR = 1e-3
DECAYS = 0.9, 0.999  # of Adam's moments


@register("gradnorm")
class GradNorm(GramWeighting):
    r"""Learns weights under which a task's gradient is larger, the less its loss has fallen.

    Paper: Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks", ICML
    2018, arXiv 1711.02257. The model minimises $\sum_i w_i L_i$; the weights minimise

    $$
    L_{\text{grad}} = \sum_i \left| G_i - \bar{G}\, r_i^{\alpha} \right|, \qquad
    G_i = w_i\, \|\nabla L_i\|, \qquad
    r_i = \frac{L_i / L_i(0)}{\operatorname{mean}_j\, L_j / L_j(0)}
    $$

    - $\bar{G}$: the mean of all $G_i$; the targets $\bar{G}\, r_i^{\alpha}$ are taken as constants;
    - $r_i$: the inverse training rate, larger for a task whose loss has fallen less;
    - $L_i(0)$: the loss at the start, here the mean of the task's first losses;
    - $\alpha$: how strongly slow tasks are favoured.

    $G_i$ is linear in $w_i$, so the derivative is $\pm \|\nabla L_i\|$, and no second backward is needed. After each step
    the weights are scaled so that they sum to $T$.

    Args:
        tasks: The tasks, in the order of the losses.
        alpha: Exponent of the training rates. 0: all tasks get gradients of the same norm.
        learning_rate: Learning rate of the weights; the model has its own.
        scope: Where gradients are measured. `output`: at the trunk's output, the inputs of the towers; in an architecture
            without `Towers`, as `trunk`. The others are those of `GramWeighting`.
        initial_steps: How many of a task's first losses $L_i(0)$ is the mean of; until then, of those so far.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,), positive.

    Raises:
        ValueError: if alpha is negative, the learning rate not positive, or the initial steps are fewer than 1.

    Differs from the paper:
        By default norms are those of the gradients at the trunk's output, not at the weights of its last layer. So no
        architecture need say which layer that is, and they cost a pass through the towers only. $L_i(0)$ is the mean of
        several batches, since that of one is noisy. The optimizer of the weights is Adam as in the paper, without its
        epsilon, so a common factor of all losses changes nothing. A weight does not fall below a small positive floor. A
        task keeps its weight while it has no label in the batch, or a gradient of zero.

    Differs from other implementations:
        Some learn a softmax of the weights or start after the first epoch. Here weights are learned from the first step,
        and heads get weighted gradients unless `head_gradients` says otherwise: the loss is a weighted sum.
    """

    passes = "1, T in the towers"
    weights_T: Tensor
    adam_3T: Tensor
    initial_2T: Tensor

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        initial_steps: int = 50,
        scope: Literal["output", "trunk", "all", "representation"] = "output",
        head_gradients: Literal["own", "weighted"] = "weighted",
    ) -> None:
        super().__init__(tasks, head_gradients=head_gradients)
        self.scope = scope
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"weighting.alpha must be a number of at least 0, found {alpha}")
        if not learning_rate > 0:
            raise ValueError(f"weighting.learning_rate must be greater than 0, found {learning_rate}")
        if initial_steps < 1:
            raise ValueError(f"weighting.initial_steps must be at least 1, found {initial_steps}")
        self.alpha, self.learning_rate, self.initial_steps = alpha, learning_rate, initial_steps
        num_tasks = len(tasks)
        self.register_buffer("weights_T", torch.ones(num_tasks, dtype=torch.float64))
        # first and second moments, and steps
        self.register_buffer("adam_3T", torch.zeros(3, num_tasks, dtype=torch.float64))
        # sums of the first losses, and how many they are
        self.register_buffer("initial_2T", torch.zeros(2, num_tasks, dtype=torch.float64))

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        weights = self.weights_T.tolist()  # few tasks: plain numbers are faster than tensors
        active = active_T.nonzero().flatten().tolist()
        present = torch.tensor([weights[task] for task in active], dtype=gram_AA.dtype)
        falls = self._falls(active, losses_A.tolist())
        norms = [math.sqrt(max(square, 0.0)) for square in gram_AA.diagonal().tolist()]
        self._learn(
            weights, {task: (norm, fall) for task, norm, fall in zip(active, norms, falls, strict=True) if norm}
        )
        return present

    def _falls(self, active: list[int], losses: list[float]) -> list[float]:
        """L / L(0) of the active tasks, and 1 where L(0) is 0."""
        (sums, counts), falls = self.initial_2T.tolist(), []
        for task, loss in zip(active, losses, strict=True):
            if counts[task] < self.initial_steps:
                sums[task] += loss
                counts[task] += 1
            initial = sums[task] / counts[task]
            falls.append(max(loss / initial, 0.0) if initial > 0 else 1.0)
        self.initial_2T.copy_(torch.tensor([sums, counts], dtype=torch.float64))
        return falls

    def _learn(self, weights: list[float], found: dict[int, tuple[float, float]]) -> None:
        """One step of Adam on the weights of these tasks, {task: norm and fall}, whose sum stays."""
        if not found:
            return
        norms, falls = zip(*found.values(), strict=True)
        before = [weights[task] for task in found]
        gradients = weight_gradients(before, norms, falls, self.alpha)
        first, second, steps = self.adam_3T.tolist()
        for task, gradient in zip(found, gradients, strict=True):
            steps[task] += 1
            first[task] += (1 - DECAYS[0]) * (gradient - first[task])
            second[task] += (1 - DECAYS[1]) * (gradient**2 - second[task])
            if second[task] > 0:
                mean = first[task] / (1 - DECAYS[0] ** steps[task])
                root = math.sqrt(second[task] / (1 - DECAYS[1] ** steps[task]))
                weights[task] = max(weights[task] - self.learning_rate * mean / root, FLOOR)
        factor = sum(before) / sum(weights[task] for task in found)
        for task in found:
            weights[task] *= factor
        self.adam_3T.copy_(torch.tensor([first, second, steps], dtype=torch.float64))
        self.weights_T.copy_(torch.tensor(weights, dtype=torch.float64))


def weight_gradients(
    weights: Sequence[float], norms: Sequence[float], falls: Sequence[float], alpha: float
) -> list[float]:
    """The derivatives of the GradNorm loss by the weights, of tasks with a gradient.

    Args:
        weights: One for each task.
        norms: The norms of the gradients of the losses, without weights.
        falls: The losses divided by the losses at the start.
        alpha: As in `GradNorm`.

    >>> weight_gradients([1.0, 1.0], [3.0, 5.0], [0.5, 0.8], alpha=1.5)
    [3.0, -5.0]
    """
    weighted = [weight * norm for weight, norm in zip(weights, norms, strict=True)]
    mean_norm, mean_fall = sum(weighted) / len(weighted), sum(falls) / len(falls)
    gradients = []
    for norm, value, fall in zip(norms, weighted, falls, strict=True):
        target = mean_norm * (fall / mean_fall if mean_fall > 0 else 1.0) ** alpha
        gradients.append(norm * ((value > target) - (value < target)))
    return gradients
