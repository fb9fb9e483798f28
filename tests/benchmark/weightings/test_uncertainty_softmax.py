"""UW-SO: values, the temperature, and tasks that take no part."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.uncertainty_softmax import UncertaintySoftmax
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, BINARY) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_weights_are_the_softmax_of_the_inverse_losses_and_constants(temperature: float) -> None:
    powers = [math.exp(1 / loss / temperature) for loss in LOSSES.tolist()]
    expected = [power / sum(powers) for power in powers]
    weighting = UncertaintySoftmax(TASKS, temperature=temperature)
    assert weights_of(weighting, LOSSES).tolist() == pytest.approx(expected, rel=1e-12)
    assert float(weighting(LOSSES, ACTIVE)) == pytest.approx(sum(map(lambda w, loss: w * loss, expected, LOSSES)))


def test_a_high_temperature_evens_the_weights() -> None:
    weights_T = weights_of(UncertaintySoftmax(TASKS, temperature=1e6), LOSSES)
    torch.testing.assert_close(weights_T, torch.full_like(weights_T, 1 / 3), rtol=1e-4, atol=0)


def test_scaling_losses_is_scaling_the_temperature() -> None:
    scaled_T = weights_of(UncertaintySoftmax(TASKS), 5 * LOSSES)
    torch.testing.assert_close(scaled_T, weights_of(UncertaintySoftmax(TASKS, temperature=5.0), LOSSES))


def test_a_task_without_a_label_or_with_a_loss_of_zero_is_left_out() -> None:
    expected_T = weights_of(UncertaintySoftmax(TASKS[:2]), LOSSES[:2])
    missing, zero_T = torch.tensor([True, True, False]), LOSSES * torch.tensor([1, 1, 0])
    for active in (missing, ACTIVE):
        found_T = weights_of(UncertaintySoftmax(TASKS), zero_T, active)
        assert found_T.tolist() == pytest.approx([*expected_T.tolist(), 0])


def test_losses_too_small_to_be_inverted_share_the_weight() -> None:
    weights_T = weights_of(UncertaintySoftmax(TASKS), torch.tensor([1e-45, 1e-40, 1e8]))
    assert weights_T.tolist() == [0.5, 0.5, 0]


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weighting\.temperature must be greater than 0, found 0"):
        UncertaintySoftmax(TASKS, temperature=0)
