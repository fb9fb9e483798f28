"""Modules that embed lists: one vector a row, whatever the number of its entries.

Axes: B rows of a batch, E entries of all rows, d embedding width. `bounds`, (B + 1,) int64, has where each row's entries
begin, and at last E.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.embeddings import EMBEDDING_STD


class SharedTable(Protocol):
    """The embedding table of a categorical field, for a field that shares it."""

    def rows(self, codes: Tensor) -> Tensor:
        """(E,) codes -> (E, d)."""

    def own(self) -> Tensor:
        """(B, d): each row's own value of the categorical field."""


class SumOfEach(torch.autograd.Function):
    """out[b] = the sum of values[bounds[b]:bounds[b + 1]]: (E, d) -> (B, d), 0 for a row without entries."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, bounds: Tensor) -> Tensor:
        """(E, d), (B + 1,) -> (B, d)."""
        ctx.save_for_backward(bounds)
        if not len(values):
            return values.new_zeros(len(bounds) - 1, values.shape[1])
        every = torch.arange(len(values), device=values.device)
        return F.embedding_bag(every, values, bounds, mode="sum", include_last_offset=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(B, d) -> (E, d)."""
        (bounds,) = ctx.saved_tensors
        return torch.repeat_interleave(grads[0], bounds.diff(), dim=0), None


def sum_of_each(values: Tensor, bounds: Tensor) -> Tensor:
    """(E, d) -> (B, d): the sum of each row's entries."""
    return SumOfEach.apply(values, bounds)  # type: ignore[no-any-return, no-untyped-call]


def mean_of_each(values: Tensor, bounds: Tensor) -> Tensor:
    """(E, d) -> (B, d): the mean of each row's entries, 0 for a row without any."""
    return sum_of_each(values, bounds) / bounds.diff().clamp(1)[:, None]


class BagEmbedding(nn.Module):
    """The mean of the embeddings of a row's values.

    Args:
        cardinality: The codes are in [0, cardinality).
        dim: d.

    Shape:
        codes (E,), bounds (B + 1,) -> (B, d)
    """

    def __init__(self, cardinality: int, dim: int) -> None:
        super().__init__()
        self.table, self.output_dim = nn.Embedding(cardinality, dim), dim

    def reset_parameters(self) -> None:
        """N(0, 0.05), as every embedding."""
        nn.init.normal_(self.table.weight, std=EMBEDDING_STD)

    def forward(self, codes: Tensor, bounds: Tensor) -> Tensor:
        """See the class."""
        return mean_of_each(self.table(codes), bounds)


class SequencePooling(nn.Module):
    """The mean of the embeddings of a row's entries, from the table of a categorical field.

    Args:
        dim: d.

    Shape:
        table, codes (E,), bounds (B + 1,) -> (B, d)
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.output_dim = dim

    def forward(self, table: SharedTable, codes: Tensor, bounds: Tensor) -> Tensor:
        """See the class."""
        return mean_of_each(table.rows(codes), bounds)
