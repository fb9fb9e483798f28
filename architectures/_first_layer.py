"""The exact, fast first layer: a Linear over concatenated field embeddings, without the concatenation.

Axes: B rows of a batch, F categorical fields, V rows of the embedding table, d embedding width, N numeric fields,
D = F d + N input width, O output units, n fields of a bucket padded to M values, R rows of the product table, G groups
of fields, J rows of the joint table.

For row b the layer is  h_b = c + sum_f W_f e_f[x_bf] + W_num n_b.  Where a field has few values, the products
P_f = E_f W_f' of all its V_f embeddings cost less than the products of B looked-up rows. Small fields are then joined
in groups: a group of sex (2 values) and region (5) is a field of 10 values, whose products are sums of two rows of P.
So there are fewer rows to add:

    h_b = sum over groups of joint[x_bg]  +  (looked-up rows of large fields, times W)  +  W_num n_b,

with c added to the rows of one group. All of this is the same sum in another order: nothing is approximated, and a
combination of values that train never saw has its row too.

The gradient of a looked-up row is the sum of dh_b over the rows b that hold it: again a sum of looked-up rows, for which
`embedding_bag` on the transposed incidence (row numbers grouped by value) is much faster than its own backward.

Fields come in ascending order of cardinality, in the table and in the columns of W (see `FeatureEmbedding`). So small
fields are the first ones, and fields of similar size stand side by side: a bucket of them is a view, padded to one
shape, and its products are one `bmm`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable

# A field counts as small up to B / 4 values; about even there, and far cheaper below.
ROWS_PER_VALUE = 4
# A group of fields has at most so many joint values, and at most B / 4.
MOST_JOINT_VALUES = 256
# Buckets end at these cardinalities: padding costs little within one.
BUCKETS = (10, 25, 64, 1 << 62)


@dataclass(frozen=True, slots=True)
class Bag:
    """A constant sum of rows: out[i] = sum of table[indices[offsets[i]:offsets[i + 1]]]."""

    indices: Tensor
    offsets: Tensor

    def __call__(self, table: Tensor) -> Tensor:
        """Rows of the table -> sums of rows."""
        return F.embedding_bag(self.indices, table, self.offsets, mode="sum", include_last_offset=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """n small fields that share one `bmm`: the fields from `first` on, whose products begin at `row` of R."""

    first: int
    fields: int
    values: int
    row: int

    def rows(self, table: Tensor) -> Tensor:
        """Its rows of a table of R rows: (n, M, width), a view."""
        return table.narrow(0, self.row, self.fields * self.values).view(self.fields, self.values, -1)

    def columns(self, weight_OFd: Tensor) -> Tensor:
        """Its columns of the weight: (n, O, d), a view."""
        return weight_OFd.narrow(1, self.first, self.fields).transpose(0, 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which fields are factored at one batch size, and where their rows lie.

    Args:
        small: The number of small fields.
        small_values: The number of their values.
        buckets: They cover the small fields.
        rows: (R,) rows of the embedding table; padding repeats row 0.
        real: (small_values,) which of the R rows are no padding.
        first_group: The number of joint values of the first group.
        to_joint: (F, G) float64 and joint_start: (G,): codes @ to_joint + joint_start are rows of the joint table.
        join: From the product table to the joint table; split: its transpose.
        num_joint: J.
        large: (F - small,) positions of the large fields among the codes, and large_start, the rows where they begin.
    """

    small: int
    small_values: int
    buckets: tuple[Bucket, ...]
    rows: Tensor
    real: Tensor
    first_group: int
    to_joint: Tensor
    joint_start: Tensor
    join: Bag
    split: Bag
    num_joint: int
    large: Tensor
    large_start: Tensor


