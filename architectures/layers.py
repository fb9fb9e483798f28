"""Building blocks of the architectures: feature embedding, parallel MLPs, towers.

Axes: B batch, F categorical and N numeric fields, d embedding width, D = F d + N input width, U parallel units
(experts, towers), H hidden width, E experts, T tasks.

A unit (one expert, one gate, one tower) keeps Parameters of its own, and the batched product stacks them at forward
time: so autograd can tell which tasks reach it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures._first_layer import FirstLayer, Plan, SumRows, Tables, make_plan, stack
from benchmark.schema import Batch, Schema, Task
from benchmark.seeding import derive

EMBEDDING_STD = 0.05  # N(0, 1), torch's default, costs .05 MSE on MovieLens


class FeatureEmbedding(nn.Module):
    """Every categorical field a table of d-vectors, numeric fields as they are.

    All tables lie in one `nn.Embedding`, field after field, in ascending order of cardinality: the order of the first
    layer's inputs too. `factored` switches between the fast first layer and the plain product; both compute the same
    (tests use it). A forward hook on `table` asks for the plain product too, and sees (B, F, d).

    Args:
        schema: The fields.
        embedding_dim: d.
    """

    factored = True
    seed_name = "embedding"  # the same initial table in every architecture and in every copy within one

    def __init__(self, schema: Schema, embedding_dim: int) -> None:
        super().__init__()
        number = {field.name: position for position, field in enumerate(schema.categorical)}
        self.fields = sorted(schema.categorical, key=lambda field: field.cardinality)
        self.positions = [number[field.name] for field in self.fields]
        self.cardinalities = [field.cardinality for field in self.fields]
        self.embedding_dim = embedding_dim
        self.output_dim = len(self.cardinalities) * embedding_dim + len(schema.numeric)
        self.table = nn.Embedding(sum(self.cardinalities), embedding_dim)
        self.table.seed_name = self.seed_name  # type: ignore[assignment]
        start_F = torch.tensor([0, *self.cardinalities]).cumsum(0)[:-1].int()
        self.register_buffer("start_F", start_F, persistent=False)
        self.register_buffer("positions_F", torch.tensor(self.positions, dtype=torch.int64), persistent=False)
        self._plans: dict[int, Plan] = {}
        self._tables: dict[tuple[int, ...], Tables] | None = None  # kept while parameters are frozen
        self.reset_parameters()

    start_F: Tensor
    positions_F: Tensor

    def reset_parameters(self) -> None:
        """N(0, 0.05), each field from a stream of its own."""
        seed, first = torch.initial_seed(), 0
        for field in self.fields:
            generator = torch.Generator().manual_seed(derive(seed, field.name))
            values = torch.randn(field.cardinality, self.embedding_dim, generator=generator) * EMBEDDING_STD
            with torch.no_grad():
                self.table.weight[first : first + field.cardinality] = values
            first += field.cardinality

    def forward(self, batch: Batch) -> Embedded:
        """The embedded batch; nothing is looked up before it is asked for."""
        return Embedded(self, batch)

    def plan(self, batch_size: int) -> Plan:
        """The first layer's plan at this batch size, made once."""
        if batch_size not in self._plans:
            self._plans[batch_size] = make_plan(self.cardinalities, self.positions, batch_size)
        return self._plans[batch_size]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within, no parameter changes and no gradient is asked for: the first layer's tables are made once."""
        self._tables = {}
        try:
            yield
        finally:
            self._tables = None

    def tables(self, layers: Sequence[nn.Linear], parameters: Sequence[Tensor], plan: Plan) -> Tables:
        """The first layer's tables for these Linears; kept while frozen."""
        kept, key = self._tables, (id(plan), *map(id, layers))
        if kept is None:
            return Tables.of(self.table.weight, parameters, plan)
        if key not in kept:
            kept[key] = Tables.of(self.table.weight, parameters, plan)
        return kept[key]

    @property
    def is_plain(self) -> bool:
        """Does the first layer take the product over the concatenation?"""
        return not self.factored or bool(self.table._forward_hooks) or self.table.weight.device.type != "cpu"


