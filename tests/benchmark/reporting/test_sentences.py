"""What the report claims: verdicts in cells and sentences, tiers, references, ranks."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_ind

from benchmark.records.record import Record
from benchmark.reporting import Margin, Report, report
from benchmark.reporting.layout import Cell, Sentences, TextTable
from benchmark.reporting.notes import dataset_notes
from tests.benchmark.reporting.fabricate import METHODS, record, records, searched, study, trees


def table(made: Report, dataset: str, key: str) -> TextTable:
    return next(t for _, part, t in made.document.tables() if part.name == dataset and t.key == key)


def cell(drawn: TextTable, row: str, column: str) -> Cell:
    number = next(n for n, c in enumerate(drawn.columns) if c.key == column)
    return next(r for r in drawn.rows if r.cells[0].text == row).cells[number]


def sentences(made: Report, dataset: str = "shop") -> dict[str | None, str]:
    chapter = next(c for c in made.document.chapters if c.anchor == "verdicts")
    blocks = [block for part in chapter.parts if part.name == dataset for block in part.blocks]
    return {s.method: s.text for block in blocks if isinstance(block, Sentences) for s in block.items}


CALM = {"click": ("auc", 0.73, 1e-4), "purchase": ("auc", 0.78, 1e-4), "duration": ("mse", 265.0, 0.05)}
"""Mean, and what a seed adds to it: runs are not paired, so a seed's luck is in every difference."""


def shifted(method: str, by: float, spread: float = 0.0) -> list[Record]:
    """Five runs on shop like those of `BASE`, their AUC of click moved by so much."""
    made = []
    for seed in range(5):
        run = record("shop", method, seed)
        run.metrics = record("shop", "single_task/equal", seed).metrics
        for split in run.metrics.values():
            for task, (metric, mean, step) in CALM.items():
                split[task][metric] = mean + step * (seed - 2)
            split["click"]["auc"] += by + spread * (seed - 2)
        made.append(run)
    return made


BASE = shifted("single_task/equal", 0.0)


def test_a_difference_is_said_with_its_size_interval_and_p() -> None:
    made = report([*BASE, *shifted("mmoe/equal", 0.01, 1e-4)])
    text = sentences(made)["mmoe/equal"]
    seed = np.arange(5) - 2
    between = ttest_ind(0.74 + 2e-4 * seed, 0.73 + 1e-4 * seed, equal_var=False).confidence_interval()
    size = f"on click it is better by 0.0100 AUC [{between.low:.4f}, {between.high:.4f}], adjusted p < 0.001"
    # 1 point of the 23 that the baseline is above chance, on one task of three
    gain = 100 * 0.01 / 0.23 / 3
    assert text.startswith(f"mmoe/equal beats single_task/equal over all tasks by {gain:.2f} % [")
    assert size in text and "they are identical on purchase and duration" in text
    drawn = table(made, "shop", "task_click")
    assert cell(drawn, "mmoe/equal", "verdict").text == "better"
    assert cell(drawn, "mmoe/equal", "p").text == "< 0.001"


def test_equivalence_hangs_on_the_margin() -> None:
    runs = [*BASE, *shifted("mmoe/equal", 0.0, 2e-4)]
    said = sentences(report(runs))["mmoe/equal"]
    assert (
        "are equivalent over all tasks within 0.5 % (adjusted p < 0.001) and on click within 0.001 AUC (adjusted p = "
        in said
    )
    strict = report(runs, margins={"auc": Margin(1e-5)})
    assert "not distinguishable with 5 seeds on click (" in sentences(strict)["mmoe/equal"]
    assert cell(table(strict, "shop", "task_click"), "mmoe/equal", "verdict").text == "not distinguishable"
    with pytest.raises(ValueError, match=r"unknown headline metric 'gauc'.* known: auc, mse"):
        report(runs, margins={"gauc": Margin(1e-5)})


