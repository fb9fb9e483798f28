"""The first chapter: each sentence, from records whose gains are known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.reporting.answer import answer
from benchmark.statistics import Margin
from benchmark.statistics.wording import p_value
from benchmark.text import duration
from tests.benchmark.reporting.fabricate import record, searched, trees

BASELINE = "single_task/equal"
LEVELS = {"click": ("auc", 0.71, 0.5), "like": ("auc", 0.81, 0.5), "play_time": ("mse", 1.5, 2.2)}
NOISE = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Of the seeds, in units of the spread; their mean is 0, so that the baseline's means are LEVELS."""


def run_of(
    method: str, seed: int, gain: float | Mapping[str, float], spread: float, seeds: int = 5, **options: Any
) -> Record:
    """A run that gains so many per cent on every task."""
    run = record("videos", method, seed, **options)
    for task, (metric, base, constant) in LEVELS.items():
        own = gain if isinstance(gain, float) else gain[task]
        of = own + spread * (NOISE[seed] if seeds == 5 else seed - (seeds - 1) / 2)
        for selected in (run.metrics, run.metrics_per_task):
            selected["test"][task][metric] = base + of / 100 * (base - constant)
    return run


def made(
    gains: Mapping[str, float | Mapping[str, float]],
    spread: float = 0.1,
    seeds: int = 5,
    spreads: Mapping[str, float] | None = None,
    **options: Any,
) -> list[Record]:
    return [
        run_of(method, seed, gain, (spreads or {}).get(method, spread), seeds, **options)
        for method, gain in {BASELINE: 0.0, **gains}.items()
        for seed in range(seeds)
    ]


def said(runs: Sequence[Record], **options: Any) -> list[str]:
    (results,) = report(runs, **options).results
    found = answer(results)
    assert len(found) <= 6
    for sentence in found:
        assert sentence.endswith(".") and "  " not in sentence and "; ." not in sentence and ".." not in sentence
    return found


def shown(gain: float, spread: float = 0.1, seeds: int = 5, places: int = 2) -> tuple[str, str, str]:
    """p of Welch's test of two arms with this gain and spread, and the ends of its interval."""
    noise = spread * np.array(NOISE if seeds == 5 else [s - (seeds - 1) / 2 for s in range(seeds)])
    welch = ttest_ind(gain + noise, noise, equal_var=False)
    between = welch.confidence_interval()
    return p_value(welch.pvalue), f"{between.low:.{places}f}", f"{between.high:.{places}f}"


def test_one_method_that_is_better() -> None:
    p, low, high = shown(3.0)
    assert said(made({"mmoe/equal": 3.0}))[0] == (
        f"mmoe/equal beats single_task/equal over all tasks by 3.00 % [{low}, {high}], {p}."
    )


def test_one_method_that_is_worse() -> None:
    p, low, high = shown(3.0)
    assert said(made({"mmoe/equal": -3.0}))[0] == (
        f"mmoe/equal is worse than single_task/equal over all tasks by 3.00 % [{low}, {high}], {p}."
    )


def test_one_method_that_is_equivalent_undecided_or_identical() -> None:
    _, low, high = shown(0.05, places=3)
    start = "mmoe/equal is equivalent to single_task/equal over all tasks, within 0.5 %: "
    assert said(made({"mmoe/equal": 0.05}))[0].startswith(f"{start}+0.050 % [{low}, +{high}], p = ")
    _, low, high = shown(0.3, 1.0)
    assert said(made({"mmoe/equal": 0.3}, 1.0))[0] == (
        f"mmoe/equal is not distinguishable from single_task/equal over all tasks: +0.30 % [{low}, +{high}]."
    )
    assert said(made({"mmoe/equal": 0.0}))[0] == (
        "mmoe/equal is identical to single_task/equal over all tasks: no run differs from the baseline's with the same seed."
    )


def test_some_are_better_and_the_rest_is_counted() -> None:
    gains = {"a/equal": 4.0, "b/equal": 2.0, "c/equal": -3.0, "d/equal": -4.0, "e/equal": 0.01}
    first = said(made(gains))[0]
    assert first.startswith("2 of 5 methods beat single_task/equal over all tasks: a/equal by 4.00 % [")
    assert first.endswith(
        "adjusted p < 0.001, then b/equal; 2 are worse (c/equal and d/equal), 1 is equivalent within 0.5 % (e/equal)."
    )