def make_plan(cardinalities: Sequence[int], positions: Sequence[int], batch_size: int) -> Plan:
    """Decides for every field, and lays out the product table and the joint table.

    Args:
        cardinalities: Of the fields, ascending.
        positions: Where the codes of each stand in the batch.
        batch_size: B.
    """
    assert list(cardinalities) == sorted(cardinalities)
    starts = np.concatenate([[0], np.cumsum(cardinalities)]).astype(np.int64)
    small = sum(size <= batch_size / ROWS_PER_VALUE for size in cardinalities)
    buckets, row = [], 0
    ends = {min(small, sum(size <= most for size in cardinalities)) for most in BUCKETS}
    for first, end in pairwise(sorted({0, *ends})):
        buckets.append(Bucket(first, end - first, values=cardinalities[end - 1], row=row))
        row += (end - first) * cardinalities[end - 1]
    padded = [bucket.row + i * bucket.values for bucket in buckets for i in range(bucket.fields)]
    real = np.concatenate([np.arange(cardinalities[f]) + padded[f] for f in range(small)] or [np.empty(0, np.int64)])
    rows = np.zeros(row, dtype=np.int64)
    rows[real] = np.arange(len(real))
    groups = join_fields(cardinalities[:small], min(MOST_JOINT_VALUES, batch_size // 4))
    to_joint = np.zeros((len(cardinalities), len(groups)))
    sizes, first_part = [], [0]
    parts: list[np.ndarray] = [np.empty(0, np.int64)]
    for g, group in enumerate(groups):
        shape = [cardinalities[f] for f in group]
        values = np.indices(shape).reshape(len(group), -1).T
        parts.append((values + np.array([padded[f] for f in group])).ravel())
        sizes.append(len(values))
        first_part += [len(group)] * len(values)
        for f, step in zip(group, np.cumprod([1, *shape[:0:-1]])[::-1], strict=True):
            to_joint[positions[f], g] = step
    indices, num_joint = np.concatenate(parts), sum(sizes)
    holders = np.repeat(np.arange(num_joint), first_part[1:])[np.argsort(indices, kind="stable")]
    return Plan(
        small=small,
        small_values=int(starts[small]),
        buckets=tuple(buckets),
        rows=torch.from_numpy(rows),
        real=torch.from_numpy(real),
        first_group=sizes[0] if sizes else 0,
        to_joint=torch.from_numpy(to_joint),
        joint_start=torch.from_numpy(np.cumsum([0, *sizes])[:-1].astype(np.float64)),
        join=Bag(torch.from_numpy(indices), torch.from_numpy(np.cumsum(first_part))),
        split=Bag(
            torch.from_numpy(holders),
            torch.from_numpy(np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=row))])),
        ),
        num_joint=num_joint,
        large=torch.tensor(list(positions[small:]), dtype=torch.int64),
        large_start=torch.from_numpy(starts[small:-1].astype(np.int32)),
    )


def join_fields(cardinalities: Sequence[int], most: int) -> list[list[int]]:
    """Groups of fields: the two smallest are joined as long as they have at most `most` values together."""
    heap = [(size, [f]) for f, size in enumerate(cardinalities)]
    heapq.heapify(heap)
    while len(heap) > 1:
        smallest, group = heapq.heappop(heap)
        if smallest * heap[0][0] > most:
            heapq.heappush(heap, (smallest, group))
            break
        next_size, next_group = heap[0]
        heapq.heapreplace(heap, (smallest * next_size, [*group, *next_group]))
    return [group for _, group in heap]


def transposed_bag(codes: Tensor, grad: Tensor, num_rows: int) -> Tensor:
    """The gradient of `embedding_bag(codes, table, mode="sum")` for a table of few rows, on the CPU.

    Which rows of the batch hold which row of the table is a sparse matrix; its transpose is a counting sort.

    Shape:
        codes: (B, K) rows of the table; grad: (B, O); returns (num_rows, O).
    """
    incidence = copy(_incidence(*codes.shape, num_rows))
    incidence.indices = codes.flatten().numpy()
    transposed = incidence.tocsc()
    rows, offsets = torch.from_numpy(transposed.indices), torch.from_numpy(transposed.indptr)
    return F.embedding_bag(rows, grad, offsets, mode="sum", include_last_offset=True)


@lru_cache(maxsize=32)
def _incidence(batch_size: int, width: int, num_rows: int) -> csr_array:
    """(B, num_rows) with `width` ones a row, whose columns are still to be set: making one costs as much as transposing it."""
    starts = np.arange(0, batch_size * width + 1, width, dtype=np.int32)
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
        return transposed_bag(codes, grads[0].contiguous(), ctx.num_rows), None