def test_methods_of_which_the_same_is_said_share_a_sentence() -> None:
    like = ["mmoe/equal", "ple/equal", "omoe/equal"]
    runs = [*BASE, *(run for number, m in enumerate(like) for run in shifted(m, 0.0, (number + 1) * 1e-4))]
    runs += shifted("shared_bottom/equal", 0.01, 1e-4)
    said = sentences(report(runs))
    start = "shared_bottom/equal beats single_task/equal over all tasks by 1.45 % ["
    assert said["shared_bottom/equal"].startswith(start)
    assert "; on click it is better by 0.0100 AUC [" in said["shared_bottom/equal"]
    (shared,) = (text for methods, text in said.items() if methods is not None and ", " in methods)
    assert all(method in shared for method in like) and "shared_bottom" not in shared
    comparisons = [c for c in report(runs).results[0].family.comparisons if c.method in like and c.task == "click"]
    largest = max(c.p_equivalence_adjusted for c in comparisons)
    found = float(shared.partition(" and on click within 0.001 AUC (adjusted p ≤ ")[2].partition(")")[0])
    assert found == pytest.approx(largest, rel=0.01)
    assert "identical to it on purchase and duration" in shared
    assert len(sentences(report([*BASE, *runs[5:15]]))) == 2  # two have a sentence each


def test_methods_that_are_not_told_apart_share_a_tier() -> None:
    near = [*shifted("mmoe/equal", 0.0101, 1e-3), *shifted("ple/equal", 0.01, 1e-3)]
    made = report([*BASE, *near, *shifted("omoe/equal", -0.01, 1e-4)])
    drawn = table(made, "shop", "overview")
    assert made.results[0].tiers == (("mmoe/equal", "ple/equal"), ("single_task/equal",), ("omoe/equal",))
    shown = {row.cells[0].text: (row.ruled, cell(drawn, row.cells[0].text, "tier").text) for row in drawn.rows[:4]}
    assert list(shown.items()) == [
        ("mmoe/equal", (False, "1")), ("ple/equal", (False, "1")),
        ("single_task/equal", (True, "2")), ("omoe/equal", (True, "3")),
    ]  # fmt: skip


def test_any_two_methods_can_be_looked_up() -> None:
    made = report([*BASE, *shifted("mmoe/equal", 0.0101, 1e-3), *shifted("omoe/equal", -0.01, 1e-4)])
    drawn = table(made, "shop", "pairs")
    gain = made.results[0].gains
    apart = gain["mmoe/equal"].total.mean - gain["omoe/equal"].total.mean
    assert cell(drawn, "mmoe/equal", "omoe/equal").text == f"{apart:+.2f} ↑"
    assert cell(drawn, "omoe/equal", "mmoe/equal").text == f"{-apart:+.2f} ↓"
    assert cell(drawn, "mmoe/equal", "single_task/equal").text == f"{gain['mmoe/equal'].total.mean:+.2f} ↑"
    assert cell(drawn, "mmoe/equal", "mmoe/equal").text == ""
    assert "a separate family of 1 test" in drawn.notes[0]


def test_a_tier_never_contradicts_a_verdict_against_the_baseline() -> None:
    (results,) = report(
        [*records(("videos",)), *(record(method="omoe/equal", seed=s, gain=0.001) for s in range(5))]
    ).results
    lead = results.tiers[0][0]
    for c in results.primary.comparisons:
        if c.verdict in ("better", "worse") and lead in (c.method, c.baseline):
            assert results.tier_of[c.method] != results.tier_of[c.baseline]
        if c.verdict in ("equivalent", "undecided") and lead in (c.method, c.baseline):
            assert results.tier_of[c.method] == results.tier_of[c.baseline] == 1


