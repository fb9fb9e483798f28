"""Held to scipy and to numbers worked out elsewhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.reporting.statistics import FEWEST, multi_task_gain, paired_difference, relative_gain, t_interval

A = dict(enumerate((0.8012, 0.8021, 0.8005, 0.8018, 0.8010)))
B = dict(enumerate((0.8030, 0.8033, 0.8024, 0.8029, 0.8035)))


def test_paired_difference_is_the_paired_t_interval() -> None:
    found = paired_difference(B, A)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.00099214, 0.00240786), abs=5e-9)
    expected = stats.ttest_rel(list(B.values()), list(A.values())).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=FEWEST, max_size=20).filter(lambda v: max(v) - min(v) > 1e-3))
def test_t_interval_equals_scipy(values: list[float]) -> None:
    found = t_interval(values)
    assert found is not None
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_seeds_have_no_interval(n: int) -> None:
    found = t_interval([0.5, 0.7][:n])
    assert found is not None and found.n == n
    assert found.low is None and found.high is None and found.half_width is None


def test_pairs_are_matched_by_key_and_the_rest_is_left_out() -> None:
    found = paired_difference({0: 1.0, 1: 2.0, 7: 9.0}, {1: 1.5, 0: 0.0, 8: 9.0})
    assert found is not None and found.n == 2 and found.mean == 0.75
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
    assert t_interval([]) is None


def test_equal_values_have_a_difference_of_exactly_zero() -> None:
    found = paired_difference(A, dict(A))
    assert found is not None and (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


# single-task AUC, AUC and MSE, and a multi-task model's
BASE, MODEL = (0.75, 0.68, 0.90), (0.76, 0.67, 0.85)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 1.806100), (0.5, 1.333333)])
def test_multi_task_gain_of_a_worked_example(chance: float, expected: float) -> None:
    higher = (True, True, False)
    parts = [
        relative_gain(m, b, higher_is_better=h, chance=chance if h else 0.0)
        for m, b, h in zip(MODEL, BASE, higher, strict=True)
    ]
    assert multi_task_gain(parts) == pytest.approx(expected, abs=5e-7)


def test_gain_is_undefined_over_a_baseline_at_chance() -> None:
    assert relative_gain(0.6, 0.5, higher_is_better=True, chance=0.5) is None
    assert multi_task_gain([1.0, None]) is None
    assert multi_task_gain([]) is None


def test_gain_is_positive_where_the_error_falls() -> None:
    gain = relative_gain(0.9, 1.0, higher_is_better=False)
    assert gain is not None and math.isclose(gain, 10.0)
