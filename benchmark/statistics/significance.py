"""Tests of paired differences, and the adjustment of many tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from benchmark.statistics.intervals import FEWEST, spread

SAME = "the seeds change nothing, so they are not repetitions"
"""Why there is no test if all runs, or all differences, are the same."""

_EXACT = 16
"""Pairs up to which all sign patterns are counted: 65,536."""

_FLIPS = 99_999
_SEED = 20_260_102


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test found.

    Args:
        p: Two-sided p; None if there is no test.
        statistic: The test statistic; None if p is None.
        reason: Why there is no p.
    """

    p: float | None
    statistic: float | None = None
    reason: str | None = None


def paired_t_test(differences: Sequence[float], *, test_train_ratio: float = 0.0) -> Outcome:
    r"""Student's t test that the mean difference is zero, two-sided.

    With the mean $m$ and standard deviation $s$ of $n$ differences, and the ratio $r$ of test to train rows:

    $$
    t = \frac{m}{s \sqrt{\frac{1}{n} + r}}
    $$

    Args:
        differences: One per pair.
        test_train_ratio: Test rows over training rows if every pair has its own test rows, else 0. Training sets of
            resampled splits overlap, but the plain test assumes independence: Nadeau and Bengio (2003),
            doi:10.1023/A:1024068626366.
    """
    n = len(differences)
    if n < FEWEST:
        return Outcome(None, reason=too_few(n))
    _, mean, sd = spread(differences)
    if sd <= 1e-12 * abs(mean):  # the same except for rounding, including all zero
        return Outcome(None, reason=SAME)
    t = mean / (sd * math.sqrt(1 / n + test_train_ratio))
    return Outcome(2 * float(stdtr(n - 1, -abs(t))), t)


def sign_flip_test(differences: Sequence[float], *, level: float = 1.0) -> Outcome:
    """Permutation test: how often the mean is as far from zero if every difference has a random sign. Two-sided.

    It only assumes that differences are symmetric about zero under the null. It is exact up to 16 pairs. Beyond, it
    uses 99,999 random patterns with a fixed seed, and the observed pattern counts as one more.

    Args:
        differences: One per pair.
        level: The level at which p will be used, `alpha / m` in a family. If no outcome could reach it, as with five
            pairs below 0.0625, there is no test.
    """
    n = len(differences)
    if n < FEWEST:
        return Outcome(None, reason=too_few(n))
    absolute = np.sort(np.abs(np.asarray(differences, dtype=np.float64)))  # so that the order of seeds does not matter
    # zeros flip to themselves: 2^(zeros + 1) of 2^n patterns are the most extreme
    least = min(1.0, max(2.0 ** (1 + int((absolute == 0).sum()) - n), 0.0 if n <= _EXACT else 1 / (_FLIPS + 1)))
    if least > level:
        reason = f"with {n} pairs, p cannot fall below {least:.3g}, and {level:.3g} is needed"
        return Outcome(None, reason=reason)
    observed = abs(math.fsum(differences))
    reached = observed - 1e-12 * absolute.sum()  # sums in another order differ in the last bits
    if n <= _EXACT:
        flips = 1 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return Outcome(float((np.abs(flips @ absolute) >= reached).mean()), observed / n)
    rng = np.random.default_rng(_SEED)
    as_far = sum(int((np.abs(rng.choice((-1.0, 1.0), (_FLIPS // 9, n)) @ absolute) >= reached).sum()) for _ in range(9))
    return Outcome((1 + as_far) / (1 + _FLIPS), observed / n)


def holm(ps: Sequence[float], tests: int | None = None) -> list[float]:
    """Adjusted p values: with probability `1 - alpha`, all claims of `p < alpha` are true together.

    Holm (1979): the smallest p is multiplied by the number of tests, the next by one less, and so on. No adjusted p is
    below the adjusted p of a smaller p.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]

    Args:
        ps: In any order, which is kept.
        tests: Number of tests that could have been made, if these were picked by their results; at least `len(ps)`.
    """
    count = len(ps) if tests is None else tests
    assert count >= len(ps)
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def too_few(n: int, what: str = "pair") -> str:
    """Why this few pairs or seeds have no test."""
    return f"{n} {what if n == 1 else f'{what}s'}; a test needs {FEWEST}"