def test_a_method_with_a_diverged_seed_is_shown_and_not_ranked() -> None:
    made = report(study())
    drawn = table(made, "videos", "task_click")
    assert cell(drawn, "ple/pcgrad", "verdict").text == "not ranked: diverged on seed 3"
    assert cell(drawn, "ple/pcgrad", "auc").text.startswith("0.7")
    assert sentences(made, "videos")["ple/pcgrad"] == "ple/pcgrad is not ranked: diverged on seed 3."
    assert cell(table(made, "videos", "overview"), "ple/pcgrad", "tier").text == "—"


def test_what_shares_nothing_is_compared_with_equal_weighting_only() -> None:
    twins = []
    for seed in range(5):
        twin = record("shop", "single_task/uncertainty", seed, gain=0.02)
        twin.shared_parameters = 0
        twins.append(twin)
    made = report([*BASE, *twins, *shifted("mmoe/equal", 0.01, 1e-4)])
    assert "only compared with equal weighting" in sentences(made)["single_task/uncertainty"]
    (family,) = [results.family for results in made.results]
    assert family is not None and {c.method for c in family.comparisons if c.verdict is not None} == {"mmoe/equal"}


def test_a_baseline_of_another_weighting_makes_nobody_incomparable() -> None:
    made = report(records(("videos",)), baseline="mmoe/uncertainty")
    assert {c.method for c in made.results[0].family.comparisons if c.verdict is not None} >= {"single_task/equal"}


def test_tuned_methods_are_judged_by_the_tuned_baseline() -> None:
    both = [*searched(method="mmoe/equal"), *searched(method="single_task/equal"), *records(("videos",), 3)]
    tuned, default = report(both).results
    assert (tuned.group.name, default.group.name) == ("videos (tuned)", "videos")
    assert (tuned.baseline, default.baseline) == ("single_task/equal", "single_task/equal")
    for results in (tuned, default):
        assert {c.baseline for c in results.family.comparisons} == {results.baseline}
    assert {c.method for c in tuned.family.comparisons} == {"mmoe/equal"}
    assert {c.method for c in default.family.comparisons} == METHODS.keys() - {"single_task/equal"}
    assert report(both, purpose="default").results[0].baseline == "single_task/equal"
    assert report(records(("videos",), 3)).results[0].baseline == "single_task/equal"


def test_more_seeds_of_the_baseline_or_the_best_cost_no_verdict() -> None:
    usual = report(records(("videos",))).results[0]
    for method in ("single_task/equal", "ple/pcgrad"):
        (results,) = report(
            [*records(("videos",)), *(record(method=method, seed=seed) for seed in range(5, 10))]
        ).results
        assert [(c.method, c.task, c.n, c.verdict) for c in results.family.comparisons] == [
            (c.method, c.task, c.n, c.verdict) for c in usual.family.comparisons
        ]
        assert len(results.tier_of) == len(usual.tier_of) == len(METHODS)


def test_seeds_on_one_draw_of_the_data_are_one_replicate() -> None:
    drawn = [
        record("shop", method, seed, options={"data_seed": draw})
        for method in METHODS for draw in range(3) for seed in range(5)
    ]  # fmt: skip
    (results,) = report(drawn).results
    assert {c.n for c in results.family.comparisons} == {3}
    assert {e.mean.n for methods in results.estimates.values() for e in methods.values()} == {3}
    first = next(c for c in results.family.comparisons if c.task == "click" and c.method == "mmoe/equal")
    by_draw = [
        fmean(
            record("shop", "mmoe/equal", seed, options={"data_seed": draw}).metrics["test"]["click"]["auc"]
            - record("shop", "single_task/equal", seed, options={"data_seed": draw}).metrics["test"]["click"]["auc"]
            for seed in range(5)
        )
        for draw in range(3)
    ]  # fmt: skip
    assert sorted(first.differences) == pytest.approx(sorted(by_draw), abs=1e-12)
    assert any("one replicate" in note for note in dataset_notes(results))
    alone = report([r for r in drawn if r.seed == 0]).results[0]
    assert {c.n for c in alone.family.comparisons} == {3}
    assert not any("one replicate" in note for note in dataset_notes(alone))


