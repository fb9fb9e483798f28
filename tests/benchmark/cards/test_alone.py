"""A field as the only input: by hand, and against scikit-learn on the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from benchmark.cards.alone import (
    FEWEST,
    SMOOTHING,
    auc,
    auc_alone,
    auc_apart,
    auc_in_order,
    correlation_in_order,
    r2_alone,
)
from benchmark.cards.sums import CodeSums


def sums_of(codes: np.ndarray, labels: np.ndarray, size: int, centre: float) -> CodeSums:
    found = CodeSums.zeros(size, 1)
    known = ~np.isnan(labels)
    found.add(codes, np.where(known, labels - centre, 0.0)[None], known[None].astype(float))
    return found


def test_auc_of_codes_by_hand() -> None:
    # scores 0, 1, 1, 2: the positive at 1 beats the two negatives at 0 and ties with one; the two at 2 beat all four
    found = auc(np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 0, 2]), np.array([2.0, 0, 1, 1]))
    assert found == pytest.approx((2 + 0.5 + 2 * (3 + 0.5)) / (3 * 4))
    assert auc(np.zeros(2), np.array([3.0, 0]), np.array([0.0, 0])) is None


def test_a_field_alone_agrees_with_its_predictions_row_by_row() -> None:
    rng = np.random.default_rng(0)
    train_codes, codes = rng.integers(1, 30, 4000), rng.integers(0, 30, 1500)  # 0: not in train
    rates = rng.random(30)
    train_labels, labels = (rng.random(len(c)) < rates[c] for c in (train_codes, codes))
    train_labels = np.where(rng.random(4000) < 0.1, np.nan, train_labels)
    mean = float(np.nanmean(train_labels))
    train, validation = sums_of(train_codes, train_labels, 30, mean), sums_of(codes, labels.astype(float), 30, mean)
    known = ~np.isnan(train_labels)
    predictions = np.full(30, mean)
    for code in range(30):
        of = train_labels[known & (train_codes == code)]
        predictions[code] = (of.sum() + SMOOTHING * mean) / (len(of) + SMOOTHING)
    assert auc_alone(train, validation, 0, mean) == pytest.approx(roc_auc_score(labels, predictions[codes]), abs=1e-12)
    squares = float(np.square(labels - mean).sum())
    assert r2_alone(train, validation, 0, squares) == pytest.approx(r2_score(labels, predictions[codes]), abs=1e-12)


def test_too_few_rows_are_not_judged() -> None:
    codes, labels = np.repeat([1, 2], 60), np.repeat([0.0, 1.0], 60)
    train = sums_of(codes, labels, 3, 0.5)
    few = np.r_[np.arange(40), np.arange(60, 60 + FEWEST - 1)]
    assert auc_alone(train, sums_of(codes[few], labels[few], 3, 0.5), 0, 0.5) is None
    enough = np.r_[np.arange(40), np.arange(60, 60 + FEWEST)]
    assert auc_alone(train, sums_of(codes[enough], labels[enough], 3, 0.5), 0, 0.5) == 1
    assert r2_alone(train, sums_of(codes[:29], labels[:29] + 0.1, 3, 0.5), 0, 9.0) is None
    constant = sums_of(codes[:60], labels[:60], 3, 0.0)
    assert r2_alone(train, constant, 0, 0.0) is None


def test_an_id_in_the_order_of_the_label_is_found_and_another_is_not() -> None:
    rng = np.random.default_rng(1)
    labels = np.sort((rng.random(2000) < 0.3).astype(float))
    ids = np.arange(1, 2001)
    assert auc_in_order(sums_of(ids, labels, 2001, labels.mean()), 0, labels.mean()) == 1
    mixed = rng.permutation(labels)
    assert auc_in_order(sums_of(ids, mixed, 2001, labels.mean()), 0, labels.mean()) == pytest.approx(
        roc_auc_score(mixed, ids), abs=1e-12
    )
    seconds = 5 + 0.01 * ids + rng.standard_normal(2000)
    mean = seconds.mean()
    found = correlation_in_order(sums_of(ids, seconds, 2001, mean), 0, float(np.square(seconds - mean).sum()))
    assert found == pytest.approx(np.corrcoef(ids, seconds)[0, 1], abs=1e-12)


def test_a_number_that_only_test_has_tells_test_from_train() -> None:
    train, test = (sums_of(np.array(codes), np.zeros(len(codes)), 4, 0.0) for codes in ([0, 0, 1, 1], [2, 3]))
    assert auc_apart(train, test) == 1
    assert auc_apart(train, train) == 0.5
