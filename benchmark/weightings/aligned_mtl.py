"""Aligned-MTL: gradients are made orthogonal and equally long before they are summed."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

from torch import Tensor

from benchmark.schema import Task
from benchmark.weightings import GramWeighting, register
from benchmark.weightings._gram import Matrix
from benchmark.weightings._solvers import around_zeros, spectrum


@register("aligned_mtl")
class AlignedMTL(GramWeighting):
    r"""Replaces the gradients by the nearest ones that are orthogonal and of one length, and averages.

    Paper: Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023, arXiv 2305.19000.

    $$
    w = \sigma\, V \Lambda^{-1/2} V^\top \frac{\mathbf 1}{A}, \qquad G = V \Lambda V^\top
    $$

    - $G_{st} = \langle g_s, g_t \rangle$: the inner products of the gradients of the $A$ tasks;
    - $\Lambda$, $V$: its eigenvalues that are not zero, and their eigenvectors;
    - $\sigma^2$: for `min`, the smallest of these eigenvalues, as in the paper, so that no component grows.

    Args:
        tasks: The tasks, in the order of the losses.
        scale: The length of the new gradients: the `min`, the `median` or the `rmse` (root mean square) of the square
            roots of the eigenvalues. The median of an even number is the lower of the two in the middle.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,).

    Differs from other implementations:
        Some leave out the factor $1 / A$. Eigenvalues count as zero relative to gradients of length 1, so a small gradient
        is not taken for a dependent one; the rounding of float32 is, and cannot shrink the update to nothing.
    """

    def __init__(
        self, tasks: tuple[Task, ...], *, scale: Literal["min", "median", "rmse"] = "min", **options: Any
    ) -> None:
        super().__init__(tasks, **options)
        self.scale = scale

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return around_zeros(gram_AA, self._align)

    def _align(self, gram: Matrix) -> list[float]:
        values, vectors = spectrum(gram)
        squares = {"min": values[0], "median": values[(len(values) - 1) // 2], "rmse": values.mean()}
        length = sqrt(squares[self.scale])
        weights: list[float] = (vectors @ (length * vectors.sum(0) / values**0.5) / len(gram)).tolist()
        return weights