def test_one_of_several_beats() -> None:
    first = said(made({"a/equal": 4.0, "b/equal": -3.0}))[0]
    assert first.startswith("1 of 2 methods beats single_task/equal over all tasks: a/equal by 4.00 %")
    assert first.endswith("; 1 is worse (b/equal).")


def test_all_are_better() -> None:
    first = said(made({f"{name}/equal": 2.0 + number for number, name in enumerate("abcdef")}))[0]
    assert first.startswith("All 6 methods beat single_task/equal over all tasks: f/equal by 7.00 % [")
    assert first.endswith(", then e/equal, d/equal, c/equal and 2 more.")


def test_better_by_less_than_the_margin_is_said_to_be_inside_it() -> None:
    first = said(made({"a/equal": 0.2, "b/equal": -3.0}, 0.01))[0]
    assert "a/equal by 0.20 % [" in first and ", inside the margin of 0.5 %; 1 is worse" in first


def test_worse_by_less_than_the_margin_is_said_to_be() -> None:
    first = said(made({"a/equal": -0.2, "b/equal": 0.0001}, 0.01))[0]
    assert "1 is worse by less than the margin (a/equal), 1 is equivalent within 0.5 % (b/equal)" in first


def test_all_are_worse() -> None:
    first = said(made({"a/equal": -2.0, "b/equal": -3.0, "c/equal": -5.0}))[0]
    assert first.startswith("Every other method is worse than single_task/equal over all tasks: from 2.00 % [")
    assert "] (a/equal, adjusted p < 0.001) to 5.00 % [" in first and first.endswith("] (c/equal).")


def test_all_are_equivalent() -> None:
    gains = {f"{name}/equal": 0.02 * number for number, name in enumerate("abcdefghi", -4)}
    runs = made({**gains, "e/equal": 0.001}, 0.05)
    first = said(runs)[0]
    assert first.startswith(
        "All 9 methods are equivalent to single_task/equal over all tasks, within 0.5 %: from -0.080 % ["
    )
    assert "] (a/equal) to +0.080 % [" in first and "] (i/equal), adjusted p < 0.001." in first
    both = said(made({"a/equal": 0.02, "b/equal": 0.01}))[0]
    assert both.startswith(
        "Both methods are equivalent to single_task/equal over all tasks, within 0.5 %: from +0.010 %"
    )


def test_nobody_is_shown_to_be_better() -> None:
    found = said(made({"a/equal": 0.9, "b/equal": 0.2, "c/equal": -9.0}, 1.0))
    assert found[0].startswith(
        "No method is shown to beat single_task/equal over all tasks: 1 is worse (c/equal), 2 are not distinguishable "
        "(a/equal and b/equal); a/equal has the best mean, +0.90 % ["
    )
    assert "; even 100 seeds would not decide the 2 undecided methods at the margin of 0.5 %;" in found[-1]


def test_the_seeds_that_would_decide_are_those_of_the_comparison() -> None:
    runs = made({"mmoe/equal": 0.3}, 0.6)
    (results,) = report(runs).results
    needed = results.of_gain("mmoe/equal").seeds_to_decide
    # METHODS: mmoe/equal trains for 19 to 21 s, single_task/equal for 31 to 33
    price = duration((needed - 5) * (20 + 32))
    assert 5 < needed < 100 and (
        f"; about {float(f'{needed:.2g}'):.0f} seeds would decide the undecided method at the margin of 0.5 % "
        f"({price} more of training);" in said(runs)[-1]
    )
    far = said(made({"mmoe/equal": 0.3}, 1.0))[-1]
    assert "; even 100 seeds would not decide the undecided method at the margin of 0.5 %;" in far
    wide = said(runs, margins={"gain": Margin.parse("3%")})[-1]
    assert "at the margin of 3 %" in wide or "would decide" not in wide


def test_with_too_few_seeds_the_reason_is_said_and_no_number() -> None:
    found = said(made({"a/equal": 3.0, "b/equal": 2.0}, seeds=2))
    assert found[0] == (
        "No method is shown to beat single_task/equal over all tasks: 2 are not distinguishable (a/equal and b/equal); "
        "a/equal has the best mean, +3.00 %."
    )
    assert found[-1].startswith(
        "What limits this: 2 seeds per method, parameters not tuned; 2 seeds; a test needs 3; one test set"
    )
    assert "would decide" not in found[-1]


