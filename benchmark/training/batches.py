"""From a split to batches: rows on the device, with standardised targets, in a random order.

Axes: R rows, B batch, T tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark.pieces import pieces
from benchmark.rows import Batch, Split
from benchmark.training.targets import TargetScale

WHOLE = 4 << 30  # bytes of the split's arrays up to which all its rows are shuffled together
BLOCK = 1 << 20  # rows in memory at a time of a greater split
RUN = 1 << 14  # rows of a block that lie side by side on the disk, about: each run is one read


class TrainingRows:
    """A split as tensors on the device; on the CPU, features stay memory-mapped.

    A split of at most `whole` bytes is shuffled as one, and its targets are prepared once. A greater one is read in
    blocks: in each epoch it is cut anew, at a random place, into runs of neighbouring rows; a block takes runs at random,
    about a million rows, and these are shuffled. So each row comes once an epoch, and memory does not grow with rows.

    A label whose row has the weight 0 in its task counts as not observed.

    Args:
        split: Usually train.
        scale: How targets are standardised.
        device: Where the model is.
        whole: In bytes; a fixed number, so that machines agree on the order.
    """

    def __init__(self, split: Split, scale: TargetScale, device: torch.device, *, whole: int = WHOLE) -> None:
        self._split, self._scale, self._device = split, scale, device
        self._weight_scale_W = None if split.weights is None else near_their_mean(split.weights)
        known = [self._observed(split.cut(part.start, part.stop)).all(axis=0) for part in pieces(len(split))]
        self.fully_observed = tuple(np.all(known, axis=0).tolist())
        arrays = (split.labels, *split.features.arrays(), *(() if split.weights is None else (split.weights,)))
        self._fits = sum(array.nbytes for array in arrays) <= whole

    @cached_property
    def _whole(self) -> Batch:
        return self._prepared(self._split)

    def __len__(self) -> int:
        return len(self._split)

    def batches(self, batch_size: int, generator: torch.Generator, start: int = 0) -> Iterator[Batch]:
        """One pass in a new random order, from batch `start`; the last batch may be smaller. Do not write to `observed`.

        The order is drawn at once, and batches are gathered one by one.
        """
        if self._fits:
            # the same order in either type; on the CPU it is kept in half the memory
            dtype = torch.int32 if self._device.type == "cpu" else torch.int64
            order = torch.randperm(len(self), generator=generator, dtype=dtype)
            return self._shuffled(self._whole, order, batch_size, start)
        blocks = draw_blocks(len(self), batch_size, generator)
        return self._of_blocks(blocks, batch_size, start)

    def slices(self, batch_size: int = 4096) -> Iterator[Batch]:
        """One pass in the rows' own order."""
        for start in range(0, len(self), batch_size):
            yield self._prepared(self._split.cut(start, start + batch_size))

    def _of_blocks(self, blocks: list[Block], batch_size: int, start: int) -> Iterator[Batch]:
        for block in blocks:
            number = -(-block.num_rows // batch_size)
            if start < number:
                rows = self._prepared(self._split.take(block.rows()))
                yield from self._shuffled(rows, block.order(), batch_size, start)
            start = max(start - number, 0)

    def _shuffled(self, rows: Batch, order: Tensor, batch_size: int, start: int) -> Iterator[Batch]:
        for part in order.to(self._device).split(batch_size)[start:]:
            index = part.long()
            yield Batch(
                rows.features.take(index),
                rows.labels.index_select(0, index),
                # if every label is known, there is no need to gather this
                rows.observed[: len(index)] if all(self.fully_observed) else rows.observed.index_select(0, index),
                None if rows.weights is None else rows.weights.index_select(0, index),
            )

    def _prepared(self, split: Split) -> Batch:
        labels, observed = np.empty(split.labels.shape, np.float32), np.empty(split.labels.shape, np.bool_)
        for part in pieces(len(split)):
            values = (split.labels[part] - self._scale.mean_T.numpy()) / self._scale.std_T.numpy()
            observed[part] = self._observed(split.cut(part.start, part.stop))
            labels[part] = np.nan_to_num(values, nan=0.0)
        weights = self._weights(split)
        return Batch(
            features=split.features.to(self._device),
            labels=torch.from_numpy(labels).to(self._device),
            observed=torch.from_numpy(observed).to(self._device),
            weights=None if weights is None else torch.from_numpy(weights).to(self._device),
        )

    def _observed(self, split: Split) -> np.ndarray:
        observed: np.ndarray = ~np.isnan(split.labels)
        weights = self._weights(split)
        if weights is not None:
            observed &= weights > 0
        return observed

    def _weights(self, split: Split) -> np.ndarray | None:
        """(R, T) float32, near 1, so that no sum of them overflows: a weighted mean does not depend on their scale."""
        if split.weights is None or self._weight_scale_W is None:
            return None
        scaled_RW = split.weights / self._weight_scale_W
        return np.ascontiguousarray(np.broadcast_to(scaled_RW, split.labels.shape), dtype=np.float32)


def near_their_mean(weights_RW: np.ndarray) -> np.ndarray:
    """(W,) the power of two next to the mean of each column; 1 where that is 0. To divide by it changes no digit."""
    means_W = sum(weights_RW[part].sum(axis=0) for part in pieces(len(weights_RW))) / max(len(weights_RW), 1)
    near_W: np.ndarray = np.exp2(np.round(np.log2(np.where(means_W > 0, means_W, 1.0))))
    return near_W


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are in memory together.

    Args:
        starts: (C,) the first rows of its runs, from the place where the epoch cuts.
        run: The rows of a run.
        num_rows: The rows of the block; its last run may be shorter.
        offset: The row at which the epoch cuts.
        size: R.
        seed: Of the order in the block.
    """

    starts: np.ndarray
    run: int
    num_rows: int
    offset: int
    size: int
    seed: int

    def rows(self) -> np.ndarray:
        """The numbers of its rows, as they lie on the disk."""
        places = (self.starts[:, None] + np.arange(self.run)).ravel()[: self.num_rows]
        return np.sort((places + self.offset) % self.size)

    def order(self) -> Tensor:
        """The order of batches, of numbers in `rows`."""
        return torch.randperm(self.num_rows, generator=torch.Generator().manual_seed(self.seed))


def draw_blocks(num_rows: int, batch_size: int, generator: torch.Generator) -> list[Block]:
    """The blocks of an epoch. All but the last have whole batches only.

    Args:
        num_rows: R.
        batch_size: B.
        generator: Draws all of it here, so that the next epoch does not depend on how far this one came.
    """
    run = batch_size * max(RUN // batch_size, 1)
    number = -(-num_rows // run)
    offset = int(torch.randint(num_rows, (), generator=generator))
    order = torch.randperm(number, generator=generator).numpy()
    order = np.append(order[order != number - 1], number - 1)  # the only run that may be shorter ends the last block
    parts = np.array_split(order, max(-(-number * run // max(BLOCK, run)), 1))
    seeds = torch.randint(2**63 - 1, (len(parts),), generator=generator).tolist()
    blocks, left = [], num_rows
    for part, seed in zip(parts, seeds, strict=True):
        rows = min(len(part) * run, left)
        blocks.append(Block(part * run, run, rows, offset, num_rows, seed))
        left -= rows
    return blocks
