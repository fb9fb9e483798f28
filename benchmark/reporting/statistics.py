"""Statistics of the report: pure functions of numbers, without records, tables or formatting."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scipy.special import stdtrit

Key = TypeVar("Key", bound=Hashable)

FEWEST = 3
"""Seeds below which no interval is given: with two, a 95 % t interval is 18 standard deviations wide."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` values and its confidence interval, absent for fewer than `FEWEST` values."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Distance from the mean to either end; t intervals are symmetric."""
        return None if self.high is None else self.high - self.mean


def t_interval(values: Iterable[float], confidence: float = 0.95) -> Interval | None:
    """Student's t interval of the mean: `mean ± t(n - 1) sd / sqrt(n)`; None without values.

    >>> t_interval([0.80, 0.81, 0.82]).n
    3

    Args:
        values: Finite numbers, one a seed.
        confidence: Probability that the interval covers the mean, for normal values.
    """
    assert 0 < confidence < 1
    numbers = [float(value) for value in values]
    n = len(numbers)
    if n == 0:
        return None
    mean = math.fsum(numbers) / n
    if n < FEWEST:
        return Interval(mean, None, None, n)
    variance = math.fsum((value - mean) ** 2 for value in numbers) / (n - 1)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, n)


def paired_difference(
    values: Mapping[Key, float], baseline: Mapping[Key, float], confidence: float = 0.95
) -> Interval | None:
    """T interval of `values - baseline` over the keys that both have; None if there is none.

    What a seed does to both, such as the order of batches, cancels: the interval is usually narrower than
    either mean's.

    Args:
        values: One number per pair, by what makes it a pair: data, split and seed.
        baseline: The same of the baseline.
        confidence: As for `t_interval`.
    """
    return t_interval((values[key] - baseline[key] for key in values if key in baseline), confidence)


def relative_gain(value: float, baseline: float, *, higher_is_better: bool, chance: float = 0.0) -> float | None:
    """Improvement over the baseline in percent; positive is better. None where the baseline is not above `chance`.

    `100 (value - baseline) / (baseline - chance)`, with the sign turned where lower is better. With `chance = 0.5` this
    is the relative improvement of an AUC over what a coin gets; with 0 an AUC's gain looks smaller than it is.
    """
    if not baseline > chance:
        return None
    sign = 1.0 if higher_is_better else -1.0
    return sign * 100.0 * (value - baseline) / (baseline - chance)


def multi_task_gain(parts: Sequence[float | None]) -> float | None:
    """Mean of the tasks' `relative_gain`: the multi-task gain (Maninis et al. 2019, arXiv:1904.08918).

    One metric a task. Positive is better; papers that call it a drop turn the sign. None if a part is: a mean over
    other tasks than the other methods' would be no comparison.
    """
    known = [part for part in parts if part is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(parts) else None