def test_trees_are_a_line_with_an_interval_and_an_answer() -> None:
    made = report(records(("videos",), 3), references=trees(shift=0.05))
    drawn = table(made, "videos", "task_click")
    name = "boosted trees (gbdt), one model per task"
    assert " ± " in cell(drawn, name, "auc").text
    said = [text for text in sentences_of(made) if text.startswith(f"{name} on click")]
    clicks = made.summary.filter((pl.col("task") == "click") & (pl.col("metric") == "auc"))
    best = clicks.filter(~pl.col("method").str.starts_with("reference/")).sort("mean")["method"][-1]
    assert (
        len(said) == 1
        and "of 5 methods compared with it, 5 worse" in said[0]
        and f"The best method, {best}: Δ -0.04" in said[0]
    )
    assert name in made.html() and name not in made.study.methods
    other = trees()
    for line in other:
        line.dataset = {**line.dataset, "test_rows": "others"}
    assert name not in str(report(records(("videos",), 3), references=other))


def test_trees_have_their_difference_to_the_baseline_in_the_table_and_in_the_summary() -> None:
    made = report(records(("videos",), 3), baseline="mmoe/equal", references=trees(shift=0.05))
    drawn, name = table(made, "videos", "task_click"), "boosted trees (gbdt), one model per task"
    family = made.results[0].against_lines["gbdt"]
    baseline = family.get("click", "mmoe/equal")
    assert baseline is not None and baseline.verdict == "worse" and baseline.p_adjusted is not None
    assert cell(drawn, name, "verdict").text == "better"
    assert cell(drawn, name, "p").value == baseline.p_adjusted
    assert cell(drawn, name, "seeds").text == "3"
    assert any(name in note for note in drawn.notes)
    rows = made.summary.filter((pl.col("task") == "click") & pl.col("method").str.starts_with("reference/"))
    row = {r["method"]: r for r in rows.filter(pl.col("metric") == "auc").iter_rows(named=True)}
    trained, constant = row["reference/gbdt"], row["reference/constant"]
    difference = baseline.difference
    assert difference is not None and difference.low is not None
    assert trained["verdict"] == "better" and trained["p_adjusted"] == baseline.p_adjusted and trained["pairs"] == 3
    assert trained["difference"] == pytest.approx(-difference.mean)
    assert trained["difference_high"] == pytest.approx(-difference.low)
    assert cell(drawn, name, "difference").text.startswith(f"{trained['difference']:+.4f} [")
    assert constant["mean"] == 0.5 and constant["verdict"] is None and constant["difference"] is None


def test_a_report_calls_a_reference_what_its_records_say() -> None:
    lines = trees(trials=2)
    for line in lines:
        line.name, line.label = "knn", "nearest neighbours"
    made = report(records(("videos",), 3), references=lines)
    assert cell(table(made, "videos", "task_click"), "nearest neighbours", "seeds").text == "3"
    assert table(made, "videos", "trials").rows[-1].cells[0].text == "nearest neighbours"
    assert sentences(made, "videos")[None].startswith("nearest neighbours on ")
    assert "reference/knn" in made.summary["method"].to_list()


def test_seeds_that_only_the_trees_have_keep_no_method_from_its_verdict() -> None:
    made = report(records(("videos",), 3), references=trees(seeds=5))
    family = made.results[0].against_lines["gbdt"]
    assert family.tests and {c.n for c in family.comparisons} == {3}
    assert any(text.startswith("boosted trees") for text in sentences_of(made))


def test_seeds_that_the_trees_lack_leave_their_answer_standing() -> None:
    made = report(records(("videos",), 10), references=trees(seeds=5))
    family = made.results[0].against_lines["gbdt"]
    assert family.tests == 12 and {c.n for c in family.comparisons} == {5}  # these trees are identical to single_task
    assert all(c.verdict is not None for c in family.comparisons)
    assert sum(text.startswith("boosted trees") for text in sentences_of(made)) == 3


