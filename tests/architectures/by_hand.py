"""Holds an architecture beside its equations, written as a slow loop over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from architectures import Batch


def linear(layer: nn.Linear, vector: Tensor) -> Tensor:
    """A Linear on one vector."""
    product = torch.stack([(row * vector).sum() for row in layer.weight])
    return product if layer.bias is None else product + layer.bias


def tower(towers: Any, task: int, vector: Tensor) -> Tensor:
    """A task's tower with one output, on one vector."""
    for layer in towers.hidden.layers:
        vector = linear(layer[task], vector).relu()
    return linear(towers.output[task], vector)[0]


def assert_is(model: Any, batch: Batch, of_row: Callable[[Any, Tensor], list[Tensor]]) -> None:
    """Outputs and all gradients, in float64, are those of a function from one embedded row to the tasks' outputs."""
    model.double()
    x_BD = model.embedding(batch).dense()
    slow_BT = torch.stack([torch.stack(of_row(model, x_D)) for x_D in x_BD])
    fast_BT = torch.stack(list(model(batch).values()), dim=1)
    torch.testing.assert_close(fast_BT, slow_BT, rtol=1e-10, atol=1e-10)
    uneven_BT = torch.linspace(1, 2, slow_BT.numel(), dtype=torch.float64).view_as(slow_BT)
    gradients = [torch.autograd.grad(output, list(model.parameters()), uneven_BT) for output in (fast_BT, slow_BT)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)
