"""Sums in pieces are numpy's own, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import benchmark.pieces as module
from benchmark.pieces import Moments, moments, on_disk, pieces, total


@pytest.mark.parametrize("piece", [1, 128, 1000])
@pytest.mark.parametrize("count", [1, 7, 127, 128, 129, 1000, 8193, 100_003])
def test_moments_are_those_of_numpy_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, piece: int, count: int) -> None:
    monkeypatch.setattr(module, "PIECE", piece)
    values = np.random.default_rng(count).normal(3, 100, count)
    found = moments(lambda: (values[part] for part in pieces(count, 77)))
    assert found == Moments(count, values.mean(), values.std(), values.min(), values.max())
    assert found.furthest == np.abs(values).max()


def test_a_sum_of_float32_is_numpys_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 200)
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    found = total(iter([values[:1], values[1:4000], values[4000:4000], values[4000:]]), 5000)
    assert found.dtype == np.float32
    assert found == values.sum()


def test_of_no_numbers() -> None:
    assert moments(lambda: [np.zeros(0)]) == Moments()


def test_pieces_cover_the_rows_once() -> None:
    assert [*pieces(0)] == [slice(0, 0)]
    rows = np.arange(10)
    np.testing.assert_array_equal(np.concatenate([rows[part] for part in pieces(10, 3)]), rows)


def test_an_array_on_disk_leaves_no_file(tmp_path: Path) -> None:
    array = on_disk((3, 2), np.float64, tmp_path)
    array[1] = 5
    assert array.tolist() == [[0, 0], [5, 5], [0, 0]]
    assert list(tmp_path.iterdir()) == []
    assert on_disk((0,), np.int8).shape == (0,)
