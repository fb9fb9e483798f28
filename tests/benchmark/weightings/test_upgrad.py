"""UPGrad against exact values, projections by another library, and its promise to harm no task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

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

WEIGHTS = {
    "A": [1.1111111111111112, 0.7894736842105263],
    "B": [0.5277777777777777, 0.3333333333333333, 0.4152046783625731],
    "C": [0.5, 0.5],
    "E": [32.5, 0.503448275862069],
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_are_exact(case: str) -> None:
    assert weights_of("upgrad", gram(JACOBIANS[case])) == pytest.approx(WEIGHTS[case], rel=1e-12)


def test_the_update_is_exact_where_the_weights_are_not_unique() -> None:
    assert update_of("upgrad", JACOBIANS["D"]).tolist() == pytest.approx([-4 / 15, 32 / 15], rel=1e-12)


def test_it_does_not_depend_on_order_or_scale() -> None:
    check_symmetry_and_scale("upgrad")


@pytest.mark.parametrize("num_tasks", [2, 4, 10])
def test_the_update_is_the_mean_of_projections_by_scipy(num_tasks: int) -> None:
    for seed in range(5):
        rows = np.array(random_rows(num_tasks, 12, seed))
        projections = [row + nnls(rows.T, -row)[0] @ rows for row in rows]
        expected = np.mean(projections, axis=0)
        np.testing.assert_allclose(update_of("upgrad", rows.tolist()).numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ratio", [1.0, 30.0, 300.0, 1e6])
def test_no_task_is_harmed_however_far_apart_the_norms_are(ratio: float) -> None:
    cosine, sine = -0.67, (1 - 0.67**2) ** 0.5
    rows = [[1.0, 0.0], [ratio * cosine, ratio * sine]]
    update = update_of("upgrad", rows)
    for row in torch.tensor(rows, dtype=torch.float64):
        assert row @ update / (row.norm() * update.norm()) > -1e-9
    for seed in range(10):
        jacobian = torch.tensor(random_rows(5, 8, seed, spread=6.0), dtype=torch.float64)
        update = update_of("upgrad", jacobian.tolist())
        assert (jacobian @ update / jacobian.norm(dim=1)).min() >= -1e-9 * update.norm()


def test_without_conflict_it_is_the_mean() -> None:
    assert weights_of("upgrad", gram([[1, 0, 1], [0, 1, 1], [1, 1, 0]])) == [1 / 3] * 3


@pytest.mark.parametrize("case", EDGES)
def test_weights_are_finite_and_the_update_harms_none(case: str) -> None:
    rows = torch.tensor(EDGES[case], dtype=torch.float64)
    weights = torch.tensor(weights_of("upgrad", gram(EDGES[case])), dtype=torch.float64)
    assert weights.isfinite().all()
    assert (rows @ (weights @ rows)).min() >= -1e-9 * rows.square().sum(1).max()


def test_opposite_gradients_cancel() -> None:
    assert update_of("upgrad", EDGES["opposite and unequal"]).abs().max() < 1e-14


def test_a_zero_gradient_changes_nothing_for_the_others() -> None:
    others = weights_of("upgrad", gram([[1.0, 2.0], [-2.0, 0.5]]))
    with_zero = weights_of("upgrad", gram([[1.0, 2.0], [0.0, 0.0], [-2.0, 0.5]]))
    assert [with_zero[0], with_zero[2]] == others
    assert with_zero[1] == pytest.approx(sum(others) / 2)


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("upgrad", case)
