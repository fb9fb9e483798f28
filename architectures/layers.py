"""Building blocks of the architectures: feature embedding, parallel MLPs, towers.

Axes of the input: B batch, F categorical fields, N numbers beside them (numeric fields and the embeddings of other kinds
of fields), d embedding width, D = F d + N input width. Axes of the network: U parallel units (experts, towers), H hidden
width, E experts, T tasks.

A unit (one expert, one gate, one tower) keeps Parameters of its own, and the batched product stacks them at forward
time: so autograd can tell which tasks reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures._first_layer import Prepared, first_layer, stack, sum_rows
from architectures._plan import Plan, make_plan
from benchmark.embeddings import EMBEDDING_STD, Link
from benchmark.rows import Batch
from benchmark.schema import CategoricalField, Schema, Task
from benchmark.seeding import derive

# A field of more values is in the large table. From about here on, an update of the rows that a batch reads can cost less
# than a dense one, so such a table may have an optimizer of its own (see `benchmark.training.optimizer`).
LARGE_FIELD = 50_000

M = TypeVar("M", bound=nn.Module)


class Units(nn.ModuleList, Generic[M]):
    """A `nn.ModuleList` whose modules are of one type, which a type checker then knows."""

    def __init__(self, modules: Iterable[M] = ()) -> None:
        super().__init__(modules)

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())

    @overload
    def __getitem__(self, idx: slice) -> Units[M]: ...
    @overload
    def __getitem__(self, idx: int) -> M: ...
    def __getitem__(self, idx: int | slice) -> M | Units[M]:
        return cast("M | Units[M]", super().__getitem__(idx))


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


class FeatureEmbedding(nn.Module):
    """Categorical fields as rows of tables of d-vectors, numeric fields unchanged, other fields as their kind says.

    Fields are in ascending order of cardinality, and so are the first layer's inputs. Fields of up to `LARGE_FIELD` values
    share one `EmbeddingTable`, `small`; larger ones share `large`, which is None if there are none.
    `factored` switches between the fast first layer and the plain product; both compute the same (tests use it). A
    forward hook on a table asks for the plain product too, and sees the table's rows, (B, its fields, d).

    Args:
        schema: The fields.
        embedding_dim: d.
    """

    factored = True

    def __init__(self, schema: Schema, embedding_dim: int) -> None:
        super().__init__()
        number = {field.name: position for position, field in enumerate(schema.categorical)}
        self.fields = sorted(schema.categorical, key=lambda field: field.cardinality)
        self.positions = [number[field.name] for field in self.fields]
        self.cardinalities = [field.cardinality for field in self.fields]
        self.embedding_dim = embedding_dim
        self.others: Units[Any] = Units(field.embedding(embedding_dim) for field in schema.others)
        self.other_fields = schema.others
        for field, module in zip(schema.others, self.others, strict=True):
            module.seed_name = f"embedding {field.name}"  # as in EmbeddingTable
        self.numbers_dim = len(schema.numeric) + sum(module.output_dim for module in self.others)
        self.output_dim = len(self.fields) * embedding_dim + self.numbers_dim
        end = sum(size <= LARGE_FIELD for size in self.cardinalities)
        self.small = EmbeddingTable(self.fields[:end], self.positions[:end], embedding_dim, is_large=False)
        self.large: EmbeddingTable | None = None
        if self.fields[end:]:
            self.large = EmbeddingTable(self.fields[end:], self.positions[end:], embedding_dim, is_large=True)
        self.links: list[Link] | None = None  # of the present step, if a gradient weighting asks for them
        self._plans: dict[int, Plan] = {}
        self._prepared: dict[tuple[int, ...], Prepared] | None = None  # kept while parameters are frozen

    @property
    def tables(self) -> tuple[EmbeddingTable, ...]:
        """The small table and, if there is one, the large."""
        return (self.small,) if self.large is None else (self.small, self.large)

    if TYPE_CHECKING:

        def __call__(self, batch: Batch) -> Embedded:
            """`forward`, with its types: nn.Module says Any."""

    def forward(self, batch: Batch) -> Embedded:
        """The embedded batch; nothing is looked up before it is asked for."""
        return Embedded(self, batch)

    def plan(self, batch_size: int) -> Plan:
        """The first layer's plan at this batch size, made once."""
        if batch_size not in self._plans:
            num_large = 0 if self.large is None else len(self.large.fields)
            self._plans[batch_size] = make_plan(self.cardinalities, self.positions, batch_size, num_large)
        return self._plans[batch_size]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within, no parameter changes and no gradient is asked for: what the first layer prepares is made once."""
        self._prepared = {}
        try:
            yield
        finally:
            self._prepared = None

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Within, the first layer takes the product over the concatenation."""
        before, self.factored = self.factored, False
        try:
            yield
        finally:
            self.factored = before

    def prepared(self, layers: Sequence[nn.Linear], parameters: Sequence[Tensor], plan: Plan) -> Prepared:
        """What the first layer makes of tables and Linears; kept while frozen."""
        kept, key = self._prepared, (id(plan), *map(id, layers))
        if kept is not None and key in kept:
            return kept[key]
        made = Prepared.of([table.weight for table in self.tables], parameters, plan)
        if kept is not None:
            kept[key] = made
        return made

    @property
    def is_plain(self) -> bool:
        """Does the first layer take the product over the concatenation?"""
        is_hooked = any(table._forward_hooks for table in self.tables)
        return not self.factored or is_hooked or self.small.weight.device.type != "cpu"


