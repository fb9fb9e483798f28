"""A/A: studies drawn from a known truth, through the code that writes the verdicts.

Bands are exact binomial ones of 99.9 %: a right program falls outside once in a thousand seeds, and the seed is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy.stats import binom

from benchmark.statistics import (
    FIRM,
    Endpoint,
    Family,
    Margin,
    Verdict,
    against_baseline,
    all_pairs,
    detectable_difference,
    equivalence_power,
    power_of_test,
)

STUDIES = 2_000
METHODS = ("baseline", "m1", "m2", "m3")
SD = 1e-3
"""Of a method's own luck; a pair's difference has sqrt(2) of it, as what both share cancels."""

SPREAD = SD * 2**0.5


def band(share: float, trials: int = STUDIES) -> tuple[float, float]:
    return float(binom.ppf(0.0005, trials, share)) / trials, float(binom.ppf(0.9995, trials, share)) / trials


def versus_baseline(values: dict[tuple[str, str], dict[str, dict[int, float]]], endpoints: list[Endpoint]) -> Family:
    return against_baseline(values, endpoints, "baseline", paired=True)


def among_all(values: dict[tuple[str, str], dict[str, dict[int, float]]], endpoints: list[Endpoint]) -> Family:
    return all_pairs(values[endpoints[0].task, endpoints[0].metric], endpoints[0], paired=True)


def studies(
    seeds: int = 5,
    methods: tuple[str, ...] = METHODS,
    *,
    truth: dict[tuple[str, str], float] | None = None,
    margin: float = SD,
    judged: Callable[..., Family] = versus_baseline,
    tasks: int = 2,
) -> Iterator[Family]:
    """Families of normal values: AUC on one task, MSE on the other; a seed's luck is shared by its methods.

    Args:
        truth: {(task, method): true improvement over the others}, positive is better.
    """
    rng = np.random.default_rng(20_260_103)
    endpoints = [Endpoint("click", "auc", 1, Margin(margin)), Endpoint("time", "mse", -1, Margin(margin))][:tasks]
    shifts = np.array([[e.direction * (truth or {}).get((e.task, m), 0.0) for m in methods] for e in endpoints])
    own = rng.normal(0, SD, (STUDIES, tasks, len(methods), seeds))
    drawn = 0.8 + own + rng.normal(0, 2 * SD, (STUDIES, tasks, 1, seeds)) + shifts[:, :, None]
    for study in drawn.tolist():
        yield judged(
            {
                (e.task, e.metric): {m: dict(enumerate(row)) for m, row in zip(methods, rows, strict=True)}
                for e, rows in zip(endpoints, study, strict=True)
            },
            endpoints,
        )


# runs on the same rows: not paired ------------------------------------------------------------------------------------

FEWER = 800
OBSERVED_M = np.array([0.30, 0.85, 0.42, 0.40, 1.05, 0.33, 1.35, 0.80, 0.95, 0.33])
"""Spreads of ten methods' gains in our records; the baseline's last."""


def unpaired(
    methods: int,
    seeds: int,
    *,
    tasks: int = 2,
    number: int = FEWER,
    shared: float = 0.0,
    sd_M: np.ndarray | None = None,
) -> Iterator[tuple[Family, Family]]:
    """Studies of equal methods: the family against the last, and that of all pairs of the others on the first task.

    Args:
        methods: How many.
        seeds: Of each.
        tasks: How many.
        number: Of studies.
        shared: Spread of what all methods of a seed have in common, as a share of their own.
        sd_M: Spread of each method; equal ones by default.
    """
    rng = np.random.default_rng(20_261_133)
    endpoints = [Endpoint(f"task {task}", "auc", 1, Margin(SD)) for task in range(tasks)]
    sd_M = np.ones(methods) if sd_M is None else sd_M
    names = [str(method) for method in range(methods)]
    for _ in range(number):
        drawn_TMS = 0.8 + SD * sd_M[:, None] * rng.normal(size=(tasks, methods, seeds))
        drawn_TMS += shared * SD * rng.normal(size=(tasks, 1, seeds))
        values = {
            (endpoint.task, "auc"): {name: dict(enumerate(row)) for name, row in zip(names, rows, strict=True)}
            for endpoint, rows in zip(endpoints, drawn_TMS.tolist(), strict=True)
        }
        first = values[endpoints[0].task, "auc"]
        others = {name: row for name, row in first.items() if name != names[-1]}
        yield against_baseline(values, endpoints, names[-1]), all_pairs(others, endpoints[0])


@pytest.mark.parametrize("methods", [4, 10])
@pytest.mark.parametrize("seeds", [3, 5])
def test_unpaired_families_err_no_more_than_they_say_alone_and_together(methods: int, seeds: int) -> None:
    firm = np.array([[any_firm(family) for family in families] for families in unpaired(methods, seeds)])
    most = band(0.05, FEWER)[1]
    assert firm[:, 0].mean() <= most and firm[:, 1].mean() <= most
    assert firm.any(axis=1).mean() <= band(0.1, FEWER)[1]


def test_where_spreads_differ_as_observed_they_err_a_little_more() -> None:
    drawn = list(unpaired(4, 5, sd_M=OBSERVED_M[-4:]))
    firm = np.array([[any_firm(family) for family in families] for families in drawn])
    assert firm[:, 0].mean() <= band(0.08, FEWER)[1] and firm[:, 1].mean() <= band(0.08, FEWER)[1]
    assert firm.any(axis=1).mean() <= band(0.13, FEWER)[1]


@pytest.mark.parametrize(("methods", "number"), [(4, FEWER), (10, 400)])
def test_luck_that_all_methods_of_a_seed_share_makes_the_unpaired_family_no_more_liberal(
    methods: int, number: int
) -> None:
    shares = [
        np.mean([any_firm(family) for family, _ in unpaired(methods, 5, number=number, shared=shared)])
        for shared in (0.0, 1.0)
    ]
    assert shares[1] <= shares[0] <= band(0.05, number)[1]


def searched(replicates: int, *, searches: int) -> float:
    """Share of studies of four equal tuned methods with a false difference, where searches vary as much as seeds do.

    Args:
        replicates: Runs of each method.
        searches: How many searches they come from: one for all, or one each.
    """
    rng = np.random.default_rng(20_261_134)
    gain, firm = Endpoint("all", "gain", 1, Margin(0.5)), 0
    for _ in range(FEWER):
        luck_MS = np.repeat(rng.normal(size=(4, searches)), replicates // searches, axis=1)
        drawn_MS = luck_MS + rng.normal(size=(4, replicates))
        rows = {name: dict(enumerate(row)) for name, row in zip("abcd", drawn_MS.tolist(), strict=True)}
        firm += any_firm(against_baseline({("all", "gain"): rows}, [gain], "a"))
    return firm / FEWER


def test_a_replicate_of_a_tuned_method_is_a_search_and_a_seed() -> None:
    assert searched(5, searches=5) <= band(0.05, FEWER)[1]


def test_several_seeds_of_one_search_err_far_more_often() -> None:
    """45 to 55 % of studies, and not 5: the luck of the search is in all of a method's seeds alike."""
    assert 0.45 <= searched(5, searches=1) <= 0.55


