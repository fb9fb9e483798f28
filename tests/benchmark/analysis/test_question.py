"""The declared question: primary endpoint, contrasts, looks; values and p held to Satterthwaite by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from scipy.stats import t, ttest_ind, ttest_rel

from benchmark.analysis.gain import TASKS
from benchmark.analysis.question import Question, check_contrast
from benchmark.analysis.results import Results
from benchmark.analysis.study import Study
from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.statistics import Arms, Comparison, Margin, Verdict, holm
from tests.benchmark.reporting.fabricate import record, records, searched

BASELINE = "single_task/equal"
ARCHITECTURES, WEIGHTINGS = ("mmoe", "ple", "shared_bottom"), ("equal", "pcgrad")
CELLS = [f"{a}/{w}" for a, w in product(ARCHITECTURES, WEIGHTINGS)]


def declared(runs: Sequence[Record], **options: Any) -> list[Record]:
    """The runs, whose configurations declare these."""
    for run in runs:
        run.config |= options
    return list(runs)


def crossed(*, without: Sequence[str] = (), seeds: int = 5) -> list[Record]:
    """Three architectures times two weightings and single_task/equal; the AUC of click drawn for each on its own."""
    rng = np.random.default_rng(20_261_135)
    made = []
    for method in (*CELLS, BASELINE):
        for seed in range(seeds):
            run = record("videos", method, seed)
            level = 0.72 + 0.004 * method.startswith("ple") + 0.006 * method.endswith("pcgrad")
            run.metrics["test"]["click"]["auc"] = level + 0.001 * (1 + len(method) % 3) * rng.normal()
            if method not in without:
                made.append(run)
    return made


def asked(runs: Sequence[Record], *contrasts: str, primary: str = "click.auc") -> Results:
    (results,) = report(declared(runs, primary=primary, contrasts=list(contrasts))).results
    return results


def aucs(runs: Sequence[Record]) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {}
    for run in runs:
        rows.setdefault(run.method, []).append(run.metrics["test"]["click"]["auc"])  # type: ignore[arg-type]
    return rows


def satterthwaite(weights: Mapping[str, float], rows: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Value and two-sided p of a contrast: the moderated variances are the only thing taken from the program."""
    arms = Arms(rows)
    value = sum(weight * fmean(rows[m]) for m, weight in weights.items())
    parts = {m: weight**2 * arms.moderated(m)[0] / len(rows[m]) for m, weight in weights.items()}
    df = sum(parts.values()) ** 2 / sum(part**2 / arms.moderated(m)[1] for m, part in parts.items())
    most = sum(len(row) - 1 for row in rows.values())
    return value, 2 * float(t.sf(abs(value) / sum(parts.values()) ** 0.5, min(df, most)))


def contrasts(results: Results) -> dict[tuple[str, str], Comparison]:
    assert results.contrasts is not None
    return {(c.method, c.baseline): c for c in results.contrasts.comparisons}


def holds(c: Comparison, weights: Mapping[str, float], rows: Mapping[str, Sequence[float]]) -> None:
    value, p = satterthwaite(weights, rows)
    assert c.estimate is not None and c.estimate.value == pytest.approx(value, abs=1e-12)
    assert c.p == pytest.approx(p, rel=1e-9)


# primary --------------------------------------------------------------------------------------------------------------


def test_the_gain_is_primary_where_nothing_is_declared_and_the_tasks_are_a_second_family() -> None:
    (results,) = report(records(("videos",))).results
    assert results.primary is not None and {c.task for c in results.primary.comparisons} == {TASKS}
    assert results.primary.tests == 4
    assert results.family is not None and results.family.tests == 12


