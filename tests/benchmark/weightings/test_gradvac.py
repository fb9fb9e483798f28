"""GradVac against the paper's loop on vectors, PCGrad, and its own targets and stream."""

from __future__ import annotations

import math
from itertools import permutations, product

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.gradvac import GradVac
from benchmark.weightings.pcgrad import PCGrad
from tests.benchmark.weightings.gradients import JACOBIANS


def make(number: int, seed: int = 0, beta: float = 0.01) -> GradVac:
    torch.manual_seed(seed)
    return GradVac(tuple(Task(f"t{task}", BINARY) for task in range(number)), beta=beta)


def ask(weighting: GradVac, jacobian: Tensor, active: list[bool] | None = None) -> Tensor:
    active_T = torch.tensor(active or [True] * len(weighting.tasks))
    return weighting.weights(jacobian @ jacobian.T, torch.ones(len(jacobian)), active_T)


def rows(entries: list[list[float]]) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def by_loop(
    jacobian: Tensor, targets: Tensor, orders: tuple[tuple[int, ...], ...], beta: float
) -> tuple[Tensor, Tensor]:
    """The paper's algorithm 1 on vectors: the update, and the targets after it."""
    targets, total = targets.clone(), torch.zeros_like(jacobian[0])
    for i, order in enumerate(orders):
        v = jacobian[i].clone()
        for j in order:
            g = jacobian[j]
            cosine, target = v @ g / v.norm() / g.norm(), targets[i, j].clone()
            if cosine < target:
                new_sine = (1 - target**2).sqrt()
                numerator = target * (1 - cosine**2).clamp(min=0).sqrt() - cosine * new_sine
                v = v + v.norm() * numerator / (g.norm() * new_sine) * g
            targets[i, j] = (1 - beta) * target + beta * cosine
        total += v
    return total, targets


def test_the_update_and_the_targets_are_those_of_the_paper_s_loop_on_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    orders = list(product(permutations([1, 2]), permutations([0, 2]), permutations([0, 1])))
    for seed in range(10):
        weighting = make(3, seed, beta=0.5)
        for _ in range(4):
            jacobian = torch.randn(3, 5, generator=generator, dtype=torch.float64)
            before = weighting.targets_TT.clone()
            update = ask(weighting, jacobian) @ jacobian
            possible = [by_loop(jacobian, before, order, 0.5) for order in orders]
            assert any(
                torch.allclose(update, expected, rtol=1e-9) and torch.allclose(weighting.targets_TT, after, rtol=1e-9)
                for expected, after in possible
            )


def test_two_tasks_step_by_step_by_hand() -> None:
    weighting = make(2, beta=0.5)
    aligned = rows([[1, 0], [1, 1]])  # cosine sqrt(1/2)
    assert ask(weighting, aligned).tolist() == [1, 1]
    target = math.sqrt(0.5) / 2
    assert weighting.targets_TT.tolist() == [[0, pytest.approx(target)], [pytest.approx(target), 0]]
    orthogonal = rows([[1, 0], [0, 2]])
    weights = ask(weighting, orthogonal)
    share = target / math.sqrt(1 - target**2)  # of unit vectors
    assert weights.tolist() == pytest.approx([1 + 2 * share, 1 + share / 2])
    assert weighting.targets_TT[0, 1].item() == pytest.approx(target / 2)


@pytest.mark.parametrize("case", JACOBIANS)
def test_with_targets_of_zero_it_is_pcgrad(case: str) -> None:
    jacobian = rows(JACOBIANS[case])
    weighting = make(len(jacobian), seed=3, beta=0.0)
    torch.manual_seed(3)
    losses_A = torch.ones(len(jacobian))
    expected = PCGrad(weighting.tasks).weights(jacobian @ jacobian.T, losses_A, losses_A.bool())
    torch.testing.assert_close(ask(weighting, jacobian), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("case", JACOBIANS)
def test_a_common_scale_leaves_weights_and_targets_alone(case: str, factor: float) -> None:
    jacobian = rows(JACOBIANS[case])
    plain, scaled = make(len(jacobian), beta=0.5), make(len(jacobian), beta=0.5)
    for _ in range(3):
        torch.testing.assert_close(ask(scaled, factor * jacobian), ask(plain, jacobian), rtol=1e-9, atol=0)
        torch.testing.assert_close(scaled.targets_TT, plain.targets_TT, rtol=1e-9, atol=1e-12)


def test_equal_gradients_stay_as_they_are_for_ever() -> None:
    weighting = make(3, beta=0.5)
    jacobian = rows([[0.1, 0.7, 0.3]] * 3)
    for _ in range(100):
        assert ask(weighting, jacobian).tolist() == pytest.approx([1.0] * 3, abs=1e-2)


def test_a_conflict_after_long_agreement_has_finite_weights() -> None:
    weighting = make(2, beta=0.5)
    for _ in range(100):
        ask(weighting, rows([[1, 0], [1, 0]]))
    weights = ask(weighting, rows([[1, 0], [-0.6, 0.8]]))
    assert weights.isfinite().all()
    assert (weights < 2e3).all()


def test_a_task_without_labels_keeps_its_targets() -> None:
    weighting = make(3, beta=0.5)
    ask(weighting, rows(JACOBIANS["B"]))
    before = weighting.targets_TT.clone()
    pair = rows(JACOBIANS["B"])[[0, 2]]
    assert ask(weighting, pair, [True, False, True]).shape == (2,)
    kept, moved = weighting.targets_TT[1], weighting.targets_TT[0, 2]
    assert torch.equal(kept, before[1])
    assert moved != before[0, 2]


@pytest.mark.parametrize(
    ("jacobian", "expected"),
    [
        ([[0.0, 0], [1, -1], [-1, 0]], [1.0, 1.5, 2.0]),
        ([[0.0, 0], [0, 0]], [1.0, 1.0]),
        ([[1.0, 0], [-1, 0]], [2.0, 2.0]),  # opposite: each loses its whole gradient
        ([[3.0, 4]], [1.0]),
        ([[1e-3, 0], [0, 1e3]], [1.0, 1.0]),
    ],
)
def test_zero_opposite_and_uneven_gradients(jacobian: list[list[float]], expected: list[float]) -> None:
    weighting = make(len(jacobian))
    assert ask(weighting, rows(jacobian)).tolist() == pytest.approx(expected)
    assert weighting.targets_TT.isfinite().all()


def test_it_draws_nothing_from_the_global_stream() -> None:
    weighting = make(3)
    before = torch.random.get_rng_state()
    ask(weighting, rows(JACOBIANS["D"]))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("beta", [-0.1, 1.5])
def test_beta_must_be_a_share(beta: float) -> None:
    with pytest.raises(ValueError, match=r"weighting\.beta must be from 0 to 1"):
        make(2, beta=beta)
