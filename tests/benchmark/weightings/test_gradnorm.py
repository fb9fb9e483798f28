"""GradNorm against exact values, autograd and torch's Adam."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.gradnorm import GradNorm, weight_gradients


def make(num_tasks: int = 3, **options: Any) -> GradNorm:
    return GradNorm(tuple(Task(f"t{number}", BINARY) for number in range(num_tasks)), **options)


def step(weighting: GradNorm, norms: Tensor, losses: Tensor, active: list[bool] | None = None) -> list[float]:
    """The weights of this step, of the active tasks, whose gradients are orthogonal."""
    active_T = torch.tensor(active or [True] * len(norms))
    gram_AA = torch.diag(norms[active_T].square())
    return weighting.weights(gram_AA, losses[active_T], active_T).tolist()


def test_the_gradient_is_exact() -> None:
    """With an SGD step of .025 and the sum restored, the weights are .8729635 and 1.1270365."""
    norms = [18**0.5, 38**0.5]
    gradients = weight_gradients([1.0, 1.0], norms, [0.5 / 1, 1.2 / 1.5], alpha=1.5)
    assert gradients == pytest.approx([4.242640687119285, -6.164414002968976], rel=1e-12)
    moved = [1 - 0.025 * gradient for gradient in gradients]
    assert [2 * weight / sum(moved) for weight in moved] == pytest.approx([0.8729635, 1.1270365], abs=5e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_the_gradient_is_that_of_autograd(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        weights_T, norms_T, falls_T = torch.rand(3, 4, generator=generator, dtype=torch.float64) + 0.1
        weights_T.requires_grad_()
        weighted_T = weights_T * norms_T
        targets_T = (weighted_T.mean() * (falls_T / falls_T.mean()) ** alpha).detach()
        expected_T = torch.autograd.grad((weighted_T - targets_T).abs().sum(), weights_T)[0]
        found = weight_gradients(weights_T.tolist(), norms_T.tolist(), falls_T.tolist(), alpha)
        assert found == pytest.approx(expected_T.tolist(), rel=1e-12)


def test_its_weights_are_those_of_torch_s_adam_with_floor_and_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    weighting = make(initial_steps=3)
    weights_T = torch.ones(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([weights_T], lr=0.025, eps=0)
    first: list[Tensor] = []
    for number in range(100):
        norms_T = torch.rand(3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.2])
        losses_T = torch.rand(3, generator=generator, dtype=torch.float64) * 0.99**number + 0.1
        assert step(weighting, norms_T, losses_T) == pytest.approx(weights_T.tolist(), rel=1e-9)
        first = [*first, losses_T][:3]
        falls_T = losses_T / torch.stack(first).mean(dim=0)
        weighted_T = weights_T * norms_T
        targets_T = (weighted_T.mean() * (falls_T / falls_T.mean()) ** 1.5).detach()
        adam.zero_grad()
        (weighted_T - targets_T).abs().sum().backward()
        adam.step()
        with torch.no_grad():
            weights_T.clamp_(min=1e-3).mul_(3 / weights_T.sum())


def test_norms_become_equal_where_rates_are() -> None:
    weighting, norms_T = make(2), torch.tensor([1.0, 3.0], dtype=torch.float64)
    for _ in range(300):
        weights = step(weighting, norms_T, torch.ones(2))
    assert weights == pytest.approx([1.5, 0.5], abs=0.03)


def test_equal_gradients_and_rates_keep_equal_weights() -> None:
    weighting = make(4)
    for _ in range(20):
        assert step(weighting, torch.full((4,), 0.3, dtype=torch.float64), torch.full((4,), 0.7)) == [1, 1, 1, 1]


def test_a_task_whose_loss_falls_more_slowly_gains_weight() -> None:
    weighting, norms_T = make(2, initial_steps=1), torch.ones(2, dtype=torch.float64)
    for number in range(30):
        weights = step(weighting, norms_T, torch.tensor([1.0, 0.9**number]))
    assert weights[0] > 1.5


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_a_common_scale_changes_nothing(factor: float) -> None:
    plain, scaled = make(), make()
    generator = torch.Generator().manual_seed(2)
    for _ in range(50):
        norms_T, losses_T = torch.rand(2, 3, generator=generator, dtype=torch.float64)
        assert step(scaled, factor * norms_T, factor * losses_T) == pytest.approx(step(plain, norms_T, losses_T))


def test_permuting_tasks_permutes_the_weights() -> None:
    plain, permuted, order = make(), make(), [2, 0, 1]
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        norms_T, losses_T = torch.rand(2, 3, generator=generator, dtype=torch.float64)
        weights = step(plain, norms_T, losses_T)
        found = step(permuted, norms_T[order], losses_T[order])
        assert found == pytest.approx([weights[task] for task in order], rel=1e-9)


@pytest.mark.parametrize("without", ["label", "gradient"])
def test_a_task_without_label_or_gradient_keeps_its_weight_and_the_others_their_sum(without: str) -> None:
    weighting, pair = make(), make(2)
    generator = torch.Generator().manual_seed(4)
    for _ in range(20):
        norms_T, losses_T = torch.rand(2, 3, generator=generator, dtype=torch.float64)
        norms_T[1] = 0
        active = [True, without == "gradient", True]
        found = step(weighting, norms_T, losses_T, active)
        assert [found[0], found[-1]] == pytest.approx(step(pair, norms_T[[0, 2]], losses_T[[0, 2]]), rel=1e-12)
    assert weighting.weights_T[1] == 1
    assert weighting.weights_T.sum().item() == pytest.approx(3)
    assert weighting.weights_T[0] != 1


@pytest.mark.parametrize("num_tasks", [1, 2, 10])
def test_extremes_stay_finite_and_positive(num_tasks: int) -> None:
    weighting = make(num_tasks)
    generator = torch.Generator().manual_seed(5)
    extremes = torch.tensor([0.0, 1e-45, 1e-6, 1.0, 1e8, 1e18], dtype=torch.float64)
    for _ in range(300):
        norms_T, losses_T = extremes[torch.randint(len(extremes), (2, num_tasks), generator=generator)]
        weights_T = torch.tensor(step(weighting, norms_T, losses_T))
        assert weights_T.isfinite().all()
        assert (weights_T > 0).all()
    assert weighting.weights_T.sum().item() == pytest.approx(num_tasks)


def test_one_task_has_weight_1() -> None:
    weighting = make(1)
    for loss in (1.0, 0.0, 5.0):
        assert step(weighting, torch.tensor([2.0], dtype=torch.float64), torch.tensor([loss])) == [1]


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match=r"weighting\.alpha must be a number of at least 0, found -1"):
        make(alpha=-1.0)
    with pytest.raises(ValueError, match=r"weighting\.learning_rate must be greater than 0, found 0"):
        make(learning_rate=0.0)
    with pytest.raises(ValueError, match=r"weighting\.initial_steps must be at least 1, found 0"):
        make(initial_steps=0)
