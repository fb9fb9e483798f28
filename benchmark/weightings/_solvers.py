"""Small exact solvers that several weightings share. All of them see the gradients through their inner products only.

For the few tasks of a model, plain numbers are faster than arrays. Every tolerance holds for gradients that are scaled to
length 1, so neither a common scale nor tasks of very different scales change what a solver finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.weightings._gram import Matrix, filled, present

# A gradient is taken for a combination of others if the square of its distance from them, at length 1, is below this.
DEPENDENT = 1e-12
# The same for an eigenvalue. A Gram matrix of float32 gradients is not more exact than this.
RANK_TOLERANCE = 1e-6
# What rounding leaves of a number that should be 0, relative to those that it was made of.
ROUNDING = 1e-14


def around_zeros(gram_AA: Tensor, solve: Callable[[Matrix], Sequence[float]]) -> Tensor:
    """The weights that a solver gives the tasks whose gradient is not zero; the others get the mean of these.

    No weight changes the update of a gradient that is zero, but in a solver it would stand for a task that forbids every
    step (MGDA), or for an equation without solution.

    Args:
        gram_AA: (A, A) float64 inner products.
        solve: Gives the weights for a Gram matrix whose diagonal is positive.

    Returns:
        (A,) float64; 1 for each task if all gradients are zero.
    """
    gram = gram_AA.tolist()
    kept = present([row[task] for task, row in enumerate(gram)])
    found = solve([[gram[i][j] for j in kept] for i in kept]) if kept else []
    return torch.tensor(filled(found, kept, len(gram)), dtype=torch.float64)


def nonnegative_qp(gram: Matrix, target: Sequence[float]) -> list[float]:
    r"""Minimises $\tfrac12 x^\top G x - t^\top x$ over $x \ge 0$, by an active-set method.

    It is that of Lawson and Hanson for nonnegative least squares, in terms of inner products, with a step for targets that
    no $G x$ reaches. Where the solution is not unique, vectors of the same direction get equal shares, so the order of
    tasks does not matter.

    Args:
        gram: $G$, positive semidefinite, with a positive diagonal.
        target: $t$. If there is no minimum, what returns lacks its condition $G x \ge t$.

    Returns:
        $x$.
    """
    everyone, norms = range(len(gram)), [sqrt(row[i]) for i, row in enumerate(gram)]
    scaled = [[gram[i][j] / (norms[i] * norms[j]) for j in everyone] + [target[i] / norms[i]] for i in everyone]
    x, is_done = _active_set(scaled)
    if not is_done:  # float32 gradients that are dependent: rounding curves the function downwards
        for i in everyone:
            scaled[i][i] += RANK_TOLERANCE
        x, _ = _active_set(scaled)
    return [value / norm for value, norm in zip(x, norms, strict=True)]


def _active_set(scaled: Matrix) -> tuple[list[float], bool]:
    """The x of a table (G, t) of vectors of length 1; False if rounding makes the method go round in circles."""
    everyone, largest = range(len(scaled)), max(abs(row[-1]) for row in scaled)
    # Elements are positive or held at 0. The table's last column has the x that is best with these positive, and for the
    # others the slope t - Gx.
    table, positive, x, is_done = scaled, list[int](), [0.0] * len(scaled), False
    for _ in range(4 * len(scaled)):
        rising = _rising(table, positive, largest)
        if not rising:
            is_done = True
            break
        best = max(rising, key=lambda i: table[i][-1])
        positive.append(best)
        if table[best][best] > DEPENDENT:
            table = _exchanged(table, best)
        else:  # x can rise without an end, in exchange for others, until one of them is 0
            step = {i: -table[i][best] for i in positive if abs(table[i][best]) > sqrt(DEPENDENT)} | {best: 1.0}
            x, table = _held(x, step, scaled, positive)
        while any(table[i][-1] < 0 for i in positive):
            x, table = _held(x, {i: table[i][-1] - x[i] for i in positive}, scaled, positive)
        x = [table[i][-1] if i in positive else 0.0 for i in everyone]
    if any(table[i][i] <= DEPENDENT for i in everyone if i not in positive):
        x = _shared(x, scaled)
    return x, is_done


def _rising(table: Matrix, positive: list[int], largest: float) -> list[int]:
    """The elements held at 0 that should rise. Elements that rise in exchange for others come only if nothing else does."""
    held = [i for i in range(len(table)) if i not in positive and table[i][-1] > ROUNDING * largest]
    return [i for i in held if table[i][i] > DEPENDENT] or [
        i for i in held if table[i][-1] > DEPENDENT * largest and any(table[j][i] > sqrt(DEPENDENT) for j in positive)
    ]


def _held(x: list[float], step: dict[int, float], scaled: Matrix, positive: list[int]) -> tuple[list[float], Matrix]:
    """Goes along a step until one of the positive elements is 0, and holds it there.

    Args:
        x: Where the step begins, at least 0.
        step: {element: its change}, one of them below 0.
        scaled: The table with all elements held at 0.
        positive: The positive elements; loses the element that is held, and any that rounding makes dependent on the rest.

    Returns:
        The new x and its table.
    """
    lengths = {i: -x[i] / change for i, change in step.items() if change < 0}
    first = min(lengths, key=lambda i: lengths[i])
    moved = [max(value + lengths[first] * step.get(i, 0.0), 0.0) for i, value in enumerate(x)]
    positive.remove(first)
    table = scaled  # from the start again, which forgets the rounding of detours
    for i in tuple(positive):
        if table[i][i] > DEPENDENT:
            table = _exchanged(table, i)
        else:
            positive.remove(i)
    return [value if i in positive else 0.0 for i, value in enumerate(moved)], table


def _exchanged(table: Matrix, k: int) -> Matrix:
    """The table in which variable k and its slope have changed places."""
    pivot = table[k][k]
    row = [value / pivot for value in table[k]]
    row[k] = 1 / pivot
    new = []
    for i, old in enumerate(table):
        if i == k:
            new.append(row)
        else:
            factor = old[k]
            changed = [a - factor * b for a, b in zip(old, row, strict=True)]
            changed[k] = -factor / pivot
            new.append(changed)
    return new


def _shared(x: list[float], cosines: Matrix) -> list[float]:
    """Each element becomes the mean over the vectors of its direction."""
    shared, left = list(x), list(range(len(x)))
    while left:
        group = [i for i in left if i == left[0] or cosines[left[0]][i] >= 1 - DEPENDENT]
        for i in group:
            shared[i] = sum(x[j] for j in group) / len(group)
        left = [i for i in left if i not in group]
    return shared


def min_norm(gram: Matrix) -> list[float]:
    r"""The weights $w \ge 0$ of sum 1 whose combination of vectors is the shortest, exactly.

    For two vectors this is a closed form. For more, the same point minimises $\|\sum_i u_i v_i\|^2 + s (1 - \sum_i u_i)^2$
    over $u \ge 0$, for any $s > 0$, up to the factor $w = u / \sum_i u_i$, and this is a `nonnegative_qp`.

    Args:
        gram: The vectors' inner products.

    Returns:
        $w$; equal for vectors that are equal.
    """
    least = min(row[i] for i, row in enumerate(gram))
    if least <= 0:  # the origin itself
        origins = [float(row[i] <= 0) for i, row in enumerate(gram)]
        return [origin / sum(origins) for origin in origins]
    if len(gram) == 2:
        return _min_norm_of_two(gram[0][0], gram[0][1], gram[1][1])
    # the shortest vector is no shorter than the point, so with its square for s neither term drowns the other
    found = nonnegative_qp([[value + least for value in row] for row in gram], [least] * len(gram))
    return [value / sum(found) for value in found]


def _min_norm_of_two(first: float, inner: float, second: float) -> list[float]:
    distance = first + second - 2 * inner
    if distance <= ROUNDING * (first + second):  # equal vectors
        return [0.5, 0.5]
    if first <= inner:
        return [1.0, 0.0]
    if second <= inner:
        return [0.0, 1.0]
    return [(second - inner) / distance, (first - inner) / distance]


def spectrum(gram: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues of the range of a Gram matrix, and their eigenvectors.

    How many there are is decided with all gradients at length 1, where rounding cannot be taken for a small gradient.

    Args:
        gram: (A, A), with a positive diagonal.

    Returns:
        (R,) eigenvalues, positive and ascending, and (A, R) eigenvectors; R is at least 1.
    """
    matrix = np.array(gram)
    norms = np.sqrt(matrix.diagonal())
    rank = int((np.linalg.eigvalsh(matrix / np.outer(norms, norms)) > RANK_TOLERANCE).sum())
    values, vectors = np.linalg.eigh(matrix)
    smallest = np.finfo(float).eps * values[-1]  # below it, an eigenvalue is rounding and may be negative
    return np.maximum(values[-rank:], smallest), vectors[:, -rank:]
