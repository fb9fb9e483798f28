"""Arms: held to limma and to Welch's test; and by simulation, what a family of them may claim, and what it finds.

The simulations are drawn to the spreads of ten tuned methods on four tasks of KuaiRand-Pure. Bands are exact binomial ones of
99.9 %: a right program falls outside once in a thousand seeds, and the seed is fixed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp, ttest_ind

from benchmark.statistics.arms import Arms, Contrast, fit_prior
from benchmark.statistics.significance import holm

LIMMA: dict[str, Any] = json.loads((Path(__file__).parent / "limma" / "limma.json").read_text())
CASES = [name for name in LIMMA if name != "limma"]


@pytest.mark.parametrize("name", CASES)
def test_the_fit_is_limmas(name: str) -> None:
    case = LIMMA[name]
    prior = fit_prior(case["variances"], case["dfs"])
    (df,) = case["prior_df"]
    assert prior.df == pytest.approx(math.inf if df is None else df, rel=1e-6)
    assert prior.variance == pytest.approx(case["prior_variance"][0], rel=1e-6)


def with_variance(variance: float, f: float) -> np.ndarray:
    """f + 1 values of exactly this variance."""
    return math.sqrt(variance / 2 * f) * np.array([1.0, -1.0, *[0.0] * (int(f) - 1)])


@pytest.mark.parametrize("name", CASES)
def test_spreads_are_raised_towards_the_common_one_and_never_lowered(name: str) -> None:
    case = LIMMA[name]
    given = list(zip(case["variances"], case["dfs"], strict=True))
    arms = Arms({str(number): with_variance(*pair) for number, pair in enumerate(given)})
    prior = fit_prior(case["variances"], case["dfs"])
    for number, (variance, f) in enumerate(given):
        d = min(prior.df, f / 2)
        shrunk = (d * prior.variance + f * variance) / (d + f)
        assert arms.moderated(str(number)) == (pytest.approx(max(variance, shrunk), rel=1e-6), pytest.approx(d + f))


@pytest.mark.parametrize("sizes", [(5, 5), (3, 8)])
def test_two_arms_are_welchs_test(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    one, two = (rng.normal(0.3 * k, 1 + k, n) for k, n in enumerate(sizes))
    found = Arms({"one": one, "two": two}).contrast({"one": 1, "two": -1})
    welch = ttest_ind(one, two, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue, rel=1e-9)
    assert found.df == pytest.approx(welch.df, rel=1e-9)
    between = welch.confidence_interval(0.9)
    interval = found.interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((between.low, between.high), rel=1e-9)
    # two one-sided tests at 5 % are the 90 % interval inside the margin
    margin = max(abs(between.low), abs(between.high))
    assert found.p_equivalence(margin) == pytest.approx(0.05, rel=1e-6)


def test_three_arms_share_nothing() -> None:
    rng = np.random.default_rng(4)
    values = {name: rng.normal(0, size, 5) for name, size in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 1.5))}
    three = Arms({name: values[name] for name in "abc"})
    assert three.prior.df == 0
    assert three.moderated("a") == (pytest.approx(values["a"].var(ddof=1)), 4)
    assert Arms(values).prior.df > 0


def test_a_contrast_of_several_arms_has_satterthwaites_degrees_of_freedom() -> None:
    rng = np.random.default_rng(5)
    values = {name: rng.normal(0, 1, n) for name, n in (("a", 5), ("b", 4), ("c", 7), ("d", 5))}
    arms = Arms(values)
    weights = {"a": 0.5, "b": 0.5, "c": -0.5, "d": -0.5}
    found = arms.contrast(weights)
    parts = [0.25 * arms.moderated(name)[0] / len(row) for name, row in values.items()]
    dfs = [arms.moderated(name)[1] for name in values]
    assert found.value == pytest.approx(sum(weights[name] * row.mean() for name, row in values.items()))
    assert found.error == pytest.approx(math.sqrt(sum(parts)))
    assert found.df == pytest.approx(
        min(sum(parts) ** 2 / sum(p**2 / df for p, df in zip(parts, dfs, strict=True)), 17)
    )
    assert found.n == 4


def test_an_arm_with_too_few_values_is_in_no_fit() -> None:
    arms = Arms({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0], "c": [0.0, 4.0, 1.0]}, left_out=["c"])
    assert set(arms.fitted) == {"b"}
    found = arms.contrast({"a": 1, "b": -1})
    assert (found.value, found.p, found.n, found.interval().half_width) == (-0.5, None, 2, None)
    assert arms.contrast({"c": 1, "b": -1}).p is not None


def test_pairs_are_students_test() -> None:
    differences = [0.3, -0.1, 0.2, 0.4]
    found = Contrast.paired(differences)
    assert found.p == pytest.approx(ttest_1samp(differences, 0).pvalue, rel=1e-9)
    between = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (found.interval().low, found.interval().high) == pytest.approx((between.low, between.high), rel=1e-9)
    corrected = Contrast.paired(differences, test_train_ratio=0.25)
    assert corrected.error == pytest.approx(found.error * math.sqrt((1 / 4 + 0.25) / (1 / 4)))


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_degrees_of_freedom_are_planned_as_they_come_out(seeds: int) -> None:
    rng = np.random.default_rng(6)
    arms = Arms({name: rng.normal(0, 1 + number, seeds) for number, name in enumerate("abcde")})
    found = arms.contrast({"a": 1, "b": -1})
    assert found.degrees(seeds) == pytest.approx(found.df)
    assert found.sd / math.sqrt(seeds) == pytest.approx(found.error)


def test_what_does_not_vary_has_no_test() -> None:
    arms = Arms({"a": [1.0] * 5, "b": [1.0] * 5, "c": [1.0] * 5, "d": [1.0] * 5})
    found = arms.contrast({"a": 1, "b": -1})
    assert found.p is None
    assert found.p_equivalence(1.0) is None
    assert found.interval().half_width == 0


# simulations -----------------------------------------------------------------------------------------------------------

SDS_MT = np.array([  # sample standard deviations of click, long_view, like and play_time; the last method is the baseline
    [.00052, .00084, .0038, .0074], [.0020, .0025, .0072, .014], [.0010, .00047, .0056, .0084], [.0009, .00065, .0053, .0079],
    [.0027, .0029, .0084, .019], [.00063, .0012, .0034, .0090], [.0026, .0040, .012, .018], [.0018, .0018, .0070, .013],
    [.0021, .0038, .0079, .015], [.00091, .00089, .0034, .0071],
])  # fmt: skip
EFFECTS_MT = np.array([
    [-.0036, -.0035, -.018, -.017], [-.0033, -.0031, -.025, -.015], [-.0028, -.0028, -.015, -.009], [-.0029, -.0029, -.015, -.016],
    [-.0038, -.0033, -.024, -.015], [-.001, -.0005, -.011, -.001], [-.0051, -.0055, -.035, -.023], [-.0038, -.0043, -.030, -.013],
    [-.0051, -.0069, -.018, -.021], [0, 0, 0, 0],
])  # fmt: skip
MARGINS_T = np.array([0.001, 0.001, 0.001, 0.0147])
SPREADS_T = np.exp(np.log(SDS_MT).mean(axis=0))
FITTED_T = (3.4, 28.0, 2.0, math.inf)
"""Prior degrees of freedom of the variances over methods, fitted to these and other records."""

STUDIES = 600
Spreads = Callable[[np.random.Generator], np.ndarray]


def observed(rng: np.random.Generator) -> np.ndarray:
    """(M, T) the sample standard deviations taken as the truth: more different than they are."""
    return SDS_MT


def fitted(rng: np.random.Generator) -> np.ndarray:
    """(M, T) standard deviations drawn anew: scaled inverse chi-squared variances by task."""
    shares = [np.ones(10) if math.isinf(d0) else np.sqrt(d0 / rng.chisquare(d0, 10)) for d0 in FITTED_T]
    return SPREADS_T * np.stack(shares, axis=1)


def equal(rng: np.random.Generator) -> np.ndarray:
    """(M, T) the same for all methods."""
    return np.broadcast_to(SPREADS_T, SDS_MT.shape)


def contrasts(
    spreads: Spreads, seeds: int, *, methods: int = 10, tasks: int = 4, effects: bool = False, shared: float = 0.0
) -> Iterator[list[list[Contrast]]]:
    """Studies, as contrasts with the last method [task][method]; a share of each variance is the seed's, common to all."""
    rng = np.random.default_rng(20_261_127)
    for _ in range(STUDIES):
        sds_MT = spreads(rng)[-methods:, :tasks]
        own_MTS = rng.normal(size=(methods, tasks, seeds)) * math.sqrt(1 - shared)
        common_MTS = rng.normal(size=(1, tasks, seeds)) * math.sqrt(shared)
        drawn_MTS = (own_MTS + common_MTS) * sds_MT[:, :, None]
        if effects:
            drawn_MTS += EFFECTS_MT[-methods:, :tasks, None]
        study = []
        for task in range(tasks):
            arms = Arms({str(method): drawn_MTS[method, task] for method in range(methods)})
            study.append([arms.contrast({str(m): 1, str(methods - 1): -1}) for m in range(methods - 1)])
        yield study