class Embedded:
    """A batch as the first layer sees it: D = F d + N inputs a row."""

    def __init__(self, embedding: FeatureEmbedding, batch: Batch) -> None:
        self.embedding, self.batch = embedding, batch
        self._dense: Tensor | None = None

    @property
    def rows(self) -> Tensor:
        """(B, F): rows of the table."""
        return self.batch.categorical.index_select(1, self.embedding.positions_F) + self.embedding.start_F

    def dense(self) -> Tensor:
        """(B, D): embeddings side by side, fields in ascending order of cardinality, then the numeric fields."""
        if self._dense is None:
            looked_up = self.embedding.table(self.rows).flatten(1)
            self._dense = torch.cat([looked_up, self.batch.numeric.to(looked_up.dtype)], dim=1)
        return self._dense

    def sum(self) -> Tensor:
        """(B, d): the sum of the fields' embeddings; numeric fields take no part."""
        rows, table = self.rows, self.embedding.table
        if self.embedding.is_plain or not rows.shape[1]:
            return table(rows).sum(1)  # type: ignore[no-any-return]
        return SumRows.apply(table.weight, rows)  # type: ignore[no-any-return, no-untyped-call]

    def linear(self, *units: nn.Linear | nn.ModuleList) -> list[Tensor]:
        """Applies ordinary Linears of D inputs in one product.

        Args:
            units: A Linear, or a ModuleList of U Linears of one width O.

        Returns:
            For each: (B, O) for a Linear, (B, U, O) for a list.
        """
        groups = [list(unit) if isinstance(unit, nn.ModuleList) else [unit] for unit in units]
        layers = [cast(nn.Linear, layer) for group in groups for layer in group]
        parameters = [*(layer.weight for layer in layers), *(layer.bias for layer in layers)]
        widths = [sum(cast(nn.Linear, layer).out_features for layer in group) for group in groups]
        if self.embedding.is_plain:
            parts = F.linear(self.dense(), *stack(parameters)).split(widths, dim=1)
        else:
            table, codes = self.embedding.table.weight, self.batch.categorical
            numeric, plan = self.batch.numeric.to(table.dtype), self.embedding.plan(len(codes))
            if torch.is_grad_enabled():
                parts = FirstLayer.apply(table, codes, numeric, plan, widths, *parameters)  # type: ignore[no-untyped-call]
            else:
                tables = self.embedding.tables(layers, parameters, plan)
                parts = tables.output(codes, numeric)[0].split(widths, dim=1)
        return [
            part.unflatten(1, (len(unit), -1)) if isinstance(unit, nn.ModuleList) else part
            for unit, part in zip(units, parts, strict=True)
        ]


def batched_linear(layers: Sequence[nn.Linear], inputs_BUI: Tensor) -> Tensor:
    """Unit u's Linear on its own input: (B, U, I) -> (B, U, O), one product."""
    weight_UOI = torch.stack([layer.weight for layer in layers])
    inputs_UBI, weight_UIO = inputs_BUI.transpose(0, 1), weight_UOI.transpose(1, 2)
    if layers[0].bias is None:
        return torch.bmm(inputs_UBI, weight_UIO).transpose(0, 1)
    bias_U1O = torch.stack([layer.bias for layer in layers]).unsqueeze(1)
    return torch.baddbmm(bias_U1O, inputs_UBI, weight_UIO).transpose(0, 1)


class MLPs(nn.Module):
    """U parallel MLPs of one shape: Linear, ReLU (after the last too) and dropout per width. An MLP is U = 1.

    Args:
        num_units: U.
        input_dim: I, width of each unit's input.
        dims: Widths of the layers, at least one.
        dropout: Probability of zeroing a hidden unit in training.
    """

    def __init__(self, num_units: int, input_dim: int, dims: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        if not dims or min(dims) < 1:
            raise ValueError(f"layer widths must be at least one number of at least 1, found {tuple(dims)}")
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(before, width) for _ in range(num_units))
            for before, width in zip((input_dim, *dims[:-1]), dims, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.output_dim = dims[-1]

    @property
    def first(self) -> nn.ModuleList:
        """The U Linears of the first layer, for `Embedded.linear`."""
        return cast(nn.ModuleList, self.layers[0])

    def after_first(self, first_BUH: Tensor) -> Tensor:
        """The rest, from the first layer's output before its ReLU: (B, U, H1) -> (B, U, H)."""
        hidden_BUH: Tensor = self.dropout(F.relu(first_BUH))
        for layer in list(self.layers)[1:]:
            hidden_BUH = self.dropout(F.relu(batched_linear(layer, hidden_BUH)))  # type: ignore[arg-type]
        return hidden_BUH

    def forward(self, inputs_BUI: Tensor) -> Tensor:
        """(B, U, I) -> (B, U, H), unit u from its own input."""
        return self.after_first(batched_linear(self.first, inputs_BUI))  # type: ignore[arg-type]


class Towers(nn.Module):
    """A tower per task: an MLP, then the task's outputs.

    Args:
        tasks: The tasks: their names, and how many outputs (K) each has.
        input_dim: H.
        dims: Hidden widths of a tower; none: the output reads the input directly.
        dropout: As in `MLPs`.
    """

    def __init__(self, tasks: Sequence[Task], input_dim: int, dims: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.hidden = MLPs(len(tasks), input_dim, dims, dropout) if dims else None
        width = dims[-1] if dims else input_dim
        self.output = nn.ModuleList(nn.Linear(width, task.num_outputs) for task in tasks)

    def forward(self, inputs_BTH: Tensor) -> dict[str, Tensor]:
        """(B, T, H) -> {task: (B,), or (B, K) for K > 1 outputs}."""
        hidden_BTH = inputs_BTH if self.hidden is None else self.hidden(inputs_BTH)
        if len({task.num_outputs for task in self.tasks}) == 1:
            outputs_BTK = batched_linear(self.output, hidden_BTH)  # type: ignore[arg-type]
            outputs = [outputs_BTK[:, number] for number in range(len(self.tasks))]
        else:
            outputs = [layer(hidden_BTH[:, number]) for number, layer in enumerate(self.output)]
        return {
            task.name: output_BK[:, 0] if task.num_outputs == 1 else output_BK
            for task, output_BK in zip(self.tasks, outputs, strict=True)
        }


def make_gates(num_gates: int, input_dim: int, num_experts: int) -> nn.ModuleList:
    """Linear gates without bias, as in the papers of MMoE and PLE; their softmax is taken by the architecture."""
    return nn.ModuleList(nn.Linear(input_dim, num_experts, bias=False) for _ in range(num_gates))
