"""GradDrop against its equation, its expectation, and its own stream of randomness."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.graddrop import GradDrop

JACOBIAN = torch.tensor(
    [[1.0, -2.0, 0.0, 3.0, 0.0, -1.0], [2.0, 1.0, 0.0, -1.0, -4.0, -1.0], [3.0, 0.5, 0.0, -2.0, 0.0, 0.0]],
    dtype=torch.float64,
)


def make(num_tasks: int = 3, seed: int = 0, **options: float) -> GradDrop:
    torch.manual_seed(seed)
    return GradDrop(tuple(Task(f"t{number}", BINARY) for number in range(num_tasks)), **options)


def update_of(weighting: GradDrop, jacobian_AP: Tensor) -> Tensor:
    active_T = torch.ones(len(jacobian_AP), dtype=torch.bool)
    return weighting.combine(jacobian_AP, torch.ones(len(jacobian_AP)), active_T, (jacobian_AP.shape[1],))


@pytest.mark.parametrize("leak", [0.0, 0.25, 1.0])
def test_it_is_the_paper_s_loop_with_the_same_draws(leak: float) -> None:
    weighting, again = make(leak=leak), make(leak=leak)
    for _ in range(20):
        uniform_P = again._draw(JACOBIAN[0])
        expected = []
        for gradients, uniform in zip(JACOBIAN.T.tolist(), uniform_P.tolist(), strict=True):
            size = sum(map(abs, gradients))
            purity = 0.5 * (1 + sum(gradients) / size) if size else 0.5
            masks = [(g > 0 and purity > uniform) or (g < 0 and purity <= uniform) for g in gradients]
            expected.append(sum((leak + (1 - leak) * mask) * g for mask, g in zip(masks, gradients, strict=True)))
        assert update_of(weighting, JACOBIAN).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_sign_is_kept_as_often_as_its_share() -> None:
    """The column (-2, 1, .5) has P = 1.5 / 3.5, the column (3, -1, -2) has P = 1/2."""
    weighting = make()
    updates = torch.stack([update_of(weighting, JACOBIAN) for _ in range(4000)])
    assert set(updates[:, 1].tolist()) == {1.5, -2.0}
    assert (updates[:, 1] > 0).double().mean().item() == pytest.approx(1.5 / 3.5, abs=0.03)
    assert set(updates[:, 3].tolist()) == {3.0, -3.0}
    assert (updates[:, 3] > 0).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_without_conflict_it_is_the_sum() -> None:
    jacobian = torch.rand(4, 1000, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, -1.0] * 500)
    weighting = make(4)
    for _ in range(20):
        torch.testing.assert_close(update_of(weighting, jacobian), jacobian.sum(dim=0))


def test_one_task_keeps_its_gradient() -> None:
    gradient_1P = torch.randn(1, 1000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(update_of(make(1), gradient_1P), gradient_1P[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_zero_and_far_apart_are_harmless(dtype: torch.dtype) -> None:
    rows = [[0.0, 1e-6, -1e-40], [0.0, -1e6, 1e-40], [0.0, 0.0, 0.0]]
    weighting = make()
    for _ in range(50):
        update_P = update_of(weighting, torch.tensor(rows, dtype=dtype))
        assert update_P.dtype is dtype
        assert update_P.isfinite().all()
        assert update_P[0] == 0


def test_permuting_tasks_and_scaling_all_gradients_change_nothing_else() -> None:
    plain, permuted, scaled = make(), make(), make()
    for _ in range(10):
        update_P = update_of(plain, JACOBIAN)
        torch.testing.assert_close(update_of(permuted, JACOBIAN[[2, 0, 1]]), update_P)
        torch.testing.assert_close(update_of(scaled, 1e-9 * JACOBIAN), 1e-9 * update_P)


def test_each_step_and_each_seed_draws_anew_and_a_resumed_run_as_before() -> None:
    jacobian = torch.randn(3, 200, generator=torch.Generator().manual_seed(1))
    weighting = make()
    first, second = update_of(weighting, jacobian), update_of(weighting, jacobian)
    assert not torch.equal(first, second)
    assert not torch.equal(update_of(make(seed=1), jacobian), first)
    resumed = make(seed=2)
    resumed.load_state_dict(weighting.state_dict())
    assert torch.equal(update_of(resumed, jacobian), update_of(weighting, jacobian))


def test_it_draws_nothing_from_the_global_stream() -> None:
    weighting = make()
    before = torch.random.get_rng_state()
    update_of(weighting, JACOBIAN)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("leak", [-0.1, 1.1, float("nan")])
def test_a_leak_is_a_share(leak: float) -> None:
    with pytest.raises(ValueError, match=r"weighting\.leak must be from 0 to 1"):
        make(leak=leak)
