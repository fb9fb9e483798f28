from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from benchmark.statistics import (
    Comparison,
    Endpoint,
    Family,
    Margin,
    Verdict,
    against_baseline,
    judge,
    paired_t_test,
    seesaw,
    sentence,
)
from tests.benchmark.statistics.test_intervals import A, B, D, spread_out

AUC = Endpoint("income", "auc", 1, Margin(0.001))
MSE = Endpoint("hours", "mse", -1, Margin(0.01, relative=True))


def one(differences: list[float], endpoint: Endpoint = AUC, mean: float = 0.8, **options: object) -> Comparison:
    """The only comparison of a family."""
    asked = Comparison(endpoint, "m", "b", tuple(differences), mean, **options)  # type: ignore[arg-type]
    return judge([asked]).comparisons[0]


def table(
    methods: dict[str, list[float]], endpoint: Endpoint = AUC
) -> dict[tuple[str, str], dict[str, dict[int, float]]]:
    return {(endpoint.task, endpoint.metric): {m: dict(enumerate(row)) for m, row in methods.items()}}


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        (D, Verdict.BETTER),
        ([-d for d in D], Verdict.WORSE),
        ([1e-4, -1e-4, 2e-4, -2e-4, 0.0], Verdict.EQUIVALENT),
        ([0.0] * 5, Verdict.IDENTICAL),
        ([0.004, -0.003, 0.001, 0.002, -0.001], Verdict.UNDECIDED),
        ([0.01, 0.01], Verdict.UNDECIDED),
        ([0.01] * 5, Verdict.UNDECIDED),
        ([0.0], Verdict.IDENTICAL),
    ],
)
def test_the_verdict(differences: list[float], verdict: Verdict) -> None:
    assert one(differences).verdict is verdict


def test_lower_is_better_where_the_metric_says_so() -> None:
    found = one([-d for d in D], MSE, mean=0.01)
    assert found.verdict is Verdict.BETTER
    assert found.difference is not None and found.improvement is not None and found.improvement.low is not None
    assert found.difference.mean < 0 < found.improvement.low < found.improvement.mean


def test_a_relative_margin_is_a_share_of_the_baselines_mean() -> None:
    assert one([-0.4, 0.3, 0.2, -0.1, 0.1], MSE, mean=100.0).verdict is Verdict.EQUIVALENT
    assert one([-0.4, 0.3, 0.2, -0.1, 0.1], MSE, mean=10.0).verdict is Verdict.UNDECIDED


def test_what_is_significant_and_small_is_better_within_the_margin() -> None:
    found = one([2e-4, 2.1e-4, 1.9e-4, 2e-4, 2.2e-4])
    assert found.verdict is Verdict.BETTER and found.within_margin
    assert sentence(found, "AUC").endswith("That is within the margin of 0.0010.")


def test_a_method_that_is_not_ranked_has_no_verdict_and_costs_the_others_nothing() -> None:
    values = table({"b": list(A), "m": list(B), "broken": list(B)})
    found = against_baseline(values, [AUC], "b", excluded={"broken": "seed 3 diverged", "gone": "no run"})
    assert [(c.method, c.verdict) for c in found.comparisons] == [
        ("broken", None),
        ("gone", None),
        ("m", Verdict.BETTER),
    ]
    assert found.tests == 1
    broken = found.get("income", "broken")
    assert broken is not None and broken.reason == "seed 3 diverged" and broken.difference is not None


def test_nobody_is_ranked_against_a_baseline_that_is_not() -> None:
    found = against_baseline(table({"b": list(A), "m": list(B)}), [AUC], "b", excluded={"b": "seed 1 failed"})
    assert [(c.verdict, c.reason) for c in found.comparisons] == [(None, "the baseline b is not ranked: seed 1 failed")]


def test_a_metric_undefined_in_one_run_leaves_no_verdict() -> None:
    values = table({"b": list(A), "m": list(B)})
    del values["income", "auc"]["m"][2]
    reason = "no auc in 1 of 5 runs where another method has one"
    assert against_baseline(values, [AUC], "b").comparisons[0].reason == reason
    turned = against_baseline(values, [AUC], "m").comparisons[0]
    assert turned.verdict is None and turned.reason == f"the baseline m is not ranked: {reason}"