class Embedded:
    """A batch as the first layer sees it: D = F d + N inputs a row."""

    def __init__(self, embedding: FeatureEmbedding, batch: Batch) -> None:
        self.embedding, self.batch = embedding, batch
        self._dense: Tensor | None = None
        self._numbers: Tensor | None = None
        self._rows: list[Tensor] | None = None

    def numbers(self) -> Tensor:
        """(B, N): the numeric fields, then what fields of other kinds are embedded to."""
        if self._numbers is None:
            embedding, dtype = self.embedding, self.embedding.small.weight.dtype
            parts = [self.batch.numeric.to(dtype)]
            for field, module in zip(embedding.other_fields, embedding.others, strict=True):
                arrays = self.batch.features.others[field].items()
                inputs: dict[str, Any] = {name: a.to(dtype) if a.is_floating_point() else a for name, a in arrays}
                if field.shares is not None:
                    inputs["table"] = TableOfField(self, field.shares)
                parts.append(module(**inputs))
            self._numbers = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return self._numbers

    def dense(self) -> Tensor:
        """(B, D): embeddings side by side, fields in ascending order of cardinality, then the numbers."""
        if self._dense is None:
            parts = [rows_BKd.flatten(1) for rows_BKd in self._fields()]
            self._dense = torch.cat([*parts, self.numbers()], dim=1)
        return self._dense

    def _fields(self) -> list[Tensor]:
        """(B, its fields, d) for each table."""
        if self._rows is None:
            self._rows = [self._looked_up(table) for table in self.embedding.tables]
        return self._rows

    def sum(self) -> Tensor:
        """(B, d): the sum of the categorical fields' embeddings; the numbers take no part."""
        sums_Bd = [self._sum(table) for table in self.embedding.tables]
        return sums_Bd[0] if len(sums_Bd) == 1 else sums_Bd[0] + sums_Bd[1]

    def _sum(self, table: EmbeddingTable) -> Tensor:
        rows = table.rows(self.batch.categorical)
        if self.embedding.is_plain or not rows.shape[1]:
            return self._looked_up(table).sum(1)
        summed = sum_rows(table.weight, rows)
        self._keep(summed, lambda grad: self._placed(table, grad.unsqueeze(1).expand(-1, rows.shape[1], -1)))
        return summed

    def _looked_up(self, table: EmbeddingTable) -> Tensor:
        looked_up: Tensor = table(table.rows(self.batch.categorical))
        self._keep(looked_up, partial(self._placed, table))
        return looked_up

    def _placed(self, table: EmbeddingTable, grad_BKd: Tensor) -> Tensor:
        """(B, its fields, d) -> (B, F d), with zeros for the fields of the other table."""
        parts = [
            grad_BKd if other is table else grad_BKd.new_zeros(len(grad_BKd), len(other.fields), grad_BKd.shape[2])
            for other in self.embedding.tables
        ]
        return torch.cat(parts, dim=1).flatten(1)

    def _keep(
        self,
        tensor: Tensor,
        to_inputs: Callable[[Tensor], Tensor] | None = None,
        *,
        feeds_tables: bool = True,
        owner: object = None,
        rows_of: EmbeddingTable | None = None,
    ) -> None:
        links = self.embedding.links
        if links is not None and self.embedding.training and tensor.requires_grad:
            links.append(Link(self if owner is None else owner, tensor, to_inputs, feeds_tables, rows_of))

    def linear(self, *units: nn.Linear | nn.ModuleList) -> list[Tensor]:
        """Applies ordinary Linears of D inputs in one product.

        Args:
            units: A Linear, or a list of U Linears of one width O.

        Returns:
            For each: (B, O) for a Linear, (B, U, O) for a list.
        """
        groups = [cast(list[nn.Linear], list(unit) if isinstance(unit, nn.ModuleList) else [unit]) for unit in units]
        layers = [layer for group in groups for layer in group]
        parameters = [*(layer.weight for layer in layers), *(layer.bias for layer in layers)]
        widths = [sum(layer.out_features for layer in group) for group in groups]
        parts = self._parts(layers, parameters, widths)
        return [
            part.unflatten(1, (len(unit), -1)) if isinstance(unit, nn.ModuleList) else part
            for unit, part in zip(units, parts, strict=True)
        ]

    def _parts(self, layers: Sequence[nn.Linear], parameters: Sequence[Tensor], widths: list[int]) -> Sequence[Tensor]:
        """The product, split into these widths."""
        embedding, codes = self.embedding, self.batch.categorical
        if embedding.is_plain:
            return F.linear(self.dense(), *stack(parameters)).split_with_sizes(widths, dim=1)
        numbers, plan = self.numbers(), embedding.plan(len(codes))
        if torch.is_grad_enabled():
            tables = [table.weight for table in embedding.tables]
            output = first_layer(tables, codes, numbers, plan, widths, parameters)
            for table, rows in zip(embedding.tables, output.rows, strict=True):
                self._keep(rows, feeds_tables=False, rows_of=table)
            for link in output.links:
                self._keep(link)
            for part, to_inputs in zip(output.parts, output.to_inputs, strict=True):
                self._keep(part, to_inputs, feeds_tables=False)
            return output.parts
        return embedding.prepared(layers, parameters, plan).output(codes, numbers)[0].split_with_sizes(widths, dim=1)


