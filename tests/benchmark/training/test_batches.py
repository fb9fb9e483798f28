"""The order of batches: of a split that is shuffled whole, and of one that is read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from benchmark.lists import MultiValuedField
from benchmark.rows import Batch, Features, Split
from benchmark.schema import CategoricalField, NumericField
from benchmark.training import batches as module
from benchmark.training.batches import TrainingRows, draw_blocks
from benchmark.training.targets import TargetScale

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN", 16)
    monkeypatch.setattr(module, "BLOCK", 64)


def numbered(num_rows: int) -> Split:
    """Rows whose code is their number."""
    numbers = np.arange(num_rows)
    labels = np.stack([numbers % 2, np.where(numbers % 3 == 0, np.nan, numbers)], axis=1).astype(np.float64)
    fields = (CategoricalField("number", num_rows), NumericField("x"))
    return Split(Features(fields, numbers[:, None].astype(np.int32), numbers[:, None].astype(np.float32)), labels)


SCALE = TargetScale(torch.tensor([0.0, 400.0], dtype=torch.float64), torch.tensor([1.0, 300.0], dtype=torch.float64))


def rows_of(split: Split, *, whole: int) -> TrainingRows:
    return TrainingRows(split, SCALE, CPU, whole=whole)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(batches: Iterator[Batch]) -> list[list[int]]:
    return [batch.categorical[:, 0].tolist() for batch in batches]


@pytest.mark.parametrize("num_rows", [1, 9, 160, 1000, 1001, 1023])
@pytest.mark.parametrize("batch_size", [1, 10, 16, 30])
def test_every_row_comes_once_in_whole_batches(num_rows: int, batch_size: int) -> None:
    found = numbers(rows_of(numbered(num_rows), whole=0).batches(batch_size, seeded()))
    assert sorted(chain.from_iterable(found)) == list(range(num_rows))
    assert {len(batch) for batch in found[:-1]} <= {batch_size}
    assert len(found) == -(-num_rows // batch_size)


def test_lists_come_with_their_rows() -> None:
    """Row n has the list of n % 4 entries that are all n."""
    lengths = np.arange(1001) % 4
    words = MultiValuedField("words", cardinality=1001)
    bounds = np.append(0, np.cumsum(lengths))
    arrays = {"codes": np.repeat(np.arange(1001), lengths).astype(np.int32), "bounds": bounds}
    split = numbered(1001)
    features = replace(split.features, fields=(*split.features.fields, words), others={words: arrays})
    for whole in (0, 1 << 30):
        for batch in rows_of(replace(split, features=features), whole=whole).batches(30, seeded()):
            found = batch.features.others[words]
            lists = [part.tolist() for part in found["codes"].split(found["bounds"].diff().tolist())]
            assert lists == [[n] * (n % 4) for n in batch.categorical[:, 0].tolist()]


def test_an_epoch_follows_from_the_generator_and_the_next_is_another() -> None:
    rows, generator = rows_of(numbered(1001), whole=0), seeded(7)
    first, second = numbers(rows.batches(10, generator)), numbers(rows.batches(10, generator))
    again = seeded(7)
    assert numbers(rows.batches(10, again)) == first
    list(zip(rows.batches(10, seeded(7)), range(3), strict=False))  # how far a pass came does not matter
    assert numbers(rows.batches(10, again)) == second != first
    assert numbers(rows.batches(10, seeded(8))) != first


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7, 55, 100])
def test_a_pass_can_start_anywhere(start: int) -> None:
    rows = rows_of(numbered(1001), whole=0)
    assert numbers(rows.batches(10, seeded(), start)) == numbers(rows.batches(10, seeded()))[start:]


def test_a_block_is_made_of_runs_of_neighbours_at_random() -> None:
    blocks = draw_blocks(1000, 8, seeded())
    assert max(block.num_rows for block in blocks) <= 64
    for block in blocks[:-1]:
        steps = np.diff(block.rows())
        assert (steps == 1).mean() > 0.9 and (steps > 1).any()
    firsts = {draw_blocks(1000, 8, seeded(seed))[0].offset % 16 for seed in range(30)}
    assert len(firsts) > 5  # runs are cut at other places in every epoch
    means = [np.mean([block.rows().mean() for block in draw_blocks(1000, 8, seeded(seed))[:3]]) for seed in range(40)]
    assert 400 < np.mean(means) < 600


def test_blocks_are_about_equal() -> None:
    sizes = [block.num_rows for block in draw_blocks(16 * 9, 16, seeded())]
    assert sizes == [48, 48, 48], "not 64, 64 and a last one that is hardly shuffled"


def test_batches_have_the_targets_of_their_rows() -> None:
    split = numbered(1001)
    for whole in (0, 1 << 30):
        for batch in rows_of(split, whole=whole).batches(32, seeded()):
            labels = split.labels[batch.categorical[:, 0]]
            assert batch.observed.tolist() == (~np.isnan(labels)).tolist()
            expected = np.nan_to_num((labels - SCALE.mean_T.numpy()) / SCALE.std_T.numpy()).astype(np.float32)
            np.testing.assert_array_equal(batch.labels, expected)
            np.testing.assert_array_equal(batch.numeric[:, 0], batch.categorical[:, 0])


def test_a_split_that_fits_is_shuffled_whole_as_ever() -> None:
    split = numbered(1001)
    size = 1001 * (4 + 4 + 16)
    order = torch.randperm(1001, generator=seeded(3)).split(10)
    assert numbers(rows_of(split, whole=size).batches(10, seeded(3))) == [index.tolist() for index in order]
    assert numbers(rows_of(split, whole=size - 1).batches(10, seeded(3))) != [index.tolist() for index in order]


def test_slices_are_the_rows_in_their_order() -> None:
    for whole in (0, 1 << 30):
        slices = numbers(rows_of(numbered(100), whole=whole).slices(30))
        assert list(chain.from_iterable(slices)) == list(range(100))
