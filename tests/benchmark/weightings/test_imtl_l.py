"""IMTL-L: values, its fixed point, and uncertainty weighting beside it."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.kinds import REGRESSION
from benchmark.schema import Task
from benchmark.weightings.imtl_l import IMTLL
from benchmark.weightings.uncertainty import Uncertainty
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, REGRESSION) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)
SCALES = torch.tensor([1.0, -0.5, -0.2], dtype=torch.float64)


def with_scales() -> IMTLL:
    weighting = IMTLL(TASKS).double()
    with torch.no_grad():
        weighting.log_scales_T.copy_(SCALES)
    return weighting


def test_values() -> None:
    weighting = with_scales()
    total = weighting(LOSSES, ACTIVE)
    total.backward()
    assert total.item() == pytest.approx(2.3540753090, rel=1e-9)
    torch.testing.assert_close(weights_of(weighting, LOSSES), SCALES.exp())
    torch.testing.assert_close(weighting.log_scales_T.grad, SCALES.exp() * LOSSES - 1)


def test_it_is_twice_uncertainty_weighting_of_squared_errors() -> None:
    uncertainty = Uncertainty(TASKS).double()
    with torch.no_grad():
        uncertainty.log_variances_T.copy_(-SCALES)
    torch.testing.assert_close(with_scales()(LOSSES, ACTIVE), 2 * uncertainty(LOSSES, ACTIVE))


def test_it_starts_at_equal_weights_and_settles_where_every_scaled_loss_is_one() -> None:
    weighting = IMTLL(TASKS)
    assert weights_of(weighting, LOSSES.float()).tolist() == [1, 1, 1]
    optimizer = torch.optim.AdamW(weighting.param_groups(), lr=1e-3)
    for _ in range(600):
        optimizer.zero_grad()
        weighting(LOSSES.float(), ACTIVE).backward()
        optimizer.step()
    torch.testing.assert_close(weights_of(weighting, LOSSES.float()), 1 / LOSSES.float(), rtol=1e-2, atol=0)


def test_its_scales_have_a_group_of_their_own_without_weight_decay() -> None:
    weighting = IMTLL(TASKS, learning_rate=0.1)
    (group,) = torch.optim.AdamW(weighting.param_groups(), lr=1e-3, weight_decay=0.1).param_groups
    assert group["params"] == list(weighting.parameters())
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.0)


def test_a_task_without_a_label_or_with_a_loss_of_zero_leaves_its_scale_alone() -> None:
    weighting = with_scales()
    weighting(torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64), torch.tensor([True, False, True])).backward()
    assert weighting.log_scales_T.grad is not None
    assert weighting.log_scales_T.grad.tolist() == pytest.approx([math.e * 0.5 - 1, 0, 0])


def test_a_learning_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weighting\.learning_rate must be greater than 0, found 0"):
        IMTLL(TASKS, learning_rate=0)