class TableOfField:
    """The table of one categorical field, for the module of a field that shares it. See `benchmark.pooling.SharedTable`.

    Args:
        embedded: The batch.
        name: The categorical field.
    """

    def __init__(self, embedded: Embedded, name: str) -> None:
        self.embedded = embedded
        for number, table in enumerate(embedded.embedding.tables):
            names = [field.name for field in table.fields]
            if name in names:
                self.number, self.table, self.place = number, table, names.index(name)

    def rows(self, codes: Tensor) -> Tensor:
        """(E,) codes -> (E, d)."""
        embedded, rows = self.embedded, codes + self.table.start_F[self.place]
        if embedded.embedding.is_plain:
            looked_up: Tensor = self.table(rows)
        else:
            looked_up = sum_rows(self.table.weight, rows[:, None])
        # entries are inputs of their own, so their gradients are compared beside those of the fields
        embedded._keep(looked_up, lambda gradient: gradient, owner=looked_up)
        return looked_up

    def own(self) -> Tensor:
        """(B, d): each row's own value of the categorical field."""
        embedded, table, place = self.embedded, self.table, self.place
        if embedded.embedding.is_plain:
            return embedded._fields()[self.number][:, place]
        rows_BK = table.rows(embedded.batch.categorical)
        own_Bd = sum_rows(table.weight, rows_BK[:, place : place + 1])
        others_BKd = rows_BK[:, :, None]

        def to_inputs(gradient: Tensor) -> Tensor:
            placed_BKd = gradient.new_zeros(*others_BKd.shape[:2], gradient.shape[1])
            placed_BKd[:, place] = gradient
            return embedded._placed(table, placed_BKd)

        embedded._keep(own_Bd, to_inputs)
        return own_Bd


