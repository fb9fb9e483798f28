"""Looks: who is decided when, and by simulation, how often a plan over several looks errs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, ttest_ind

from benchmark.statistics import Comparison, Endpoint, Family, Margin, Verdict, over_looks
from benchmark.statistics.looks import Looks, first
from benchmark.statistics.significance import holm

STUDIES = 400
METHODS = [str(number) for number in range(9)]
SPREAD_M = np.array(
    [0.30, 0.85, 0.42, 0.40, 1.05, 0.33, 1.35, 0.80, 0.95, 0.33]
)  # of the gain in percent; the baseline's last
EFFECT_M = np.array([-2.3, -2.9, -1.9, -2.0, -2.9, -1.2, -4.2, -3.3, -3.1, 0.0])
GAIN = Endpoint("all", "gain", 1, Margin(0.5))
FIRM = (Verdict.BETTER, Verdict.WORSE)


def known(
    rows: dict[str, dict[int, float]], excluded: dict[str, str] | None = None
) -> Callable[[int], tuple[dict[str, dict[int, float]], dict[str, str]]]:
    """What is known at every look: the first runs, and who is never ranked."""
    return lambda look: (first(rows, look), excluded or {})


def judged(drawn_MS: np.ndarray, looks: Looks) -> Family:
    """Of gains (M, S) with the baseline in the last row. What a method would have had after its verdict is there, unread."""
    rows = {name: dict(enumerate(row)) for name, row in zip([*METHODS, "b"], drawn_MS.tolist(), strict=True)}
    return over_looks(known(rows), GAIN, "b", looks)


@pytest.mark.parametrize("fitted", [True, False], ids=["spreads drawn", "spreads observed"])
def test_over_all_looks_the_plan_errs_no_more_than_promised(fitted: bool) -> None:
    rng, looks, wrong = np.random.default_rng(20_261_130), Looks(), 0
    for _ in range(STUDIES):
        spread_M = np.exp(np.log(SPREAD_M).mean()) * np.sqrt(3 / rng.chisquare(3, 10)) if fitted else SPREAD_M
        found = judged(rng.normal(0, spread_M[:, None], (10, 20)), looks)
        wrong += any(c.verdict in FIRM for c in found.comparisons)
    assert wrong <= binom.ppf(0.9995, STUDIES, 0.05 if fitted else 0.08)


def test_nearly_all_is_decided_with_few_seeds() -> None:
    rng, looks = np.random.default_rng(20_261_131), Looks()
    found = [
        c
        for _ in range(60)
        for c in judged(rng.normal(EFFECT_M[:, None], SPREAD_M[:, None], (10, 20)), looks).comparisons
    ]
    assert np.mean([c.verdict in FIRM for c in found]) >= 0.98
    assert np.mean([c.n for c in found]) <= 6


def test_equal_methods_are_found_equivalent() -> None:
    rng, looks = np.random.default_rng(20_261_132), Looks()
    verdicts = [c.verdict for _ in range(30) for c in judged(rng.normal(0, 0.15, (10, 20)), looks).comparisons]
    assert verdicts.count(Verdict.EQUIVALENT) >= 0.98 * 30 * 9


BASELINE = (0.00, 0.05, -0.05, 0.01, -0.01, 0.02, -0.02, 0.03)


def plan(
    methods: dict[str, tuple[float, ...]], seeds: tuple[int, ...] = (3, 5, 8), alpha: float = 0.06
) -> dict[str, Comparison]:
    """Each method's comparison with `BASELINE`, over these looks."""
    rows = {name: dict(enumerate(row)) for name, row in {"b": BASELINE, **methods}.items()}
    found = over_looks(known(rows), GAIN, "b", Looks(seeds, alpha))
    assert found.alpha == pytest.approx(alpha) and found.tests == len(methods)
    return {c.method: c for c in found.comparisons}


def test_who_was_decided_at_the_first_look_keeps_that_verdict() -> None:
    ahead = (2.00, 2.05, 1.95)
    for later in ((2.0,) * 5, (-9.0, -8.0, -9.5, -8.5, -9.0)):
        found = plan({"early": (*ahead, *later)})["early"]
        assert (found.verdict, found.n) == (Verdict.BETTER, 3)
        assert found.p == pytest.approx(ttest_ind(ahead, BASELINE[:3], equal_var=False).pvalue)
        assert (found.alpha, found.looks, found.level) == (0.06, 3, pytest.approx(0.02))
    assert plan({"early": ahead})["early"].n == 3  # and needs no later seed for it


