"""Gates that scale hidden units, and the embeddings of chosen fields that these gates read: PEPNet and POSO.

Axes: B batch, V inputs of a gate, U units (one per task, or one bottom), G hidden width of a gate, H width of a scaled
layer, F chosen fields, d embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from architectures._tables import EmbeddingTable
from architectures.layers import LARGE_FIELD, MLPs, Units, batched_linear, linear_on_one
from benchmark.rows import Batch
from benchmark.schema import Schema


class FieldEmbedding(nn.Module):
    """Embeddings of chosen categorical fields, in tables of their own: what reads them does not move the other tables.

    Args:
        schema: All fields.
        names: The chosen ones, each once. May be empty.
        embedding_dim: d.
        what: What errors call the names: the parameter that they come from.

    Raises:
        ValueError: if a name is repeated, or if it is not the name of a categorical field.
    """

    def __init__(self, schema: Schema, names: Sequence[str], embedding_dim: int, *, what: str) -> None:
        super().__init__()
        known = {field.name: position for position, field in enumerate(schema.categorical)}
        for name in names:
            if name not in known:
                choices = ", ".join(known) or "none"
                raise ValueError(f"{what} must name categorical fields, found {name!r}; known: {choices}")
        if len({*names}) < len(names):
            raise ValueError(f"{what} must name each field once, found {', '.join(names)}")
        fields = [schema.categorical[known[name]] for name in names]
        self.tables = Units(
            EmbeddingTable([field], [known[field.name]], embedding_dim, is_large=field.cardinality > LARGE_FIELD)
            for field in fields
        )
        self.output_dim = len(fields) * embedding_dim

    def forward(self, batch: Batch) -> list[Tensor]:
        """The F embeddings, (B, d) each."""
        return [table(table.rows(batch.categorical)).flatten(1) for table in self.tables]


class ScalingGates(nn.Module):
    r"""A gate for every layer of every unit: factors from 0 to 2 for its hidden units.

    $$
    \delta = 2\,\sigma\big(W_2 \operatorname{ReLU}(W_1 v + b_1) + b_2\big)
    $$

    Args:
        num_units: U. They read the same input.
        input_dim: V.
        gate_dim: G, at least 1.
        dims: H of each layer.

    Raises:
        ValueError: if `gate_dim` is below 1.
    """

    def __init__(self, num_units: int, input_dim: int, gate_dim: int, dims: Sequence[int]) -> None:
        super().__init__()
        if gate_dim < 1:
            raise ValueError(f"gate_dim must be at least 1, found {gate_dim}")
        self.num_units = num_units
        self.hidden = Units(Units(nn.Linear(input_dim, gate_dim) for _ in range(num_units)) for _ in dims)
        self.output = Units(Units(nn.Linear(gate_dim, width) for _ in range(num_units)) for width in dims)

    def forward(self, inputs_BV: Tensor) -> list[Tensor]:
        """(B, V) -> the factors of each layer, (B, U, H)."""
        layers = [layer for units in self.hidden for layer in units]
        hidden = F.relu(linear_on_one(layers, inputs_BV)).split(self.num_units, dim=1)
        return [
            2 * batched_linear(units, hidden_BUG).sigmoid()
            for units, hidden_BUG in zip(self.output, hidden, strict=True)
        ]


def scaled(mlps: MLPs, first_BUH: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """What `MLPs.after_first` computes, with the output of every layer times its factors.

    Args:
        mlps: U parallel MLPs.
        first_BUH: The output of their first layer, before its ReLU.
        factors: (B, U, H) for each layer.

    Shape:
        returns (B, U, H) of the last layer.
    """
    hidden_BUH: Tensor = mlps.dropout(F.relu(first_BUH)) * factors[0]
    for units, factors_BUH in zip(list(mlps.layers)[1:], factors[1:], strict=True):
        hidden_BUH = mlps.dropout(F.relu(batched_linear(units, hidden_BUH))) * factors_BUH
    return hidden_BUH