def test_a_tasks_metric_may_be_primary_and_is_then_in_no_other_family() -> None:
    runs = crossed()
    results = asked(runs)
    assert results.primary is not None and results.family is not None
    assert [(c.task, c.metric) for c in results.primary.comparisons] == [("click", "auc")] * 6
    assert {c.task for c in results.family.comparisons} == {"like", "play_time"}
    assert (results.primary.tests, results.family.tests) == (6, 12)
    rows = aucs(runs)
    ps = []
    for c in results.primary.comparisons:
        holds(c, {c.method: 1, BASELINE: -1}, rows)
        ps.append(satterthwaite({c.method: 1, BASELINE: -1}, rows)[1])
    assert [c.p_adjusted for c in results.primary.comparisons] == pytest.approx(holm(ps))
    click = results.group.tasks[0]
    assert results.comparison(click, "ple/equal") is results.primary.get("click", "ple/equal")
    assert results.of_gain("ple/equal") is None and results.gains["ple/equal"].total is not None


def test_of_one_task_its_metric_is_primary() -> None:
    runs = records(("videos",))
    for run in runs:
        tasks = run.dataset["schema"]["tasks"]
        run.dataset["schema"]["tasks"] = [task for task in tasks if task["name"] == "click"]
    (results,) = report(runs).results
    assert results.question.primary == "click.auc" and results.family is not None
    assert results.primary is not None and results.primary.tests == 4 and results.family.tests == 0


def notes_of(runs: Sequence[Record]) -> str:
    chapter = next(c for c in report(runs).document.chapters if c.anchor == "verdicts")
    return " ".join(note for part in chapter.parts for note in part.notes)


def test_runs_that_disagree_in_their_primary_endpoint_are_said_to() -> None:
    runs = crossed()
    declared(runs[:5], primary="click.auc")
    assert Question.of(Study.of(runs).groups[0]).primary == "gain"
    assert "Runs declare different primary endpoints (click.auc, gain); gain is used." in notes_of(runs)


def test_a_primary_endpoint_that_is_not_there_is_said() -> None:
    runs = declared(crossed(), primary="clik.auc")
    assert Question.of(Study.of(runs).groups[0]).primary == "gain"
    said = "The declared primary endpoint clik.auc is not one of click.auc, gain, like.auc, play_time.mse."
    assert said in notes_of(runs)


# contrasts ------------------------------------------------------------------------------------------------------------


def test_a_pair_of_methods() -> None:
    runs = crossed()
    found = contrasts(asked(runs, "ple/pcgrad - mmoe/equal"))
    assert list(found) == [("ple/pcgrad", "mmoe/equal")]
    (c,) = found.values()
    holds(c, {"ple/pcgrad": 1, "mmoe/equal": -1}, aucs(runs))
    assert c.tests == 1 and c.p_adjusted == c.p and c.verdict is Verdict.BETTER
    assert c.margin == 0.001 and c.n == 5 and c.p_paired is None


def test_a_pair_of_architectures_is_the_mean_over_the_weightings_that_both_have() -> None:
    runs = crossed(without=["mmoe/pcgrad"])
    rows = aucs(runs)
    found = contrasts(asked(runs, "ple - shared_bottom", "ple - mmoe"))
    both = {"ple/equal": 0.5, "ple/pcgrad": 0.5, "shared_bottom/equal": -0.5, "shared_bottom/pcgrad": -0.5}
    holds(found["ple", "shared_bottom"], both, rows)
    holds(found["ple", "mmoe"], {"ple/equal": 1, "mmoe/equal": -1}, rows)
    ps = [satterthwaite(weights, rows)[1] for weights in (both, {"ple/equal": 1, "mmoe/equal": -1})]
    assert [c.p_adjusted for c in found.values()] == pytest.approx(holm(ps))


def test_a_pair_of_weightings() -> None:
    runs = crossed()
    (c,) = contrasts(asked(runs, "pcgrad - equal")).values()
    third = 1 / 3
    holds(c, {f"{a}/{w}": s * third for a in ARCHITECTURES for w, s in (("pcgrad", 1), ("equal", -1))}, aucs(runs))
    assert c.verdict is Verdict.BETTER


