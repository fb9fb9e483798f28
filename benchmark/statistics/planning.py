"""How many seeds: the power of the t test and of the equivalence test, and what follows from it.

`sd` is the standard deviation of the difference between one run of each method. `level` is the error of one test:
`alpha / m` in a family of m, as Holm requires for its smallest p; all other tests have more power than stated here.
`degrees` gives the degrees of freedom for a number of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammaln, nctdtr, ndtr, stdtrit

from benchmark.statistics.intervals import FEWEST

POWER = 0.8
"""The usual probability of finding a true difference."""

MOST = 100_000
"""The largest number of seeds that is reported."""


@dataclass(frozen=True, slots=True)
class Degrees:
    """Degrees of freedom of a contrast, by the number of seeds per arm; by default, of paired differences.

    Args:
        factor: Satterthwaite's factor for the arms in the contrast: 1 for one arm, 2 for two arms of equal spread.
        shared: d_0 of the arms' prior.
        weight: Its largest weight, relative to an arm's own degrees of freedom.
        arms: Number of arms in the fit; their degrees of freedom together are the limit.
    """

    factor: float = 1.0
    shared: float = 0.0
    weight: float = 0.0
    arms: int = 1

    def __call__(self, seeds: int) -> float:
        """The degrees of freedom with at least two seeds."""
        own = seeds - 1
        return min(self.factor * (own + min(self.shared, self.weight * own)), self.arms * own)


PAIRED = Degrees()
"""The number of pairs minus one."""


def power_of_test(
    difference: float, sd: float, seeds: int, level: float = 0.05, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> float:  # fmt: skip
    """Probability that the two-sided t test finds a true difference, for normal values.

    Args:
        difference: The true difference.
        sd: Standard deviation of the difference of two runs, above 0.
        seeds: Seeds per method, at least two.
        level: The test's error.
        test_train_ratio: As for `paired_t_test`.
        degrees: Degrees of freedom.
    """
    return _power(abs(difference) / (sd * math.sqrt(1 / seeds + test_train_ratio)), degrees(seeds), level)


def _power(noncentrality: float, df: float, level: float) -> float:
    critical = float(stdtrit(df, 1 - level / 2))
    lower = float(nctdtr(df, noncentrality, -critical))
    return float(1 - nctdtr(df, noncentrality, critical)) + (lower if lower > 0 else 0.0)  # NaN if it is tiny


def detectable_difference(
    sd: float, seeds: int, level: float = 0.05, power: float = POWER, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> float:  # fmt: skip
    """The true difference that this number of seeds finds with this power."""
    assert level < power < 1
    return _noncentrality(degrees(seeds), level, power) * sd * math.sqrt(1 / seeds + test_train_ratio)


@lru_cache(maxsize=4096)
def _noncentrality(df: float, level: float, power: float) -> float:
    high = float(stdtrit(df, 1 - level / 2)) + 1
    while _power(high, df, level) < power:
        high *= 2
    return float(brentq(lambda value: _power(value, df, level) - power, 0.0, high, xtol=1e-9))


@lru_cache(maxsize=4096)
def seeds_needed(
    difference: float, sd: float, level: float = 0.05, power: float = POWER, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> int | None:  # fmt: skip
    """The fewest seeds that find a true difference of this size with this power; at least `FEWEST`.

    Returns:
        None above `MOST`. If test rows vary, there may be no such number: more splits of the same rows do not make more
        rows.
    """
    assert difference > 0
    if sd == 0:
        return FEWEST
    return _smallest(
        lambda seeds: (
            power_of_test(difference, sd, seeds, level, test_train_ratio=test_train_ratio, degrees=degrees) >= power
        )
    )


def equivalence_power(
    margin: float,
    sd: float,
    seeds: int,
    level: float = 0.05,
    *,
    difference: float = 0.0,
    test_train_ratio: float = 0.0,
    degrees: Degrees = PAIRED,
) -> float:
    """Probability that two one-sided tests claim equivalence, for normal values.

    The mean's distance from either end of the margin is integrated over the distribution of the observed sd
    (Owen 1965; Phillips 1990).

    Args:
        margin: Above 0.
        sd: Standard deviation of the difference of two runs, above 0.
        seeds: Seeds per method, at least two.
        level: The test's error.
        difference: The true difference.
        test_train_ratio: As for `paired_t_test`.
        degrees: Degrees of freedom.
    """
    df = degrees(seeds)
    error = sd * math.sqrt(1 / seeds + test_train_ratio)
    critical = float(stdtrit(df, 1 - level))
    low, high = (-margin - difference) / error, (margin - difference) / error
    constant = math.log(2) + df / 2 * math.log(df / 2) - float(gammaln(df / 2))

    def integrand(ratio: float) -> float:  # ratio of the observed to the true sd: chi with df degrees, over sqrt(df)
        density = math.exp(constant + (df - 1) * math.log(ratio) - df * ratio**2 / 2) if ratio > 0 else 0.0
        return density * max(0.0, float(ndtr(high - critical * ratio) - ndtr(low + critical * ratio)))

    # no mean is inside beyond margin / (critical error); no sd is beyond 1 + 10 / sqrt(df)
    last = min(margin / (critical * error), 1 + 10 / math.sqrt(df))
    return float(quad(integrand, 0.0, last, epsabs=1e-10, limit=200)[0])


@lru_cache(maxsize=4096)
def seeds_for_equivalence(
    margin: float, sd: float, level: float = 0.05, power: float = POWER, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> int | None:  # fmt: skip
    """The fewest seeds that show equivalence of two equal methods with this power; None above `MOST`."""
    assert margin > 0
    if sd == 0:
        return FEWEST
    return _smallest(
        lambda seeds: (
            equivalence_power(margin, sd, seeds, level, test_train_ratio=test_train_ratio, degrees=degrees) >= power
        )
    )


def _smallest(enough: Callable[[int], bool]) -> int | None:
    high = FEWEST
    while not enough(high):
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = max(high // 2, FEWEST - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