def test_more_seeds_of_a_method_and_the_baseline_are_in_its_verdict() -> None:
    more = [record("videos", method, seed) for method in ("single_task/equal", "mmoe/equal") for seed in range(5, 15)]
    made = report([*records(("videos",)), *more])
    family = made.results[0].family
    assert family is not None
    assert {c.method: c.n for c in family.comparisons} == {
        "mmoe/equal": 15, "mmoe/uncertainty": 5, "ple/pcgrad": 5, "shared_bottom/equal": 5,
    }  # fmt: skip
    compared = family.get("click", "mmoe/equal")
    assert compared is not None and compared.difference is not None and compared.verdict is not None
    shown = made.results[0].estimate("click", "auc", "mmoe/equal").difference
    assert shown is not None and compared.difference.mean == pytest.approx(shown.mean)


def draws(method: str, seeds: int, gain: float = 0.0) -> list[Record]:
    """Runs on four draws of the data, whose AUC of click rises with the seed."""
    made = []
    for draw in range(4):
        for seed in range(seeds):
            run = record("videos", method, seed, options={"split_seed": draw})
            run.metrics["test"]["click"]["auc"] = 0.7 + 0.01 * seed + 0.001 * draw + gain * (1 + 0.1 * draw)
            made.append(run)
    return made


def test_seeds_that_are_averaged_over_a_draw_are_the_same_for_all() -> None:
    runs = [*draws("single_task/equal", 6), *draws("mmoe/equal", 2, 0.002)]
    made = report([*runs, *draws("ple/pcgrad", 2), *draws("shared_bottom/equal", 2)])
    family = made.results[0].family
    assert family is not None
    mmoe, ple = family.get("click", "mmoe/equal"), family.get("click", "ple/pcgrad")
    assert mmoe is not None and mmoe.difference is not None and mmoe.n == 4
    assert mmoe.difference.mean == pytest.approx(0.0023) and mmoe.verdict == "better"
    assert ple is not None and ple.verdict == "identical"
    shown = made.results[0].estimate("click", "auc", "mmoe/equal").difference
    assert shown is not None and shown.mean == pytest.approx(0.0023)


def test_a_stray_run_on_another_draw_changes_no_verdict() -> None:
    runs = [
        run for method in METHODS for run in (record("videos", method, s, options={"split_seed": 0}) for s in range(5))
    ]
    stray = record("videos", "mmoe/equal", 0, options={"split_seed": 1})
    made, more = report(runs), report([*runs, stray])
    families = made.results[0].family, more.results[0].family
    assert families[0] is not None and families[1] is not None
    said = [
        [(c.task, c.method, c.verdict, c.n) for c in family.comparisons] for family in families if family is not None
    ]
    assert said[0] == said[1]
    assert not any("one replicate" in note for note in dataset_notes(more.results[0]))


def test_what_a_run_of_one_method_lost_makes_no_other_incomplete() -> None:
    more = [record("videos", m, seed) for m in ("single_task/equal", "mmoe/equal") for seed in range(5, 10)]
    runs = [*records(("videos",)), *more, record("videos", "ple/pcgrad", 4, status="diverged")]
    runs = [r for r in runs if (r.method, r.seed, r.status) != ("ple/pcgrad", 4, "finished")]
    for references in ((), trees(seeds=10)):
        made = report(runs, references=references)
        families = [made.results[0].family, *made.results[0].against_lines.values()]
        for family in families:
            assert family is not None
            unranked = {c.method for c in family.comparisons if c.verdict is None}
            assert unranked == {"ple/pcgrad"}


def with_facts(runs: list[Record], **facts: object) -> list[Record]:
    for run in runs:
        run.dataset["facts"] = {**run.dataset["facts"], **facts}
    return runs


def repeated(features: int, labels: int) -> dict[str, int]:
    return {"same_features": features, "same_features_and_labels": labels}