def adjusted(ps: list[float | None]) -> list[float]:
    return holm([p for p in ps if p is not None])


def false_claims(studies: Iterator[list[list[Contrast]]]) -> int:
    return sum(min(adjusted([c.p for row in study for c in row])) < 0.05 for study in studies)


def band(share: float) -> tuple[float, float]:
    return float(binom.ppf(0.0005, STUDIES, share)), float(binom.ppf(0.9995, STUDIES, share))


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize(
    ("spreads", "promised"), [(equal, 0.05), (fitted, 0.05), (observed, 0.08)], ids=["equal", "fitted", "observed"]
)
def test_the_family_errs_no_more_than_promised(spreads: Spreads, promised: float, seeds: int) -> None:
    assert false_claims(contrasts(spreads, seeds)) <= band(promised)[1]


@pytest.mark.parametrize(("methods", "tasks"), [(4, 2), (10, 2), (4, 4)])
def test_smaller_families_err_no_more_either(methods: int, tasks: int) -> None:
    assert false_claims(contrasts(observed, 5, methods=methods, tasks=tasks)) <= band(0.08)[1]


def test_what_seeds_share_makes_it_no_more_liberal() -> None:
    assert false_claims(contrasts(fitted, 5, shared=0.5)) <= band(0.05)[1]


