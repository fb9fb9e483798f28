"""What several rules ask of a Gram matrix: which gradients are not zero, what weight a zero one gets, and a linear solver.

Numbers are in lists: for few tasks they are several times as fast as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

Vector = list[float]
Matrix = list[list[float]]

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


def solve(matrix: Matrix, right: Vector, precision: float = 0.0) -> Vector:
    """The solution of a system with a positive definite matrix, by elimination; overwrites the matrix.

    >>> solve([[2.0, 1.0], [1.0, 3.0]], [4.0, 7.0])
    [1.0, 2.0]

    Args:
        matrix: Symmetric.
        right: The right side.
        precision: What a pivot must exceed.

    Raises:
        ArithmeticError: if a pivot does not exceed the precision.
    """
    found = list(right)
    size = len(found)
    for k in range(size):
        pivot = matrix[k]
        if not pivot[k] > precision:
            raise ArithmeticError(f"pivot {pivot[k]} of a matrix that should be positive definite")
        for i in range(k + 1, size):
            factor = matrix[i][k] / pivot[k]
            row = matrix[i]
            for j in range(k + 1, size):
                row[j] -= factor * pivot[j]
            found[i] -= factor * found[k]
    for k in range(size - 1, -1, -1):
        found[k] = (found[k] - sum(matrix[k][j] * found[j] for j in range(k + 1, size))) / matrix[k][k]
    return found
