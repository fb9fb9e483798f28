"""The exact, fast first layer: a Linear over concatenated field embeddings, without the concatenation.

Axes of the input: B rows of a batch, F categorical fields, V rows of an embedding table, d embedding width, N numeric
fields, D = F d + N input width, O output units. Axes of the tables: n fields of a bucket padded to M values, R rows of the
product table, G groups of fields, J rows of the joint table, K looked-up fields.

For row b the layer is  h_b = c + sum_f W_f e_f[x_bf] + W_num n_b.  Where a field has few values, the products
P_f = E_f W_f' of all its V_f embeddings cost less than the products of B looked-up rows: it is factored. Factored
fields are then joined in groups: a group of sex (2 values) and region (5) is a field of 10 values, whose products are
sums of two rows of P. So there are fewer rows to add:

    h_b = sum over groups of joint[x_bg]  +  (looked-up rows of the other fields, times W)  +  W_num n_b,

with c added to the rows of one group. All of this is the same sum in another order: nothing is approximated, and a
combination of values that train never saw has its row too.

The gradient of a looked-up row is the sum of dh_b over the rows b that hold it. That is again a sum of looked-up rows:
`embedding_bag` on the transposed incidence (row numbers grouped by value) computes it much faster than its own backward.

Fields come in ascending order of cardinality, in the tables and in the columns of W (see `FeatureEmbedding`). So the
small table begins with the factored fields, and fields of similar size are side by side. A bucket of them is a view, padded
to one shape, and its products are one `bmm`. `_plan.py` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable

from architectures._plan import Bag, Plan


def transposed(codes: Tensor, num_rows: int) -> Bag:
    """The gradient of `embedding_bag(codes, table, mode="sum")` for a table of few rows, on the CPU, as a sum of rows itself.

    Which rows of the batch hold which row of the table is a sparse matrix; its transpose is a counting sort.

    Shape:
        codes: (B, K) rows of the table; the sum maps (B, O) to (num_rows, O).
    """
    incidence = copy(_incidence(*codes.shape, num_rows))
    incidence.indices = codes.flatten().numpy()
    holders = incidence.tocsc()
    return Bag(torch.from_numpy(holders.indices), torch.from_numpy(holders.indptr))


@lru_cache(maxsize=32)
def _incidence(batch_size: int, width: int, num_rows: int) -> csr_array:
    """(B, num_rows) with `width` ones a row, whose columns are still to be set: making one costs as much as transposing it."""
    starts = width * np.arange(batch_size + 1, dtype=np.int32)
    ones, nowhere = np.ones(batch_size * width, dtype=np.int8), np.zeros(batch_size * width, dtype=np.int32)
    return csr_array((ones, nowhere, starts), shape=(batch_size, num_rows))


class SumRows(torch.autograd.Function):
    """out[b] = sum_k table[codes[b, k]], with the gradient as a transposed bag."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        """Table (V, d), codes (B, K) -> (B, d)."""
        ctx.save_for_backward(codes)
        ctx.num_rows = len(table)
        return F.embedding_bag(codes, table, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(B, d) -> (V, d)."""
        (codes,) = ctx.saved_tensors
        return transposed(codes, ctx.num_rows)(grads[0].contiguous()), None


