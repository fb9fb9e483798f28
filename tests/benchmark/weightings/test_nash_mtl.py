"""Nash-MTL against exact values, its equations, and gradients that have no bargain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.nash_mtl import NashMTL

# Exact solutions. D has parallel gradients; E is badly scaled, and there the public code is wrong by a factor of eight.
CASES: dict[str, tuple[list[list[float]], list[float]]] = {
    "A": ([[-4.0, 1, 1], [6, 1, 1]], [0.5914611522293678, 0.4070714828838854]),
    "B": (
        [[1.0, 2, 0, -1], [-2, 1, 1, 0], [0.5, -1, 3, 2]],
        [0.5117215578639245, 0.3825375155327114, 0.318897599077265],
    ),
    "C": ([[1.0, 0], [0, 100]], [1.0, 0.01]),
    "D": ([[1.0, 2], [2, 4], [-1, 0]], [0.39845893952069306, 0.19922946976034653, 1.474920516393716]),
    "E": ([[1.0, 0.5], [-100, 40]], [1.5438696184646414, 0.016026424162125817]),
}


def weights_of(jacobian: Tensor) -> Tensor:
    losses_A = torch.ones(len(jacobian))
    weighting = NashMTL(tuple(Task(f"t{number}", BINARY) for number in range(len(jacobian))))
    return weighting.weights(jacobian @ jacobian.T, losses_A, losses_A.bool())


def rows(entries: list[list[float]]) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def random_jacobians() -> list[Tensor]:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(60):
        tasks = int(generator.integers(1, 11))
        jacobian = generator.standard_normal((tasks, 2 * tasks)) * 10 ** generator.uniform(-3, 3, (tasks, 1))
        found.append(torch.tensor(jacobian))
    return found


@pytest.mark.parametrize("case", CASES)
def test_weights_are_exact(case: str) -> None:
    jacobian, expected = CASES[case]
    assert weights_of(rows(jacobian)).tolist() == pytest.approx(expected, rel=1e-8)


def test_up_to_ten_tasks_of_any_scale_the_equations_hold() -> None:
    for jacobian in random_jacobians():
        weights = weights_of(jacobian)
        assert (weights > 0).all()
        torch.testing.assert_close(
            weights * (jacobian @ (jacobian.T @ weights)), torch.ones_like(weights), rtol=1e-5, atol=0
        )
        assert (weights @ jacobian).norm().item() == pytest.approx(math.sqrt(len(jacobian)), rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_task_s_scale_divides_its_weight(case: str) -> None:
    jacobian = rows(CASES[case][0])
    scales = torch.tensor([1e3, 1e-3, 7.0], dtype=torch.float64)[: len(jacobian)]
    torch.testing.assert_close(weights_of(scales[:, None] * jacobian), weights_of(jacobian) / scales, rtol=1e-8, atol=0)


def test_tasks_in_another_order_have_the_weights_in_that_order() -> None:
    jacobian = rows(CASES["B"][0])
    torch.testing.assert_close(weights_of(jacobian[[2, 0, 1]]), weights_of(jacobian)[[2, 0, 1]], rtol=1e-10, atol=0)


def test_equal_gradients_have_equal_weights() -> None:
    assert weights_of(rows([[1, 2]] * 3)).tolist() == pytest.approx([1 / math.sqrt(15)] * 3)


def test_one_task_has_its_gradient_at_norm_one() -> None:
    assert weights_of(rows([[3, 4]])).tolist() == pytest.approx([0.2])


def test_a_zero_gradient_is_left_out_and_gets_the_mean_weight() -> None:
    found = weights_of(rows([[-4, 1, 1], [0, 0, 0], [6, 1, 1]])).tolist()
    one, two = CASES["A"][1]
    assert found == pytest.approx([one, (one + two) / 2, two], rel=1e-8)
    assert weights_of(torch.zeros(2, 3, dtype=torch.float64)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "jacobian",
    [[[1, 0], [-1, 0]], [[1e3, 0], [-1e-3, 0]], [[1, 0], [-0.5, math.sqrt(0.75)], [-0.5, -math.sqrt(0.75)]]],
)
def test_gradients_that_cancel_have_finite_weights_and_no_update(jacobian: list[list[float]]) -> None:
    weights = weights_of(rows(jacobian))
    assert weights.isfinite().all()
    assert (weights > 0).all()
    assert (weights @ rows(jacobian)).norm() < 1e-3


@pytest.mark.parametrize("noise", [-1e-7, 1e-7])
def test_a_matrix_that_rounding_made_indefinite_is_solved(noise: float) -> None:
    cosines = rows([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]]) + noise
    losses_A = torch.ones(3)
    weights = NashMTL(tuple(Task(name, BINARY) for name in "abc")).weights(cosines, losses_A, losses_A.bool())
    assert weights.isfinite().all()
    assert weights.tolist() == pytest.approx([weights[0].item()] * 3, rel=1e-6)