def linear_on_one(units: Iterable[nn.Linear], inputs: Tensor) -> Tensor:
    """Linears of one width on one input, in one product: (..., I) -> (..., U, O)."""
    layers = list(units)
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    outputs: Tensor = F.linear(inputs, weight, bias).unflatten(-1, (len(layers), -1))
    return outputs


def batched_linear(units: Iterable[nn.Linear], inputs_BUI: Tensor) -> Tensor:
    """Unit u's Linear on its own input: (B, U, I) -> (B, U, O), one product."""
    layers = list(units)
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
        self.layers = Units(
            Units(nn.Linear(before, width) for _ in range(num_units))
            for before, width in zip((input_dim, *dims[:-1]), dims, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.output_dim = dims[-1]

    @property
    def first(self) -> Units[nn.Linear]:
        """The U Linears of the first layer, for `Embedded.linear`."""
        return self.layers[0]

    def after_first(self, first_BUH: Tensor) -> Tensor:
        """The rest, from the first layer's output before its ReLU: (B, U, H1) -> (B, U, H)."""
        hidden_BUH: Tensor = self.dropout(F.relu(first_BUH))
        for units in list(self.layers)[1:]:
            hidden_BUH = self.dropout(F.relu(batched_linear(units, hidden_BUH)))
        return hidden_BUH

    if TYPE_CHECKING:

        def __call__(self, inputs_BUI: Tensor) -> Tensor:
            """`forward`, with its types: nn.Module says Any."""

    def forward(self, inputs_BUI: Tensor) -> Tensor:
        """(B, U, I) -> (B, U, H), unit u from its own input."""
        return self.after_first(batched_linear(self.first, inputs_BUI))


class Towers(nn.Module):
    """A tower per task: an MLP, then the task's outputs.

    Attributes:
        ends_trunk: Its input is the trunk's output, at which `weighting.scope=output` measures gradients.

    Args:
        tasks: The tasks: their names, and how many outputs (K) each has.
        input_dim: H.
        dims: Hidden widths of a tower; none: the output reads the input directly.
        dropout: As in `MLPs`.
    """

    ends_trunk = True

    def __init__(self, tasks: Sequence[Task], input_dim: int, dims: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.hidden = MLPs(len(tasks), input_dim, dims, dropout) if dims else None
        width = dims[-1] if dims else input_dim
        self.output = Units(nn.Linear(width, task.num_outputs) for task in tasks)

    if TYPE_CHECKING:

        def __call__(self, inputs_BTH: Tensor) -> dict[str, Tensor]:
            """`forward`, with its types: nn.Module says Any."""

    def forward(self, inputs_BTH: Tensor) -> dict[str, Tensor]:
        """(B, T, H) -> {task: (B,), or (B, K) for K > 1 outputs}."""
        hidden_BTH = inputs_BTH if self.hidden is None else self.hidden(inputs_BTH)
        if len({task.num_outputs for task in self.tasks}) == 1:
            outputs_BTK = batched_linear(self.output, hidden_BTH)
            outputs = [outputs_BTK[:, number] for number in range(len(self.tasks))]
        else:
            outputs = [layer(hidden_BTH[:, number]) for number, layer in enumerate(self.output)]
        return {
            task.name: output_BK[:, 0] if task.num_outputs == 1 else output_BK
            for task, output_BK in zip(self.tasks, outputs, strict=True)
        }