def sum_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Table (V, d), its rows (B, K) -> (B, d), their sum, with a fast gradient on the CPU."""
    return SumRows.apply(table, rows)  # type: ignore[no-any-return, no-untyped-call]


def by_field(weight: Tensor, dim: int) -> Tensor:
    """The weight's columns field by field, (O, F, d), a view."""
    return weight[:, : weight.shape[1] // dim * dim].view(len(weight), -1, dim)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the layer makes of its parameters alone: needed once a step, and once in a whole evaluation.

    Args:
        tables: The small table and, if there is one, the large: (V, d) each.
        weight: (O, D) and bias: (O,), the Linears one below the other.
        joint: (J, O), what a row adds to the output for each joint value of each group; the bias is in the first group.
        plan: How.
    """

    tables: Sequence[Tensor]
    weight: Tensor
    bias: Tensor
    joint: Tensor
    plan: Plan

    @classmethod
    def of(cls, tables: Sequence[Tensor], layers: Sequence[Tensor | None], plan: Plan) -> Prepared:
        """The embedding tables, and the Linears' parameters as `stack` takes them."""
        weight, bias = stack(layers)
        weight_OFd, embeddings_Rd = by_field(weight, tables[0].shape[1]), F.embedding(plan.rows, tables[0])
        product_RO = weight.new_empty(len(embeddings_Rd), len(weight))
        for bucket in plan.buckets:
            columns_ndO = bucket.columns(weight_OFd).transpose(1, 2)
            torch.bmm(bucket.rows(embeddings_Rd), columns_ndO, out=bucket.rows(product_RO))
        joint_JO = plan.join(product_RO)
        joint_JO[: plan.first_group] += bias
        return cls(tables, weight, bias, joint_JO, plan)

    def output(self, codes: Tensor, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F) codes and (B, N) numbers -> (B, O), and the rows of the joint table that were added up, (B, G)."""
        plan, weight = self.plan, self.weight
        split = weight.shape[1] - numeric.shape[1]
        joint_codes = (codes.double() @ plan.to_joint).add_(plan.joint_start).int()
        out = F.embedding_bag(joint_codes, self.joint, mode="sum") if plan.factored else self.bias.repeat(len(codes), 1)
        for lookup in plan.lookups:
            table = self.tables[lookup.table]
            looked_up = F.embedding(lookup.rows(codes), table).flatten(1)
            out.addmm_(looked_up, weight[:, lookup.columns(table.shape[1])].t())
        if numeric.shape[1]:
            out.addmm_(numeric, weight[:, split:].t())
        return out, joint_codes


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a training step's two halves of the layer read.

    The gradient has two halves: that of the Linears and that of the tables. They are separate functions of autograd, joined
    by `Links`, so that a method that combines the gradients of tasks can take the first half for every task, and the second
    once, for their weighted sum.

    Args:
        prepared: From the parameters.
        codes: (B, F) int32.
        numeric: (B, N), detached.
        holders: Adds up, for each row of the joint table, the rows of the batch that hold it. One sort, for all tasks.
        lookups: For each lookup of the plan, the same for the rows of its table that the batch reads.
        read: For each table, (U,) the rows that the batch reads, in ascending order: all of factored fields, and the others
            that are looked up.
    """

    prepared: Prepared
    codes: Tensor
    numeric: Tensor
    holders: Bag
    lookups: list[Bag]
    read: list[Tensor]

    @classmethod
    def of(cls, prepared: Prepared, codes: Tensor, numeric: Tensor, joint_codes: Tensor) -> Inputs:
        """From the output's codes (B, F), numbers (B, N) and rows of the joint table (B, G)."""
        plan, bags = prepared.plan, []
        read = [torch.arange(plan.factored_values), *(torch.empty(0, dtype=torch.int64) for _ in prepared.tables[1:])]
        for lookup in plan.lookups:
            num_rows = len(prepared.tables[lookup.table]) - lookup.first_row
            every = transposed((lookup.rows(codes) - lookup.first_row).view(-1, 1), num_rows)
            found = every.offsets.diff().nonzero().flatten()
            bags.append(Bag(every.indices, torch.cat([every.offsets[found], every.offsets[-1:]])))
            read[lookup.table] = torch.cat([read[lookup.table], found + lookup.first_row])
        return cls(prepared, codes, numeric.detach(), transposed(joint_codes, plan.num_joint), bags, read)


class RowsRead(torch.autograd.Function):
    """Stands for the rows of a table that a batch reads, each once: a tensor without values, whose gradient is theirs."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, read: Tensor) -> Tensor:
        """Table (V, d), the rows' numbers (U,) -> (U, d)."""
        ctx.save_for_backward(table, read)
        return table.new_zeros(()).expand(len(read), table.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(U, d) -> (V, d)."""
        table, read = ctx.saved_tensors
        if len(read) == len(table):
            return grads[0], None
        return torch.zeros_like(table).index_copy_(0, read, grads[0]), None


class Links(torch.autograd.Function):
    """Stands for the tables in the graph: two tensors without values, whose gradients are all that the tables' need."""

    @staticmethod
    def forward(ctx: Any, inputs: Inputs, *rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows read, (U, d) a table -> the product table (R, O) of factored fields, and the output (B, O) for looked-up ones."""
        ctx.inputs = inputs
        width, zero = len(inputs.prepared.weight), rows[0].new_zeros(())
        return zero.expand(len(inputs.prepared.plan.rows), width), zero.expand(len(inputs.codes), width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """(R, O) and (B, O) -> gradients of the rows read."""
        inputs: Inputs = ctx.inputs
        plan, weight, dim = inputs.prepared.plan, inputs.prepared.weight, inputs.prepared.tables[0].shape[1]
        parts: list[list[Tensor]] = [[] for _ in inputs.read]
        if plan.factored:
            parts[0].append(_factored_tables_backward(grads[0].contiguous(), weight, plan, dim))
        for lookup, holders in zip(plan.lookups, inputs.lookups, strict=True):
            d_looked_up = (grads[1] @ weight[:, lookup.columns(dim)]).view(-1, dim)
            parts[lookup.table].append(holders(d_looked_up))
        nothing = weight.new_empty(0, dim)
        return None, *(part[0] if len(part) == 1 else torch.cat([nothing, *part]) for part in parts)


class FirstLayer(torch.autograd.Function):
    """h = concat(embeddings, numeric) @ weight.T + bias for Linears side by side, by the plan."""

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, rows: Tensor, numeric: Tensor, inputs: Inputs, out: Tensor,
        widths: Sequence[int], *layers: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """The links, numeric (B, N), the output (B, O), the Linears' weights, then their biases -> one (B, width) each."""
        ctx.inputs, ctx.layers = inputs, [None if layer is None else len(layer) for layer in layers]
        return tuple(out.split(list(widths), dim=1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """One (B, width) each -> gradients of the links, of numeric columns if asked for, and of weights and biases."""
        inputs: Inputs = ctx.inputs
        plan, weight, tables, numeric = (
            inputs.prepared.plan,
            inputs.prepared.weight,
            inputs.prepared.tables,
            inputs.numeric,
        )
        grad = torch.cat(grads, dim=1)
        split = weight.shape[1] - numeric.shape[1]
        d_weight, d_bias, d_products_RO = torch.empty_like(weight), None, None
        if plan.factored:
            d_joint_JO = inputs.holders(grad)
            d_bias = d_joint_JO[: plan.first_group].sum(0)
            d_products_RO = plan.split(d_joint_JO)
            _factored_weight_backward(d_products_RO, tables[0], plan, d_weight)
        for lookup in plan.lookups:
            looked_up = F.embedding(lookup.rows(inputs.codes), tables[lookup.table]).flatten(1)
            d_weight[:, lookup.columns(tables[0].shape[1])] = grad.t() @ looked_up
        if numeric.shape[1]:
            d_weight[:, split:] = (numeric.t() @ grad).t()
        d_numeric = grad @ weight[:, split:] if ctx.needs_input_grad[2] else None
        sizes = ctx.layers[: len(ctx.layers) // 2]
        d_weights = d_weight.split(sizes)
        d_biases = (grad.sum(0) if d_bias is None else d_bias).split(sizes)
        given = (d if size is not None else None for d, size in zip(d_biases, ctx.layers[len(sizes) :], strict=True))
        return d_products_RO, grad, d_numeric, None, None, None, *d_weights, *given


class Output(NamedTuple):
    """The layer's output and what a gradient weighting may ask of it.

    Args:
        parts: One (B, width) for each width.
        links: The tensors whose gradients are all that the tables' need.
        rows: For each table, (U, d) the rows that the batch reads, without values.
        to_inputs: For each part, what makes its gradient that of the embeddings side by side, (B, F d).
    """

    parts: tuple[Tensor, ...]
    links: list[Tensor]
    rows: list[Tensor]
    to_inputs: list[Callable[[Tensor], Tensor]]


def first_layer(
    tables: Sequence[Tensor],
    codes: Tensor,
    numeric: Tensor,
    plan: Plan,
    widths: Sequence[int],
    layers: Sequence[Tensor],
) -> Output:
    """`FirstLayer` of the small table and, if there is one, the large."""
    with torch.no_grad():
        prepared = Prepared.of(tables, layers, plan)
        out, joint_codes = prepared.output(codes, numeric)
        inputs = Inputs.of(prepared, codes, numeric, joint_codes)
    read = [RowsRead.apply(table, rows) for table, rows in zip(tables, inputs.read, strict=True)]  # type: ignore[no-untyped-call]
    products, rows = Links.apply(inputs, *read)  # type: ignore[no-untyped-call]
    parts = FirstLayer.apply(products, rows, numeric, inputs, out, widths, *layers)  # type: ignore[no-untyped-call]
    links = [*([products] if plan.factored else []), *([rows] if plan.lookups else [])]
    embedded = prepared.weight.detach()[:, : prepared.weight.shape[1] - numeric.shape[1]]
    return Output(parts, links, read, [partial(torch.matmul, other=part) for part in embedded.split(list(widths))])


def _factored_weight_backward(d_products_RO: Tensor, table: Tensor, plan: Plan, d_weight: Tensor) -> None:
    """Writes the gradient of factored fields' columns, from that of their products."""
    d_weight_OFd, embeddings_Rd = by_field(d_weight, table.shape[1]), F.embedding(plan.rows, table)
    for bucket in plan.buckets:
        d_product_nMO = bucket.rows(d_products_RO)
        bucket.columns(d_weight_OFd).copy_(torch.bmm(d_product_nMO.transpose(1, 2), bucket.rows(embeddings_Rd)))


def _factored_tables_backward(d_products_RO: Tensor, weight: Tensor, plan: Plan, dim: int) -> Tensor:
    """The gradient of factored fields' embeddings, (their values, d), from that of their products."""
    weight_OFd = by_field(weight, dim)
    d_embeddings_Rd = weight.new_empty(len(plan.rows), dim)
    for bucket in plan.buckets:
        torch.bmm(bucket.rows(d_products_RO), bucket.columns(weight_OFd), out=bucket.rows(d_embeddings_Rd))
    return d_embeddings_Rd.index_select(0, plan.real)


def stack(layers: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    """Weights, then biases (or None) of Linears -> one weight (O, D) and one bias (O,)."""
    weights, biases = layers[: len(layers) // 2], layers[len(layers) // 2 :]
    weight = join([w for w in weights if w is not None])
    given = [
        weight.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True) if w is not None
    ]
    return weight, join(given)


def join(parts: Sequence[Tensor]) -> Tensor:
    """Their rows below each other: a copy, or a view where they already lie so and no gradient is asked for.

    `benchmark.training.optimizer.Pack` lays the units of a layer side by side.
    """
    first, num_rows = parts[0], sum(map(len, parts))
    if torch.is_grad_enabled() or not _lie_side_by_side(parts):
        return torch.cat(list(parts))
    return first.as_strided((num_rows, *first.shape[1:]), first.stride())


def _lie_side_by_side(parts: Sequence[Tensor]) -> bool:
    """Does each begin in memory where the one before ends? With the first and the last in one storage, all are in it."""
    first, place = parts[0], parts[0].data_ptr()
    for part in parts:
        is_alike = part.dtype == first.dtype and part.shape[1:] == first.shape[1:] and part.is_contiguous()
        if not is_alike or part.data_ptr() != place:
            return False
        place += part.numel() * part.element_size()
    return parts[-1].untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