def test_all_pairs_of_a_factor_are_over_the_full_factorial() -> None:
    """single_task has no pcgrad: it is not crossed, and its run is in no mean."""
    runs = crossed()
    rows = aucs(runs)
    found = contrasts(asked(runs, "architecture", "weighting"))
    assert {frozenset(pair) for pair in found} == {
        frozenset(pair)
        for pair in (("mmoe", "ple"), ("mmoe", "shared_bottom"), ("ple", "shared_bottom"), ("equal", "pcgrad"))
    }
    for (one, other), c in found.items():
        at = 0 if one in ARCHITECTURES else 1
        size = len(WEIGHTINGS) if at == 0 else len(ARCHITECTURES)
        weights = {m: (m.split("/")[at] == one) / size - (m.split("/")[at] == other) / size for m in CELLS}
        holds(c, {m: weight for m, weight in weights.items() if weight}, rows)
    assert {c.tests for c in found.values()} == {4}


def test_of_the_gain_too() -> None:
    runs = crossed()
    results = asked(runs, "ple - mmoe", primary="gain")
    (c,) = contrasts(results).values()
    base = results.gains
    means = {m: base[m].total.mean for m in CELLS}  # type: ignore[union-attr]
    assert c.estimate is not None and c.margin == 0.5 and c.metric == "gain"
    assert c.estimate.value == pytest.approx(
        (means["ple/equal"] + means["ple/pcgrad"] - means["mmoe/equal"] - means["mmoe/pcgrad"]) / 2
    )


def test_where_runs_are_paired_the_contrast_is_of_each_draws_sum() -> None:
    runs = []
    for run in crossed():
        drawn = record("videos", run.method, run.seed, options={"data_seed": run.seed})
        drawn.metrics = run.metrics
        runs.append(drawn)
    (c,) = contrasts(asked(runs, "ple - mmoe")).values()
    rows = {m: np.array(row) for m, row in aucs(runs).items()}
    ple, mmoe = ((rows[f"{a}/equal"] + rows[f"{a}/pcgrad"]) / 2 for a in ("ple", "mmoe"))
    assert c.p == pytest.approx(ttest_rel(ple, mmoe).pvalue)


def test_tuned_methods_are_found_by_architecture_and_weighting() -> None:
    runs = [run for m in ("mmoe/equal", "ple/equal", BASELINE) for run in searched(method=m)]
    results = asked(runs, "mmoe/equal - ple/equal", "mmoe - ple", primary="gain")
    assert results.baseline == BASELINE and results.group.is_tuned
    found = contrasts(results)
    gains = {m: results.gains[m].total.mean for m in ("mmoe/equal", "ple/equal")}  # type: ignore[union-attr]
    for pair in (("mmoe/equal", "ple/equal"), ("mmoe", "ple")):
        c = found[pair]
        assert c.estimate is not None and c.estimate.value == pytest.approx(gains["mmoe/equal"] - gains["ple/equal"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plee - mmoe", "unknown architecture or weighting 'plee'; did you mean ple? known: equal, mmoe, pcgrad, "),
        ("ple - mmoee", "unknown architecture or weighting 'mmoee'; did you mean mmoe? known: "),
        (
            "ple/equl - mmoe/equal",
            "unknown method 'ple/equl'; did you mean ple/equal? known: mmoe/equal, mmoe/pcgrad, ",
        ),
        ("ple/equal - mmoe", "unknown method 'mmoe'; known: mmoe/equal, mmoe/pcgrad, "),
        ("ple - pcgrad", "ple and pcgrad are neither two architectures nor two weightings"),
        ("ple - ple", "ple is on both sides"),
        ("ple/equal - ple/equal", "ple/equal is on both sides"),
        ("ple", "expected architecture or weighting, or a pair such as 'mmoe - shared_bottom'"),
    ],
)
def test_a_contrast_that_cannot_be_made_is_said_with_what_is_known(text: str, why: str) -> None:
    results = asked(crossed(), text, "mmoe - ple")
    assert results.answers is not None
    (note,) = results.answers.notes
    assert note.startswith(f"No contrast {text!r}: {why}")
    assert len(contrasts(results)) == 1  # the others are made


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mmoe", "expected architecture or weighting, or a pair such as 'mmoe - shared_bottom', found 'mmoe'"),
        ("mmoee - ple", "unknown architecture 'mmoee'; did you mean mmoe?"),
        ("mmoe/equl - ple/equal", "unknown weighting 'equl'; did you mean equal?"),
        ("mmoe - mmoe", "'mmoe - mmoe': mmoe is on both sides"),
        ("mmoe/equal - mmoe", "mmoe/equal is one method, mmoe one architecture; expected two of one kind"),
        ("mmoe - equal", "mmoe is one architecture, equal one weighting; expected two of one kind"),
    ],
)
def test_a_contrast_that_is_none_is_refused_before_anything_runs(text: str, why: str) -> None:
    for well in ("architecture", "weighting", "mmoe - ple", "equal - pcgrad", "mmoe/equal - ple/pcgrad"):
        check_contrast(well, ["mmoe", "ple"], ["equal", "pcgrad"])
    with pytest.raises(ValueError) as refused:
        check_contrast(text, ["mmoe", "ple"], ["equal", "pcgrad"])
    assert why in str(refused.value)


