from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics import Ranking, rank

BLOCKS = np.array([
    [0.80, 0.81, 0.83, 0.82], [0.70, 0.72, 0.74, 0.71], [0.65, 0.64, 0.69, 0.68],
    [0.90, 0.91, 0.92, 0.93], [0.55, 0.58, 0.60, 0.57], [0.77, 0.76, 0.79, 0.80],
])  # fmt: skip


def test_worked_elsewhere() -> None:
    found = rank(BLOCKS, "abcd", fewest_blocks=6)
    assert found.mean_ranks == pytest.approx((3.6667, 3, 1.3333, 2), abs=5e-5)
    assert (found.chi_squared, found.p) == pytest.approx((11.6, 0.0088869), rel=1e-5)
    assert (found.f, found.p_f) == pytest.approx((9.0625, 0.00114996), rel=1e-5)
    assert found.critical_difference == pytest.approx(1.914843, abs=5e-7)
    assert found.groups == [("c", "d", "b"), ("d", "b", "a")]


def test_methods_that_are_the_critical_difference_apart_differ() -> None:
    """Demšar 2006, section 3.2.2: different if the average ranks differ by at least the critical difference."""
    exact = Ranking(("a", "b", "c"), (1.0, 2.0, 3.0), 10, critical_difference=1.0)
    assert exact.groups == []
    assert replace(exact, critical_difference=math.nextafter(1.0, 2.0)).groups == [("a", "b"), ("b", "c")]
    assert replace(exact, critical_difference=2.0).groups == [("a", "b"), ("b", "c")]


def test_groups_and_p_agree() -> None:
    found = rank(np.random.default_rng(4).normal(size=(20, 6)) + np.arange(6) / 3, "abcdef")
    ranks = dict(zip(found.methods, found.mean_ranks, strict=True))
    error = math.sqrt(6 * 7 / (12 * 20))
    ps = {
        (a, b): float(stats.studentized_range.sf(abs(ranks[a] - ranks[b]) / error, 6, np.inf))
        for a, b in combinations("abcdef", 2)
    }
    together = {pair for group in found.groups for pair in combinations(sorted(group), 2)}
    assert together == {pair for pair, p in ps.items() if p > 0.05}
    assert 0 < len(together) < len(ps)


def test_friedman_of_demsars_formula() -> None:
    scores = np.random.default_rng(0).normal(size=(12, 5))
    found = rank(scores, "abcde")
    n, k, ranks = 12, 5, np.array(found.mean_ranks)
    assert found.chi_squared == pytest.approx(12 * n / (k * (k + 1)) * ((ranks**2).sum() - k * (k + 1) ** 2 / 4))
    assert found.p == pytest.approx(stats.chi2.sf(found.chi_squared, k - 1))


@pytest.mark.parametrize(("k", "q"), [(3, 2.344), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)])
def test_the_critical_difference_of_demsars_table(k: int, q: float) -> None:
    found = rank(np.random.default_rng(1).normal(size=(20, k)), [str(n) for n in range(k)])
    assert found.critical_difference == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * 20)), rel=3e-4)


@pytest.mark.parametrize(
    ("blocks", "k", "reason"),
    [
        (9, 4, "9 blocks of 10 that a test of ranks needs"),
        (20, 2, "2 methods of 3 that a test of ranks needs"),
    ],
)
def test_few_blocks_or_methods_have_ranks_and_no_test(blocks: int, k: int, reason: str) -> None:
    found = rank(np.random.default_rng(2).normal(size=(blocks, k)), "abcd"[:k])
    assert len(found.mean_ranks) == k and found.p is None and found.reason == reason and found.groups == []


def test_perfect_agreement_and_none_at_all() -> None:
    found = rank([[3.0, 2.0, 1.0]] * 10, "abc")
    assert found.f == math.inf and found.p_f == 0.0
    assert found.groups == [("a", "b"), ("b", "c")]
    equal = rank([[1.0, 1.0, 1.0]] * 10, "abc")
    assert equal.mean_ranks == (2.0, 2.0, 2.0) and equal.p is None and "equal in every block" in str(equal.reason)


def test_ranks_ignore_any_rising_transform_of_a_block() -> None:
    scores = np.random.default_rng(3).normal(size=(11, 4))
    assert rank(scores, "abcd") == rank(np.exp(scores) * np.arange(1, 12)[:, None], "abcd")


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [1.0, 2.0, 3.0], [[1.0, math.nan, 2.0]], np.empty((0, 3))])
def test_what_is_no_table_is_refused(scores: object) -> None:
    with pytest.raises(ValueError, match=r"scores_NK must be finite numbers of shape \(blocks, 3 methods\)"):
        rank(scores, "abc")  # type: ignore[arg-type]
