"""The equations of Nash-MTL and FairGrad, G w = w^(-1/alpha), solved to convergence."""

from __future__ import annotations

import math
from operator import mul

import numpy as np
from torch import Tensor

from benchmark.weightings._gram import Matrix, Vector, filled, present, solve

# Added to the diagonal of the cosines. Opposite gradients have no solution without it; where there is one, it moves by less.
RIDGE = 1e-10
MOST_STEPS = 100
LONGEST = 3.0  # a step changes the logarithms of u and of its pull by this much at most


def fair_weights(gram_AA: Tensor, alpha: float) -> Vector:
    r"""The positive solution of $G w = w^{-1/\alpha}$; zero gradients are left out, and get the mean of the others.

    With norms $d$ and cosines $C$, $G = D C D$. In $u = D w$ the equations are $C u = b\, u^{-p}$, where $p = 1/\alpha$ and
    $b = d^{p-1}$: the scales are in $b$ alone, and there are none for Nash ($p = 1$).

    Args:
        gram_AA: (A, A) inner products.
        alpha: Greater than 0.
    """
    gram, power = gram_AA.tolist(), 1 / alpha
    numbers = present([row[number] for number, row in enumerate(gram)])
    norms = [math.sqrt(gram[number][number]) for number in numbers]
    cosines = [
        [max(-1.0, min(1.0, gram[i][j] / norm_i / norm_j)) for j, norm_j in zip(numbers, norms, strict=True)]
        for i, norm_i in zip(numbers, norms, strict=True)
    ]
    if len(numbers) == 2 and power == 1:
        scaled = [(abs(1 + cosines[0][1]) + RIDGE) ** -0.5] * 2
    elif numbers:
        scaled = _newton(cosines, power, [(power - 1) * math.log(norm / max(norms)) for norm in norms])
    else:
        scaled = []
    # the equations are homogeneous: w of G / s^2 is s^(2 / (1 + p)) times w of G
    weights = [u / norm * max(norms) ** ((power - 1) / (power + 1)) for u, norm in zip(scaled, norms, strict=True)]
    return filled(weights, numbers, len(gram))


def _newton(cosines: Matrix, power: float, log_factors: Vector) -> Vector:
    """The positive minimum of u C u / 2 - sum of b u^(1 - p) / (1 - p), whose gradient is C u - b u^-p.

    The function is convex, so there is one minimum. Newton's method finds it in x = log u, where u stays positive.
    """
    matrix = [list(row) for row in cosines]
    # rounding can make an eigenvalue of a singular matrix negative
    ridge = RIDGE - 2 * min(float(np.linalg.eigvalsh(cosines)[0]), 0.0)
    for number, row in enumerate(matrix):
        row[number] += ridge
    x = [factor / (1 + power) for factor in log_factors]  # the solution for orthogonal gradients
    u, pulls, residual, value = _state(matrix, power, log_factors, x)
    for _ in range(MOST_STEPS):
        curved = [list(row) for row in matrix]
        for number, row in enumerate(curved):
            row[number] += power * pulls[number] / u[number]
        step = [delta / scale for delta, scale in zip(solve(curved, residual), u, strict=True)]
        longest = max(max(step), -min(step) * power)
        slope = sum(r * scale * delta for r, scale, delta in zip(residual, u, step, strict=True))
        size = min(1.0, LONGEST / longest) if longest > 0 else 1.0
        while True:
            trial = [start + size * delta for start, delta in zip(x, step, strict=True)]
            u, pulls, residual, found = _state(matrix, power, log_factors, trial)
            # the last term is what rounding hides
            if found <= value - 1e-4 * size * slope + 1e-13 * abs(value) or size < 1e-6:
                break
            size /= 2
        x, value = trial, found
        if max(max(step), -min(step)) < 1e-5:  # the error is squared in a step
            break
    return u


def _state(matrix: Matrix, power: float, log_factors: Vector, x: Vector) -> tuple[Vector, Vector, Vector, float]:
    """At x: u, its pull b u^-p, the difference of pull and C u, and the value of the function."""
    u = [math.exp(entry) for entry in x]
    pulls = [math.exp(factor - power * entry) for factor, entry in zip(log_factors, x, strict=True)]
    products = [_dot(row, u) for row in matrix]
    gain = sum(x) if power == 1 else _dot(pulls, u) / (1 - power)
    residual = [pull - product for pull, product in zip(pulls, products, strict=True)]
    return u, pulls, residual, _dot(u, products) / 2 - gain


def _dot(left: Vector, right: Vector) -> float:
    total: float = sum(map(mul, left, right))
    return total
