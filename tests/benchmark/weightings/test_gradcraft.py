"""GradCraft against vectors computed by the public rule, a loop on gradients, and its moving average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.gradcraft import GradCraft

A = torch.tensor([[-4.0, 1, 1], [6, 1, 1]], dtype=torch.float64)
OTHERS = {
    "B": [[1.0, 2, 0, -1], [-2, 1, 1, 0], [0.5, -1, 3, 2]],
    "C": [[1.0, 0], [0, 100]],
    "D": [[1.0, 2], [2, 4], [-1, 0]],
    "E": [[1.0, 0.5], [-100, 40]],
}


def make(number: int, **options: float) -> GradCraft:
    return GradCraft(tuple(Task(f"t{task}", BINARY) for task in range(number)), **options)


def ask(weighting: GradCraft, jacobian: Tensor, active: list[bool] | None = None) -> Tensor:
    active_T = torch.tensor(active or [True] * len(weighting.tasks))
    return weighting.weights(jacobian @ jacobian.T, torch.ones(len(jacobian)), active_T)


def by_loop(jacobian: Tensor, balance: float, margin: float) -> Tensor:
    """The rule on the gradients themselves, with each step's own norms."""
    norms = jacobian.norm(dim=1, keepdim=True)
    scaled = balance * jacobian * norms.max() / norms + (1 - balance) * jacobian
    total = torch.zeros_like(jacobian[0])
    for gradient in scaled:
        conflicting = scaled[scaled @ gradient < 0]
        if len(conflicting):
            wanted = margin * gradient.norm() * conflicting.norm(dim=1) - conflicting @ gradient
            gradient = gradient + torch.linalg.pinv(conflicting @ conflicting.T, rtol=1e-9) @ wanted @ conflicting
        total += gradient / len(jacobian)
    return total


@pytest.mark.parametrize(
    ("margin", "expected"), [(0.0, [0.173196, 2.258190, 2.258190]), (0.1, [0.182603, 2.380838, 2.380838])]
)
def test_updates_are_those_of_the_public_code(margin: float, expected: list[float]) -> None:
    update = ask(make(2, margin=margin), A) @ A
    assert update.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.1])
@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_updates_are_those_of_the_rule_on_gradients(balance: float, margin: float) -> None:
    generator = torch.Generator().manual_seed(0)
    jacobians = [torch.randn(tasks, 12, generator=generator, dtype=torch.float64) for tasks in (2, 3, 4, 10)]
    for jacobian in [A, *(torch.tensor(rows, dtype=torch.float64) for rows in OTHERS.values()), *jacobians]:
        found = ask(make(len(jacobian), balance=balance, margin=margin), jacobian) @ jacobian
        torch.testing.assert_close(found, by_loop(jacobian, balance, margin), rtol=1e-8, atol=1e-9)


def test_with_two_tasks_the_update_opposes_neither() -> None:
    for jacobian in (A, torch.tensor(OTHERS["E"], dtype=torch.float64)):
        assert (jacobian @ (ask(make(2, margin=0.1), jacobian) @ jacobian) > 0).all()


def test_with_a_balance_of_one_a_task_s_scale_divides_its_weight_up_to_the_target() -> None:
    jacobian = torch.tensor(OTHERS["B"], dtype=torch.float64)
    scales = torch.tensor([2.0, 1e-3, 5.0], dtype=torch.float64)
    found, plain = ask(make(3), scales[:, None] * jacobian) * scales, ask(make(3), jacobian)
    torch.testing.assert_close(found / found.sum(), plain / plain.sum(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("case", OTHERS)
def test_a_common_scale_leaves_the_weights_alone(case: str, factor: float) -> None:
    jacobian = torch.tensor(OTHERS[case], dtype=torch.float64)
    found = ask(make(len(jacobian)), factor * jacobian)
    torch.testing.assert_close(found, ask(make(len(jacobian)), jacobian), rtol=1e-9, atol=0)


def test_tasks_in_another_order_have_the_weights_in_that_order() -> None:
    jacobian = torch.tensor(OTHERS["B"], dtype=torch.float64)
    torch.testing.assert_close(ask(make(3), jacobian[[2, 0, 1]]), ask(make(3), jacobian)[[2, 0, 1]], rtol=1e-12, atol=0)


def test_equal_gradients_have_equal_weights() -> None:
    assert ask(make(3), A[[0, 0, 0]]).tolist() == pytest.approx([1 / 3] * 3)


def test_norms_are_averaged_over_steps_as_in_the_public_code() -> None:
    weighting = make(2, momentum=0.5)
    averages = torch.zeros(2, dtype=torch.float64)
    for scale in (1.0, 10.0, 0.1):
        jacobian = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, scale]], dtype=torch.float64)
        averages = 0.5 * averages + 0.5 * jacobian.norm(dim=1)  # the public code's, from 0
        assert ask(weighting, jacobian).tolist() == pytest.approx((averages.max() / averages / 2).tolist())


def test_a_task_that_comes_late_is_not_scaled_up() -> None:
    weighting = make(2, momentum=0.9)
    jacobian = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    for _ in range(20):
        ask(weighting, jacobian[:1], [True, False])
    assert ask(weighting, jacobian).tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("jacobian", "expected"),
    [
        ([[0.0, 0], [1, 0], [0, 1]], [1 / 3] * 3),  # a zero gradient keeps the factor 1
        ([[0.0, 0], [0, 0]], [0.5, 0.5]),
        ([[1.0, 0], [-1, 0]], [1.0, 1.0]),  # opposite: each projection is zero
        ([[3.0, 4]], [1.0]),
        ([[1e-3, 0], [0, 1e3]], [5e5, 0.5]),
    ],
)
def test_zero_opposite_and_uneven_gradients(jacobian: list[list[float]], expected: list[float]) -> None:
    found = ask(make(len(jacobian)), torch.tensor(jacobian, dtype=torch.float64))
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("options", [{"balance": 1.5}, {"margin": -0.1}, {"momentum": 1.0}])
def test_options_outside_their_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"weighting.{next(iter(options))} must be"):
        make(2, **options)
