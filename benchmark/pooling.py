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
        return _sum_of_each(values, bounds)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(B, d) -> (E, d)."""
        return _to_each(grads[0], *ctx.saved_tensors), None


class ToEach(torch.autograd.Function):
    """Every entry gets its row's vector, (B, d) -> (E, d): the transpose of `SumOfEach`, as its gradient is."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, bounds: Tensor) -> Tensor:
        """(B, d), (B + 1,) -> (E, d)."""
        ctx.save_for_backward(bounds)
        return _to_each(rows, bounds)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(E, d) -> (B, d)."""
        return _sum_of_each(grads[0], *ctx.saved_tensors), None


def _sum_of_each(values: Tensor, bounds: Tensor) -> Tensor:
    if not len(values):
        return values.new_zeros(len(bounds) - 1, values.shape[1])
    every = torch.arange(len(values), device=values.device)
    return F.embedding_bag(every, values.contiguous(), bounds, mode="sum", include_last_offset=True)


def _to_each(rows: Tensor, bounds: Tensor) -> Tensor:
    return torch.repeat_interleave(rows, bounds.diff(), dim=0)


def sum_of_each(values: Tensor, bounds: Tensor) -> Tensor:
    """(E, d) -> (B, d): the sum of each row's entries."""
    return SumOfEach.apply(values, bounds)  # type: ignore[no-any-return, no-untyped-call]


def to_each(rows: Tensor, bounds: Tensor) -> Tensor:
    """(B, d) -> (E, d): its row's vector for each entry."""
    return ToEach.apply(rows, bounds)  # type: ignore[no-any-return, no-untyped-call]


def mean_of_each(values: Tensor, bounds: Tensor) -> Tensor:
    """(E, d) -> (B, d): the mean of each row's entries, 0 for a row without any."""
    return sum_of_each(values, bounds) / bounds.diff().clamp(1)[:, None]


class BagEmbedding(nn.Module):
    """The mean, or the sum, of the embeddings of a row's values; 0 for a row without any.

    Args:
        cardinality: The codes are in [0, cardinality).
        dim: d.
        is_mean: The mean, or else the sum.

    Shape:
        codes (E,), bounds (B + 1,) -> (B, d)
    """

    def __init__(self, cardinality: int, dim: int, *, is_mean: bool = True) -> None:
        super().__init__()
        self.table, self.output_dim, self.pool = (
            nn.Embedding(cardinality, dim),
            dim,
            (sum_of_each, mean_of_each)[is_mean],
        )

    def reset_parameters(self) -> None:
        """N(0, 0.05), as every embedding."""
        nn.init.normal_(self.table.weight, std=EMBEDDING_STD)

    def forward(self, codes: Tensor, bounds: Tensor) -> Tensor:
        """See the class."""
        return self.pool(self.table(codes), bounds)


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


class AttentionPooling(nn.Module):
    r"""The sum of the embeddings of a row's entries, weighted by how each goes with the row's own value: DIN.

    Zhou et al.: Deep Interest Network for Click-Through Rate Prediction, KDD 2018, arXiv 1706.06978, equation 3:

    $$
    v(q) = \sum_{j=1}^{L} a(e_j, q)\, e_j, \qquad
    a(e, q) = w^\top \operatorname{PReLU}(W [q;\, e;\, q - e;\, q \odot e] + b) + c
    $$

    - $q$ (d,): the embedding of the row's own value, of the candidate item; $e_1, ..., e_L$: those of the row's entries, of
      what the user had before, from the same table;
    - $[;]$: concatenation; $\odot$: the product of elements;
    - $W$ (H, 4d), $b$, $w$, $c$ and the slope of the PReLU: learned.

    Args:
        dim: d.
        hidden_dim: H, units of the hidden layer.

    Shape:
        table, codes (E,), bounds (B + 1,) -> (B, d).

    Differs from other implementations:
        The weights are not normalised, as in the paper, so that many matching entries count more than few. The authors'
        public code has the same inputs of the unit, but two hidden layers, of 80 and 40 sigmoids, and it divides the weights
        by the root of d and takes their softmax.
    """

    def __init__(self, dim: int, hidden_dim: int = 36) -> None:
        super().__init__()
        self.output_dim = dim
        self.hidden, self.activation, self.output = nn.Linear(4 * dim, hidden_dim), nn.PReLU(), nn.Linear(hidden_dim, 1)

    def reset_parameters(self) -> None:
        """As torch does."""
        for module in (self.hidden, self.activation, self.output):
            module.reset_parameters()

    def forward(self, table: SharedTable, codes: Tensor, bounds: Tensor) -> Tensor:
        """See the class."""
        entries_Ed, own_Ed = table.rows(codes), to_each(table.own(), bounds)
        pairs_EI = torch.cat([own_Ed, entries_Ed, own_Ed - entries_Ed, own_Ed * entries_Ed], dim=1)
        weights_E1 = self.output(self.activation(self.hidden(pairs_EI)))
        return sum_of_each(weights_E1 * entries_Ed, bounds)
