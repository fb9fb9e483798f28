"""The embedding table of several categorical fields: see `architectures.layers.FeatureEmbedding`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.embeddings import EMBEDDING_STD
from benchmark.schema import CategoricalField
from benchmark.seeding import derive


class EmbeddingTable(nn.Embedding):
    """The d-vectors of several fields, one field's rows below another's.

    Args:
        fields: In the order of their rows.
        positions: The column of each field's codes in the batch.
        embedding_dim: d.
        is_large: May the table have an optimizer of its own? See `benchmark.training.optimizer.Optimizer`.
    """

    seed_name = "embedding"  # the same initial values in every architecture and in every copy within one
    start_F: Tensor
    positions_F: Tensor

    def __init__(
        self, fields: Sequence[CategoricalField], positions: Sequence[int], embedding_dim: int, *, is_large: bool
    ) -> None:
        self.fields = tuple(fields)  # first, as nn.Embedding calls `reset_parameters`
        cardinalities = [field.cardinality for field in fields]
        super().__init__(sum(cardinalities), embedding_dim)
        self.is_large = is_large
        start_F = torch.tensor([0, *cardinalities]).cumsum(0)[:-1].int()
        self.register_buffer("start_F", start_F, persistent=False)
        self.register_buffer("positions_F", torch.tensor(positions, dtype=torch.int64), persistent=False)

    def reset_parameters(self) -> None:
        """N(0, 0.05), each field from a stream of its own."""
        if self.weight.is_meta:  # only its size is asked for
            return
        seed, first = torch.initial_seed(), 0
        for field in self.fields:
            generator = torch.Generator().manual_seed(derive(seed, field.name))
            values = torch.randn(field.cardinality, self.embedding_dim, generator=generator) * EMBEDDING_STD
            with torch.no_grad():
                self.weight[first : first + field.cardinality] = values
            first += field.cardinality

    def rows(self, categorical: Tensor) -> Tensor:
        """(B, F) codes of all fields -> the rows of those of this table, one column a field."""
        return categorical.index_select(1, self.positions_F) + self.start_F
