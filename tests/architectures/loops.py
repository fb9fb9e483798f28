"""References for architectures: plain, slow loops over rows, written from the equations, on a model's own weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from architectures import Architecture
from architectures.layers import FeatureEmbedding, MLPs
from benchmark.contracts.toys import training_loss
from benchmark.rows import Batch

Loop = Callable[[Architecture, Batch], tuple[dict[str, Tensor], Tensor]]
"""Gives {task: (B,) outputs} and the sum of all losses."""


def embed(embedding: FeatureEmbedding, batch: Batch, row: int) -> Tensor:
    """(D,) the input of one row."""
    parts, first = [], 0
    for field, position in zip(embedding.fields, embedding.positions, strict=True):
        parts.append(embedding.small.weight[first + int(batch.categorical[row, position])])
        first += field.cardinality
    return torch.cat([*parts, batch.numeric[row].to(embedding.small.weight)])


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """W x + b."""
    product = torch.stack([(row * x).sum() for row in layer.weight])
    return product if layer.bias is None else product + layer.bias


def mlp(units: MLPs, number: int, x: Tensor) -> Tensor:
    """One of several parallel MLPs."""
    for layer in units.layers:
        x = linear(layer[number], x).relu()
    return x


def mixture(experts: MLPs, gate: nn.Linear, x: Tensor) -> Tensor:
    """Experts, mixed by the softmax of a linear gate."""
    scores = linear(gate, x).exp()
    return sum((scores[e] / scores.sum() * mlp(experts, e, x) for e in range(len(experts.first))), torch.zeros(()))


def cross_entropy(probability: Tensor, label: Tensor | float) -> Tensor:
    """-y log p - (1 - y) log(1 - p)."""
    return -(label * probability.log() + (1 - label) * (1 - probability).log())


def assert_is_loop(model: Architecture, batch: Batch, loop: Loop) -> None:
    """In float64, outputs, the sum of all losses and its gradients are those of the loop."""
    model = model.double()
    parameters = dict(model.named_parameters())

    def gradients(loss: Tensor) -> dict[str, Tensor]:
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(parameters, found, strict=True))

    outputs, loss = loop(model, batch)
    torch.testing.assert_close(model(batch), outputs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.training_step(batch)[0], outputs, rtol=1e-10, atol=1e-10)
    found = training_loss(model, batch)
    torch.testing.assert_close(found, loss, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients(found), gradients(loss), rtol=1e-10, atol=1e-10)
