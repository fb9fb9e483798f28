"""Looks: who is decided when, and by simulation, how often a plan over several looks errs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from benchmark.statistics.arms import Arms
from benchmark.statistics.comparison import Verdict
from benchmark.statistics.looks import Looks
from benchmark.statistics.significance import holm

STUDIES = 500
METHODS = [str(number) for number in range(9)]
SPREAD_M = np.array(
    [0.30, 0.85, 0.42, 0.40, 1.05, 0.33, 1.35, 0.80, 0.95, 0.33]
)  # of the gain in percent; the baseline's last
EFFECT_M = np.array([-2.3, -2.9, -1.9, -2.0, -2.9, -1.2, -4.2, -3.3, -3.1, 0.0])
MARGIN = 0.5


def decide(drawn_MS: np.ndarray, looks: Looks) -> dict[str, tuple[Verdict, int]]:
    """{method: verdict, number of seeds}, of gains (M, S) with the baseline in the last row."""
    found: dict[str, tuple[Verdict, int]] = {}
    for look in looks.seeds:
        seeds = {m: found[m][1] if m in found else look for m in METHODS}
        arms = Arms({**{m: drawn_MS[int(m), : seeds[m]] for m in METHODS}, "b": drawn_MS[9, :look]})
        open_ = [m for m in METHODS if m not in found]
        contrasts = [arms.contrast({m: 1, "b": -1}) for m in open_]
        differ = holm([c.p or 0.0 for c in contrasts], len(METHODS))
        equal = holm([c.p_equivalence(MARGIN) or 0.0 for c in contrasts], len(METHODS))
        for m, c, p, q in zip(open_, contrasts, differ, equal, strict=True):
            if p < looks.level:
                found[m] = (Verdict.BETTER if c.value > 0 else Verdict.WORSE, look)
            elif q < looks.level:
                found[m] = (Verdict.EQUIVALENT, look)
    return found


@pytest.mark.parametrize("fitted", [True, False], ids=["spreads drawn", "spreads observed"])
def test_over_all_looks_the_plan_errs_no_more_than_promised(fitted: bool) -> None:
    rng, looks, wrong = np.random.default_rng(20_261_130), Looks(), 0
    for _ in range(STUDIES):
        spread_M = np.exp(np.log(SPREAD_M).mean()) * np.sqrt(3 / rng.chisquare(3, 10)) if fitted else SPREAD_M
        found = decide(rng.normal(0, spread_M[:, None], (10, 20)), looks)
        wrong += any(verdict in (Verdict.BETTER, Verdict.WORSE) for verdict, _ in found.values())
    assert wrong <= binom.ppf(0.9995, STUDIES, 0.05 if fitted else 0.08)


def test_nearly_all_is_decided_with_few_seeds() -> None:
    rng, looks = np.random.default_rng(20_261_131), Looks()
    decided, seeds = [], []
    for _ in range(100):
        found = decide(rng.normal(EFFECT_M[:, None], SPREAD_M[:, None], (10, 20)), looks)
        decided.append(len(found) / 9)
        seeds += [found[m][1] if m in found else 20 for m in METHODS]
    assert np.mean(decided) >= 0.98
    assert np.mean(seeds) <= 6


def test_equal_methods_are_found_equivalent() -> None:
    rng, looks = np.random.default_rng(20_261_132), Looks()
    found = [decide(rng.normal(0, 0.15, (10, 20)), looks) for _ in range(50)]
    verdicts = [verdict for of in found for verdict, _ in of.values()]
    assert verdicts.count(Verdict.EQUIVALENT) >= 0.98 * 50 * 9


def test_the_error_is_split_and_the_looks_are_found() -> None:
    looks = Looks((3, 5, 8), alpha=0.06)
    assert math.isclose(looks.level, 0.02)
    assert [looks.reached(seeds) for seeds in (2, 3, 4, 5, 9)] == [None, 3, 3, 5, 8]
    assert [looks.after(seeds) for seeds in (0, 3, 4, 8)] == [3, 5, 5, None]
    verdicts = {"a": Verdict.WORSE, "b": Verdict.UNDECIDED, "c": None, "d": Verdict.EQUIVALENT}
    assert looks.undecided(verdicts) == ["b", "c"]


@pytest.mark.parametrize("seeds", [(), (2, 5), (5, 5), (8, 5)])
def test_looks_ascend_from_three(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="looks must be ascending numbers of seeds, from 3 on, found"):
        Looks(seeds)
