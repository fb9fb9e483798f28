"""The Gram matrix of the gradients, where float32 squares overflow or underflow."""

from __future__ import annotations

import pytest
import torch

from benchmark.contracts.weightings import Straight
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.training.gradients import GradientEngine
from benchmark.training.step import Observed


@pytest.mark.parametrize("norms", [(1e-25, 1.0, 1e25), (1e-30, 2e-30, 1e-35), (1e36, 1e30, 1e-3), (1e20, 1.0, 0.0)])
def test_inner_products_neither_overflow_nor_underflow(norms: tuple[float, ...]) -> None:
    rows_TS = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) * torch.tensor(norms)[:, None]
    tasks = tuple(Task(name, BINARY) for name in "abc")
    model = Straight(torch.ones(3), rows_TS)
    losses_T = model()
    outputs = dict(zip("abc", losses_T, strict=True))
    found_TT = GradientEngine(model, Observed(tasks)).observe(losses_T, torch.ones(3).bool(), outputs)
    expected_TT = rows_TS.double() @ rows_TS.double().T
    lengths_T = expected_TT.diagonal().sqrt()
    assert found_TT is not None
    # off the diagonal, terms cancel out
    assert ((found_TT - expected_TT).abs() <= 1e-6 * lengths_T * lengths_T[:, None]).all()
