"""Properties that several loss weightings share, over steps as the trainer takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.training.step import LossBackward
from benchmark.weightings import LossWeighting, weightings

OTHER_FORMS: dict[str, dict[str, Any]] = {"smooth_tchebycheff, nadirs": {"nadir_steps": 2}}
ALL = [*(name for name in weightings.names() if issubclass(weightings.get(name), LossWeighting)), *OTHER_FORMS]
# equal, fixed and dwa give a task without a label its weight all the same: its loss is a constant 0
MASKED = [
    "famo",
    "geometric_mean",
    "imtl_l",
    "random",
    "scale_invariant",
    "smooth_tchebycheff",
    "smooth_tchebycheff, nadirs",
    "uncertainty",
    "uncertainty_softmax",
]
STEPS = 6


def make(name: str, names: Sequence[str], kind: str = BINARY, **options: Any) -> LossWeighting:
    torch.manual_seed(0)
    tasks = tuple(Task(task, kind) for task in names)
    weighting = weightings.get(name.split(",")[0])(tasks, **OTHER_FORMS.get(name, {}), **options)
    assert isinstance(weighting, LossWeighting)
    return weighting


def step(weighting: LossWeighting, losses_T: Tensor, active_T: Tensor, after_T: Tensor) -> Tensor:
    """(T,) the weights of one step, after which the losses are `after_T`. Learned weights move against their gradients."""
    weighting.zero_grad()
    LossBackward(weighting).backward(losses_T.clone().requires_grad_() * active_T, active_T, None, {})
    with torch.no_grad():
        for parameter in weighting.parameters():
            assert parameter.grad is not None
            parameter -= 0.025 * parameter.grad.clamp(-1, 1)  # no longer than a step of Adam
    weighting.after_step(losses_T * active_T, lambda: after_T * active_T)
    return weighting.last_weights_T.clone()


def batches(tasks: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Losses, which tasks have a label, and losses after the update."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(STEPS):
        losses_T, fall_T = torch.rand(2, tasks, generator=generator) * 0.9 + 0.1
        made.append((losses_T, torch.rand(tasks, generator=generator) < 0.7, losses_T * fall_T))
    return made


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_tasks_does_not_matter(name: str) -> None:
    order = [2, 0, 3, 1]
    straight, other = make(name, "abcd"), make(name, ["abcd"[task] for task in order])
    for batch in batches(4):
        expected_T, found_T = step(straight, *batch), step(other, *(part[order] for part in batch))
        torch.testing.assert_close(found_T, expected_T[order], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", MASKED)
def test_a_task_without_a_label_has_no_weight_and_changes_nothing_for_the_others(name: str) -> None:
    with_empty, without = make(name, "abc"), make(name, "ab")
    for losses_T, active_T, after_T in batches(3):
        active_T[2] = False
        weights_T = step(with_empty, losses_T, active_T, after_T)
        assert (weights_T[~active_T] == 0).all()
        expected_T = step(without, losses_T[:2], active_T[:2], after_T[:2])
        torch.testing.assert_close(weights_T[:2], expected_T, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("normalize", [False, True])
def test_no_loss_gives_a_weight_that_is_not_finite_or_negative(name: str, *, normalize: bool) -> None:
    options = {"normalize": True} if normalize and name not in {"equal", "dwa"} else {}
    weighting = make(name, "abcdefghij", **options)
    extreme_T = torch.tensor([0, 1e8, 1e-45, 1e-30, 1e-8, 1, 1e4, 0, 0.5, 1e-3])
    for number in range(30):
        losses_T, after_T = extreme_T.roll(number), extreme_T.roll(3 * number + 1)
        active_T = torch.arange(10) % (number % 4 + 1) < 2 if number % 7 else torch.zeros(10, dtype=torch.bool)
        weights_T = step(weighting, losses_T, active_T, after_T)
        assert weights_T.isfinite().all()
        assert (weights_T >= 0).all()
    assert all(tensor.isfinite().all() for tensor in weighting.state_dict().values() if name != "dwa")


@pytest.mark.parametrize("name", ALL)
def test_a_loss_that_crosses_zero_keeps_a_finite_positive_weight(name: str) -> None:
    """An auxiliary loss can make a task's loss negative."""
    weighting = make(name, "ab")
    path = [0.1, 1e-3, 1e-9, 1e-30, 1e-45, 0.0, -1e-45, -1e-9, -1e-3, -0.1]
    for loss, after in [*pairwise(path), *pairwise(reversed(path))]:
        losses_T, after_T = torch.tensor([0.5, loss]), torch.tensor([0.4, after])
        weights_T = step(weighting, losses_T, torch.ones(2).bool(), after_T)
        assert ((weights_T >= 0) & (weights_T <= 1.01e8)).all()
        assert weights_T[1] > 0 or loss == 0
    weighting.on_epoch_end(torch.tensor([0.5, -0.1]))
    weighting.on_epoch_end(torch.tensor([0.4, 0.1]))
    assert step(weighting, losses_T, torch.ones(2).bool(), after_T).isfinite().all()


