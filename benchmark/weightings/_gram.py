"""What several rules ask of a Gram matrix: which gradients are not zero, and what weight a zero one gets."""

from __future__ import annotations

from collections.abc import Sequence

# A squared norm below this share of the largest counts as zero. Norms may be a million apart, and float32 sees less than
# this anyway.
ZERO = 1e-24


def present(squares: Sequence[float]) -> list[int]:
    """The numbers of the gradients that are not zero, from their squared norms.

    >>> present([1.0, 0.0, 1e-12])
    [0, 2]
    """
    largest = max(squares, default=0.0)
    return [number for number, square in enumerate(squares) if square > ZERO * largest]


def filled(weights: Sequence[float], numbers: Sequence[int], total: int) -> list[float]:
    """The weights of `total` tasks from those of some: the others get their mean, or 1 if there is none.

    A zero gradient moves nothing whatever its weight. The mean leaves the normalised weights of the others as they are.

    >>> filled([1.0, 3.0], [0, 2], 3)
    [1.0, 2.0, 3.0]
    """
    found = [sum(weights) / len(weights) if weights else 1.0] * total
    for number, weight in zip(numbers, weights, strict=True):
        found[number] = weight
    return found