def test_methods_without_a_common_pair_are_not_compared() -> None:
    values = {("income", "auc"): {"b": {0: 0.8}, "m": {1: 0.8}}}
    found = against_baseline(values, [AUC], "b", paired=True).comparisons[0]
    assert found.verdict is None and found.reason == "no auc in 1 of 2 runs where another method has one"
    assert found.difference is None and found.seeds_needed() is None and found.detectable() is None


def test_p_is_adjusted_for_all_methods_and_tasks() -> None:
    noise = [0.80, 0.81, 0.79, 0.82, 0.80]
    values = table({"b": list(A), "m": list(B), "n": noise}) | table({"b": list(A), "m": noise, "n": noise}, MSE)
    found = against_baseline(values, [AUC, MSE], "b")
    better = found.get("income", "m")
    assert found.tests == 4 and better is not None and better.p is not None
    assert better.p_adjusted == pytest.approx(4 * better.p)
    assert better.difference_adjusted is not None and better.difference is not None
    assert better.difference_adjusted.adjusted and better.difference_adjusted.confidence == 1 - 0.05 / 4
    assert better.difference_adjusted.half_width > better.difference.half_width  # type: ignore[operator]


def test_runs_on_the_same_rows_are_not_paired() -> None:
    """Two methods: Welch's test, its interval and the old paired p beside it."""
    found = against_baseline(table({"b": list(A), "m": list(B)}), [AUC], "b").comparisons[0]
    welch = ttest_ind(B, A, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue, rel=1e-9)
    assert found.p_paired == pytest.approx(paired_t_test(D).p)
    between = welch.confidence_interval(0.95)
    assert found.difference is not None
    assert (found.difference.low, found.difference.high) == pytest.approx((between.low, between.high))
    turned = found.turned()
    assert turned.difference is not None and turned.difference.low == pytest.approx(-between.high)
    assert turned.baseline_mean == pytest.approx(sum(B) / len(B))


def test_identical_runs_differ_by_nothing_whatever_their_spread() -> None:
    (found,) = against_baseline(table({"b": list(A), "m": list(A)}), [AUC], "b").comparisons
    assert found.verdict is Verdict.IDENTICAL and found.p is None and found.sd == 0
    assert found.difference is not None and (found.difference.low, found.difference.high) == (0.0, 0.0)


def test_more_runs_of_a_method_count_where_runs_are_not_paired() -> None:
    more = [*B, 0.81, 0.805]
    found = against_baseline(table({"b": list(A), "m": more}), [AUC], "b", expected=range(len(A))).comparisons[0]
    assert found.n == len(A)
    assert found.p == pytest.approx(ttest_ind(more, A, equal_var=False).pvalue, rel=1e-9)


def test_a_method_that_is_not_ranked_does_not_move_the_others_spreads() -> None:
    rows = {"b": list(A), "m": list(B), "n": [0.80, 0.81, 0.79, 0.82, 0.80], "o": [0.7, 0.72, 0.69, 0.7, 0.71]}
    wild = {**rows, "w": [0.1, 0.9, 0.2, 0.8, 0.5]}
    plain = against_baseline(table(rows), [AUC], "b")
    beside = against_baseline(table(wild), [AUC], "b", excluded={"w": "seed 3 diverged"})
    assert [c.p for c in plain.comparisons] == [c.p for c in beside.comparisons if c.method != "w"]


def test_varying_test_rows_make_it_harder() -> None:
    values = table({"b": list(A), "m": list(B)})
    plain, corrected = (
        against_baseline(values, [AUC], "b", paired=True, test_train_ratio=r).comparisons[0] for r in (0.0, 0.25)
    )
    assert plain.p == pytest.approx(0.0026285, rel=1e-4) and corrected.p == pytest.approx(0.0112876, rel=1e-4)


