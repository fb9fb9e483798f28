"""MetaBalance against its equation, layer by layer, and its state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.training.gradients import GradientEngine
from benchmark.weightings.metabalance import MetaBalance

SIZES = (3, 0, 1, 4)  # the second tensor is out of scope


def make(num_tasks: int = 3, num_tensors: int = 4, **options: Any) -> MetaBalance:
    weighting = MetaBalance(tuple(Task(f"t{number}", BINARY) for number in range(num_tasks)), **options)
    weighting.prepare(num_tensors)
    return weighting


def update_of(weighting: MetaBalance, jacobian_TP: Tensor, active: tuple[bool, ...], sizes: tuple[int, ...]) -> Tensor:
    active_T = torch.tensor(active)
    return weighting.combine(jacobian_TP[active_T], torch.ones(int(active_T.sum())), active_T, sizes)


def jacobians(steps: int, num_tasks: int = 3, columns: int = sum(SIZES)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    scale_T1 = torch.tensor([[1.0], [100.0], [0.01], [3.0]], dtype=torch.float64)[:num_tasks]
    return [scale_T1 * torch.randn(num_tasks, columns, generator=generator).double() for _ in range(steps)]


def published(rows: list[Tensor], target: int, strategy: str, relax: float, beta: float) -> list[list[float]]:
    """The rule as a slow loop over steps, tensors and tasks, with averages that start at zero, as in the authors' code."""
    averages = [[0.0] * len(rows[0]) for _ in SIZES]
    updates = []
    for jacobian in rows:
        update: list[float] = []
        for number, piece in enumerate(jacobian.split(list(SIZES), dim=1)):
            average, total = averages[number], torch.zeros(SIZES[number], dtype=torch.float64)
            for task, gradient in enumerate(piece):
                average[task] = beta * average[task] + (1 - beta) * gradient.square().sum().sqrt().item()
            for task, gradient in enumerate(piece):
                larger = average[task] > average[target]
                scaled = SIZES[number] and (strategy == "both" or larger == (strategy == "reduce"))
                ratio = average[target] / average[task] if scaled else 1.0
                total += relax * ratio * gradient + (1 - relax) * gradient
            update += total.tolist()
        updates.append(update)
    return updates


@pytest.mark.parametrize("strategy", ["both", "reduce", "enlarge"])
@pytest.mark.parametrize(("target", "relax", "beta"), [(0, 0.7, 0.9), (1, 1.0, 0.5), (2, 0.3, 0.0)])
def test_with_labels_everywhere_it_is_the_published_rule(strategy: str, target: int, relax: float, beta: float) -> None:
    weighting = make(target=f"t{target}", strategy=strategy, relax=relax, beta=beta)
    rows = jacobians(12)
    for jacobian, expected in zip(rows, published(rows, target, strategy, relax, beta), strict=True):
        found = update_of(weighting, jacobian, (True,) * 3, SIZES)
        assert found.tolist() == pytest.approx(expected, rel=1e-10)


def test_by_hand() -> None:
    """Norms 5 and 10 give .7 * 5 / 10 + .3 = .65; in the next tensor, 2 and .5 give .7 * 4 + .3 = 3.1."""
    jacobian = torch.tensor([[3.0, 4.0, 2.0], [6.0, 8.0, 0.5]], dtype=torch.float64)
    for strategy, expected in {
        "both": [3 + 0.65 * 6, 4 + 0.65 * 8, 2 + 3.1 * 0.5],
        "reduce": [3 + 0.65 * 6, 4 + 0.65 * 8, 2.5],
        "enlarge": [9.0, 12.0, 2 + 3.1 * 0.5],
    }.items():
        found = update_of(make(2, 2, strategy=strategy), jacobian, (True, True), (2, 1))
        assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_without_relaxing_every_gradient_gets_the_target_s_norm() -> None:
    weighting = make(2, 1, relax=1.0, beta=0.0)
    for jacobian in jacobians(3, 2, 5):
        update_P = update_of(weighting, jacobian, (True, True), (5,))
        assert (update_P - jacobian[0]).norm().item() == pytest.approx(jacobian[0].norm().item(), rel=1e-12)