def test_architectures_without_a_common_weighting_have_no_contrast() -> None:
    results = asked(crossed(without=["mmoe/pcgrad", "ple/equal"]), "ple - mmoe")
    assert results.answers is not None
    assert results.answers.notes == ("No contrast 'ple - mmoe': ple and mmoe have no weighting in common.",)
    one = asked(crossed(without=[c for c in CELLS if c.endswith("pcgrad") and not c.startswith("ple")]), "architecture")
    assert one.answers is not None and one.answers.notes == (
        "No contrast 'architecture': fewer than two architectures have every level of the other factor.",
    )


def test_a_contrast_says_which_method_it_goes_without() -> None:
    runs = [r for r in crossed() if (r.method, r.seed) != ("mmoe/pcgrad", 2)]
    runs.append(record("videos", "mmoe/pcgrad", 2, status="diverged"))
    results = asked(runs, "ple - mmoe", "mmoe/pcgrad - ple/pcgrad")
    assert results.answers is not None and results.answers.notes == (
        "The contrast 'ple - mmoe' leaves out mmoe/pcgrad, not ranked.",
        "No contrast 'mmoe/pcgrad - ple/pcgrad': it needs mmoe/pcgrad, not ranked.",
    )
    (c,) = contrasts(results).values()
    holds(c, {"ple/equal": 1, "mmoe/equal": -1}, aucs([r for r in runs if r.method != "mmoe/pcgrad"]))


def test_a_name_that_several_methods_have_is_in_no_contrast() -> None:
    runs = [*crossed(), *(record("videos", "ple/equal", s, trainer={"learning_rate": 1e-2}) for s in range(5))]
    results = asked(runs, "ple - mmoe", "shared_bottom - mmoe")
    assert results.answers is not None
    assert results.answers.notes == ("No contrast 'ple - mmoe': ple/equal names several methods.",)
    assert list(contrasts(results)) == [("shared_bottom", "mmoe")]


def test_without_a_gain_there_are_no_contrasts_of_it() -> None:
    runs = crossed()
    for run in runs:
        del run.dataset["constant"]
    results = asked(runs, "ple - mmoe", primary="gain")
    assert results.answers is not None and results.contrasts is None and results.primary is None
    assert results.answers.notes == ("No contrasts: no record has the constant's MSE on play_time.",)


