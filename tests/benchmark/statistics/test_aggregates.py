"""Numbers over several data sets, by hand, against scipy, and the coverage of the interval by simulation."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics import Interval, t_interval
from benchmark.statistics.aggregates import (
    geometric_mean,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    trimmed,
)


def test_the_interquartile_mean_leaves_out_a_quarter_on_each_side() -> None:
    values = [9.0, 1.0, 2.0, 3.0, 4.0, -50.0, 5.0, 100.0]
    found = interquartile_mean(values)
    assert found is not None
    assert trimmed(8) == 2
    assert found.mean == pytest.approx((2 + 3 + 4 + 5) / 4)
    # Tukey and McLaughlin: the standard deviation of the winsorised values over (1 - 2 * .25) sqrt(n), 8 - 4 - 1 df
    winsorised = [2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]
    error = np.std(winsorised, ddof=1) / (0.5 * math.sqrt(8))
    half = stats.t.ppf(0.975, 3) * error
    assert (found.low, found.high) == pytest.approx((3.5 - half, 3.5 + half))
    assert interquartile_mean([]) is None
    assert interquartile_mean([1.0, 2.0]) == Interval(1.5, None, None, 2)


def test_the_probability_of_improvement_counts_pairs_and_ties_half() -> None:
    # of nine pairs, 3 > 1, 2; 2 > 1; 2 = 2; 0 beats none: 2 + 1 + .5 (and 3 = 3 a half)
    found = probability_of_improvement([([3.0, 2.0, 0.0], [1.0, 2.0, 3.0])])
    assert found is not None
    assert found.mean == pytest.approx((2 + 0.5 + 1 + 0.5) / 9)
    assert found.mean == pytest.approx(stats.mannwhitneyu([3.0, 2.0, 0.0], [1.0, 2.0, 3.0]).statistic / 9)
    both = probability_of_improvement([([3.0, 2.0, 0.0], [1.0, 2.0, 3.0]), ([9.0] * 3, [1.0] * 3)], [0.25, 0.75])
    assert both is not None
    assert both.mean == pytest.approx(0.25 * 4 / 9 + 0.75)
    assert probability_of_improvement([([9.0] * 3, [1.0] * 3)]) == Interval(1.0, 1.0, 1.0, 1)
    assert probability_of_improvement([([9.0, 8.0], [1.0] * 3)]) == Interval(1.0, None, None, 1)
    assert probability_of_improvement([]) is None


def test_its_interval_is_that_of_a_bootstrap_of_the_runs() -> None:
    sides = [([0.1, 0.5, 0.9, 0.4], [0.3, 0.2, 0.6, 0.35]), ([1.0, 2.0, 3.0], [2.5, 1.5, 0.5])]
    found = probability_of_improvement(sides)
    random, means = Random(0), []
    for _ in range(4_000):
        parts = []
        for x, y in sides:
            xs, ys = random.choices(x, k=len(x)), random.choices(y, k=len(y))
            parts.append(sum((a > b) + 0.5 * (a == b) for a in xs for b in ys) / (len(x) * len(y)))
        means.append(sum(parts) / 2)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)


def test_a_profile_is_the_share_of_data_sets_and_runs_above() -> None:
    values = [[1.0, 2.0], [0.0, 0.0, 3.0, 4.0]]
    assert performance_profile(values, [-1.0, 0.0, 1.0, 2.5, 4.0]) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert performance_profile(values, [1.0], [0.8, 0.2]) == pytest.approx([0.8 * 0.5 + 0.2 * 0.5])


def test_the_geometric_mean_of_a_half_and_a_double_is_one() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert geometric_mean([]) is None


@pytest.mark.parametrize("datasets", [4, 8])
@pytest.mark.parametrize("between", [0.3, 1.0])
def test_the_interval_of_a_mean_over_data_sets_covers(datasets: int, between: float) -> None:
    """Also where data sets are known unequally well: standard errors within spread log-normally (sd of the log .8).

    Intervals by Hartung and Knapp, weighted by estimated variances (Paule and Mandel), cover .89 to .95 there.
    """
    generator, covered, draws = np.random.default_rng(5), 0, 2_000
    for _ in range(draws):
        within = np.exp(generator.normal(0, 0.8, datasets)) * math.sqrt(2 / 5)  # five seeds of both methods
        gains = 1.5 + between * generator.normal(size=datasets) + within * generator.normal(size=datasets)
        found = t_interval(gains)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low < 1.5 < found.high
    assert 0.94 <= covered / draws <= 0.985
