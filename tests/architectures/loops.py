"""Compares an architecture with a slow loop over rows, written from its equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from architectures import Architecture
from benchmark.rows import Batch

Loop = Callable[[Architecture, Tensor], list[Tensor]]
"""The model and one row's embedded input (D,) -> one output per task."""


def assert_is_its_loop(model: Architecture, batch: Batch, loop: Loop) -> None:
    """Outputs, and gradients of a random sum of them, agree in float64 to 1e-10. Makes the model double."""
    model.double()
    tasks = model.schema.task_names
    rows = [loop(model, x) for x in model.embedding(batch).dense()]
    expected = {task: torch.stack([row[t] for row in rows]) for t, task in enumerate(tasks)}
    outputs = model(batch)
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
    generator = torch.Generator().manual_seed(0)
    factors = {task: torch.randn(len(rows), generator=generator, dtype=torch.float64) for task in tasks}
    names, parameters = zip(*model.named_parameters(), strict=True)
    found, wanted = (
        torch.autograd.grad(torch.stack([(factors[task] * y[task]).sum() for task in tasks]).sum(), parameters)
        for y in (outputs, expected)
    )
    for name, gradient, reference in zip(names, found, wanted, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-10, atol=1e-10, msg=lambda text, n=name: f"{n}: {text}")


def mlp(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    """Linear and ReLU, layer by layer."""
    for layer in layers:
        x = (layer.weight @ x + layer.bias).clamp(min=0)
    return x


def unit(model: nn.Module, number: int) -> list[nn.Linear]:
    """The layers of one of the parallel MLPs."""
    return [layer[number] for layer in model.layers]


def softmax_mix(gate: nn.Linear, x: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """Experts (H,) weighed by a softmax gate that reads x."""
    scores = [(row * x).sum().exp() for row in gate.weight]
    assert len(scores) == len(experts)
    return sum((score / sum(scores) * expert for score, expert in zip(scores, experts, strict=True)), x.new_zeros(()))


def tower(model: Architecture, number: int, x: Tensor) -> Tensor:
    """The output of one task's tower."""
    output = model.towers.output[number]
    hidden = x if model.towers.hidden is None else mlp(unit(model.towers.hidden, number), x)
    return (output.weight @ hidden + output.bias)[0]
