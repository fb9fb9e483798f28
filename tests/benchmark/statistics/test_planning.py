from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from benchmark.statistics import (
    detectable_difference,
    equivalence_power,
    power_of_test,
    seeds_for_equivalence,
    seeds_needed,
)


def test_power_of_cohens_table() -> None:
    """Cohen (1988), table 2.3.5, two-sided 5 %: 34 pairs find half a standard deviation in 80 of 100 cases, 33 do not."""
    assert seeds_needed(0.5, 1.0) == 34
    assert power_of_test(0.5, 1.0, 34) == pytest.approx(0.8077775, abs=1e-6)
    assert seeds_needed(0.2, 1.0) == 199 and seeds_needed(0.8, 1.0) == 15


@pytest.mark.parametrize("df", [2, 4, 19, 999])
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-4])
@pytest.mark.parametrize("size", [0.0, 0.4, 1.0, 1.7, 4.0])
def test_power_equals_an_integral_over_the_observed_sd(df: int, level: float, size: float) -> None:
    critical = stats.t.isf(level / 2, df)
    noncentrality = size * critical

    def rejected(ratio: float) -> float:
        shown = stats.norm.cdf(noncentrality - critical * ratio) + stats.norm.cdf(-noncentrality - critical * ratio)
        return float(shown * stats.chi.pdf(ratio * math.sqrt(df), df) * math.sqrt(df))

    low, high = max(0.0, 1 - 9 / math.sqrt(df)), 1 + 9 / math.sqrt(df)
    expected, _ = integrate.quad(rejected, low, high, limit=400, points=[1.0])
    found = power_of_test(noncentrality / math.sqrt(df + 1), 1.0, df + 1, level)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seeds", [3, 5, 10, 20, 1000])
@pytest.mark.parametrize("level", [0.05, 0.05 / 48, 1e-5])
@pytest.mark.parametrize("ratio", [0.0, 0.25])
def test_the_detectable_difference_has_the_power_asked_for(seeds: int, level: float, ratio: float) -> None:
    size = detectable_difference(0.002, seeds, level, 0.8, test_train_ratio=ratio)
    assert power_of_test(size, 0.002, seeds, level, test_train_ratio=ratio) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("difference", "level"), [(0.001, 0.05), (0.01, 0.001), (0.0005, 0.01)])
def test_the_seeds_needed_suffice_and_one_less_does_not(difference: float, level: float) -> None:
    seeds = seeds_needed(difference, 0.002, level)
    assert seeds is not None and power_of_test(difference, 0.002, seeds, level) >= 0.8
    assert seeds == 3 or power_of_test(difference, 0.002, seeds - 1, level) < 0.8
    equal = seeds_for_equivalence(difference, 0.002, level)
    assert equal is not None and equivalence_power(difference, 0.002, equal, level) >= 0.8
    assert equal == 3 or equivalence_power(difference, 0.002, equal - 1, level) < 0.8


def test_more_splits_of_the_same_rows_have_a_limit() -> None:
    assert seeds_needed(0.5, 1.0, test_train_ratio=0.25) is None
    assert seeds_for_equivalence(0.5, 1.0, test_train_ratio=0.25) is None
    assert seeds_needed(2.0, 1.0, test_train_ratio=0.25) is not None
    assert seeds_needed(1e-6, 1.0) is None


def test_without_spread_three_seeds_do() -> None:
    assert seeds_needed(0.1, 0.0) == seeds_for_equivalence(0.1, 0.0) == 3


@pytest.mark.parametrize(("margin", "difference"), [(1.0, 0.0), (1.5, 0.7), (0.5, 0.5), (3.0, 0.0)])
def test_the_power_of_equivalence_equals_simulation(margin: float, difference: float) -> None:
    drawn = np.random.default_rng(8).normal(difference, 1, (40_000, 6))
    error = drawn.std(axis=1, ddof=1) / math.sqrt(6)
    inside = margin - np.abs(drawn.mean(axis=1)) > stats.t.isf(0.05, 5) * error
    expected = equivalence_power(margin, 1.0, 6, difference=difference)
    assert inside.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 40_000) + 1e-4)
