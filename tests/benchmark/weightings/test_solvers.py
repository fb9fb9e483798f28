"""The shared solvers against enumeration of all active sets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from benchmark.weightings._solvers import around_zeros, min_norm, nonnegative_qp, spectrum
from tests.benchmark.weightings.gradients import EDGES, gram, random_rows


def shortest_by_enumeration(jacobian: np.ndarray) -> float:
    """The least square of a convex combination: over every subset, where its affine combination has positive weights."""
    best = float((jacobian**2).sum(1).min())
    for size in range(2, len(jacobian) + 1):
        for subset in map(list, combinations(range(len(jacobian)), size)):
            system = np.block([[jacobian[subset] @ jacobian[subset].T, np.ones((size, 1))], [np.ones((1, size)), 0.0]])
            weights = np.linalg.lstsq(system, np.array([0.0] * size + [1.0]), rcond=None)[0][:size]
            if (weights >= 0).all() and abs(weights.sum() - 1) < 1e-9:
                best = min(best, float(((weights @ jacobian[subset]) ** 2).sum()))
    return best


@pytest.mark.parametrize("num_tasks", [2, 3, 4, 6])
@pytest.mark.parametrize("num_parameters", [2, 3, 30])
def test_min_norm_is_that_of_enumeration(num_tasks: int, num_parameters: int) -> None:
    for seed in range(5):
        jacobian = np.array(random_rows(num_tasks, num_parameters, seed))
        weights = np.array(min_norm((jacobian @ jacobian.T).tolist()))
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-14)
        square = ((weights @ jacobian) ** 2).sum()
        assert square == pytest.approx(shortest_by_enumeration(jacobian), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("spread", [0.0, 6.0])
@pytest.mark.parametrize("num_parameters", [3, 12, 40])
def test_min_norm_of_ten_is_optimal(num_parameters: int, spread: float) -> None:
    for seed in range(20):
        jacobian = np.array(random_rows(10, num_parameters, seed, spread=spread))
        weights = np.array(min_norm((jacobian @ jacobian.T).tolist()))
        point = weights @ jacobian
        square = point @ point
        norms = np.sqrt((jacobian**2).sum(1))
        # the condition for the minimum: no vector reaches behind the plane through the point
        assert ((jacobian @ point - square) / (norms * norms.min())).min() > -1e-10


def test_min_norm_where_a_vector_is_zero_is_that_vector() -> None:
    assert min_norm(gram([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]).tolist()) == [0, 1, 0]


@pytest.mark.parametrize(("num_tasks", "num_parameters"), [(2, 2), (4, 6), (4, 3), (10, 30), (10, 4)])
def test_nonnegative_qp_is_scipy_s_nonnegative_least_squares(num_tasks: int, num_parameters: int) -> None:
    for seed in range(20):
        jacobian = np.array(random_rows(num_tasks, num_parameters, seed))
        goal = np.random.default_rng(seed).normal(size=num_parameters)
        found = np.array(nonnegative_qp((jacobian @ jacobian.T).tolist(), (jacobian @ goal).tolist()))
        expected, _ = nnls(jacobian.T, goal)
        assert found.min() >= 0
        np.testing.assert_allclose(found @ jacobian, expected @ jacobian, atol=1e-11)


@pytest.mark.parametrize(("num_tasks", "num_parameters"), [(3, 2), (5, 3), (10, 3)])
def test_nonnegative_qp_reaches_a_minimum_that_exists_where_the_matrix_is_singular(
    num_tasks: int, num_parameters: int
) -> None:
    for seed in range(30):
        jacobian = np.array(random_rows(num_tasks, num_parameters, seed))
        goal = np.random.default_rng(seed).normal(size=num_parameters)
        target = jacobian @ goal - np.random.default_rng(seed).uniform(size=num_tasks)  # Gx >= t has a solution
        found = np.array(nonnegative_qp((jacobian @ jacobian.T).tolist(), target.tolist()))
        slope = target - jacobian @ (found @ jacobian)
        assert slope.max() < 1e-9
        assert abs(found @ slope) < 1e-9


def test_nonnegative_qp_shares_between_parallel_vectors() -> None:
    jacobian = np.array([[1.0, 2.0], [2.0, 4.0], [-1.0, 0.0]])
    first, second, third = nonnegative_qp((jacobian @ jacobian.T).tolist(), (jacobian @ [1.0, 0.0]).tolist())
    assert first == pytest.approx(2 * second, rel=1e-14)
    assert third == 0


@pytest.mark.parametrize("case", EDGES)
def test_a_zero_gradient_never_reaches_the_solver_and_gets_the_mean(case: str) -> None:
    matrix = gram(EDGES[case])

    def numbered(found: list[list[float]]) -> list[float]:
        assert all(row[task] > 0 for task, row in enumerate(found))
        return [task + 1.0 for task in range(len(found))]

    weights = around_zeros(matrix, numbered)
    zero = matrix.diagonal() == 0
    others = weights[~zero]
    assert others.tolist() == [task + 1.0 for task in range(len(others))]
    assert torch.equal(
        weights[zero], (others.mean() if len(others) else torch.ones(())).expand(int(zero.sum())).double()
    )


def test_spectrum_tells_a_small_gradient_from_a_dependent_one() -> None:
    values, vectors = spectrum(gram([[1e-6, 0.0], [0.0, 1.0]]).tolist())
    assert values.tolist() == pytest.approx([1e-12, 1])
    rounded = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-8]])  # float32 gradients that are equal
    values, vectors = spectrum(rounded.tolist())
    assert values.tolist() == pytest.approx([2])
    assert np.abs(vectors[:, 0]).tolist() == pytest.approx([0.5**0.5] * 2)
