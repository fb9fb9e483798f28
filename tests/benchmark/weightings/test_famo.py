"""FAMO: values, its Adam beside torch's, and tasks that take no part."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.famo import FAMO
from tests.benchmark.weightings.taking import weights_of

TASKS = tuple(Task(name, BINARY) for name in "abc")
ACTIVE = torch.tensor([True, True, True])
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)
AFTER = torch.tensor([0.4, 1.9, 0.1], dtype=torch.float64)
LATER = torch.tensor([0.39, 1.5, 0.09], dtype=torch.float64)


def step(weighting: FAMO, before_T: Tensor, after_T: Tensor, active_T: Tensor = ACTIVE) -> Tensor:
    """One step: its weights, and what follows from the losses after the update."""
    weights_T = weights_of(weighting, before_T * active_T, active_T)
    weighting.after_step(before_T * active_T, lambda: after_T * active_T)
    return weights_T


def test_values_of_two_steps() -> None:
    weighting = FAMO(TASKS).double()
    torch.testing.assert_close(
        step(weighting, LOSSES, AFTER), torch.tensor([0.16, 0.04, 0.80], dtype=torch.float64), rtol=0, atol=2e-8
    )
    expected = [-0.024999994, 0.024999981, 0.024999992]
    assert weighting.logits_T.tolist() == pytest.approx(expected, rel=1e-8, abs=5e-10)
    step(weighting, AFTER, LATER)
    expected = [-0.027636692, 0.012998564, 0.045159787]
    assert weighting.logits_T.tolist() == pytest.approx(expected, rel=1e-8, abs=5e-10)


def test_it_is_the_authors_loop_with_torch_s_adam() -> None:
    weighting = FAMO(TASKS, learning_rate=0.1, weight_decay=0.02).double()
    logits_T = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits_T], lr=0.1, weight_decay=0.02)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        before_T, after_T = torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.1
        weights_T = step(weighting, before_T, after_T)
        shares_T, leaf_T = torch.softmax(logits_T, dim=0), before_T.clone().requires_grad_()
        constant = (shares_T / (before_T + 1e-8)).sum().detach()
        objective = (shares_T.detach() / constant * (leaf_T + 1e-8).log()).sum()
        torch.testing.assert_close(weights_T, torch.autograd.grad(objective, leaf_T)[0], rtol=1e-10, atol=0)
        fall_T = (before_T + 1e-8).log() - (after_T + 1e-8).log()
        (logits_T.grad,) = torch.autograd.grad(shares_T, logits_T, grad_outputs=fall_T)
        adam.step()
        torch.testing.assert_close(weighting.logits_T, logits_T.detach(), rtol=1e-10, atol=1e-14)


def test_a_task_without_a_label_is_as_if_it_were_not_there() -> None:
    weighting, without = FAMO(TASKS).double(), FAMO(TASKS[:2]).double()
    missing = torch.tensor([True, True, False])
    for before_T, after_T in ((LOSSES, AFTER), (AFTER, LATER)):
        weights_T = step(weighting, before_T, after_T, missing)
        expected_T = step(without, before_T[:2], after_T[:2], ACTIVE[:2])
        assert weights_T.tolist() == pytest.approx([*expected_T.tolist(), 0.0])
    assert weighting.logits_T.tolist() == pytest.approx([*without.logits_T.tolist(), 0.0])
    assert weighting.updates_T.tolist() == [2, 2, 0]


def test_a_task_that_comes_back_goes_on_from_its_own_moments() -> None:
    weighting, missing = FAMO(TASKS).double(), torch.tensor([True, True, False])
    step(weighting, LOSSES, AFTER)
    kept = {name: float(buffer[2]) for name, buffer in weighting.state_dict().items()}
    step(weighting, AFTER, LATER, missing)
    assert {name: float(buffer[2]) for name, buffer in weighting.state_dict().items()} == kept


def test_a_loss_that_falls_faster_loses_weight_beside_one_of_the_same_size() -> None:
    weighting, ones_T = FAMO(TASKS), torch.ones(3)
    for _ in range(20):
        step(weighting, ones_T, torch.tensor([0.5, 0.9, 0.99]))
    weights_T = weights_of(weighting, ones_T)
    assert weights_T[0] < weights_T[1] < weights_T[2]


def test_weight_decay_brings_the_shares_together_again() -> None:
    weighting, ones_T = FAMO(TASKS, weight_decay=0.1), torch.ones(3)
    step(weighting, ones_T, torch.tensor([0.5, 0.9, 0.99]))
    spread = weighting.logits_T.std()
    for _ in range(200):
        step(weighting, ones_T, ones_T)
    assert weighting.logits_T.std() < 0.1 * spread


def test_it_starts_at_shares_in_proportion_to_the_inverse_losses_which_sum_to_one() -> None:
    weights_T = weights_of(FAMO(TASKS), LOSSES)
    torch.testing.assert_close(weights_T, (1 / LOSSES) / (1 / LOSSES).sum(), rtol=1e-6, atol=0)


def test_a_loss_of_zero_is_left_out_and_one_that_becomes_zero_is_harmless() -> None:
    weighting = FAMO(TASKS)
    weights_T = step(weighting, torch.tensor([0.0, 1.0, 1e8]), torch.tensor([1.0, 0.0, 1e8]))
    assert weights_T.tolist() == pytest.approx([0.0, 1.0, 1e-8])
    assert weighting.logits_T.tolist() == pytest.approx([0.0, -0.025, 0.025], rel=1e-5)


def test_a_step_of_which_nothing_is_left_changes_nothing() -> None:
    weighting = FAMO(TASKS)
    step(weighting, LOSSES, AFTER)
    before = copy.deepcopy(weighting.state_dict())
    assert step(weighting, LOSSES, AFTER, ~ACTIVE).tolist() == [0, 0, 0]
    torch.testing.assert_close(dict(weighting.state_dict()), dict(before), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0, found 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0, found -1"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=rf"weighting\.{said}"):
        FAMO(TASKS, **options)


def test_a_negative_loss_that_falls_faster_loses_weight() -> None:
    """Its magnitude grows as it falls."""
    weighting, before, after = (
        FAMO(tuple(Task(n, BINARY) for n in "ab")),
        torch.tensor([0.7, -0.3]),
        torch.tensor([0.69, -0.4]),
    )
    start = weights_of(weighting, before)
    for _ in range(50):
        weighting(before, torch.tensor([True, True]))
        weighting.after_step(before, lambda: after)
    end = weights_of(weighting, before)
    assert end[1] / end[0] < start[1] / start[0]
