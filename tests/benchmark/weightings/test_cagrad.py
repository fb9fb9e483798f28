"""CAGrad against exact values, its dual problem and its edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.benchmark.weightings.gradients import (
    EDGES,
    JACOBIANS,
    check_rounding,
    check_symmetry_and_scale,
    gram,
    random_rows,
    update_of,
    weights_of,
)

# B has its first two weights .25 apart; a general-purpose solver finds them to 2e-8 only
WEIGHTS = {
    "A": [0.7041241452319316, 0.5],
    "B": [0.6415403605315684, 0.3915403605315684, 0.3333333333333333],
    "C": [25.501249968751562, 0.5],
    "D": [0.3333333333333333, 0.3333333333333333, 1.387425886722793],
    "E": [24.41782807865296, 0.5],
}


@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_exact(case: str) -> None:
    assert weights_of("cagrad", gram(JACOBIANS[case])) == pytest.approx(WEIGHTS[case], rel=1e-10)


def test_it_does_not_depend_on_order_or_scale() -> None:
    check_symmetry_and_scale("cagrad")


def check_optimality(jacobian: Tensor, c: float) -> None:
    """The update is near enough, and its least gain is the value of the paper's dual problem, which is no smaller."""
    update = update_of("cagrad", jacobian.tolist(), c=c)
    mean = jacobian.mean(0)
    radius, moved = c * mean.norm(), update - mean
    assert moved.norm() <= radius * (1 + 1e-9)
    found = torch.tensor(weights_of("cagrad", jacobian @ jacobian.T, c=c), dtype=torch.float64)
    weights = found - 1 / len(jacobian)
    assert weights.min() >= -1e-15
    combined = weights / weights.sum() @ jacobian
    value = combined @ mean + radius * combined.norm()
    scale = mean.norm() * jacobian.norm(dim=1).max()
    assert abs(float((jacobian @ update).min() - value)) < 1e-10 * scale


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("num_tasks", [2, 3, 10])
def test_primal_and_dual_values_agree(num_tasks: int, c: float) -> None:
    for seed in range(8):
        for spread in (0.0, 6.0):
            check_optimality(torch.tensor(random_rows(num_tasks, 30, seed, spread=spread), dtype=torch.float64), c)


def test_two_tasks_are_as_good_as_the_best_of_a_fine_grid() -> None:
    shares = torch.linspace(0, 1, 100001, dtype=torch.float64)
    weights = torch.stack([shares, 1 - shares], dim=1)
    for seed in range(10):
        jacobian = torch.tensor(random_rows(2, 3, seed, spread=1.0), dtype=torch.float64)
        mean = jacobian.mean(0)
        combined = weights @ jacobian
        dual = (combined @ mean + 0.5 * mean.norm() * combined.norm(dim=1)).min()
        found = (jacobian @ update_of("cagrad", jacobian.tolist())).min()
        assert float(found) == pytest.approx(float(dual), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1e-4])
def test_small_gradients_have_an_update(scale: float) -> None:
    rows = [[scale * value for value in row] for row in JACOBIANS["A"]]
    assert weights_of("cagrad", gram(rows)) == pytest.approx(WEIGHTS["A"], rel=1e-10)


def test_c_of_zero_is_the_mean_gradient() -> None:
    assert weights_of("cagrad", gram(JACOBIANS["B"]), c=0.0) == [1 / 3] * 3


def test_one_task_goes_as_far_as_it_may() -> None:
    assert weights_of("cagrad", gram(EDGES["one task"])) == pytest.approx([1.5])


def test_where_no_update_helps_all_tasks_it_is_the_nearest_that_harms_none() -> None:
    # the first two gradients are opposite and equal, so the mean harms no task, and nothing is better
    assert weights_of("cagrad", gram([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])) == pytest.approx([1 / 3] * 3)
    update = update_of("cagrad", [[1.0, 0.0], [-1.1, 0.0], [0.0, 1.0]])
    assert update.tolist() == pytest.approx([0.0, 1 / 3], abs=1e-12)


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("c", [0.5, 1.0, 2.0])
def test_weights_are_finite_and_the_update_is_zero_only_where_the_mean_is(case: str, c: float) -> None:
    rows = torch.tensor(EDGES[case], dtype=torch.float64)
    weights = torch.tensor(weights_of("cagrad", gram(EDGES[case]), c=c), dtype=torch.float64)
    assert weights.isfinite().all()
    update, mean = weights @ rows, rows.mean(0)
    if c < 1:
        assert update.norm() >= (1 - c) * mean.norm() * (1 - 1e-9)


@pytest.mark.parametrize("c", [-0.1, math.nan, math.inf])
def test_a_c_that_is_no_share_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match=r"weighting\.c must be a number of at least 0, found"):
        weights_of("cagrad", gram(JACOBIANS["A"]), c=c)


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("cagrad", case)
