"""Sums by code: over blocks, for large vocabularies, and in groups of fields."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.cards import sums
from tests.benchmark.cards.drawn import make_data


@pytest.mark.parametrize(
    "block", [50, 1 << 17]
)  # with 50 rows a block, `noise` has fewer codes than that, and others more
def test_blocks_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(sums, "BLOCK", block)
    data = make_data(1030)
    fields, told = sums.coded_fields(data.schema, data.train.features), []
    centre = data.train.labels.mean(axis=0)
    data.train.labels[::7, 1] = np.nan
    found = sums.sums_by_code(fields, data.train, centre, told.append)
    assert sum(told) == 1030
    codes = [*data.train.features.categorical.T, fields[2].codes(data.train.features)]
    known = ~np.isnan(data.train.labels[:, 1])
    for field, one, of in zip(fields, found, codes, strict=True):
        for code in range(field.size):
            rows = of == code
            assert one.rows_C[code] == rows.sum()
            assert one.observed_TC[:, code].tolist() == [rows.sum(), (rows & known).sum()]
            assert one.labels_TC[1, code] == pytest.approx((data.train.labels[rows & known, 1] - centre[1]).sum())


def test_bins_of_a_number_are_quantiles_and_codes_begin_at_zero() -> None:
    data = make_data(4000)
    length = sums.coded_fields(data.schema, data.train.features)[2]
    assert length.size == sums.BINS
    counts = np.bincount(length.codes(data.train.features))
    assert len(counts) == sums.BINS and counts.min() == counts.max() == 100


def test_fields_are_grouped_by_what_their_sums_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "NUMBERS_AT_A_TIME", 230)  # 11 a code: 5 of train, 5 of validation, 1 of test
    fields = [sums.Coded(str(size), 0, size) for size in (10, 10, 50, 5, 5)]
    assert [[field.size for field in group] for group in sums.grouped(fields, 2)] == [[10, 10], [50], [5, 5]]
    assert list(sums.grouped([], 2)) == []
