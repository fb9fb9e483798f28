"""Distributions, correlations and order of labels, by hand and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.cards import labels as of_labels
from benchmark.cards import sums
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.rows import Features, Split
from benchmark.schema import Task

TASKS = (Task("click", BINARY), Task("seconds", REGRESSION, unit="seconds", transform=Transform.LOG1P))
NAN = np.nan


def split_of(*columns: list[float] | np.ndarray) -> Split:
    labels = np.array(columns, dtype=np.float64).T
    nothing = np.zeros((len(labels), 0))
    return Split(Features((), nothing.astype(np.int32), nothing.astype(np.float32)), labels)


def test_means_and_correlation_by_hand() -> None:
    found = of_labels.label_sums(split_of([0, 1, 1, NAN], [0.0, np.log(3), NAN, np.log(2)]), TASKS)
    assert found.known.tolist() == [3, 3]
    assert found.means[0] == pytest.approx(2 / 3)
    assert found.unit_means[1] == pytest.approx((0 + 2 + 1) / 3)
    assert of_labels.correlation(found, 0, 1) == pytest.approx(1)  # of the first two rows alone


def test_a_label_that_is_constant_where_both_are_known_has_no_correlation() -> None:
    found = of_labels.label_sums(split_of([0, 1, 1, 1, 1], [NAN, 0.1, 0.2, 0.3, 0.7]), TASKS)
    assert of_labels.correlation(found, 0, 1) is None
    assert of_labels.correlation(of_labels.label_sums(split_of([0, 1], [NAN, 1.0]), TASKS), 0, 1) is None


@pytest.mark.parametrize("offset", [0.0, 1.7e9])
def test_many_blocks_agree_with_numpy(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    monkeypatch.setattr(of_labels, "BLOCK", 100)
    rng = np.random.default_rng(0)
    click = (rng.random(1234) < 0.3).astype(float)
    value = offset + 3 * click + rng.standard_normal(1234)
    click[rng.random(1234) < 0.1], value[rng.random(1234) < 0.1] = NAN, NAN
    tasks = (TASKS[0], Task("time", REGRESSION))
    found = of_labels.label_sums(split_of(click, value), tasks)
    both = ~np.isnan(click) & ~np.isnan(value)
    assert of_labels.correlation(found, 0, 1) == pytest.approx(np.corrcoef(click[both], value[both])[0, 1], abs=1e-9)
    assert found.means == pytest.approx([np.nanmean(click), np.nanmean(value)], rel=1e-12)
    known = click[~np.isnan(click)]
    assert of_labels.order(found, 0, is_binary=True) == pytest.approx(roc_auc_score(known, np.arange(len(known))))
    known = value[~np.isnan(value)]
    expected = np.corrcoef(known, np.arange(len(known)))[0, 1]
    assert of_labels.order(found, 1, is_binary=False) == pytest.approx(expected, abs=1e-9)


def test_sorted_rows_are_seen() -> None:
    found = of_labels.label_sums(split_of([0, 0, NAN, 1, 1], [5, 4, NAN, 3, 2]), TASKS)
    assert of_labels.order(found, 0, is_binary=True) == 1
    assert of_labels.order(found, 1, is_binary=False) == pytest.approx(-1)
    assert of_labels.order(of_labels.label_sums(split_of([0, 0], [1, 1]), TASKS), 0, is_binary=True) is None


def test_quantiles_are_values_of_the_data_in_the_unit() -> None:
    seconds = np.arange(101.0)
    found = of_labels.quantiles(split_of(np.zeros(101), np.log1p(seconds)[::-1]), 1, TASKS[1])
    expected = {"0": 0, "0.01": 1, "0.05": 5, "0.25": 25, "0.5": 50, "0.75": 75, "0.95": 95, "0.99": 99, "1": 100}
    assert found == pytest.approx(expected)
    assert of_labels.quantiles(split_of([0, 1]), 0, TASKS[0]) == {}


def test_classes_are_counted_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_labels, "BLOCK", 2)
    assert of_labels.classes(split_of([2, 0, 2, NAN, 1, 2]), 0) == {"2": 0.6, "0": 0.2, "1": 0.2}


def test_labels_are_centred_and_filled() -> None:
    values, known = sums.centred(np.array([[1.0, NAN], [3.0, 5.0]]), np.array([1.0, 2.0]))
    assert values.tolist() == [[0, 0], [2, 3]]
    assert known.tolist() == [[True, False], [True, True]]
