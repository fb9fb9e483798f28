"""The geometric mean: values, invariance to units, and losses at which the product fails."""

from __future__ import annotations

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.geometric_mean import GeometricMean
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, BINARY) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)


def test_values() -> None:
    weighting = GeometricMean(TASKS)
    assert float(weighting(LOSSES, ACTIVE)) == pytest.approx(0.4641588834, rel=1e-9)  # its weights times the losses
    expected = [0.3094392556, 0.0773598139, 1.5471962779]
    assert weights_of(weighting, LOSSES).tolist() == pytest.approx(expected, rel=1e-8)


def test_the_weights_are_the_slopes_of_the_root_of_the_product() -> None:
    leaf_T = LOSSES.clone().requires_grad_()
    (expected_T,) = torch.autograd.grad(leaf_T.prod() ** (1 / 3), leaf_T)
    torch.testing.assert_close(weights_of(GeometricMean(TASKS), LOSSES), expected_T, rtol=1e-12, atol=0)


def test_a_factor_on_one_loss_scales_all_weighted_losses_alike() -> None:
    factors_T = torch.tensor([1.0, 8.0, 1.0], dtype=torch.float64)
    before_T = weights_of(GeometricMean(TASKS), LOSSES) * LOSSES
    after_T = weights_of(GeometricMean(TASKS), LOSSES * factors_T) * LOSSES * factors_T
    torch.testing.assert_close(after_T, 2 * before_T, rtol=1e-12, atol=0)  # the cube root of 8


def test_a_common_factor_leaves_the_weights_alone() -> None:
    weights_T = weights_of(GeometricMean(TASKS), LOSSES)
    for factor in (1e-6, 1e6):
        torch.testing.assert_close(weights_of(GeometricMean(TASKS), factor * LOSSES), weights_T, rtol=1e-10, atol=0)


def test_a_task_without_a_label_or_with_a_loss_of_zero_is_left_out() -> None:
    expected_T = weights_of(GeometricMean(TASKS[:2]), LOSSES[:2])
    missing, zero_T = torch.tensor([True, True, False]), LOSSES * torch.tensor([1, 1, 0])
    for active in (missing, ACTIVE):
        assert weights_of(GeometricMean(TASKS), zero_T, active).tolist() == pytest.approx([*expected_T.tolist(), 0])


def test_ten_losses_whose_product_leaves_the_range_of_floats() -> None:
    tasks = tuple(Task(f"t{number}", BINARY) for number in range(10))
    for loss in (1e-7, 1e8):
        weights_T = weights_of(GeometricMean(tasks), torch.full((10,), loss))
        torch.testing.assert_close(weights_T, torch.full((10,), 0.1), rtol=1e-5, atol=0)