@pytest.mark.parametrize("loss", [0.1, 1e-3, 1e-30, -1e-3, -1e-30])
def test_rules_with_a_logarithm_or_an_inverse_take_the_magnitude_and_at_least_1e_8(loss: float) -> None:
    losses_T, floored_T = torch.tensor([0.5, loss]), torch.tensor([0.5, max(abs(loss), 1e-8)], dtype=torch.float64)
    expected = {
        "scale_invariant": 1 / floored_T,
        "geometric_mean": floored_T.prod().sqrt() / 2 / floored_T,
        "uncertainty_softmax": torch.softmax(1 / floored_T, 0),
    }
    for name, expected_T in expected.items():
        weights_T = step(make(name, "ab"), losses_T, torch.ones(2).bool(), losses_T)
        torch.testing.assert_close(weights_T.double(), expected_T, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("loss", [0.3, 1e-3, -1e-3, 1e-30, -1e-30, 1e-45])
@pytest.mark.parametrize("name", ["imtl_l", "uncertainty"])
def test_learned_weights_settle_where_the_magnitude_or_1e_8_puts_them(name: str, loss: float) -> None:
    weighting = make(name, "ab", REGRESSION, learning_rate=0.5)
    groups = weighting.param_groups()
    optimizer, losses_T, both = torch.optim.Adam(groups), torch.tensor([0.5, loss]), torch.ones(2).bool()
    for _ in range(400):
        optimizer.zero_grad()
        LossBackward(weighting).backward(losses_T.clone().requires_grad_(), both, None, {})
        optimizer.step()
    settled_T = 1 / torch.tensor([0.5, max(abs(loss), 1e-8)]) / (2 if name == "uncertainty" else 1)
    torch.testing.assert_close(weighting.last_weights_T, settled_T, rtol=1e-2, atol=0)


@pytest.mark.parametrize("name", MASKED)
def test_a_loss_of_zero_does_not_stop_the_other_tasks(name: str) -> None:
    """It has no gradient to wait for."""
    weights_T = step(make(name, "ab"), torch.tensor([0.0, 0.5]), torch.ones(2).bool(), torch.tensor([0.0, 0.4]))
    assert weights_T[1] > 0.1


@pytest.mark.parametrize("name", [name for name in ALL if name != "random"])
def test_equal_losses_with_equal_falls_have_equal_weights(name: str) -> None:
    weighting = make(name, "abc")
    for factor in (1.0, 0.5, 0.25):
        losses_T = torch.full((3,), factor)
        weights_T = step(weighting, losses_T, torch.ones(3).bool(), 0.9 * losses_T)
        torch.testing.assert_close(weights_T, weights_T.mean().expand(3), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["famo", "random", "uncertainty_softmax"])
def test_the_weights_sum_to_one_and_to_the_number_of_tasks_if_normalised(name: str) -> None:
    plain, normalised = make(name, "abcd"), make(name, "abcd", normalize=True)
    for losses_T, active_T, after_T in batches(4):
        assert float(step(plain, losses_T, active_T, after_T).sum()) == pytest.approx(float(active_T.any()))
        weights_T = step(normalised, losses_T, active_T, after_T)
        assert float(weights_T.sum()) == pytest.approx(float(active_T.sum()))


@pytest.mark.parametrize("name", ["famo", "geometric_mean", "scale_invariant"])
def test_a_factor_on_one_loss_leaves_the_tasks_shares_of_the_update_alone(name: str) -> None:
    """The share of a task is that of its weight times its loss, since the loss's gradient scales with it."""
    plain, scaled, units_T = make(name, "abc"), make(name, "abc"), torch.tensor([1.0, 1e4, 1e-2])
    for losses_T, active_T, after_T in batches(3):
        pulls_T = step(plain, losses_T, active_T, after_T) * losses_T
        other_T = step(scaled, units_T * losses_T, active_T, units_T * after_T) * units_T * losses_T
        torch.testing.assert_close(other_T * pulls_T.sum(), pulls_T * other_T.sum(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_a_step_draws_nothing_from_the_global_stream(name: str) -> None:
    weighting = make(name, "ab")
    before = torch.random.get_rng_state()
    step(weighting, torch.tensor([0.5, 0.2]), torch.ones(2).bool(), torch.tensor([0.4, 0.2]))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ALL)
def test_a_resumed_weighting_goes_on_to_the_last_bit(name: str) -> None:
    weighting, resumed = make(name, "abc"), make(name, "abc")
    for batch in batches(3):
        step(weighting, *batch)
    resumed.load_state_dict(weighting.state_dict())
    for batch in batches(3):
        assert torch.equal(step(resumed, *batch), step(weighting, *batch))


@pytest.mark.parametrize("kind", [BINARY, REGRESSION])
@pytest.mark.parametrize("name", MASKED)
def test_one_task_alone_has_a_positive_weight(name: str, kind: str) -> None:
    weighting = make(name, "a", kind)
    for loss in (0.5, 1e8, 1e-8, 0.3):
        losses_T = torch.tensor([loss])
        assert (step(weighting, losses_T, torch.ones(1).bool(), 0.9 * losses_T) > 0).all()
