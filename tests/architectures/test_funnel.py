from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from architectures.funnel import and_logit

GRID = torch.cartesian_prod(*[torch.linspace(-200, 200, 41)] * 2)


def gradients(parent: float, conditional: float, label: float) -> list[float]:
    logits = [torch.tensor([value], requires_grad=True) for value in (parent, conditional)]
    F.binary_cross_entropy_with_logits(and_logit(*logits), torch.tensor([float(label)])).backward()
    return [logit.grad.item() for logit in logits if logit.grad is not None]


def test_it_is_the_logit_of_the_product() -> None:
    parent, conditional = torch.randn(2, 500, dtype=torch.float64) * 5
    expected = (parent.sigmoid() * conditional.sigmoid()).logit()
    torch.testing.assert_close(and_logit(parent, conditional), expected, rtol=1e-9, atol=1e-9)


def test_it_is_finite_and_exact_where_the_product_is_zero_or_one() -> None:
    parent, conditional = GRID.t()
    joint = and_logit(parent, conditional)
    assert joint.isfinite().all()
    naive = parent.sigmoid() * conditional.sigmoid()
    assert ((naive == 0) | (naive == 1)).float().mean() > 0.4
    reference = F.logsigmoid(parent.double()) + F.logsigmoid(conditional.double())
    torch.testing.assert_close(F.logsigmoid(joint).double(), reference, rtol=1e-5, atol=1e-30)
    assert and_logit(parent.bfloat16(), conditional.bfloat16()).isfinite().all()


def test_it_is_commutative_associative_and_below_both() -> None:
    a, b = GRID.t()
    c = a.flip(0)
    assert torch.equal(and_logit(a, b), and_logit(b, a))
    torch.testing.assert_close(and_logit(and_logit(a, b), c), and_logit(a, and_logit(b, c)))
    assert (and_logit(a, b) <= torch.minimum(a, b)).all()


@pytest.mark.parametrize(("parent", "conditional"), [(-12.0, -14.0), (30.0, 30.0), (0.5, -1.0)])
def test_gradients_are_right_where_clamped_probabilities_have_none(parent: float, conditional: float) -> None:
    a, c = torch.tensor([parent, conditional], dtype=torch.float64).sigmoid().tolist()
    assert gradients(parent, conditional, 1) == pytest.approx([a - 1, c - 1], rel=1e-4, abs=1e-9)
    odds = 0.5 if parent == 30 else a * c / (1 - a * c)
    scale = [1.0, 1.0] if parent == 30 else [1 - a, 1 - c]
    assert gradients(parent, conditional, 0) == pytest.approx([odds * scale[0], odds * scale[1]], rel=1e-4)
