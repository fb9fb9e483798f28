from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import FEWEST, t_interval

A = (0.8012, 0.8021, 0.8005, 0.8018, 0.8010)
B = (0.8030, 0.8033, 0.8024, 0.8029, 0.8035)
D = [b - a for a, b in zip(A, B, strict=True)]
spread_out = st.lists(st.floats(-1e3, 1e3), min_size=FEWEST, max_size=20).filter(lambda v: max(v) - min(v) > 1e-3)


def test_t_interval_of_paired_differences_worked_elsewhere() -> None:
    found = t_interval(D)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.00099211, 0.00240786), abs=5e-8)


@given(spread_out)
def test_t_interval_equals_scipy(values: list[float]) -> None:
    found = t_interval(values)
    assert found is not None
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_the_half_width_of_three_to_twenty_seeds_in_standard_deviations() -> None:
    for n, expected in ((3, 2.48), (5, 1.24), (10, 0.72), (20, 0.47)):
        values = np.linspace(-1, 1, n)
        found = t_interval(values / values.std(ddof=1))
        assert found is not None and found.half_width == pytest.approx(expected, abs=0.005)


def test_varying_test_rows_widen_the_interval() -> None:
    plain, corrected = t_interval(D), t_interval(D, test_train_ratio=0.25)
    assert plain is not None and corrected is not None and plain.half_width and corrected.half_width
    assert corrected.half_width / plain.half_width == pytest.approx(math.sqrt((1 / 5 + 0.25) * 5))


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_seeds_have_no_interval(n: int) -> None:
    found = t_interval([0.5, 0.7][:n])
    assert found is not None and found.n == n
    assert found.low is None and found.high is None and found.half_width is None


def test_no_values_have_nothing() -> None:
    assert t_interval([]) is None


def test_turning_the_sign_turns_the_ends() -> None:
    found = t_interval(D)
    assert found is not None and found.low is not None and found.high is not None
    turned = found.scaled(-1)
    assert (turned.mean, turned.low, turned.high) == (-found.mean, -found.high, -found.low)