def test_test_rows_that_train_has_and_labels_that_count_as_zero_are_said() -> None:
    runs = with_facts(
        records(("shop",), 3), test_rows_in_train=repeated(1_204, 310), zeros_filled_in={"purchase": 5_020}
    )
    notes = dataset_notes(report(runs).results[0])
    assert "1,204 of 10,000 test rows occur in train with the same features (310 with the same labels too)." in notes
    assert "purchase: 5,020 missing labels counted as 0, since click is 0 there." in notes


def test_of_several_draws_the_most_rows_in_train_and_zeros_are_said() -> None:
    runs = [
        run
        for seed, count in enumerate((7, 3))
        for method in ("single_task/equal", "mmoe/equal")
        for run in with_facts(
            [record("shop", method, seed, options={"data_seed": seed})],
            test_rows_in_train=repeated(count, 0), zeros_filled_in={"purchase": count},
        )
    ]  # fmt: skip
    notes = dataset_notes(report(runs).results[0])
    assert "Up to 7 of 10,000 test rows occur in train with the same features (0 with the same labels too)." in notes
    assert "purchase: up to 7 missing labels counted as 0, since click is 0 there." in notes


def test_of_no_row_in_train_and_no_zero_nothing_is_said() -> None:
    plain = dataset_notes(report(records(("shop",), 3)).results[0])
    runs = with_facts(records(("shop",), 3), test_rows_in_train=repeated(0, 0))
    assert dataset_notes(report(runs).results[0]) == plain


def sentences_of(made: Report) -> list[str]:
    chapter = next(c for c in made.document.chapters if c.anchor == "verdicts")
    return [s.text for part in chapter.parts for b in part.blocks if isinstance(b, Sentences) for s in b.items]


def many(number: int, seeds: int = 3) -> list[Record]:
    """So many data sets with all methods."""
    return [
        record("shop", method, seed, options={"part": part})
        for part in range(number) for method in METHODS for seed in range(seeds)
    ]  # fmt: skip


def test_there_is_no_rank_over_fewer_than_six_data_sets() -> None:
    assert report(many(5)).ranking is None
    made = report(many(6))
    assert made.ranking is not None and made.ranking.blocks == 6 and set(made.ranking.methods) == METHODS.keys()
    assert any("No test of ranks: 6 blocks of 10" in note for note in table(made, "", "ranks").notes)
    assert "critical difference" not in made.html()


def test_ranks_are_those_of_the_gain_and_tested_from_ten_data_sets_on() -> None:
    made = report(many(10))
    assert made.ranking is not None and made.ranking.critical_difference is not None
    assert "Mean ranks with the critical difference" in made.html()
    places = []
    for results in made.results:
        gains = {m: gain.total.mean for m, gain in results.gains.items()} | {"single_task/equal": 0.0}
        places.append(1 + sum(value > gains["mmoe/equal"] for value in gains.values()))
    assert made.ranking.mean_ranks[made.ranking.methods.index("mmoe/equal")] == pytest.approx(fmean(places))


def test_a_method_that_is_not_ranked_on_a_data_set_has_no_rank() -> None:
    runs = many(6)
    runs[-1].status = "diverged"
    lost = runs[-1].method
    ranking = report(runs).ranking
    assert ranking is not None and lost not in ranking.methods and len(ranking.methods) == len(METHODS) - 1


def test_the_summary_has_the_verdicts_of_headline_metrics() -> None:
    made = report([*BASE, *shifted("mmoe/equal", 0.01, 1e-4)])
    rows = {(r["task"], r["metric"], r["method"]): r for r in made.summary.iter_rows(named=True)}
    assert rows["click", "auc", "mmoe/equal"]["verdict"] == "better"
    assert rows["click", "auc", "mmoe/equal"]["p_adjusted"] < 0.001
    assert rows["click", "log_loss", "mmoe/equal"]["verdict"] is None
