"""DWA: values, periods of epochs and of steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.dwa import DWA

TASKS = tuple(Task(name, BINARY) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
FIRST, SECOND = torch.tensor([0.5, 0.9, 0.8]), torch.tensor([0.4, 0.85, 0.4])
WEIGHTS = torch.tensor([1.0219368420, 1.0984739667, 0.8795891913])
WITHOUT_THIRD = 3 * torch.softmax(torch.tensor([0.4 / 0.5, 0.85 / 0.9, 1.0]) / 2, dim=0)


def run_window(weighting: DWA, steps: list[Tensor], active: Tensor = ACTIVE) -> list[Tensor]:
    """The weights that each step says it had."""
    weights = []
    for losses_T in steps:
        total = weighting(losses_T, active)
        weights.append(weighting.weights_T.clone())
        assert total == pytest.approx(float((weights[-1] * losses_T).sum()))
    return weights


def test_it_is_equal_for_two_epochs_and_then_follows_the_ratio_of_their_losses() -> None:
    weighting = DWA(TASKS)
    for mean_losses_T in (FIRST, SECOND):
        assert weighting.weights_T.tolist() == [1, 1, 1]
        weighting.on_epoch_end(mean_losses_T)
    torch.testing.assert_close(weighting.weights_T, WEIGHTS)
    assert float(weighting(FIRST, ACTIVE)) == pytest.approx(float(WEIGHTS @ FIRST))


def test_by_epochs_the_steps_do_not_matter() -> None:
    weighting = DWA(TASKS)
    run_window(weighting, [FIRST, SECOND, FIRST])
    assert weighting.weights_T.tolist() == [1, 1, 1]


def test_a_window_of_steps_acts_within_the_epoch_and_ignores_its_end() -> None:
    weighting = DWA(TASKS, window=2)
    steps = [FIRST - 0.1, FIRST + 0.1, SECOND - 0.2, SECOND + 0.2, FIRST]
    weights = run_window(weighting, steps)
    weighting.on_epoch_end(torch.tensor([9.0, 1, 1]))
    assert [w.tolist() for w in weights[:4]] == [[1, 1, 1]] * 4
    torch.testing.assert_close(weights[4], WEIGHTS)
    torch.testing.assert_close(weighting.weights_T, WEIGHTS)


def test_weights_sum_to_the_number_of_tasks_and_a_high_temperature_evens_them() -> None:
    weighting = DWA(TASKS, temperature=1e6)
    weighting.on_epoch_end(FIRST)
    weighting.on_epoch_end(SECOND)
    torch.testing.assert_close(weighting.weights_T, torch.ones(3), rtol=0, atol=1e-5)
    assert float(WEIGHTS.sum()) == pytest.approx(3)


def test_a_window_takes_means_over_the_steps_with_a_label() -> None:
    weighting = DWA(TASKS, window=2)
    missing = torch.tensor([True, True, False])
    for losses_T, active in ((FIRST, missing), (FIRST, ACTIVE), (SECOND, ACTIVE), (SECOND, missing), (FIRST, ACTIVE)):
        weighting(losses_T * active, active)
    torch.testing.assert_close(weighting.weights_T, WEIGHTS)


def test_a_task_without_a_label_in_a_window_has_a_ratio_of_one() -> None:
    weighting, never = DWA(TASKS, window=1), torch.tensor([True, True, False])
    for losses_T in (FIRST, SECOND, FIRST):
        weighting(losses_T * never, never)
    torch.testing.assert_close(weighting.weights_T, WITHOUT_THIRD)


@pytest.mark.parametrize("without", [1, 2])
def test_a_task_without_a_label_in_an_epoch_has_a_ratio_of_one(without: int) -> None:
    """The trainer gives it a mean of 0; the others' ratios are what they are."""
    weighting, never = DWA(TASKS), torch.tensor([True, True, False])
    for epoch, mean_losses_T in enumerate((FIRST, SECOND), start=1):
        weighting.on_epoch_end(mean_losses_T * never if epoch == without else mean_losses_T)
    torch.testing.assert_close(weighting.weights_T, WITHOUT_THIRD)


@pytest.mark.parametrize(
    ("before", "last", "ratio"),
    [
        (-0.2, -0.1, 1.5),
        (-0.1, -0.2, 0.0),
        (-0.1, -0.1, 1.0),
        (0.1, -0.1, -1.0),
        (-0.1, 0.1, 3.0),
        (-1e-30, 1e-30, 3.0),
    ],
)
@pytest.mark.parametrize("window", [0, 1])
def test_a_negative_loss_that_falls_loses_weight_and_one_that_rises_gains_it(
    before: float, last: float, ratio: float, window: int
) -> None:
    """The ratio is 1 plus the rise as a share of the magnitude."""
    weighting = DWA(TASKS, window=window)
    for third in (before, last, 1.0):
        losses_T = torch.tensor([0.5, 0.5, third])
        if window:
            weighting(losses_T, ACTIVE)
        elif third != 1:
            weighting.on_epoch_end(losses_T)
    torch.testing.assert_close(weighting.weights_T, 3 * torch.softmax(torch.tensor([1, 1, ratio]) / 2, dim=0))


def test_means_of_unlike_size_and_sign_leave_weights_finite() -> None:
    for before in (1e-45, -1e-45, 1e-30, -1e8, 1e8):
        for last in (1e8, -1e8, 1e-45):
            weighting = DWA(TASKS)
            weighting.on_epoch_end(torch.tensor([0.5, 0.5, before]))
            weighting.on_epoch_end(torch.tensor([0.4, 0.4, last]))
            assert weighting.weights_T.isfinite().all()
            assert float(weighting.weights_T.sum()) == pytest.approx(3)


def test_a_window_changes_its_state_in_place_and_does_not_disturb_the_backward() -> None:
    weighting, losses_T = DWA(TASKS, window=2), torch.ones(3, requires_grad=True)
    buffers = dict(weighting.named_buffers())
    places = {name: buffer.data_ptr() for name, buffer in buffers.items()}
    for scale in (FIRST, SECOND, FIRST, SECOND, FIRST):
        losses_T.grad = None
        torch.autograd.backward(weighting(losses_T * scale, ACTIVE))
        torch.testing.assert_close(losses_T.grad, weighting.weights_T * scale)
    assert all(buffer is buffers[name] for name, buffer in weighting.named_buffers())
    assert {name: buffer.data_ptr() for name, buffer in weighting.named_buffers()} == places


@pytest.mark.parametrize(
    ("options", "said"),
    [({"temperature": 0.0}, "temperature must be greater than 0"), ({"window": -1}, "window must be at least 0")],
)
def test_bad_parameters_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=f"weighting.{said}"):
        DWA(TASKS, **options)  # type: ignore[arg-type]
