"""How many seeds: the power of the t test and of the equivalence test, and what follows from it.

`sd` is the standard deviation of a difference between one run of each method, `level` the error of one test: `alpha / m` in a
family of m, which is what Holm asks of its smallest p; all others have more power than is said here. `degrees` says how many
degrees of freedom so many seeds give.
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
"""The usual probability of finding what is there."""

MOST = 100_000
"""Seeds beyond which nobody is told a number."""


@dataclass(frozen=True, slots=True)
class Degrees:
    """Degrees of freedom of a contrast, by the number of seeds of each arm; by default those of paired differences.

    Args:
        factor: Satterthwaite's, of the arms in the contrast: 1 for one arm, 2 for two of equal spread.
        shared: d_0 of the arms' prior.
        weight: It counts at most so much, relative to an arm's own degrees of freedom.
        arms: How many there are in the fit: together their degrees of freedom are the most.
    """

    factor: float = 1.0
    shared: float = 0.0
    weight: float = 0.0
    arms: int = 1

    def __call__(self, seeds: int) -> float:
        """With so many seeds, two at least."""
        own = seeds - 1
        return min(self.factor * (own + min(self.shared, self.weight * own)), self.arms * own)


PAIRED = Degrees()
"""One less than there are pairs."""


def power_of_test(
    difference: float, sd: float, seeds: int, level: float = 0.05, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> float:  # fmt: skip
    """Probability that the two-sided t test finds a true difference, for normal values.

    Args:
        difference: The true one.
        sd: Standard deviation of the difference of two runs, above 0.
        seeds: Of each method, two at least.
        level: The test's error.
        test_train_ratio: As for `paired_t_test`.
        degrees: Degrees of freedom.
    """
    return _power(abs(difference) / (sd * math.sqrt(1 / seeds + test_train_ratio)), degrees(seeds), level)


def _power(noncentrality: float, df: float, level: float) -> float:
    critical = float(stdtrit(df, 1 - level / 2))
    lower = float(nctdtr(df, noncentrality, -critical))
    return float(1 - nctdtr(df, noncentrality, critical)) + (lower if lower > 0 else 0.0)  # NaN where it is tiny


def detectable_difference(
    sd: float, seeds: int, level: float = 0.05, power: float = POWER, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> float:  # fmt: skip
    """The true difference that so many seeds find with this power."""
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
    """The fewest seeds that find a true difference of this size with this power; `FEWEST` at least.

    Returns:
        None above `MOST`. Where test rows vary there may be no such number: more splits of the same rows do not make
        more rows.
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
        seeds: Of each method, two at least.
        level: The test's error.
        difference: The true one.
        test_train_ratio: As for `paired_t_test`.
        degrees: Degrees of freedom.
    """
    df = degrees(seeds)
    error = sd * math.sqrt(1 / seeds + test_train_ratio)
    critical = float(stdtrit(df, 1 - level))
    low, high = (-margin - difference) / error, (margin - difference) / error
    constant = math.log(2) + df / 2 * math.log(df / 2) - float(gammaln(df / 2))

    def integrand(ratio: float) -> float:  # of the observed to the true sd: chi with df degrees, over sqrt(df)
        density = math.exp(constant + (df - 1) * math.log(ratio) - df * ratio**2 / 2) if ratio > 0 else 0.0
        return density * max(0.0, float(ndtr(high - critical * ratio) - ndtr(low + critical * ratio)))

    # beyond margin / (critical error) no mean is inside; beyond 1 + 10 / sqrt(df) there is no sd
    last = min(margin / (critical * error), 1 + 10 / math.sqrt(df))
    return float(quad(integrand, 0.0, last, epsabs=1e-10, limit=200)[0])


@lru_cache(maxsize=4096)
def seeds_for_equivalence(
    margin: float, sd: float, level: float = 0.05, power: float = POWER, *,
    test_train_ratio: float = 0.0, degrees: Degrees = PAIRED,
) -> int | None:  # fmt: skip
    """The fewest seeds that claim equivalence of two equal methods with this power; None above `MOST`."""
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
