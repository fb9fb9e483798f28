"""References for architectures: plain, slow loops over rows, written from the equations, on a model's own weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from architectures.gates import DSelectK, Gate
from architectures.layers import FeatureEmbedding, MLPs, Towers
from benchmark.contracts.toys import training_loss
from benchmark.rows import Batch

OfInput = Callable[[Any, Tensor], list[Tensor]]
"""The model and one row's embedded input (D,) -> one output per task."""
OfRow = Callable[[Any, Batch, int], list[Tensor]]
"""The model, a batch and the number of a row -> one output per task."""
OfBatch = Callable[[Any, Batch], tuple[dict[str, Tensor], Tensor]]
"""The model and a batch -> {task: (B,) outputs} and the sum of all losses."""


def assert_is_by_input(model: Any, batch: Batch, of_input: OfInput) -> None:
    """As `assert_is_by_row`, for a model whose tasks read nothing but the embedded input."""
    assert_is_by_row(model, batch, lambda model, batch, row: of_input(model, embed(model.embedding, batch, row)))


def assert_is_by_row(model: Any, batch: Batch, of_row: OfRow) -> None:
    """In float64, outputs and the gradients of a random sum of them are those of the loop. Makes the model double."""
    model.double()
    tasks = model.schema.task_names
    rows = [of_row(model, batch, row) for row in range(len(batch))]
    assert {len(row) for row in rows} == {len(tasks)}
    expected = {task: torch.stack([row[t] for row in rows]) for t, task in enumerate(tasks)}
    found = model(batch)
    assert_close(found, expected)
    generator = torch.Generator().manual_seed(0)
    factors = {task: torch.randn(len(rows), generator=generator, dtype=torch.float64) for task in tasks}
    sums = [
        torch.stack([(factors[task] * outputs[task]).sum() for task in tasks]).sum() for outputs in (found, expected)
    ]
    assert_close(*(gradients(model, total) for total in sums))


def assert_is_by_batch(model: Any, batch: Batch, of_batch: OfBatch) -> None:
    """In float64, outputs, the sum of all losses and its gradients are those of the loop. Makes the model double."""
    model.double()
    outputs, loss = of_batch(model, batch)
    assert_close(model(batch), outputs)
    assert_close(model.training_step(batch)[0], outputs)
    found = training_loss(model, batch)
    assert_close(found, loss)
    assert_close(gradients(model, found), gradients(model, loss))


def assert_close(found: Any, expected: Any) -> None:
    """To 1e-10."""
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def gradients(model: nn.Module, value: Tensor) -> dict[str, Tensor]:
    """Of all parameters, each of which must be in the graph, if it has a value at all."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.numel()}
    found = torch.autograd.grad(value, list(parameters.values()), retain_graph=True)
    return dict(zip(parameters, found, strict=True))


def embed(embedding: FeatureEmbedding, batch: Batch, row: int) -> Tensor:
    """(D,) the input of one row: of every field its row of the table, then the numbers."""
    parts, first = [], 0
    for field, position in zip(embedding.fields, embedding.positions, strict=True):
        parts.append(embedding.small.weight[first + int(batch.categorical[row, position])])
        first += field.cardinality
    return torch.cat([*parts, batch.numeric[row].to(embedding.small.weight)])


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """W x + b, one output at a time."""
    product = torch.stack([(weights * x).sum() for weights in layer.weight])
    return product if layer.bias is None else product + layer.bias


def mlp(layers: Iterable[nn.Linear], x: Tensor) -> Tensor:
    """Linear and ReLU, layer by layer."""
    for layer in layers:
        x = linear(layer, x).clamp(min=0)
    return x


def unit(mlps: MLPs, number: int) -> list[nn.Linear]:
    """The layers of one of the parallel MLPs."""
    return [layer[number] for layer in mlps.layers]


def tower(towers: Towers, number: int, x: Tensor) -> Tensor:
    """The output of one task's tower, which has one."""
    hidden = x if towers.hidden is None else mlp(unit(towers.hidden, number), x)
    return linear(towers.output[number], hidden)[0]


def mix(gate: Gate, x: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """Experts (H,), weighed by a gate that reads x."""
    weights = dselect_k(gate, x, len(experts)) if isinstance(gate, DSelectK) else softmax(linear(gate, x))
    return sum((weight * expert for weight, expert in zip(weights, experts, strict=True)), x.new_zeros(()))


def softmax(scores: Tensor) -> Tensor:
    """Shares that sum to one."""
    return scores.exp() / scores.exp().sum()


def dselect_k(gate: DSelectK, x: Tensor, num_experts: int) -> Tensor:
    """One selector, one code and one bit at a time; codes without an expert belong to the first experts."""
    k, m, gamma = gate.k, math.ceil(math.log2(num_experts)), gate.gamma
    outputs = list(linear(gate, x))
    weights = [x.new_zeros(())] * num_experts
    for i, share in enumerate(softmax(torch.stack(outputs[k * m :]))):
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
    return torch.stack(weights)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + (-x).exp())


def cross_entropy(probability: Tensor, label: Tensor | float) -> Tensor:
    """-y log p - (1 - y) log(1 - p)."""
    return -(label * probability.log() + (1 - label) * (1 - probability).log())
