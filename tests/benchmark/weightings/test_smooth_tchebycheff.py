"""Smooth Tchebycheff: values of the plain form, preferences and ideals, and the form with nadirs beside the authors' loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.smooth_tchebycheff import SmoothTchebycheff
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, BINARY) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)


def make(**options: Any) -> SmoothTchebycheff:
    return SmoothTchebycheff(TASKS, **options).double()


@pytest.mark.parametrize(("mu", "value"), [(0.1, 0.6675144677), (1.0, 1.4262334622)])
def test_the_weights_are_the_slopes_of_the_smooth_maximum(mu: float, value: float) -> None:
    leaf_T = LOSSES.clone().requires_grad_()
    smooth_maximum = mu * torch.log(torch.exp(leaf_T / 3 / mu).sum())
    assert smooth_maximum.item() == pytest.approx(value, rel=1e-9)
    (expected_T,) = torch.autograd.grad(smooth_maximum, leaf_T)
    torch.testing.assert_close(weights_of(make(mu=mu), LOSSES), expected_T, rtol=1e-10, atol=0)


def test_weights() -> None:
    expected = [0.0022270214, 0.3305192755, 0.0005870365]
    assert weights_of(make(mu=0.1), LOSSES).tolist() == pytest.approx(expected, rel=2e-7)  # as many digits as it has


def test_as_mu_goes_to_zero_the_largest_loss_times_preference_gets_all_weight() -> None:
    weighting = make(mu=1e-6, preferences={"a": 10.0, "b": 1.0})
    assert weights_of(weighting, LOSSES).tolist() == pytest.approx([10 / 12, 0, 0])


def test_with_a_large_mu_the_weights_are_in_proportion_to_the_preferences() -> None:
    weights_T = weights_of(make(mu=1e6, preferences={"b": 3.0}), LOSSES)
    assert weights_T.tolist() == pytest.approx([1 / 15, 3 / 15, 1 / 15], rel=1e-5)  # preferences times the softmax


def test_an_ideal_is_taken_from_its_loss() -> None:
    shifted_T = weights_of(make(ideals={"b": 1.5}), LOSSES)
    torch.testing.assert_close(shifted_T, weights_of(make(), torch.tensor([0.5, 0.5, 0.1], dtype=torch.float64)))


def test_a_task_without_a_label_is_as_if_it_were_not_there() -> None:
    active = torch.tensor([True, True, False])
    expected_T = weights_of(SmoothTchebycheff(TASKS[:2], mu=0.3).double(), LOSSES[:2])
    assert weights_of(make(mu=0.3), LOSSES * active, active).tolist() == pytest.approx([*expected_T.tolist(), 0])
    assert weights_of(make(), LOSSES * 0, ~ACTIVE).tolist() == [0, 0, 0]


def test_losses_that_the_exponential_cannot_hold() -> None:
    weights_T = weights_of(SmoothTchebycheff(TASKS, mu=0.01), torch.tensor([1e8, 0.0, 1e8]))
    assert weights_T.tolist() == pytest.approx([1 / 6, 0, 1 / 6])


def test_with_nadirs_it_is_the_authors_loop() -> None:
    weighting, generator = make(mu=0.5, nadir_steps=4), torch.Generator().manual_seed(0)
    seen = []
    for step in range(8):
        losses_T = torch.rand(3, generator=generator, dtype=torch.float64) + 0.1
        found_T = weights_of(weighting, losses_T)
        leaf_T = losses_T.clone().requires_grad_()
        if step < 4:
            seen.append(losses_T)
            value = leaf_T.log().sum()
        else:
            relative_T = torch.log(leaf_T / torch.stack(seen).mean(0))
            value = 3 * 0.5 * torch.log(torch.exp(relative_T / 0.5).sum())
        torch.testing.assert_close(found_T, torch.autograd.grad(value, leaf_T)[0], rtol=1e-12, atol=0)


def test_with_nadirs_units_of_the_losses_do_not_matter() -> None:
    units_T = torch.tensor([1.0, 1e4, 1e-3], dtype=torch.float64)
    plain, scaled = make(nadir_steps=1), make(nadir_steps=1)
    for losses_T in (LOSSES, torch.tensor([0.4, 1.0, 0.09], dtype=torch.float64)):
        weights_T, scaled_T = weights_of(plain, losses_T), weights_of(scaled, units_T * losses_T)
        torch.testing.assert_close(units_T * scaled_T, weights_T, rtol=1e-10, atol=0)


def test_a_nadir_is_a_mean_over_the_steps_with_a_label_and_one_without_any() -> None:
    weighting = make(nadir_steps=3)
    for active in ([True, True, False], [True, False, False], [True, True, False], [True, True, True]):
        active_T = torch.tensor(active)
        weighting(LOSSES * active_T, active_T)
    assert weighting.counts_T.tolist() == [3, 2, 0]
    weights_T = weights_of(weighting, LOSSES)
    relative = [1.0, 1.0, 0.1]  # the losses by their nadirs
    expected = [3 * part / sum(relative) / loss for part, loss in zip(relative, LOSSES.tolist(), strict=True)]
    assert weights_T.tolist() == pytest.approx(expected)


def test_with_nadirs_a_loss_of_zero_is_left_out() -> None:
    weighting = make(nadir_steps=1)
    weighting(LOSSES, ACTIVE)
    found_T = weights_of(weighting, LOSSES * torch.tensor([1, 0, 1]))
    assert found_T.tolist() == pytest.approx([2 * 0.5 / 0.5, 0, 2 * 0.5 / 0.1])  # both are at their nadirs
    assert weights_of(weighting, LOSSES * 0, ~ACTIVE).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mu": 0.0}, "mu must be greater than 0"),
        ({"mu": math.inf}, "mu must be greater than 0 and finite"),
        ({"preferences": {"a": 0.0}}, r"preferences\.a must be a number greater than 0, found 0"),
        ({"preferences": {"d": 1.0}}, "preferences: unknown task 'd'"),
        ({"ideals": {"a": math.nan}}, r"ideals\.a must be a finite number, found nan"),
        ({"nadir_steps": -1}, "nadir_steps must be at least 0 steps"),
        ({"nadir_steps": 5, "ideals": {"a": 0.1}}, "ideals belong to the plain form"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=rf"weighting\.{said}"):
        SmoothTchebycheff(TASKS, **options)