def test_relax_0_and_one_task_and_equal_gradients_give_the_sum() -> None:
    for jacobian in jacobians(3):
        summed = jacobian.sum(dim=0)
        torch.testing.assert_close(update_of(make(relax=0.0), jacobian, (True,) * 3, SIZES), summed)
        torch.testing.assert_close(update_of(make(1), jacobian[:1], (True,), SIZES), jacobian[0])
        same = jacobian[:1].repeat(3, 1)
        torch.testing.assert_close(update_of(make(), same, (True,) * 3, SIZES), 3 * jacobian[0])


def test_scaling_all_gradients_scales_the_update_and_scaling_an_auxiliary_changes_nothing_at_relax_1() -> None:
    plain, scaled, boosted = make(relax=1.0), make(relax=1.0), make(relax=1.0)
    boost_T1 = torch.tensor([[1.0], [1e6], [1e-6]], dtype=torch.float64)
    for jacobian in jacobians(6):
        update_P = update_of(plain, jacobian, (True,) * 3, SIZES)
        found_P = update_of(scaled, 1e-9 * jacobian, (True,) * 3, SIZES)
        torch.testing.assert_close(found_P, 1e-9 * update_P, rtol=1e-9, atol=0)
        found_P = update_of(boosted, boost_T1 * jacobian, (True,) * 3, SIZES)
        torch.testing.assert_close(found_P, update_P, rtol=1e-9, atol=1e-12)


def test_a_task_without_a_label_keeps_its_average_and_late_ones_start_without_bias() -> None:
    weighting = make(2, 1, relax=1.0)
    jacobian = torch.tensor([[3.0, 4.0], [0.0, 10.0]], dtype=torch.float64)
    for _ in range(30):
        assert update_of(weighting, jacobian, (True, False), (2,)).tolist() == [3, 4]
    assert update_of(weighting, jacobian, (True, True), (2,)).tolist() == pytest.approx([3, 9], rel=1e-12)
    # of the target in the batch there is no label, but there is its average
    assert update_of(weighting, jacobian, (False, True), (2,)).tolist() == pytest.approx([0, 5], rel=1e-12)
    fresh = make(2, 1)
    assert update_of(fresh, jacobian, (False, True), (2,)).tolist() == [0, 10]


def test_a_tensor_found_later_disturbs_no_other() -> None:
    early, late = make(2, 3), make(2, 3)
    for number, jacobian in enumerate(jacobians(8, 2, 5)):
        both = update_of(early, jacobian, (True, True), (2, 0, 3))
        if number < 4:
            found = update_of(late, jacobian[:, 2:], (True, True), (0, 0, 3))
        else:
            found = update_of(late, jacobian, (True, True), (2, 0, 3))[2:]
        assert torch.equal(found, both[2:])


@pytest.mark.parametrize("strategy", ["both", "reduce", "enlarge"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_and_far_apart_gradients_stay_finite(dtype: torch.dtype, strategy: str) -> None:
    weighting = make(3, 2, strategy=strategy)
    steps = [[[1e6, 0], [1e-6, 2], [0, 0]], [[0, 0], [0, 0], [0, 0]], [[1e-30, 1e18], [1e6, -1e-22], [1, 0]]]
    for number in range(400):
        jacobian = torch.tensor(steps[0 if number < 3 else 1 if number < 397 else 2], dtype=dtype)
        found = update_of(weighting, jacobian, (True,) * 3, (1, 1))
        assert found.dtype is dtype
        assert found.isfinite().all()
    assert weighting.state_dict()["norms_TN"].isfinite().all()


def test_a_tensor_that_the_target_does_not_reach_keeps_the_sum() -> None:
    jacobian = torch.tensor([[0.0, 0, 1], [3, 4, 2], [6, 8, 1]], dtype=torch.float64)
    assert update_of(make(3, 2), jacobian, (True,) * 3, (2, 1))[:2].tolist() == [9, 12]


def test_its_state_is_complete_before_the_first_step_and_follows_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    weighting = MetaBalance((Task("a", BINARY), Task("b", BINARY)))
    GradientEngine(model, weighting)
    shapes = {name: tuple(value.shape) for name, value in weighting.state_dict().items()}
    assert shapes == {"norms_TN": (2, 5), "masses_TN": (2, 5)}


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match=r"weighting\.target: unknown task 't7'.*known: t0, t1, t2"):
        make(target="t7")
    with pytest.raises(ValueError, match=r"weighting\.relax must be from 0 to 1, found 1\.5"):
        make(relax=1.5)
    with pytest.raises(ValueError, match=r"weighting\.beta must be at least 0 and less than 1, found 1\.0"):
        make(beta=1.0)