@given(st.dictionaries(st.sampled_from("mnopq"), spread_out, min_size=1), st.floats(0.1, 10))
def test_p_values_know_neither_the_order_nor_the_unit(rows: dict[str, list[float]], unit: float) -> None:
    def p_values(rows: dict[str, list[float]], unit: float) -> dict[str, float]:
        endpoint = Endpoint("t", "x", 1, Margin(0.5 * unit))
        asked = [Comparison(endpoint, m, "b", tuple(unit * d for d in row), 1.0) for m, row in rows.items()]
        return {c.method: (c.p_adjusted or 0) + (c.p_equivalence_adjusted or 0) for c in judge(asked).comparisons}

    turned = {method: row[::-1] for method, row in reversed(rows.items())}
    assert p_values(rows, 1.0) == pytest.approx(p_values(turned, 1.0))
    assert p_values(rows, 1.0) == pytest.approx(p_values(rows, unit), rel=1e-6, abs=1e-9)


def test_the_sign_flip_beside_a_verdict_is_silent_where_it_cannot_speak() -> None:
    assert one(D).sign_flip.p is None
    assert one(D * 3).sign_flip.p is not None


def test_seesaws_are_counted_by_verdicts() -> None:
    values = table({"b": list(A), "m": list(B), "n": list(B)}) | table({"b": list(A), "m": list(B), "n": list(A)}, MSE)
    family = against_baseline(values, [AUC, MSE], "b", excluded={"gone": "no run"})
    found = seesaw(family.comparisons)
    assert found["m"].better == ("income",) and found["m"].worse == ("hours",) and found["m"].seesaws
    assert not found["n"].seesaws and "gone" not in found
    assert family.of(Verdict.IDENTICAL)[0].method == "n"


def test_a_family_of_nothing() -> None:
    assert judge([]) == Family((), 0)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_is_a_number_above_zero(size: float) -> None:
    with pytest.raises(ValueError, match="a margin must be a finite number above 0"):
        Margin(size)


def test_a_direction_is_up_or_down() -> None:
    with pytest.raises(ValueError, match="direction of calibration on t must be 1 or -1, found 0"):
        Endpoint("t", "calibration", 0, Margin(0.1))


# in words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        (D, "m beats b on income by 0.0017 AUC [0.0010, 0.0024], adjusted p = 0.00263."),
        ([-d for d in D], "m is worse than b on income by 0.0017 AUC [0.0010, 0.0024], adjusted p = 0.00263."),
        ([0.0] * 5, "m and b on income: identical, every difference of 5 is zero."),
        ([1e-4, -1e-4, 2e-4, -2e-4, 1e-4], "m and b on income: equivalent within 0.0010 AUC, adjusted p < 0.001."),
        (
            [0.004, -0.003, 0.001, 0.002, -0.001],
            "m and b on income: not distinguishable with 5 seeds; about 64 would distinguish a difference of 0.0010 AUC from none.",
        ),
        ([0.1, 0.2], "m and b on income: not distinguishable with 2 seeds (2 pairs; a test needs 3)."),
        ([], "m is not compared with b on income: no pair of runs has the same data and seed."),
    ],
)
def test_a_comparison_in_words(differences: list[float], expected: str) -> None:
    assert sentence(one(differences), "AUC") == expected


def test_what_seeds_cannot_decide_is_said() -> None:
    found = one([0.004, -0.003, 0.001, 0.002, -0.001], test_train_ratio=0.25)
    assert found.seeds_to_decide is None
    would = "would distinguish a difference of 0.0010 AUC from none"
    assert f"no number of seeds on these splits {would}" in sentence(found, "AUC")
    noisy = one([0.4, -0.3, 0.1, 0.2, -0.1])  # with fixed test rows enough seeds decide anything
    assert noisy.seeds_to_decide is None and f"only more than 100,000 seeds {would}" in sentence(noisy, "AUC")


def test_more_seeds_than_expected_are_used_and_make_no_other_incomplete() -> None:
    more = [0.1 * seed for seed in range(10)]
    values = table({"b": more, "m": [value + 0.01 * seed for seed, value in enumerate(more)]})
    values["income", "auc"]["n"] = dict(enumerate(more[:4]))
    found = {c.method: c for c in against_baseline(values, [AUC], "b", expected=range(4)).comparisons}
    assert {method: c.n for method, c in found.items()} == {"m": 10, "n": 4}
    assert all(c.verdict is not None for c in found.values())
    lacking = {c.method: c for c in against_baseline(values, [AUC], "b", expected=range(5)).comparisons}
    assert lacking["m"].verdict is not None
    assert lacking["n"].reason == "no auc in 1 of 5 runs where another method has one"
