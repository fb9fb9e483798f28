"""Building blocks that every architecture stands on."""

from __future__ import annotations

import pytest
import torch

from architectures._layers import softmax


@pytest.mark.parametrize("shape", [(5, 8), (5, 3, 8), (4, 1)])
def test_softmax_is_torchs_over_the_last_axis_with_its_gradient(shape: tuple[int, ...]) -> None:
    logits = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    toward = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, expected = softmax(logits), torch.softmax(logits, dim=-1)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad((weights * toward).sum(), logits)[0] for weights in (found, expected)]
    torch.testing.assert_close(*gradients)