def test_tasks_are_counted() -> None:
    gains = {
        "a/equal": {"click": 4.0, "like": -4.0, "play_time": 4.0},
        "b/equal": {"click": 4.0, "like": 0.01, "play_time": -4.0},
    }
    assert said(made(gains))[2] == (
        "Task by task, 6 comparisons with single_task/equal: 3 better (click 2, play_time 1), 2 worse (like 1, "
        "play_time 1), 1 equivalent (like 1)."
    )
    assert said(made({"a/equal": 0.3}, 1.0))[2] == (
        "Task by task, 3 comparisons with single_task/equal: none is decided."
    )


def test_a_primary_task_is_named_with_its_metric_and_the_others_with_their_names() -> None:
    runs = made({"a/equal": 4.0, "b/equal": -3.0})
    for run in runs:
        run.config["primary"] = "play_time.mse"
    first, _, tasks, *_ = said(runs)
    # 4 % of the 0.7 that the baseline is below the constant
    assert first.startswith(
        "1 of 2 methods beats single_task/equal on play_time MSE [log1p(seconds)²]: a/equal by 0.028 MSE [log1p(seconds)²] ["
    )
    assert tasks.startswith("On click and like, 4 comparisons with single_task/equal: ")


def test_declared_contrasts_are_told() -> None:
    runs = made({"mmoe/equal": 2.0, "mmoe/pcgrad": 3.0, "ple/equal": 1.0, "ple/pcgrad": 1.0})
    for run in runs:
        run.config["contrasts"] = ["ple - mmoe"]
    (sentence,) = [text for text in said(runs) if "contrast" in text]
    assert sentence.startswith("Declared contrast: ple against mmoe -1.50 % [-1.") and sentence.endswith(
        "] (worse, adjusted p < 0.001)."
    )
    for run in runs:
        run.config["contrasts"] = ["ple/equal - ple/pcgrad", "ple - mmoe"]
    (sentence,) = [text for text in said(runs) if "contrast" in text]
    assert sentence.startswith("Declared contrasts: ple against mmoe -1.50 %")  # the decided one first
    assert "; ple/equal against ple/pcgrad 0.00 % [" in sentence.replace("+0.00 %", "0.00 %")


def test_of_many_contrasts_some_are_told() -> None:
    runs = made({f"{name}/equal": float(number) for number, name in enumerate("abcde")})
    for run in runs:
        run.config["contrasts"] = ["architecture"]
    (sentence,) = [text for text in said(runs) if "contrast" in text]
    assert sentence.count(" against ") == 6 and sentence.endswith(
        "; 4 more, in the CSV file."
    )  # five architectures have ten pairs


def test_the_best_is_recommended_where_it_is_told_from_all_others() -> None:
    # METHODS: ple/pcgrad has 190,223 parameters and 47 to 49 s; single_task/equal 261,840 and 31 to 33
    assert said(made({"ple/pcgrad": 3.0}))[1] == (
        "Use ple/pcgrad: it is better than every other ranked method. It has 0.73 times the parameters and 1.5 times the "
        "training time of single_task/equal."
    )


def test_of_those_that_are_shown_to_be_good_the_smallest_is_recommended() -> None:
    # METHODS: ple/pcgrad has 190,223 parameters, mmoe/equal 118,900, shared_bottom/equal 92,113
    better = {"ple/pcgrad": 3.0, "mmoe/equal": 2.98, "shared_bottom/equal": 1.0}
    assert said(made(better))[1] == (
        "Use mmoe/equal: it is the smallest of the 2 best methods, which these runs cannot separate (ple/pcgrad and mmoe/equal). "
        "It has 0.45 times the parameters and 0.62 times the training time of single_task/equal."
    )
    every = said(made({"ple/pcgrad": 0.01, "mmoe/equal": 0.02}))[1]
    assert every.startswith(
        "Use mmoe/equal: it is the smallest of the 3 best methods, all equivalent within 0.5 % (mmoe/equal, ple/pcgrad and "
        "single_task/equal)."
    )


