"""Tiers: all pairs of methods as one family, and the groups that are not told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from scipy.stats import ttest_ind, ttest_rel

from benchmark.statistics import Endpoint, Margin, all_pairs, holm, tiers

AUC = Endpoint("click", "auc", 1, Margin(0.001))
ROWS = {
    "a": {0: 0.71, 1: 0.72, 2: 0.73, 3: 0.715},
    "b": {0: 0.70, 1: 0.715, 2: 0.72, 3: 0.721},
    "c": {0: 0.60, 1: 0.61, 2: 0.62, 3: 0.612},
}


def pairs(*names: str) -> set[frozenset[str]]:
    return {frozenset(name) for name in names}


@pytest.mark.parametrize("paired", [False, True])
def test_every_pair_is_tested_once_and_all_are_one_family(paired: bool) -> None:
    found = all_pairs(ROWS, AUC, paired=paired)
    asked = list(combinations("abc", 2))
    assert [(c.method, c.baseline) for c in found.comparisons] == asked and found.tests == 3
    values = {name: [row[seed] for seed in range(4)] for name, row in ROWS.items()}
    # three methods: too few to estimate a common spread, so the unpaired test is Welch's
    ps = [
        (ttest_rel(values[a], values[b]) if paired else ttest_ind(values[a], values[b], equal_var=False)).pvalue
        for a, b in asked
    ]
    assert [c.p for c in found.comparisons] == pytest.approx(ps)
    assert [c.p_adjusted for c in found.comparisons] == pytest.approx(holm(ps))


def test_who_is_excluded_or_lacks_a_run_has_no_pair() -> None:
    rows = {**ROWS, "d": {0: 0.9, 1: 0.9}}
    found = all_pairs(rows, AUC, expected=range(4), excluded={"b": "seed 1 diverged"})
    assert [(c.method, c.baseline) for c in found.comparisons] == [("a", "c")]


def test_a_tier_is_led_by_the_best_that_is_left() -> None:
    assert tiers([], set()) == ()
    assert tiers("abc", set()) == (("a", "b", "c"),)
    assert tiers("abc", pairs("ab", "ac", "bc")) == (("a",), ("b",), ("c",))
    # c is told from a, b is told from nobody: it could be the best
    assert tiers("abc", pairs("ac")) == (("a", "b"), ("c",))
    # a wide spread keeps c beside a, where b of a better mean is told from it
    assert tiers("abc", pairs("ab")) == (("a", "c"), ("b",))
    # no two members of a tier are told apart
    assert tiers("abcd", pairs("ad", "bc")) == (("a", "b"), ("c", "d"))
