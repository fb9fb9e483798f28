"""The sum of logarithms: a task's weight is the inverse of its loss."""

from __future__ import annotations

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.scale_invariant import ScaleInvariant
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, BINARY) for name in "abc")
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)


def test_the_weights_are_the_slopes_of_the_sum_of_logarithms() -> None:
    leaf_T = LOSSES.clone().requires_grad_()
    (expected_T,) = torch.autograd.grad(leaf_T.log().sum(), leaf_T)
    torch.testing.assert_close(weights_of(ScaleInvariant(TASKS), LOSSES), expected_T, rtol=1e-12, atol=0)
    assert expected_T.tolist() == pytest.approx([2.0, 0.5, 10.0])


def test_a_factor_on_one_loss_changes_no_weighted_gradient() -> None:
    """Of the loss `factor * L`, the gradient is `factor` times that of L, and the weight is a `factor`th."""
    factors_T = torch.tensor([1.0, 1e6, 1.0], dtype=torch.float64)
    weights_T = weights_of(ScaleInvariant(TASKS), factors_T * LOSSES)
    torch.testing.assert_close(weights_T * factors_T, weights_of(ScaleInvariant(TASKS), LOSSES), rtol=1e-12, atol=0)


def test_very_small_losses_get_the_largest_weight_and_a_loss_of_zero_none() -> None:
    losses_T = torch.tensor([1e-8, 1e-30, 0.0])
    assert weights_of(ScaleInvariant(TASKS), losses_T).tolist() == pytest.approx([1e8, 1e8, 0], rel=1e-6)


def test_a_task_without_a_label_has_no_weight() -> None:
    active = torch.tensor([True, False, True])
    assert weights_of(ScaleInvariant(TASKS), LOSSES * active, active).tolist() == pytest.approx([2.0, 0.0, 10.0])