# --------------------------------------------------------------------------------------------------------------------


def any_firm(family: Family) -> bool:
    return any(c.verdict in FIRM for c in family.comparisons)


@pytest.mark.parametrize("judged", [versus_baseline, among_all])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_hardly_any_study_of_equal_methods_finds_a_difference(judged: Callable[..., Family], seeds: int) -> None:
    share = np.mean([any_firm(family) for family in studies(seeds, judged=judged)])
    assert band(0.02)[0] <= share <= band(0.05)[1]  # below 5 %, as comparisons share a method


def test_one_comparison_errs_exactly_as_often_as_it_says() -> None:
    share = np.mean([any_firm(family) for family in studies(methods=METHODS[:2], tasks=1)])
    assert band(0.05)[0] <= share <= band(0.05)[1]


def test_equivalence_is_claimed_as_often_as_its_theory_says() -> None:
    margin, seeds = 1.5 * SPREAD, 10
    families = list(studies(seeds, margin=margin))
    level = 0.05 / families[0].tests
    for number in range(families[0].tests):
        raw = np.mean([f.comparisons[number].p_equivalence < 0.05 for f in families])  # type: ignore[operator]
        expected = equivalence_power(margin, SPREAD, seeds)
        assert band(expected)[0] <= raw <= band(expected)[1]
        # of the family: Bonferroni's power at least, and at most that of a test on its own
        claimed = np.mean([f.comparisons[number].within_margin for f in families])
        assert band(equivalence_power(margin, SPREAD, seeds, level))[0] <= claimed <= expected
    words = {c.verdict for f in families for c in f.comparisons}
    assert Verdict.EQUIVALENT in words


def test_hardly_any_study_calls_methods_at_the_margin_equivalent() -> None:
    margin = 1.5 * SPREAD
    truth = {(task, m): margin for task in ("click", "time") for m in METHODS[1:]}
    families = studies(10, truth=truth, margin=margin)
    share = np.mean([any(c.within_margin for c in family.comparisons) for family in families])
    assert band(0.02)[0] <= share <= band(0.05)[1]


@pytest.mark.parametrize(("task", "seeds"), [("click", 5), ("time", 10)])
def test_a_planted_difference_is_found_with_the_power_of_the_formula(task: str, seeds: int) -> None:
    """Alone among five nulls: Bonferroni's power, within the band, plus at most 2 points that Holm's steps may add."""
    level = 0.05 / 6
    planted = detectable_difference(SPREAD, seeds, level)
    families = list(studies(seeds, truth={(task, "m1"): planted}))
    found = [family.get(task, "m1") for family in families]
    share = np.mean([c is not None and c.verdict is Verdict.BETTER for c in found])
    expected = power_of_test(planted, SPREAD, seeds, level)
    assert expected == pytest.approx(0.8, abs=1e-6)
    assert band(expected)[0] <= share <= band(expected)[1] + 0.02
    assert not any(c is not None and c.verdict is Verdict.WORSE for c in found)
    others = np.mean(
        [any(c.verdict in FIRM for c in f.comparisons if (c.task, c.method) != (task, "m1")) for f in families]
    )
    assert others <= band(0.05)[1]


@pytest.mark.parametrize("difference", [0.5, 1.0, 2.0, 3.0])
def test_the_power_of_a_single_comparison_is_the_formulas(difference: float) -> None:
    planted = difference * SPREAD
    families = studies(methods=METHODS[:2], tasks=1, truth={("click", "m1"): planted})
    share = np.mean([family.comparisons[0].verdict is Verdict.BETTER for family in families])
    low, high = band(power_of_test(planted, SPREAD, 5))
    assert low <= share <= high
