"""FairGrad against its equations, a general solver, and Nash-MTL."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.fairgrad import FairGrad
from benchmark.weightings.nash_mtl import NashMTL
from tests.benchmark.weightings.gradients import JACOBIANS

ALPHAS = [0.1, 0.5, 1.0, 2.0, 10.0]


def tasks(number: int) -> tuple[Task, ...]:
    return tuple(Task(f"t{task}", BINARY) for task in range(number))


def weights_of(jacobian: Tensor, alpha: float = 2.0) -> Tensor:
    losses_A = torch.ones(len(jacobian))
    weighting = FairGrad(tasks(len(jacobian)), alpha=alpha)
    return weighting.weights(jacobian @ jacobian.T, losses_A, losses_A.bool())


def rows(entries: list[list[float]]) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_up_to_ten_tasks_of_any_scale_the_equations_hold(alpha: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(30):
        number = int(generator.integers(1, 11))
        jacobian = generator.standard_normal((number, 2 * number)) * 10 ** generator.uniform(-3, 3, (number, 1))
        weights = weights_of(torch.tensor(jacobian), alpha).numpy()
        gram = jacobian @ jacobian.T
        pulls = weights ** (-1 / alpha)
        assert (weights > 0).all()
        assert (np.abs(gram @ weights - pulls) < 1e-8 * (np.abs(gram) @ weights + pulls)).all()


@pytest.mark.parametrize("alpha", [0.5, 2.0])
@pytest.mark.parametrize("case", ["A", "B", "D"])
def test_weights_are_those_of_a_general_minimiser(case: str, alpha: float) -> None:
    gram = np.array(JACOBIANS[case]) @ np.array(JACOBIANS[case]).T
    power = 1 - 1 / alpha

    def value(log_weights: np.ndarray) -> float:
        weights = np.exp(log_weights)
        return float(weights @ gram @ weights / 2 - (weights**power).sum() / power)

    found = minimize(value, np.zeros(len(gram)), method="BFGS", options={"gtol": 1e-9}).x
    assert weights_of(rows(JACOBIANS[case]), alpha).tolist() == pytest.approx(np.exp(found).tolist(), rel=1e-5)


def test_without_conflict_a_weight_is_a_power_of_the_norm() -> None:
    # d^2 w = w^(-1/alpha), so w = d^(-2 alpha / (1 + alpha))
    assert weights_of(rows(JACOBIANS["C"]), 2.0).tolist() == pytest.approx([1.0, 100 ** (-4 / 3)], rel=1e-9)


@pytest.mark.parametrize("case", JACOBIANS)
def test_alpha_one_is_nash_mtl(case: str) -> None:
    jacobian = rows(JACOBIANS[case])
    losses_A = torch.ones(len(jacobian))
    expected = NashMTL(tasks(len(jacobian))).weights(jacobian @ jacobian.T, losses_A, losses_A.bool())
    torch.testing.assert_close(weights_of(jacobian, 1.0), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("case", JACOBIANS)
def test_a_common_scale_is_a_common_factor(case: str) -> None:
    jacobian = rows(JACOBIANS[case])
    # G of 1000 J is 1e6 G, so w is 1e6^(-alpha / (1 + alpha)) w
    torch.testing.assert_close(weights_of(1e3 * jacobian), 1e-4 * weights_of(jacobian), rtol=1e-8, atol=0)


def test_tasks_in_another_order_have_the_weights_in_that_order() -> None:
    jacobian = rows(JACOBIANS["B"])
    torch.testing.assert_close(weights_of(jacobian[[2, 0, 1]]), weights_of(jacobian)[[2, 0, 1]], rtol=1e-9, atol=0)


def test_equal_gradients_have_equal_weights() -> None:
    weights = weights_of(rows([[1, 2]] * 3))
    assert weights.tolist() == pytest.approx([15 ** (-2 / 3)] * 3)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("jacobian", [[[1, 0], [-1, 0]], [[0, 0], [1, 2], [-3, 1]], [[0, 0], [0, 0]]])
def test_opposite_and_zero_gradients_have_finite_weights(jacobian: list[list[float]], alpha: float) -> None:
    weights = weights_of(rows(jacobian), alpha)
    assert weights.isfinite().all()
    assert (weights > 0).all()


def test_a_zero_gradient_changes_nothing_for_the_others() -> None:
    jacobian = rows([[-4, 1, 1], [0, 0, 0], [6, 1, 1]])
    torch.testing.assert_close(weights_of(jacobian)[[0, 2]], weights_of(jacobian[[0, 2]]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"weighting\.alpha must be greater than 0"):
        FairGrad(tasks(2), alpha=alpha)