def test_contrasts_are_in_the_summary() -> None:
    runs = declared(crossed(), primary="click.auc", contrasts=["ple - mmoe"])
    made = report(runs)
    row = next(row for row in made.summary.iter_rows(named=True) if row["method"] == "ple")
    (c,) = contrasts(made.results[0]).values()
    assert (row["task"], row["metric"], row["baseline"], row["verdict"]) == ("click", "auc", "mmoe", c.verdict)
    assert c.difference is not None
    assert (row["difference"], row["difference_low"]) == (c.difference.mean, c.difference.low)
    assert (row["p_adjusted"], row["tests"], row["margin"], row["pairs"]) == (c.p_adjusted, 1, 0.001, 5)


# looks ----------------------------------------------------------------------------------------------------------------

LOOKS = {"seeds": [3, 5, 8], "margin": "0.8%"}


def looked() -> list[Record]:
    """ple is far ahead at three seeds and stopped; mmoe and the baseline have eight."""
    made = []
    for method, seeds in (("ple/equal", 3), ("mmoe/equal", 8), (BASELINE, 8)):
        for seed in range(seeds):
            run = record("videos", method, seed)
            better = 0.03 if method == "ple/equal" else 0.0
            spread = 0.01 if method == "mmoe/equal" else 0.0005
            run.metrics["test"]["click"]["auc"] = 0.72 + better + spread * ((5 * seed + len(method)) % 7 - 3)
            made.append(run)
    return declared(made, looks=LOOKS, primary="click.auc")


def test_with_looks_a_method_is_judged_at_its_look_and_the_tasks_at_the_looks_level() -> None:
    runs = looked()
    (results,) = report(runs).results
    assert results.primary is not None and results.family is not None
    rows = aucs(runs)
    ple, mmoe = (results.primary.get("click", m) for m in ("ple/equal", "mmoe/equal"))
    assert ple is not None and mmoe is not None
    assert (ple.verdict, ple.n) == (Verdict.BETTER, 3)
    assert ple.p == pytest.approx(ttest_ind(rows["ple/equal"], rows[BASELINE][:3], equal_var=False).pvalue)
    assert mmoe.n == 8
    assert mmoe.p == pytest.approx(ttest_ind(rows["mmoe/equal"], rows[BASELINE], equal_var=False).pvalue)
    assert ple.level == pytest.approx(0.05 / (3 * ple.tests)) and {c.looks for c in results.family.comparisons} == {3}
    assert all(c.verdict is not None for c in results.family.comparisons)  # who stopped lacks no run
    said = notes_of(runs)
    assert "Judged at up to 3 looks, announced in advance, at 3, 5 and 8 seeds." in said
    assert "click 0.0058 AUC" in said  # the declared .8 % of the baseline's mean, .72
    assert "so p is also adjusted for 3 looks. A decided method got no more seeds and keeps its verdict." in said


def test_the_margin_declared_with_looks_is_the_primary_endpoints() -> None:
    group = Study.of(looked()).groups[0]
    question = Question.of(group)
    assert question.margin == Margin(0.008, relative=True)
    assert question.endpoint(group, {}).margin == Margin(0.008, relative=True)
    assert question.endpoint(group, {"auc": Margin(0.002)}).margin == Margin(0.002)
    of_gain = Question.of(Study.of(declared(looked(), primary="gain")).groups[0])
    assert of_gain.endpoint(group, {}).margin == Margin(0.8)
    assert of_gain.endpoint(group, {"gain": Margin.parse("2%")}).margin == Margin(2.0)


def test_runs_that_disagree_in_looks_or_margin_are_said_to() -> None:
    runs = looked()
    declared([run for run in runs if run.method == "mmoe/equal"], looks={"seeds": [3, 5], "margin": "0.5%"})
    said = notes_of(runs)
    assert "Runs declare different looks; those at 3, 5, 8 seeds are taken." in said
    assert "Runs declare different margins (0.5%, 0.8%); 0.5% is taken." in said
