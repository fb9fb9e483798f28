"""Uncertainty weighting: values by task kind, the fixed point, the optimizer's group."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.settings.registry import weightings
from benchmark.weightings.uncertainty import Uncertainty
from tests.benchmark.weightings.taking import weights_of

REGRESSIONS = tuple(Task(name, REGRESSION) for name in "abc")
LOSSES = torch.tensor([0.5, 2, 0.1])
ACTIVE = torch.tensor([True, True, True])


@pytest.mark.parametrize(
    ("log_variances", "value", "weights"),
    [
        ((0.0, 0.0, 0.0), 1.3, (0.5, 0.5, 0.5)),
        ((-1.0, 0.5, 0.2), 1.1770376545, (1.3591409142, 0.3032653299, 0.4093653765)),
    ],
)
def test_values_of_regressions(log_variances: tuple[float, ...], value: float, weights: tuple[float, ...]) -> None:
    weighting = Uncertainty(REGRESSIONS)
    with torch.no_grad():
        weighting.log_variances_T.copy_(torch.tensor(log_variances))
    losses = LOSSES.clone().requires_grad_()
    total = weighting(losses, ACTIVE)
    total.backward()
    assert total.item() == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(losses.grad, torch.tensor(weights))
    torch.testing.assert_close(weighting.log_variances_T.grad, 0.5 - torch.tensor(weights) * LOSSES)


def test_a_binary_task_starts_at_a_weight_of_one_and_a_regression_at_a_half() -> None:
    weighting = Uncertainty((Task("click", BINARY), Task("rating", REGRESSION)))
    assert weights_of(weighting, torch.tensor([0.3, 2.0])).tolist() == [1, 0.5]


def test_s_settles_where_the_weight_is_one_over_twice_the_loss_for_both_kinds() -> None:
    tasks = (Task("click", BINARY), Task("rating", REGRESSION))
    weighting, losses = Uncertainty(tasks), torch.tensor([0.2, 3.0])
    optimizer = torch.optim.AdamW(weighting.param_groups(), lr=1e-3)
    for _ in range(600):
        optimizer.zero_grad()
        weighting(losses, torch.tensor([True, True])).backward()
        optimizer.step()
    torch.testing.assert_close(weights_of(weighting, losses), 1 / (2 * losses), rtol=1e-2, atol=0)


def test_s_has_a_group_of_its_own_without_weight_decay() -> None:
    weighting = Uncertainty(REGRESSIONS, learning_rate=0.1)
    (group,) = torch.optim.AdamW(weighting.param_groups(), lr=1e-3, weight_decay=0.1).param_groups
    assert group["params"] == list(weighting.parameters())
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.0)


def test_a_task_without_a_label_leaves_its_s_alone() -> None:
    weighting = Uncertainty(REGRESSIONS)
    weighting(LOSSES, torch.tensor([True, False, True])).backward()
    assert weighting.log_variances_T.grad is not None
    assert weighting.log_variances_T.grad.tolist() == pytest.approx([0.25, 0, 0.45])


def test_a_learning_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weighting\.learning_rate must be greater than 0, found 0"):
        Uncertainty(REGRESSIONS, learning_rate=0)


def test_a_loss_of_zero_leaves_its_s_alone() -> None:
    """Its weight would grow without end."""
    weighting = Uncertainty((Task("click", BINARY), Task("rating", REGRESSION)))
    optimizer = torch.optim.AdamW(weighting.param_groups(), lr=1e-3)
    for _ in range(500):
        optimizer.zero_grad()
        weighting(torch.tensor([0.5, 0.0]), torch.tensor([True, True])).backward()
        optimizer.step()
    first, second = weighting.log_variances_T.tolist()
    assert second == 0
    assert first == pytest.approx(math.log(2 * 0.5), abs=0.01)


@pytest.mark.parametrize("name", ["uncertainty", "imtl_l", "scale_invariant", "geometric_mean", "famo"])
def test_a_negative_loss_is_weighted_by_its_magnitude(name: str) -> None:
    tasks = tuple(Task(name, BINARY) for name in "ab")
    made = [weightings.build(weightings.config(name), tasks) for _ in range(2)]
    negative, positive = (weights_of(made[k], torch.tensor([0.5, s])) for k, s in enumerate((-0.3, 0.3)))
    torch.testing.assert_close(negative, positive)