def test_of_methods_that_are_about_as_small_the_fastest_is_recommended() -> None:
    # METHODS: mmoe/uncertainty has 3 parameters more than mmoe/equal, and takes a second more
    found = said(made({"mmoe/uncertainty": 0.02, "mmoe/equal": 0.01}))[1]
    assert found.startswith("Use mmoe/equal: it is the fastest of the smallest of the 3 best methods, all equivalent")


def test_what_is_undecided_is_not_recommended_for_being_small() -> None:
    runs = made({"ple/pcgrad": 0.05, "shared_bottom/equal": -0.9}, 0.1, spreads={"shared_bottom/equal": 1.2})
    verdicts = {c.method: c.verdict for c in report(runs).results[0].primary.comparisons}
    assert verdicts == {"ple/pcgrad": "equivalent", "shared_bottom/equal": "undecided"}
    assert said(runs)[1].startswith("Use ple/pcgrad: it is one of the 3 best methods, which these runs cannot separate")


def test_who_is_worse_than_the_baseline_is_not_recommended_beside_it() -> None:
    noisy = made({"a/equal": 1.0, "b/equal": -1.0}, 0.05, spreads={"a/equal": 2.5})
    results = report(noisy).results[0]
    assert {c.method: c.verdict for c in results.primary.comparisons}["b/equal"] == "worse"
    assert results.tiers == (("a/equal", "single_task/equal"), ("b/equal",))
    assert said(noisy)[1] == (
        "Use single_task/equal: it is one of the 2 best methods, which these runs cannot separate (a/equal and "
        "single_task/equal), and it is the baseline."
    )


def test_the_smallest_of_several_good_methods_beside_an_undecided_one() -> None:
    runs = made(
        {"ple/pcgrad": 0.05, "shared_bottom/equal": 1.2, "mmoe/equal": 0.1}, 0.1, spreads={"shared_bottom/equal": 2.5}
    )
    assert said(runs)[1].startswith(
        "Use mmoe/equal: it is one of the 4 best methods, which these runs cannot separate (shared_bottom/equal, mmoe/equal, "
        "ple/pcgrad and 1 more), and the smallest of the 3 that are the baseline or shown to be equivalent to it or better. It has"
    )


def test_where_sizes_are_unknown_nobody_is_called_small() -> None:
    runs = made({"ple/pcgrad": 0.01, "mmoe/equal": 0.02})
    for run in runs:
        if run.method == "ple/pcgrad":
            del run.cost["parameters"]
    assert said(runs)[1].startswith("Use mmoe/equal: it is one of the 3 best methods") and "small" not in said(runs)[1]


def test_sizes_of_searches_that_chose_differently_are_their_median() -> None:
    runs = made({"ple/pcgrad": 0.01, "mmoe/equal": 0.02})
    for run in runs:
        if run.method == "ple/pcgrad" and run.seed == 0:
            run.cost["parameters"] = 10
    assert said(runs)[1].startswith("Use mmoe/equal: it is the smallest")


def test_where_nobody_reaches_the_baseline_it_is_recommended_and_the_lost_task_named() -> None:
    first, choice, *_ = said(made({"a/equal": {"click": 0.0, "like": -9.0, "play_time": 0.0}, "b/equal": -5.0}))
    assert ": from 3.00 % [" in first and "(a/equal, adjusted p < 0.001, losing on like) to 5.00 % [" in first
    assert choice == "Use single_task/equal: it is better than every other ranked method."


def test_a_verdict_that_every_task_shares_is_said_once() -> None:
    assert (
        said(made({"a/equal": 3.0, "b/equal": 4.0}))[2] == "Each task alone says the same (click, like and play_time)."
    )


def test_trees_are_compared_with_the_best_method_of_each_task() -> None:
    found = said(made({"mmoe/equal": 3.0}), references=trees(shift=0.2))
    (sentence,) = [text for text in found if "trees" in text]
    assert sentence.startswith(
        "Boosted trees (gbdt), one model per task: better than the best method on click and like"
    )
    assert found[1].startswith("Among the neural methods, use mmoe/equal: it is better than every other ranked method.")