def by_field(weight: Tensor, table: Tensor) -> Tensor:
    """The weight's columns field by field, (O, F, d), a view."""
    dim = table.shape[1]
    return weight[:, : weight.shape[1] // dim * dim].view(len(weight), -1, dim)


@dataclass(frozen=True, slots=True)
class Tables:
    """What the layer makes of its parameters alone: needed once a step, and once in a whole evaluation.

    Args:
        table: (V, d); weight: (O, D) and bias: (O,), the Linears one below the other.
        joint: (J, O), what a row adds to the output for each joint value of each group; the bias is in the first group.
        plan: How.
    """

    table: Tensor
    weight: Tensor
    bias: Tensor
    joint: Tensor
    plan: Plan

    @classmethod
    def of(cls, table: Tensor, layers: Sequence[Tensor | None], plan: Plan) -> Tables:
        """The embedding table, and the Linears' parameters as `stack` takes them."""
        weight, bias = stack(layers)
        weight_OFd, embeddings_Rd = by_field(weight, table), F.embedding(plan.rows, table)
        product_RO = table.new_empty(len(embeddings_Rd), len(weight))
        for bucket in plan.buckets:
            columns_ndO = bucket.columns(weight_OFd).transpose(1, 2)
            torch.bmm(bucket.rows(embeddings_Rd), columns_ndO, out=bucket.rows(product_RO))
        joint_JO = plan.join(product_RO)
        joint_JO[: plan.first_group] += bias
        return cls(table, weight, bias, joint_JO, plan)

    def output(self, codes: Tensor, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F) codes and (B, N) numbers -> (B, O), and the rows of the joint table that were added up, (B, G)."""
        plan, weight = self.plan, self.weight
        split = weight.shape[1] - numeric.shape[1]
        joint_codes = (codes.double() @ plan.to_joint).add_(plan.joint_start).int()
        out = F.embedding_bag(joint_codes, self.joint, mode="sum") if plan.small else self.bias.repeat(len(codes), 1)
        if len(plan.large):
            looked_up = F.embedding(codes[:, plan.large] + plan.large_start, self.table).flatten(1)
            out.addmm_(looked_up, weight[:, plan.small * self.table.shape[1] : split].t())
        if numeric.shape[1]:
            out.addmm_(numeric, weight[:, split:].t())
        return out, joint_codes


class FirstLayer(torch.autograd.Function):
    """h = concat(embeddings, numeric) @ weight.T + bias for Linears side by side, by the plan."""

    @staticmethod
    def forward(
        ctx: Any, table: Tensor, codes: Tensor, numeric: Tensor, plan: Plan, widths: Sequence[int], *layers: Tensor
    ) -> tuple[Tensor, ...]:
        """Table (V, d), codes (B, F) int32, numeric (B, N), the Linears' weights, then their biases -> one (B, width) each."""
        tables = Tables.of(table, layers, plan)
        out, joint_codes = tables.output(codes, numeric)
        ctx.save_for_backward(table, tables.weight, codes, numeric, joint_codes)
        ctx.plan, ctx.layers = plan, [None if layer is None else len(layer) for layer in layers]
        return tuple(out.split(list(widths), dim=1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """One (B, width) each -> gradients of the table, of numeric columns if asked for, and of weights and biases."""
        table, weight, codes, numeric, joint_codes = ctx.saved_tensors
        plan: Plan = ctx.plan
        grad = torch.cat(grads, dim=1)
        split = weight.shape[1] - numeric.shape[1]
        d_table, d_weight = torch.empty_like(table), torch.empty_like(weight)
        d_bias = None
        if plan.small:
            d_joint_JO = transposed_bag(joint_codes, grad, plan.num_joint)
            d_bias = d_joint_JO[: plan.first_group].sum(0)
            _product_backward(table, weight, plan.split(d_joint_JO), plan, d_table, d_weight)
        if len(plan.large):
            large = slice(plan.small * table.shape[1], split)
            rows = codes[:, plan.large] + plan.large_start
            d_weight[:, large] = grad.t() @ F.embedding(rows, table).flatten(1)
            d_looked_up = (grad @ weight[:, large]).view(-1, table.shape[1])
            held = (rows - plan.small_values).view(-1, 1)
            d_table[plan.small_values :] = transposed_bag(held, d_looked_up, len(table) - plan.small_values)
        if numeric.shape[1]:
            d_weight[:, split:] = (numeric.t() @ grad).t()
        d_numeric = grad @ weight[:, split:] if ctx.needs_input_grad[2] else None
        sizes = ctx.layers[: len(ctx.layers) // 2]
        d_weights = d_weight.split(sizes)
        d_biases = (grad.sum(0) if d_bias is None else d_bias).split(sizes)
        given = (d if size is not None else None for d, size in zip(d_biases, ctx.layers[len(sizes) :], strict=True))
        return d_table, None, d_numeric, None, None, *d_weights, *given


def _product_backward(
    table: Tensor, weight: Tensor, d_product_RO: Tensor, plan: Plan, d_table: Tensor, d_weight: Tensor
) -> None:
    """Writes the gradients of small fields' embeddings and columns, from that of their products."""
    weight_OFd, d_weight_OFd = by_field(weight, table), by_field(d_weight, table)
    embeddings_Rd = F.embedding(plan.rows, table)
    d_embeddings_Rd = torch.empty_like(embeddings_Rd)
    for bucket in plan.buckets:
        d_product_nMO = bucket.rows(d_product_RO)
        bucket.columns(d_weight_OFd).copy_(torch.bmm(d_product_nMO.transpose(1, 2), bucket.rows(embeddings_Rd)))
        torch.bmm(d_product_nMO, bucket.columns(weight_OFd), out=bucket.rows(d_embeddings_Rd))
    torch.index_select(d_embeddings_Rd, 0, plan.real, out=d_table[: plan.small_values])


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
