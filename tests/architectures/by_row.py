"""Plain, slow references: the equations for one row at a time, on a model's own weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from architectures import Batch
from architectures.layers import FeatureEmbedding

Row = Callable[[Any, Batch, int], list[Tensor]]
"""Gives the outputs of one row, a scalar for each task, from a model, a batch and the row's number."""


def embed(embedding: FeatureEmbedding, batch: Batch, row: int) -> Tensor:
    """(D,) the input of one row."""
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
    """ReLU after every layer."""
    for layer in layers:
        x = linear(layer, x).clamp(min=0)
    return x


def softmax(scores: Tensor) -> Tensor:
    """Shares that sum to one."""
    return scores.exp() / scores.exp().sum()


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + (-x).exp())


def assert_is_by_row(model: Any, batch: Batch, of_row: Row) -> None:
    """In float64, outputs and the gradients of their squares are those of the loop."""
    model, parameters = model.double(), dict(model.named_parameters())
    rows = [of_row(model, batch, row) for row in range(len(batch))]
    expected = {task: torch.stack([row[t] for row in rows]) for t, task in enumerate(model.schema.task_names)}
    found = model(batch)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)

    def gradients(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        loss = torch.stack([(t + 1) * (output**2).sum() for t, output in enumerate(outputs.values())]).sum()
        taken = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(parameters, taken, strict=True))

    torch.testing.assert_close(gradients(found), gradients(expected), rtol=1e-10, atol=1e-10)