def test_what_limits_the_answer() -> None:
    assert said(made({"mmoe/equal": 3.0}))[-1] == (
        "What limits this: 5 seeds per method, parameters not tuned; one test set of 10,000 rows; one stopping epoch "
        "for all tasks (if each task stopped at its own best, the best other method, mmoe/equal, would be at +3.00 % [{}, {}]).".format(
            *(f"+{end}" for end in shown(3.0)[1:])
        )
    )


def test_unequal_numbers_of_seeds_are_said() -> None:
    runs = made({"a/equal": 3.0, "b/equal": 2.0}, seeds=6)
    early = [run for run in runs if run.method != "b/equal" or run.seed < 3]
    for run in early:
        run.config["looks"] = {"seeds": [3, 6], "margin": "0.5%"}
    assert said(early)[-1].startswith("What limits this: 3 seeds per method")  # both were decided at the first look
    noisy = made({"a/equal": 3.0, "b/equal": 0.3}, 1.0, seeds=6)
    for run in noisy:
        run.config["looks"] = {"seeds": [3, 6], "margin": "0.5%"}
        if run.method == "a/equal":
            for task, (metric, base, constant) in LEVELS.items():
                run.metrics["test"][task][metric] = base + (9.0 + 0.01 * run.seed) / 100 * (base - constant)
    assert "3 to 6 seeds per method" in said(noisy)[-1]


def test_methods_that_are_not_ranked_are_counted_in_no_verdict_and_said() -> None:
    runs = made({"a/equal": 4.0, "b/equal": -3.0, "c/equal": 9.0})
    runs = [run for run in runs if (run.method, run.seed) != ("c/equal", 4)]
    runs.append(record("videos", "c/equal", 4, status="diverged"))
    found = said(runs)
    assert found[0].startswith("1 of 2 methods beats") and "1 method not ranked" in found[-1]


def tuned(gains: Mapping[str, float], searches: Sequence[int]) -> list[Record]:
    runs = []
    for method, gain in {BASELINE: 0.0, **gains}.items():
        like = searched(method=method)[-1]
        for seed, search in enumerate(searches):
            run = run_of(method, seed, gain, 0.1, len(searches), purpose="tuned")
            run.config |= {"tuning": like.config["tuning"], "search_seed": search}
            runs.append(run)
    return runs


@pytest.mark.parametrize(
    ("searches", "words"),
    [
        (
            (0,) * 5,
            "5 seeds per method, all from one search, so the intervals do not include the variability of the search;",
        ),
        ((0, 1, 2, 3, 4), "5 seeds per method, each with a search of its own;"),
        (
            (0, 0, 1, 1, 2),
            "5 seeds per method, from 3 searches, so the intervals include only a part of the variability of the search;",
        ),
    ],
)
def test_of_tuned_methods_it_is_said_whose_luck_intervals_cover(searches: tuple[int, ...], words: str) -> None:
    assert f"What limits this: {words}" in said(tuned({"mmoe/equal": 3.0}, searches))[-1]


def test_without_a_baseline_or_with_one_method_there_is_no_answer() -> None:
    assert said([run for run in made({"mmoe/equal": 3.0}) if run.method != BASELINE]) == []
    assert said(made({})) == []
    alone = report(made({}))
    assert not any(part.blocks for c in alone.document.chapters if c.anchor == "answer" for part in c.parts)


def test_without_a_gain_the_reason_and_the_tasks_are_told() -> None:
    runs = made({"mmoe/equal": 3.0})
    for run in runs:
        del run.dataset["constant"]
    assert said(runs) == [
        "No answer over all tasks: no record has the constant's MSE on play_time.",
        "Task by task, 3 comparisons with single_task/equal: 3 better (click 1, like 1, play_time 1).",
    ]
    of_one_seed = [run for run in runs if run.seed == 0]
    assert said(of_one_seed) == ["No answer over all tasks: no record has the constant's MSE on play_time."]


def test_the_answer_is_the_first_chapter_with_a_part_for_every_data_set() -> None:
    runs = [
        *made({"mmoe/equal": 3.0}),
        *(record("shop", m, seed) for m in (BASELINE, "mmoe/equal") for seed in range(3)),
    ]
    first = report(runs).document.chapters[0]
    assert (first.anchor, first.title) == ("answer", "Answer")
    assert [part.name for part in first.parts] == ["shop", "videos"] and all(part.blocks for part in first.parts)
