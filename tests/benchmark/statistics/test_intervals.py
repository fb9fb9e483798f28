from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import FEWEST, bca_interval, interval, t_interval

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
@pytest.mark.parametrize("of", [t_interval, bca_interval, interval])
def test_too_few_seeds_have_no_interval(of: object, n: int) -> None:
    found = of([0.5, 0.7][:n])  # type: ignore[operator]
    assert found is not None and found.n == n
    assert found.low is None and found.high is None and found.half_width is None


def test_no_values_have_nothing() -> None:
    assert t_interval([]) is None and bca_interval([]) is None and interval([]) is None


def test_the_bootstrap_begins_at_ten_seeds() -> None:
    nine, ten = interval(D + D[:4]), interval(D + D)
    assert nine is not None and ten is not None
    assert (nine.kind, ten.kind) == ("t", "bca")


def test_bca_equals_the_formula() -> None:
    values = np.random.default_rng(3).gamma(2, size=15)
    found = bca_interval(values)
    assert found is not None
    # Efron and Tibshirani (1993), 14.9 to 14.15, by hand with resamples of our own
    means = np.random.default_rng(4).choice(values, (200_000, 15)).mean(axis=1)
    bias = stats.norm.ppf((means < values.mean()).mean())
    centred = values - values.mean()
    skew = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    ends = [bias + (bias + z) / (1 - skew * (bias + z)) for z in stats.norm.ppf([0.025, 0.975])]
    expected = np.quantile(means, stats.norm.cdf(ends))
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.03 * values.std())


def test_bca_is_skewed_as_its_values_are_and_knows_no_order_of_seeds() -> None:
    values = [0.0] * 9 + [1.0, 5.0]
    found, turned = bca_interval(values), bca_interval(values[::-1])
    assert found == turned
    assert found is not None and found.low is not None and found.high is not None
    assert found.high - found.mean > 1.5 * (found.mean - found.low)


def test_values_without_spread_are_their_own_interval() -> None:
    found = bca_interval([0.25] * 12)
    assert found is not None and (found.low, found.high) == (0.25, 0.25)


def test_turning_the_sign_turns_the_ends() -> None:
    found = t_interval(D)
    assert found is not None and found.low is not None and found.high is not None
    turned = found.scaled(-1)
    assert (turned.mean, turned.low, turned.high) == (-found.mean, -found.high, -found.low)
