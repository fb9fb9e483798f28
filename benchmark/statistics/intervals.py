"""Confidence intervals of a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.special import stdtrit

FEWEST = 3
"""The fewest values with an interval or a test: with two, a 95 % t interval is 18 standard deviations wide."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` values and its confidence interval, absent for fewer than `FEWEST` values.

    Args:
        mean: Mean of the values.
        low: Lower end, or None.
        high: Upper end, or None.
        n: Number of values.
        confidence: Probability with which the interval covers the true mean: 0.95, or `1 - alpha / m` where `adjusted`.
        adjusted: Whether the intervals of a whole family of comparisons cover together with the nominal probability.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95
    adjusted: bool = False

    @property
    def half_width(self) -> float | None:
        """Half of the distance between the ends; None without an interval."""
        return None if self.high is None or self.low is None else (self.high - self.low) / 2

    def scaled(self, factor: float) -> Interval:
        """The interval of `factor` times the values; -1 turns a difference of errors into an improvement."""
        ends = None if self.low is None or self.high is None else sorted((factor * self.low, factor * self.high))
        low, high = ends or (None, None)
        return Interval(factor * self.mean, low, high, self.n, self.confidence, self.adjusted)


def spread(values: Iterable[float]) -> tuple[int, float, float]:
    """Number, mean and standard deviation (with n - 1 in the denominator; NaN for one value) of some values."""
    numbers = [float(value) for value in values]
    n = len(numbers)
    if n == 0:
        raise ValueError("values must hold at least one number, found none")
    mean = math.fsum(numbers) / n
    if n == 1:
        return n, mean, math.nan
    return n, mean, math.sqrt(math.fsum([(value - mean) ** 2 for value in numbers]) / (n - 1))


def t_interval(
    values: Iterable[float], confidence: float = 0.95, *, test_train_ratio: float = 0.0, adjusted: bool = False
) -> Interval | None:
    r"""Student's t interval of the mean; None without values.

    With the mean $m$ and standard deviation $s$ of $n$ values, and the ratio $r$ of test to train rows:

    $$
    m \pm t_{n - 1}\, s\, \sqrt{\frac{1}{n} + r}
    $$

    Args:
        values: Finite numbers, one per seed.
        confidence: Probability that the interval covers the mean, for normal values.
        test_train_ratio: Test rows over training rows if every value has its own test rows, else 0: the correction of
            Nadeau and Bengio (2003), doi:10.1023/A:1024068626366, for overlapping training sets.
        adjusted: Marks the interval as adjusted.
    """
    assert 0 < confidence < 1
    numbers = list(values)
    if not numbers:
        return None
    n, mean, sd = spread(numbers)
    if n < FEWEST:
        return Interval(mean, None, None, n, confidence, adjusted)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd * math.sqrt(1 / n + test_train_ratio)
    return Interval(mean, mean - half, mean + half, n, confidence, adjusted)
