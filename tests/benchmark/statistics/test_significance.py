"""Held to SciPy and to numbers worked out elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import holm, paired_t_test, sign_flip_test, t_interval
from benchmark.statistics.arms import Contrast
from tests.benchmark.statistics.test_intervals import A, B, D, spread_out

ps = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_paired_t_worked_elsewhere() -> None:
    found = paired_t_test(D)
    assert (found.statistic, found.p) == pytest.approx((6.667949, 0.0026285), rel=1e-4)
    expected = stats.ttest_rel(B, A)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)


def test_nadeau_and_bengio_worked_elsewhere() -> None:
    found = paired_t_test(D, test_train_ratio=0.25)
    assert (found.statistic, found.p) == pytest.approx((4.445299, 0.0112876), rel=1e-4)


@settings(max_examples=30)
@given(spread_out, st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_p_knows_neither_unit_nor_order_nor_direction(values: list[float], unit: float, random: object) -> None:
    turned = [-unit * value for value in values]
    random.shuffle(turned)  # type: ignore[attr-defined]
    for test in (paired_t_test, sign_flip_test):
        one, other = test(values), test(turned)
        assert one.p == pytest.approx(other.p, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("test", [paired_t_test, sign_flip_test])
def test_two_pairs_are_no_test(test: object) -> None:
    found = test([0.1, 0.2])  # type: ignore[operator]
    assert found.p is None and found.reason == "2 pairs; a test needs 3"


def test_seeds_that_vary_nothing_are_no_repetition() -> None:
    same = [0.1 + 0.2, 0.3, 0.3]  # equal to rounding
    assert paired_t_test(same).p is None and "change nothing" in str(paired_t_test(same).reason)
    assert Contrast.paired(same).p is None and Contrast.paired(same).interval().half_width == 0


def test_the_least_p_of_sign_flips_of_five_is_a_sixteenth() -> None:
    assert sign_flip_test(D).p == 0.0625
    asked = sign_flip_test(D, level=0.05)
    assert asked.p is None and asked.reason == "with 5 pairs, p cannot fall below 0.0625, and 0.05 is needed"


def test_zeros_flip_to_themselves_and_leave_fewer_patterns() -> None:
    assert sign_flip_test([0.0, 0.0, 1.0, 2.0, 3.0, 1.5]).p == 0.125
    assert sign_flip_test([0.0, 0.0, 1.0, 2.0, 3.0, 1.5], level=0.1).p is None


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=8))
def test_sign_flips_equal_counting(values: list[int]) -> None:
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    assert sign_flip_test(values).p == sum(s >= abs(sum(values)) for s in sums) / len(sums)


def test_sign_flips_equal_scipy_beyond_what_is_counted() -> None:
    values = np.random.default_rng(5).normal(0.3, 1, 30)
    found = sign_flip_test(values.tolist())
    expected = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        n_resamples=99_999,
        rng=np.random.default_rng(6),
        vectorized=True,
    )
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    assert found == sign_flip_test(values.tolist())


@given(spread_out, st.floats(0.01, 10))
def test_equivalence_is_the_ninety_percent_interval_inside_the_margin(values: list[float], margin: float) -> None:
    found, ninety = Contrast.paired(values).p_equivalence(margin), t_interval(values, 0.90)
    assert ninety is not None and ninety.low is not None and ninety.high is not None and found is not None
    inside = min(margin - ninety.high, margin + ninety.low)
    if abs(inside) > 1e-6:
        assert (found < 0.05) == (inside > 0)


def test_equivalence_equals_two_one_sided_tests_of_scipy() -> None:
    found = Contrast.paired(D).p_equivalence(0.003)
    above, below = stats.ttest_1samp(D, -0.003, alternative="greater"), stats.ttest_1samp(D, 0.003, alternative="less")
    assert found == pytest.approx(max(above.pvalue, below.pvalue), rel=1e-10)


def test_holm_worked_elsewhere() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.02], tests=10) == pytest.approx([0.1, 0.18])
    assert holm([]) == []


@given(ps)
def test_holm_rejects_what_closed_testing_by_bonferroni_rejects(values: list[float]) -> None:
    """Holm is the closure of Bonferroni: each is as unlikely as the likeliest intersection that it is part of."""
    expected = []
    for one in range(len(values)):
        others = [v for n, v in enumerate(values) if n != one]
        worst = 0.0
        for size in range(len(others) + 1):
            for chosen in itertools.combinations(others, size):
                worst = max(worst, min(1.0, (size + 1) * min((values[one], *chosen))))
        expected.append(worst)
    assert holm(values) == pytest.approx(expected)
