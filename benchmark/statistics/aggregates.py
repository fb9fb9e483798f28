"""Several data sets in one number, in which each counts once.

The interval of a mean over data sets is `t_interval` of one value per data set. Data sets are the random effect, and
their spread, which includes the luck of the seeds, is the only error. Weighting data sets by their precision (Hartung
and Knapp 2001) does not cover better, because few seeds determine the spread within a data set.

Suffixes: X and Y values of the two sides on one data set, R draws of the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import trim_mean
from scipy.stats.mstats import trimmed_mean_ci

from benchmark.statistics.intervals import FEWEST, Interval

TRIMMED = 0.25
"""Share of the values that the interquartile mean leaves out on each side."""
DRAWS = 2_000


def interquartile_mean(values: Iterable[float], confidence: float = 0.95) -> Interval | None:
    """The mean of the middle half, with the t interval of a trimmed mean (Tukey and McLaughlin 1963); None without values.

    The mean is rliable's (Agarwal et al. 2021, arXiv:2108.13264), which trims a quarter of the values on each side.

    Args:
        values: Finite numbers, one per data set.
        confidence: Probability that the interval covers.
    """
    numbers = [float(value) for value in values]
    if not numbers:
        return None
    mean = float(trim_mean(numbers, TRIMMED))
    if len(numbers) - 2 * trimmed(len(numbers)) < 2 or len(numbers) < FEWEST:
        return Interval(mean, None, None, len(numbers), confidence)
    low, high = trimmed_mean_ci(numbers, limits=(TRIMMED, TRIMMED), alpha=1 - confidence)
    return Interval(mean, float(low), float(high), len(numbers), confidence)


def trimmed(n: int) -> int:
    """How many of `n` values the interquartile mean leaves out on each side."""
    return int(TRIMMED * n)


def probability_of_improvement(
    sides: Sequence[tuple[Sequence[float], Sequence[float]]],
    weights: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    draws: int = DRAWS,
) -> Interval | None:
    """Mean over data sets of P(X > Y), ties counted half: rliable's probability of improvement.

    The interval is the percentile interval of the stratified bootstrap, which resamples the runs of each side on every
    data set. It covers the luck of the runs, not the choice of data sets.

    Args:
        sides: For each data set, the values of the method and of its baseline; higher is better.
        weights: Weights of the data sets, with sum 1; equal by default.
        confidence: Probability that the interval covers.
        draws: R.

    Returns:
        None without a data set; an interval without ends if a side has fewer than three values.
    """
    if not sides:
        return None
    shares = [1 / len(sides)] * len(sides) if weights is None else list(weights)
    generator = np.random.default_rng(0)
    mean, drawn_R = 0.0, np.zeros(draws)
    for (x, y), share in zip(sides, shares, strict=True):
        wins_XY = _wins(x, y)
        mean += share * float(wins_XY.mean())
        times_RX, times_RY = (generator.multinomial(n, [1 / n] * n, draws) for n in wins_XY.shape)
        drawn_R += share * np.einsum("rx,xy,ry->r", times_RX, wins_XY, times_RY) / wins_XY.size
    if min(len(side) for pair in sides for side in pair) < FEWEST:
        return Interval(mean, None, None, len(sides), confidence)
    low, high = np.quantile(drawn_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), len(sides), confidence)


def _wins(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    difference_XY = np.subtract.outer(np.asarray(x, float), np.asarray(y, float))
    wins_XY: np.ndarray = (difference_XY > 0) + 0.5 * (difference_XY == 0)
    return wins_XY


def performance_profile(
    values: Sequence[Sequence[float]], at: Sequence[float], weights: Sequence[float] | None = None
) -> list[float]:
    """For each threshold, the share of data sets and runs with a value above it (Agarwal et al. 2021).

    Args:
        values: For each data set, the values of its runs, which share its weight.
        at: The thresholds.
        weights: Weights of the data sets, with sum 1; equal by default.
    """
    shares = [1 / len(values)] * len(values) if weights is None else list(weights)
    above = [np.mean(np.greater.outer(np.asarray(own, float), at), axis=0) for own in values]
    return [float(share) for share in np.einsum("d,da->a", shares, above)]


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """`exp` of the mean logarithm of numbers above 0; None without any."""
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios)) if ratios else None