def test_who_is_undecided_goes_on_to_the_next_look() -> None:
    late = (0.5, 1.9, 1.2, 1.4, 1.1, 1.0, 1.6, 1.3)
    ps = [ttest_ind(late[:look], BASELINE[:look], equal_var=False).pvalue for look in (3, 5, 8)]
    assert ps[0] > 0.05 > 0.02 > ps[1]  # at 5 % it would have to wait as well; at the second look it is decided
    found = plan({"late": late})["late"]
    assert (found.verdict, found.n) == (Verdict.BETTER, 5) and found.p == pytest.approx(ps[1])
    strict = plan({"late": late}, alpha=3 * 0.9 * ps[1])["late"]  # the error of one look is below this p
    assert (strict.verdict, strict.n) == (Verdict.BETTER, 8) and strict.p == pytest.approx(ps[2])


def test_p_is_adjusted_for_all_methods_at_every_look() -> None:
    methods = {"early": (2.00, 2.05, 1.95), "late": (0.5, 1.9, 1.2, 1.4, 1.1, 1.0, 1.6, 1.3)}
    found = plan(methods)
    first = [ttest_ind(row[:3], BASELINE[:3], equal_var=False).pvalue for row in methods.values()]
    second = [ttest_ind(row[:5], BASELINE[:5], equal_var=False).pvalue for row in methods.values()]
    assert found["early"].p_adjusted == pytest.approx(3 * holm(first)[0])
    assert found["late"].p_adjusted == pytest.approx(min(1.0, 3 * holm(second)[1]))


def test_between_two_looks_the_last_one_stands() -> None:
    noisy = (-3.0, 3.0, 0.5, 4.0, 4.1, 4.2)  # six seeds reach the look at five
    assert plan({"m": noisy})["m"].n == 5
    assert plan({"m": noisy[:4]})["m"].n == 3


def test_before_the_first_look_there_is_no_test() -> None:
    rows = {"b": dict(enumerate(BASELINE[:2])), "m": {0: 2.0, 1: 2.1}}
    (found,) = over_looks(known(rows), GAIN, "b", Looks((3, 5))).comparisons
    assert found.verdict is Verdict.UNDECIDED and found.reason == "2 seeds; a test needs 3"


def test_who_is_not_ranked_is_in_no_look() -> None:
    rows = {"b": dict(enumerate(BASELINE)), "m": dict.fromkeys(range(8), 2.0), "gone": {0: 1.0}}
    found = over_looks(known(rows, {"gone": "diverged on seed 1"}), GAIN, "b", Looks((3, 5)))
    assert {c.method: (c.verdict, c.reason) for c in found.comparisons} == {
        "gone": (None, "diverged on seed 1"), "m": (Verdict.BETTER, None),
    }  # fmt: skip
    assert found.tests == 1


def test_who_stops_being_ranked_keeps_a_verdict_and_gets_none_any_more() -> None:
    """The baseline diverges on the fourth seed: who was decided before is decided, and nobody else can be."""
    rows = {name: dict(enumerate(row)) for name, row in {
        "b": BASELINE, "early": (2.00, 2.05, 1.95), "late": (0.5, 1.9, 1.2, 1.4, 1.1, 1.0, 1.6, 1.3),
    }.items()}  # fmt: skip

    def at(look: int) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
        return first(rows, look), {"b": "diverged on seed 3"} if look > 3 else {}

    found = {c.method: c for c in over_looks(at, GAIN, "b", Looks((3, 5, 8))).comparisons}
    assert (found["early"].verdict, found["early"].n) == (Verdict.BETTER, 3)
    assert found["late"].verdict is None
    assert found["late"].reason == "the baseline b is not ranked: diverged on seed 3"


def test_the_error_is_split_and_the_looks_are_found() -> None:
    looks = Looks((3, 5, 8), alpha=0.06)
    assert math.isclose(looks.level, 0.02)
    assert [looks.reached(seeds) for seeds in (2, 3, 4, 5, 9)] == [None, 3, 3, 5, 8]
    assert [looks.after(seeds) for seeds in (0, 3, 4, 8)] == [3, 5, 5, None]


@pytest.mark.parametrize("seeds", [(), (2, 5), (5, 5), (8, 5)])
def test_looks_ascend_from_three(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="looks must be ascending numbers of seeds, from 3 on, found"):
        Looks(seeds)
