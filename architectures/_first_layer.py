"""The exact, fast first layer: a Linear over concatenated field embeddings, without the concatenation.

Axes: B rows of a batch, F categorical fields, V rows of the embedding table, d embedding width, N numeric fields,
D = F d + N input width, O output units, R rows of the product table.

For row b the layer is  h_b = c + sum_f W_f e_f[x_bf] + W_num n_b.  Where a field has few values, the products
P_f = E_f W_f' of all its V_f embeddings cost less than the products of B looked-up rows, and then

    h_b = c + sum over small fields of P[x_bf]  +  (looked-up rows of large fields, times W)  +  W_num n_b.

Both ways are the same sum, so nothing is approximated. The gradient of P[r] is the sum of dh_b over the rows b that
hold r: again a sum of rows, for which `embedding_bag` on the transposed incidence (row numbers grouped by value) is
much faster than its own backward. A field counts as small while V_f <= B / 8; beyond, looking up is cheaper. Fields are
padded to one shape within a bucket of similar size, so that the products of a bucket are one `bmm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# widths of the buckets: a field is padded to the largest cardinality of its bucket
BUCKETS = (10, 64, 1 << 62)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Small fields that share one `bmm`: n fields, padded to M values.

    Args:
        fields: (n,) field numbers.
        rows: (n, M) rows of the embedding table; padding repeats row 0.
        real: positions in the flattened (n * M) that are no padding; table_rows: their rows of the embedding table.
        first: the bucket's first row of the product table.
    """

    fields: Tensor
    rows: Tensor
    real: Tensor
    table_rows: Tensor
    first: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which fields are factored at one batch size, and where their rows lie.

    Args:
        small, large: field numbers; all_small: nothing is large, so that codes need no indexing.
        shift: (F_small,) int32, added to a field's codes to get rows of the product table (R rows).
        start_large: (F_large,) first row of each large field in the embedding table.
    """

    buckets: tuple[Bucket, ...]
    small: Tensor
    large: Tensor
    all_small: bool
    shift: Tensor
    start_large: Tensor
    product_rows: int


def make_plan(cardinalities: Sequence[int], batch_size: int, device: torch.device) -> Plan:
    """Decides for every field, and lays out the product table."""
    starts = np.concatenate([[0], np.cumsum(cardinalities)])[:-1].astype(np.int64)
    small = [f for f, size in enumerate(cardinalities) if size <= batch_size / 8]
    large = [f for f in range(len(cardinalities)) if f not in set(small)]
    buckets, shift, first, least = [], dict.fromkeys(small, 0), 0, 0
    for most in BUCKETS:
        fields = [f for f in small if least < cardinalities[f] <= most]
        least = most
        if not fields:
            continue
        padded = max(cardinalities[f] for f in fields)
        value = np.arange(padded)
        is_real = value < np.array([cardinalities[f] for f in fields])[:, None]
        rows = np.where(is_real, starts[fields][:, None] + value, 0)
        for number, f in enumerate(fields):
            shift[f] = first + number * padded
        buckets.append(
            Bucket(
                fields=torch.tensor(fields, device=device),
                rows=torch.from_numpy(rows).to(device),
                real=torch.from_numpy(np.flatnonzero(is_real)).to(device),
                table_rows=torch.from_numpy(rows[is_real]).to(device),
                first=first,
            )
        )
        first += rows.size
    return Plan(
        buckets=tuple(buckets),
        small=torch.tensor(small, dtype=torch.int64, device=device),
        large=torch.tensor(large, dtype=torch.int64, device=device),
        all_small=not large,
        shift=torch.tensor([shift[f] for f in small], dtype=torch.int32, device=device),
        start_large=torch.from_numpy(starts[large].astype(np.int32)).to(device),
        product_rows=first,
    )


def transposed_bag(codes: Tensor, grad: Tensor, num_rows: int) -> Tensor:
    """The gradient of `embedding_bag(codes, table, mode="sum")` for a table of few rows.

    Shape:
        codes: (B, K) rows of the table; grad: (B, O); returns (num_rows, O).
    """
    flat = codes.flatten()
    if flat.device.type == "cpu":
        keys = flat.numpy()
        # numpy sorts 16-bit keys by radix, three times as fast as a comparison sort
        order = torch.from_numpy(np.argsort(keys.astype(np.uint16) if num_rows < 1 << 16 else keys, kind="stable"))
        ends = torch.from_numpy(np.cumsum(np.bincount(keys, minlength=num_rows)))
    else:
        order = flat.argsort(stable=True)
        ends = flat.bincount(minlength=num_rows).cumsum(0)
    offsets = F.pad(ends, (1, 0))
    rows = order.div_(codes.shape[1], rounding_mode="floor")
    return F.embedding_bag(rows, grad.contiguous(), offsets, mode="sum", include_last_offset=True)


class SumRows(torch.autograd.Function):
    """out[b] = sum_k table[codes[b, k]], with the gradient as a transposed bag."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        """Table (V, d), codes (B, K) -> (B, d)."""
        ctx.save_for_backward(codes)
        ctx.num_rows = len(table)
        return F.embedding_bag(codes, table, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """(B, d) -> (V, d)."""
        (codes,) = ctx.saved_tensors
        return transposed_bag(codes, grads[0], ctx.num_rows), None


class FirstLayer(torch.autograd.Function):
    """h (B, O) = concat(embeddings, numeric) @ weight.T + bias, by the plan."""

    @staticmethod
    def forward(
        ctx: Any, table: Tensor, weight: Tensor, bias: Tensor, codes: Tensor, numeric: Tensor, plan: Plan
    ) -> Tensor:
        """Table (V, d), weight (O, D), bias (O,), codes (B, F) int32, numeric (B, N) -> (B, O)."""
        num_fields, dim = codes.shape[1], table.shape[1]
        split = num_fields * dim
        weight_FdO = weight[:, :split].view(len(weight), num_fields, dim).permute(1, 2, 0)
        out = torch.addmm(bias, numeric, weight[:, split:].t()) if numeric.shape[1] else bias.expand(len(codes), -1)
        product_codes = None
        if plan.buckets:
            product = weight.new_empty(plan.product_rows, len(weight))
            for bucket in plan.buckets:
                embeddings_nMd = F.embedding(bucket.rows, table)
                part = product.narrow(0, bucket.first, bucket.rows.numel()).view(*bucket.rows.shape, -1)
                torch.bmm(embeddings_nMd, weight_FdO.index_select(0, bucket.fields), out=part)
            small_codes = codes if plan.all_small else codes.index_select(1, plan.small)
            product_codes = small_codes + plan.shift
            out = F.embedding_bag(product_codes, product, mode="sum").add_(out)
        if not plan.all_small:
            out = torch.addmm(out, *_large_operands(table, weight_FdO, codes, plan)[:2])
        ctx.save_for_backward(table, weight, codes, numeric, product_codes)
        ctx.plan = plan
        return out.contiguous() if out.stride(0) == 0 else out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """(B, O) -> gradients of table, weight and bias (and of the numeric columns, if asked for)."""
        table, weight, codes, numeric, product_codes = ctx.saved_tensors
        plan, grad = ctx.plan, grads[0].contiguous()
        num_fields, dim = codes.shape[1], table.shape[1]
        split = num_fields * dim
        weight_FdO = weight[:, :split].view(len(weight), num_fields, dim).permute(1, 2, 0)
        d_table = torch.zeros_like(table)
        d_weight = torch.empty_like(weight)
        d_weight_FdO = d_weight[:, :split].view(len(weight), num_fields, dim).permute(1, 2, 0)
        if plan.buckets:
            d_product = transposed_bag(product_codes, grad, plan.product_rows)
            for bucket in plan.buckets:
                d_part = d_product.narrow(0, bucket.first, bucket.rows.numel()).view(*bucket.rows.shape, -1)
                embeddings_nMd = F.embedding(bucket.rows, table)
                d_weight_FdO[bucket.fields] = torch.bmm(embeddings_nMd.transpose(1, 2), d_part)
                d_embeddings = torch.bmm(d_part, weight_FdO.index_select(0, bucket.fields).transpose(1, 2))
                d_table[bucket.table_rows] = d_embeddings.flatten(0, 1).index_select(0, bucket.real)
        if not plan.all_small:
            looked_up, weight_large, rows = _large_operands(table, weight_FdO, codes, plan)
            d_weight_FdO[plan.large] = (looked_up.t() @ grad).view(len(plan.large), dim, -1)
            d_table.index_add_(0, rows.flatten(), (grad @ weight_large.t()).view(-1, dim))
        if numeric.shape[1]:
            torch.mm(grad.t(), numeric, out=d_weight[:, split:])
        d_numeric = grad @ weight[:, split:] if ctx.needs_input_grad[4] else None
        return d_table, d_weight, grad.sum(0), None, d_numeric, None


def _large_operands(table: Tensor, weight_FdO: Tensor, codes: Tensor, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    rows = codes.index_select(1, plan.large) + plan.start_large
    looked_up = F.embedding(rows, table).flatten(1)
    return looked_up, weight_FdO.index_select(0, plan.large).flatten(0, 1), rows
