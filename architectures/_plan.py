"""What the first layer does with which field at one batch size: factored and joined in groups, or looked up.

Axes, explained in `_first_layer`: B rows of a batch, F fields, d embedding width, O output units. In the tables: n fields
of a bucket padded to M values, R rows of the product table, G groups of fields, J rows of the joint table, K looked-up
fields.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# A field is factored up to B / 4 values; about even there, and far cheaper below.
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
    """n factored fields that share one `bmm`: the fields from `first` on, whose products begin at `row` of R."""

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
class Lookup:
    """K fields side by side in one table, whose rows are looked up.

    Args:
        table: The number of the table: 0 small, 1 large.
        first: The first of them, among all fields.
        first_row: Where its rows begin in the table; those before belong to factored fields.
        positions: (K,) of their codes in the batch.
        starts: (K,) int32 rows of the table where each field begins.
    """

    table: int
    first: int
    first_row: int
    positions: Tensor
    starts: Tensor

    def rows(self, codes: Tensor) -> Tensor:
        """(B, F) codes -> (B, K) rows of the table."""
        return codes[:, self.positions] + self.starts

    def columns(self, dim: int) -> slice:
        """Their columns of the weight."""
        return slice(self.first * dim, (self.first + len(self.positions)) * dim)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which fields are factored at one batch size, and where their rows lie.

    Args:
        factored: The number of factored fields.
        factored_values: The number of their values.
        buckets: They cover the factored fields.
        rows: (R,) rows of the small table; padding repeats row 0.
        real: (factored_values,) True for the R rows that are not padding.
        first_group: The number of joint values of the first group.
        to_joint: (F, G) float64 and joint_start: (G,): codes @ to_joint + joint_start are rows of the joint table.
        join: From the product table to the joint table; split: its transpose.
        num_joint: J.
        lookups: The other fields, at most one lookup a table.
    """

    factored: int
    factored_values: int
    buckets: tuple[Bucket, ...]
    rows: Tensor
    real: Tensor
    first_group: int
    to_joint: Tensor
    joint_start: Tensor
    join: Bag
    split: Bag
    num_joint: int
    lookups: tuple[Lookup, ...]


def make_plan(cardinalities: Sequence[int], positions: Sequence[int], batch_size: int, num_large: int = 0) -> Plan:
    """Decides for every field, and lays out the product table and the joint table.

    Args:
        cardinalities: The fields' cardinalities, ascending.
        positions: The column of each field's codes in the batch.
        batch_size: B.
        num_large: How many fields, the last ones, are in the large table; they are never factored.
    """
    assert list(cardinalities) == sorted(cardinalities)
    num_small = len(cardinalities) - num_large
    factored = sum(size <= batch_size / ROWS_PER_VALUE for size in cardinalities[:num_small])
    buckets, row = [], 0
    ends = {min(factored, sum(size <= most for size in cardinalities)) for most in BUCKETS}
    for first, end in pairwise(sorted({0, *ends})):
        buckets.append(Bucket(first, end - first, values=cardinalities[end - 1], row=row))
        row += (end - first) * cardinalities[end - 1]
    padded = [bucket.row + i * bucket.values for bucket in buckets for i in range(bucket.fields)]
    real = np.concatenate([np.arange(cardinalities[f]) + padded[f] for f in range(factored)] or [np.empty(0, np.int64)])
    rows = np.zeros(row, dtype=np.int64)
    rows[real] = np.arange(len(real))
    groups = join_fields(cardinalities[:factored], min(MOST_JOINT_VALUES, batch_size // 4))
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
        factored=factored,
        factored_values=len(real),
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
        lookups=_make_lookups(cardinalities, positions, factored, num_small),
    )


def _make_lookups(
    cardinalities: Sequence[int], positions: Sequence[int], factored: int, num_small: int
) -> tuple[Lookup, ...]:
    lookups = []
    for table, (begin, first, end) in enumerate(((0, factored, num_small), (num_small, num_small, len(cardinalities)))):
        if first < end:
            starts = np.cumsum([0, *cardinalities[begin:end]])[first - begin : -1]
            codes = torch.tensor(positions[first:end], dtype=torch.int64)
            lookups.append(Lookup(table, first, int(starts[0]), codes, torch.from_numpy(starts.astype(np.int32))))
    return tuple(lookups)


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
