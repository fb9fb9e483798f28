"""DB-MTL against autograd on the losses' logarithms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.db_mtl import DBMTL

JACOBIAN = torch.tensor([[1.0, 2, 0, -1], [-2, 1, 1, 0], [0.5, -1, 3, 2]], dtype=torch.float64)
LOSSES = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)


def weights_of(jacobian: Tensor, losses_A: Tensor) -> Tensor:
    weighting = DBMTL(tuple(Task(f"t{number}", BINARY) for number in range(len(jacobian))))
    return weighting.weights(jacobian @ jacobian.T, losses_A, torch.ones(len(jacobian), dtype=torch.bool))


def test_the_update_is_that_of_the_paper_on_gradients_of_logarithms() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        shared = torch.randn(5, generator=generator, dtype=torch.float64).requires_grad_()
        matrix = torch.randn(3, 5, generator=generator, dtype=torch.float64)
        losses = (matrix @ shared).square() + 0.1
        plain = torch.stack([torch.autograd.grad(loss, shared, retain_graph=True)[0] for loss in losses])
        logarithmic = torch.stack([torch.autograd.grad(loss.log(), shared, retain_graph=True)[0] for loss in losses])
        norms = logarithmic.norm(dim=1)
        expected = (norms.max() / norms) @ logarithmic
        found = weights_of(plain, losses.detach()) @ plain
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_weights_are_those_computed_by_hand() -> None:
    # norms sqrt(6), sqrt(6), sqrt(14.25); over the losses 4.899, 1.225, 37.749
    expected = [37.74917217635375 / norm for norm in (6**0.5, 6**0.5, 14.25**0.5)]
    assert weights_of(JACOBIAN, LOSSES).tolist() == pytest.approx(expected, rel=1e-12)


def test_a_task_s_scale_divides_its_weight() -> None:
    scales = torch.tensor([1e3, 1e-3, 7.0], dtype=torch.float64)
    found = weights_of(scales[:, None] * JACOBIAN, scales * LOSSES)
    torch.testing.assert_close(found, weights_of(JACOBIAN, LOSSES) / scales, rtol=1e-12, atol=0)


def test_tasks_in_another_order_have_the_weights_in_that_order() -> None:
    order = [2, 0, 1]
    assert weights_of(JACOBIAN[order], LOSSES[order]).tolist() == weights_of(JACOBIAN, LOSSES)[order].tolist()


def test_equal_gradients_have_equal_weights() -> None:
    weights = weights_of(JACOBIAN[[0, 0]], LOSSES[:2])
    assert weights[0] == weights[1]


def test_one_task_is_the_logarithm_of_its_loss() -> None:
    assert weights_of(JACOBIAN[:1], LOSSES[:1]).tolist() == pytest.approx([2.0])


def test_a_zero_gradient_is_left_out_and_gets_the_mean_weight() -> None:
    jacobian = torch.cat([JACOBIAN[:2], torch.zeros(1, 4, dtype=torch.float64)])
    one, two = weights_of(JACOBIAN[:2], LOSSES[:2]).tolist()
    assert weights_of(jacobian, LOSSES).tolist() == pytest.approx([one, two, (one + two) / 2])
    assert weights_of(0 * JACOBIAN, LOSSES).tolist() == [1, 1, 1]


@pytest.mark.parametrize("losses", [[0.0, 1e8, 1.0], [0.0, 0.0, 0.0], [1e-300, 1.0, 1e8]])
def test_losses_of_zero_and_a_hundred_million_have_finite_weights(losses: list[float]) -> None:
    weights = weights_of(JACOBIAN, torch.tensor(losses, dtype=torch.float64))
    assert weights.float().isfinite().all()
    assert (weights > 0).all()
    norms = (weights[:, None] * JACOBIAN).norm(dim=1)
    torch.testing.assert_close(norms, norms[:1].expand(3), rtol=1e-12, atol=0)


def test_a_negative_loss_counts_by_its_magnitude() -> None:
    signs = torch.tensor([1, -1, 1], dtype=torch.float64)
    assert weights_of(JACOBIAN, signs * LOSSES).tolist() == weights_of(JACOBIAN, LOSSES).tolist()
    assert weights_of(JACOBIAN, -LOSSES).tolist() == weights_of(JACOBIAN, LOSSES).tolist()


def test_gradients_a_million_apart_get_one_norm() -> None:
    jacobian = torch.tensor([[1e-3, 1e-3], [-1e3, 1e2]], dtype=torch.float64)
    norms = (weights_of(jacobian, LOSSES[:2])[:, None] * jacobian).norm(dim=1)
    assert norms.tolist() == pytest.approx([(1e6 + 1e4) ** 0.5 / 2] * 2)
