"""Methods ranked over blocks (tasks of data sets): mean ranks, Friedman, Nemenyi (Demšar 2006, JMLR 7).

Suffixes: N blocks, K methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import friedmanchisquare, rankdata, studentized_range

FEWEST_BLOCKS = 10
"""The fewest blocks for a test of ranks: chi-squared and Nemenyi's distance are limits for many blocks."""

FEWEST_METHODS = 3


@dataclass(frozen=True, slots=True)
class Ranking:
    """Mean ranks, where 1 is best, and the result of a test if there is one.

    Args:
        methods: Their names, as given.
        mean_ranks: One per method. Adding or removing a method changes the ranks of the others.
        blocks: Number of blocks.
        chi_squared: Friedman's, corrected for ties.
        p: The p of Friedman's test.
        f: Iman and Davenport's (1980) statistic, less conservative.
        p_f: The p of their test.
        critical_difference: Nemenyi's: mean ranks at least this far apart differ at `alpha`, all pairs together.
        reason: Why there is no test; None if there is one.
    """

    methods: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    blocks: int
    chi_squared: float | None = None
    p: float | None = None
    f: float | None = None
    p_f: float | None = None
    critical_difference: float | None = None
    reason: str | None = None

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """The bars of a critical-difference diagram, best first: the largest sets of which no two methods differ."""
        if self.critical_difference is None:
            return []
        order = sorted(zip(self.mean_ranks, self.methods, strict=True))
        bars: list[tuple[int, int]] = []
        for first, (rank, _) in enumerate(order):
            last = max(n for n, (other, _) in enumerate(order) if other - rank < self.critical_difference)
            if last > first and (not bars or last > bars[-1][1]):
                bars.append((first, last))
        return [tuple(method for _, method in order[first : last + 1]) for first, last in bars]


def rank(
    scores_NK: Sequence[Sequence[float]] | np.ndarray,
    methods: Sequence[str],
    *,
    alpha: float = 0.05,
    fewest_blocks: int = FEWEST_BLOCKS,
) -> Ranking:
    """Ranks methods within each block and tests whether the mean ranks differ.

    Tasks of one data set are not independent blocks, but the test treats them so.

    Args:
        scores_NK: (N, K), higher is better: pass errors with reversed sign. Only methods with a value in every block.
        methods: K names.
        alpha: Error of the critical difference.
        fewest_blocks: The fewest blocks for a test.

    Raises:
        ValueError: if the scores are not a table of finite numbers with one column per method.
    """
    scores = np.asarray(scores_NK, dtype=np.float64)
    names = tuple(methods)
    if scores.ndim != 2 or scores.shape[1] != len(names) or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            f"scores_NK must be finite numbers of shape (blocks, {len(names)} methods), found shape {scores.shape}"
        )
    blocks, k = scores.shape
    mean_ranks = tuple(float(value) for value in rankdata(-scores, axis=1).mean(axis=0))
    if k < FEWEST_METHODS or blocks < fewest_blocks:
        few = f"{k} methods of {FEWEST_METHODS}" if k < FEWEST_METHODS else f"{blocks} blocks of {fewest_blocks}"
        return Ranking(names, mean_ranks, blocks, reason=f"{few} that a test of ranks needs")
    if (scores == scores[:, :1]).all():
        return Ranking(names, mean_ranks, blocks, reason="all methods are equal in every block")
    found = friedmanchisquare(*scores.T)
    chi_squared, most = float(found.statistic), blocks * (k - 1)
    f = (blocks - 1) * chi_squared / (most - chi_squared) if chi_squared < most * (1 - 1e-12) else math.inf
    error = math.sqrt(k * (k + 1) / (12 * blocks))  # the studentised range's q is sqrt(2) times Nemenyi's
    return Ranking(
        names, mean_ranks, blocks, chi_squared, float(found.pvalue), f,
        float(f_distribution.sf(f, k - 1, (k - 1) * (blocks - 1))),
        critical_difference=float(studentized_range.ppf(1 - alpha, k, np.inf)) * error,
    )  # fmt: skip
