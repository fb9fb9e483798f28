"""Fixed weights against adaptive weightings: who is beyond the front, who is dominated, and what the seeds settle."""

from __future__ import annotations

import pytest
from scipy.stats import t

from benchmark.analysis.results import Results
from benchmark.analysis.scalarization import FrontStanding, scalarizations
from benchmark.records.record import has_fixed_weights
from benchmark.reporting import report
from benchmark.settings.registry import plain, weightings
from tests.benchmark.reporting.fabricate import traded

FIXED = {"mmoe/fixed(0.1)": (1.60, 0.740), "mmoe/equal": (1.55, 0.735), "mmoe/fixed(3)": (1.50, 0.720)}
ADAPTIVE = {"mmoe/dwa": (1.45, 0.745), "mmoe/pcgrad": (1.65, 0.725), "mmoe/uncertainty": (1.549, 0.7352)}


def results(places: dict[str, tuple[float, float]], seeds: int = 5, spread: float = 1.0) -> Results:
    (found,) = report(traded(places, seeds, spread)).results
    return found


def test_what_the_seeds_show_and_what_only_the_means_suggest() -> None:
    (found,) = scalarizations(results(FIXED | ADAPTIVE))
    assert found.architecture == "mmoe" and found.front.key == "click/play_time"
    assert found.front.methods == ["mmoe/fixed(play_time=3)", "mmoe/equal", "mmoe/fixed(play_time=0.1)"]
    by_method = {each.method: each for each in found.adaptive}
    assert {method: each.standing for method, each in by_method.items()} == {
        "mmoe/dwa": FrontStanding.BEYOND, "mmoe/pcgrad": FrontStanding.DOMINATED, "mmoe/uncertainty": FrontStanding.MEAN_BEYOND,
    }  # fmt: skip
    assert by_method["mmoe/pcgrad"].dominated_by == ("mmoe/fixed(play_time=0.1)", "mmoe/equal")
    assert found.of(FrontStanding.DOMINATED) == ["pcgrad"]
    # an arm of five has the variance of -2 ... 2, 2.5 steps; a difference has 12 degrees of freedom, and a step of error
    alone = t.sf(10, df=12)  # dwa beats equal, and equal beats pcgrad, by ten of these on both tasks
    assert by_method["mmoe/dwa"].p_beyond == pytest.approx(3 * 2 * alone), "three methods, the better of two tasks"
    assert by_method["mmoe/pcgrad"].p_dominated == pytest.approx(3 * 3 * alone), (
        "three methods, the best of three settings"
    )
    assert by_method["mmoe/uncertainty"].p == 1.0


def test_a_wide_spread_settles_nothing() -> None:
    (found,) = scalarizations(results(FIXED | ADAPTIVE, spread=20.0))
    assert {each.standing for each in found.adaptive} == {FrontStanding.MEAN_BEYOND, FrontStanding.MEAN_DOMINATED}
    assert found.of(FrontStanding.MEAN_DOMINATED) == ["pcgrad"]


def test_without_three_seeds_only_the_means_are_known() -> None:
    (found,) = scalarizations(results(FIXED | ADAPTIVE, seeds=1))
    assert {each.p for each in found.adaptive} == {1.0}


def test_to_be_better_than_every_setting_on_either_task_is_to_be_beyond() -> None:
    between = {"mmoe/dwa": (1.52, 0.730)}  # no setting has both
    (found,) = scalarizations(results(FIXED | between))
    (dwa,) = found.adaptive
    # better than 0.1 by 8 on MSE, than equal by 3 on MSE, than 3 by 10 on AUC; four arms, so 12 degrees of freedom again
    assert dwa.p == pytest.approx(2 * t.sf(3, df=12)) and dwa.standing is FrontStanding.BEYOND


def test_the_hypervolume_is_measured_from_the_constant_predictor() -> None:
    (found,) = scalarizations(results(FIXED | ADAPTIVE))
    assert found.has_constant and found.front.corner == (2.2, 0.5)
    whole = 2.2 * 0.5
    assert found.front.area() == pytest.approx((0.7 * 0.22 + 0.65 * 0.015 + 0.6 * 0.005) / whole)
    added = {each.method: found.added(each) for each in found.adaptive}
    assert added["mmoe/dwa"] == pytest.approx((0.75 * 0.245 - 0.16675) / whole)
    assert added["mmoe/pcgrad"] == pytest.approx(0.0)
    assert found.together() == pytest.approx(0.75 * 0.245 / whole), "dwa dominates all"


def test_or_else_from_the_worst_means() -> None:
    made = traded(FIXED | ADAPTIVE)
    for each in made:
        del each.dataset["constant"]
    (found,) = scalarizations(report(made).results[0])
    assert not found.has_constant
    assert found.front.corner == pytest.approx((1.65, 0.72))
    # fixed(3) is at the corner's AUC, and what is left is (1.55, .735) and (1.60, .740)
    assert found.front.area() == pytest.approx((0.1 * 0.015 + 0.05 * 0.005) / (1.65 * 0.28))


def test_a_front_needs_three_settings_of_one_architecture() -> None:
    two = {name: FIXED[name] for name in ("mmoe/fixed(0.1)", "mmoe/equal")}
    assert scalarizations(results({**two, **ADAPTIVE, "ple/fixed(3)": (1.5, 0.72)})) == []
    both = scalarizations(results({**FIXED, **{name.replace("mmoe", "ple"): place for name, place in FIXED.items()}}))
    assert [(one.architecture, len(one.front.means), one.adaptive) for one in both] == [("mmoe", 3, ()), ("ple", 3, ())]


def test_the_parameter_weights_means_that_they_are_fixed() -> None:
    fixed = {name for name in weightings.names() if has_fixed_weights(plain(weightings.config(name)))}
    assert fixed == {"equal", "fixed"}
