"""Tests of paired differences, and what many tests together may claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from benchmark.statistics.intervals import FEWEST, spread

SAME = "the seeds vary nothing, they are no repetition"
"""Why there is no test where all runs, or all differences, are the same."""

_EXACT = 16
"""Pairs up to which all sign patterns are counted: 65,536."""

_FLIPS = 99_999
_SEED = 20_260_102


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test found.

    Args:
        p: Two-sided; None where the test says nothing.
        statistic: What p was read from; None with it.
        reason: Why there is none.
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
        differences: One a pair.
        test_train_ratio: Rows of test over rows of train where every pair has test rows of its own, else 0. Train sets
            of resampled splits overlap, and the plain test takes them for independent: Nadeau and Bengio (2003),
            doi:10.1023/A:1024068626366.
    """
    n = len(differences)
    if n < FEWEST:
        return Outcome(None, reason=too_few(n))
    _, mean, sd = spread(differences)
    if sd <= 1e-12 * abs(mean):  # the same to rounding; all zero included
        return Outcome(None, reason=SAME)
    t = mean / (sd * math.sqrt(1 / n + test_train_ratio))
    return Outcome(2 * float(stdtr(n - 1, -abs(t))), t)


def sign_flip_test(differences: Sequence[float], *, level: float = 1.0) -> Outcome:
    """Permutation test: how often is the mean as far from zero when every difference's sign is a coin's. Two-sided.

    It assumes that differences are symmetric about zero under the null, and no distribution. Exact up to 16 pairs, by
    99,999 random patterns with a fixed seed beyond, where the observed pattern counts as one.

    Args:
        differences: One a pair.
        level: The level at which p will be read, `alpha / m` in a family. Where no outcome could reach it, as with five
            pairs below 0.0625, the test is not made.
    """
    n = len(differences)
    if n < FEWEST:
        return Outcome(None, reason=too_few(n))
    absolute = np.sort(np.abs(np.asarray(differences, dtype=np.float64)))  # so that the order of seeds is nothing
    # zeros flip to themselves: 2^(zeros + 1) of 2^n patterns are the most extreme
    least = min(1.0, max(2.0 ** (1 + int((absolute == 0).sum()) - n), 0.0 if n <= _EXACT else 1 / (_FLIPS + 1)))
    if least > level:
        reason = f"with {n} pairs no p below {least:.3g} can come out, and {level:.3g} is asked for"
        return Outcome(None, reason=reason)
    observed = abs(math.fsum(differences))
    reached = observed - 1e-12 * absolute.sum()  # sums in another order differ in their last bits
    if n <= _EXACT:
        flips = 1 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return Outcome(float((np.abs(flips @ absolute) >= reached).mean()), observed / n)
    rng = np.random.default_rng(_SEED)
    as_far = sum(int((np.abs(rng.choice((-1.0, 1.0), (_FLIPS // 9, n)) @ absolute) >= reached).sum()) for _ in range(9))
    return Outcome((1 + as_far) / (1 + _FLIPS), observed / n)


def holm(ps: Sequence[float], tests: int | None = None) -> list[float]:
    """P values adjusted so that all claims of `p < alpha` are true together with probability `1 - alpha`.

    Holm (1979): the smallest is multiplied by the number of tests, the next by one less, and so on; no adjusted p is
    below that of a smaller p.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]

    Args:
        ps: In any order; the answer is in the same.
        tests: Number of tests that could have been made, where these were picked by their results; at least `len(ps)`.
    """
    count = len(ps) if tests is None else tests
    assert count >= len(ps)
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def too_few(n: int, what: str = "pair") -> str:
    """Why so few pairs or seeds have no test."""
    return f"{n} {what if n == 1 else f'{what}s'}; a test needs {FEWEST}"