@pytest.mark.parametrize(("spreads", "least"), [(fitted, 0.36), (observed, 0.54)], ids=["fitted", "observed"])
def test_at_five_seeds_it_finds_what_is_beyond_the_margin(spreads: Spreads, least: float) -> None:
    beyond = (np.abs(EFFECTS_MT[:-1]) > MARGINS_T).T  # [task][method]
    found = [
        np.array(adjusted([c.p for row in study for c in row])).reshape(4, 9) < 0.05
        for study in contrasts(spreads, 5, effects=True)
    ]
    assert np.mean([of[beyond].mean() for of in found]) >= least


@pytest.mark.parametrize(("seeds", "least"), [(3, 0.80), (5, 0.97)])
def test_the_declared_primary_finds_nearly_all(seeds: int, least: float) -> None:
    # the gain over tasks in percent, its spread and its size over methods as in the records
    rng = np.random.default_rng(20_261_128)
    spread_M = np.array([0.30, 0.85, 0.42, 0.40, 1.05, 0.33, 1.35, 0.80, 0.95, 0.33])
    effect_M = np.array([-2.3, -2.9, -1.9, -2.0, -2.9, -1.2, -4.2, -3.3, -3.1, 0.0])
    claims = [
        [a < 0.05 for a in adjusted([arms.contrast({str(m): 1, "9": -1}).p for m in range(9)])]
        for arms in (
            Arms({str(m): rng.normal(effect_M[m], spread_M[m], seeds) for m in range(10)}) for _ in range(STUDIES)
        )
    ]
    assert np.mean(claims) >= least


@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_methods_are_called_equivalent_and_those_at_the_margin_seldom(seeds: int) -> None:
    rng = np.random.default_rng(20_261_129)
    sd = 0.00025  # of income on Census-Income, whose margin is .001
    equivalent = at_margin = 0
    for _ in range(STUDIES):
        drawn_MS = rng.normal(0, sd, (10, seeds))
        for shift in (0.0, 0.001):
            arms = Arms({str(m): drawn_MS[m] + (shift if m < 9 else 0.0) for m in range(10)})
            ps = [arms.contrast({str(m): 1, "9": -1}).p_equivalence(0.001) for m in range(9)]
            claims = [p < 0.05 for p in adjusted(ps)]
            if shift:
                at_margin += any(claims)
            else:
                equivalent += sum(claims)
    assert equivalent / (9 * STUDIES) >= (0.8 if seeds == 3 else 0.99)
    assert at_margin <= band(0.08)[1]
