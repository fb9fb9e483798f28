"""Compares an architecture with a slow loop over rows, written from its equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from architectures import Architecture
from architectures.gates import DSelectK, Gate
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


def mix(gate: Gate, x: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """Experts (H,) weighed by a gate that reads x."""
    weights = dselect_k(gate, x, len(experts)) if isinstance(gate, DSelectK) else softmax(gate.weight @ x)
    return sum((weight * expert for weight, expert in zip(weights, experts, strict=True)), x.new_zeros(()))


def softmax(scores: Tensor) -> list[Tensor]:
    """One score at a time."""
    return [score.exp() / sum(other.exp() for other in scores) for score in scores]


def dselect_k(gate: DSelectK, x: Tensor, num_experts: int) -> list[Tensor]:
    """One selector, one code and one bit at a time; codes without an expert belong to the first experts."""
    k, m, gamma = gate.k, math.ceil(math.log2(num_experts)), gate.gamma
    outputs = [row @ x + bias for row, bias in zip(gate.weight, gate.bias, strict=True)]
    shares, weights = softmax(torch.stack(outputs[k * m :])), [x.new_zeros(())] * num_experts
    for i, share in enumerate(shares):
        bits = []
        for z in outputs[i * m : (i + 1) * m]:
            smooth = -2 * z**3 / gamma**3 + 3 * z / (2 * gamma) + 0.5
            bits.append(z * 0 if z <= -gamma / 2 else z * 0 + 1 if z >= gamma / 2 else smooth)
        for code in range(2**m):
            product = share
            for written, bit in zip(f"{code:0{m}b}", bits, strict=True):
                product = product * (bit if written == "1" else 1 - bit)
            expert = code if code < num_experts else code - num_experts
            weights[expert] = weights[expert] + product
    return weights


def tower(model: Architecture, number: int, x: Tensor) -> Tensor:
    """The output of one task's tower."""
    output = model.towers.output[number]
    hidden = x if model.towers.hidden is None else mlp(unit(model.towers.hidden, number), x)
    return (output.weight @ hidden + output.bias)[0]
