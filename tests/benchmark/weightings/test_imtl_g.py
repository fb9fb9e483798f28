"""IMTL-G against exact values, and the equal projections that define it."""

from __future__ import annotations

import pytest
import torch

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
    "A": [0.5923303169377978, 0.40766968306220214],
    "B": [0.46394475166121574, 0.24761326162850988, 0.2884419867102743],
    "C": [0.9900990099009901, 0.009900990099009901],
    "D": [0.07052017144395643, 0.14104034288791295, 0.7884394856681306],
    "E": [0.9897259665232959, 0.010274033476704103],
}


@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_exact(case: str) -> None:
    assert weights_of("imtl_g", gram(JACOBIANS[case])) == pytest.approx(WEIGHTS[case], rel=1e-12)


def test_it_does_not_depend_on_order_or_scale() -> None:
    check_symmetry_and_scale("imtl_g")


@pytest.mark.parametrize("spread", [0.0, 6.0])
@pytest.mark.parametrize("num_tasks", [2, 3, 10])
def test_the_update_goes_equally_far_along_every_gradient(num_tasks: int, spread: float) -> None:
    for seed in range(10):
        jacobian = torch.tensor(random_rows(num_tasks, 30, seed, spread=spread), dtype=torch.float64)
        update = update_of("imtl_g", jacobian.tolist())
        projections = jacobian @ update / jacobian.norm(dim=1)
        torch.testing.assert_close(projections, projections.mean().expand(num_tasks), rtol=1e-8, atol=0)
        assert sum(weights_of("imtl_g", jacobian @ jacobian.T)) == pytest.approx(1, rel=1e-9)


def test_scaling_one_loss_leaves_the_direction() -> None:
    rows = torch.tensor(random_rows(3, 5, 0), dtype=torch.float64)
    update = update_of("imtl_g", rows.tolist())
    rows[1] *= 1000
    scaled = update_of("imtl_g", rows.tolist())
    torch.testing.assert_close(abs(scaled / scaled.norm()), abs(update / update.norm()), rtol=1e-9, atol=0)


@pytest.mark.parametrize("case", ["parallel", "opposite and unequal"])
def test_two_dependent_gradients_have_the_weights_of_any_angle(case: str) -> None:
    assert weights_of("imtl_g", gram(EDGES[case])) == pytest.approx([0.75, 0.25])


def test_opposite_gradients_leave_the_others_a_step() -> None:
    assert update_of("imtl_g", [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]).tolist() == pytest.approx([0.0, 2.0])


@pytest.mark.parametrize("case", EDGES)
def test_weights_are_finite(case: str) -> None:
    assert torch.tensor(weights_of("imtl_g", gram(EDGES[case]))).isfinite().all()


def test_a_zero_gradient_is_left_out() -> None:
    others = weights_of("imtl_g", gram([[1.0, 2.0], [-2.0, 0.5]]))
    with_zero = weights_of("imtl_g", gram([[1.0, 2.0], [0.0, 0.0], [-2.0, 0.5]]))
    assert with_zero == pytest.approx([others[0], 0.5, others[1]])


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("imtl_g", case)
