"""`mtlbench compare`, on fabricated records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest
from scipy.stats import ttest_ind, ttest_rel

from benchmark import compare
from benchmark.analysis.gain import TASKS
from benchmark.analysis.study import Study
from benchmark.cli import main
from benchmark.records.record import MAKES_SOME, Record
from benchmark.reporting import report
from benchmark.statistics import Margin, Verdict
from tests.benchmark.reporting.fabricate import METHODS, record, records, searched, undefine

A, B = "mmoe/equal", "single_task/equal"


def write(folder: Path, made: list[Record]) -> Path:
    for each in made:
        each.write(folder)
    return folder


def shifted(made: list[Record], method: str, task: str, by: float) -> list[Record]:
    """The records, with the AUC of one method changed on test."""
    for each in made:
        if each.method == method:
            each.metrics["test"][task]["auc"] += by + 1e-5 * each.seed  # type: ignore[operator]
    return made


def test_the_answer_comes_first_and_every_task_has_its_line() -> None:
    found = compare(A, B, records(("videos",)))
    lines = str(found).splitlines()
    assert lines[0].startswith(f"{A} against {B}, videos: better on ")
    assert [c.task for c in found.comparisons] == [TASKS, "click", "like", "play_time"]
    assert [c.tests for c in found.comparisons] == [1, 3, 3, 3] and {c.n for c in found.comparisons} == {5}
    assert "the p of tasks is adjusted for 3 tests" in " ".join(lines)
    assert not found.worse and not found.incomplete


def test_the_other_way_round_is_the_other_verdict() -> None:
    one, other = compare(A, B, records(("videos",))), compare(B, A, records(("videos",)))
    assert other.worse
    turned = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    for c, d in zip(one.comparisons, other.comparisons, strict=True):
        assert c.verdict is not None and turned.get(c.verdict, c.verdict) is d.verdict
        if c.task != TASKS:  # a gain is in per cent of what the other has learnt, so that the two are no mirror images
            assert c.p_adjusted == pytest.approx(d.p_adjusted, rel=1e-9)


def test_methods_of_one_folder_are_compared_as_its_report_does() -> None:
    made = records(("videos",))
    found, (results,) = compare(A, B, made), report(made).results
    assert results.family is not None
    for c in found.comparisons:
        reported = results.of_gain(A) if c.task == TASKS else results.family.get(c.task, A)
        assert reported is not None and (c.p, c.n, c.margin) == (reported.p, reported.n, reported.margin)
        assert c.difference == reported.difference


def test_the_row_of_the_gain_has_its_numbers_and_every_row_the_paired_p() -> None:
    made = records(("videos",))
    row = compare(A, B, made).table.row(0, named=True)
    assert (row["task"], row["metric"], row["tests"], row["margin"]) == (TASKS, "gain", 1, 0.5)
    of = {(r.method, r.seed): r.metrics["test"] for r in made}

    def mean(method: str, task: str, metric: str) -> float:
        return fmean(of[method, seed][task][metric] for seed in range(5))  # type: ignore[misc]

    parts = [
        100 * (mean(A, "click", "auc") - mean(B, "click", "auc")) / (mean(B, "click", "auc") - 0.5),
        100 * (mean(A, "like", "auc") - mean(B, "like", "auc")) / (mean(B, "like", "auc") - 0.5),
        100 * (mean(B, "play_time", "mse") - mean(A, "play_time", "mse")) / (2.2 - mean(B, "play_time", "mse")),
    ]
    assert row["difference"] == pytest.approx(fmean(parts))
    click = compare(A, B, made).table.row(1, named=True)
    aucs = [[of[method, seed]["click"]["auc"] for seed in range(5)] for method in (A, B)]
    assert click["p_paired"] == pytest.approx(ttest_rel(*aucs).pvalue) and click["p_paired"] != click["p"]


def test_two_methods_alone_are_welchs_test() -> None:
    made = [r for r in records(("videos",)) if r.method in (A, B)]
    click = compare(A, B, made).comparisons[1]
    aucs = [[r.metrics["test"]["click"]["auc"] for r in made if r.method == method] for method in (A, B)]
    welch = ttest_ind(*aucs, equal_var=False)
    between = welch.confidence_interval()
    assert click.p == pytest.approx(welch.pvalue) and click.difference is not None
    assert (click.difference.low, click.difference.high) == pytest.approx((between.low, between.high))


def test_the_margin_of_the_gain_is_asked_for_or_declared_or_half_a_per_cent() -> None:
    made = records(("videos",))
    assert compare(A, B, made, margins={"gain": Margin.parse("2%")}).comparisons[0].margin == pytest.approx(2)
    for each in made:
        each.config["looks"] = {"seeds": [3, 5], "margin": "0.8%"}
    assert compare(A, B, made).comparisons[0].margin == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"the margin of gain must be a percentage, such as 0.5%, found 0.5"):
        compare(A, B, made, margins={"gain": Margin(0.5)})


def test_without_a_gain_the_tasks_are_compared_alone() -> None:
    made = records(("videos",))
    for each in made:
        del each.dataset["constant"]
    assert [c.task for c in compare(A, B, made).comparisons] == ["click", "like", "play_time"]


def test_lower_mse_is_better() -> None:
    play_time = compare(A, B, records(("videos",))).table.row(3, named=True)
    assert play_time["metric"] == "mse" and play_time["difference"] < 0 and play_time["verdict"] == "better"
    assert play_time["margin"] == pytest.approx(0.01 * 1.46, rel=0.3)


def test_every_data_set_has_its_section_and_family() -> None:
    found = compare(A, B, [*records(), *records(("shop",), options={"size": 3})])
    assert [judged.dataset for judged in found.judged] == ["shop [size=3]", "shop [size=absent]", "videos"]
    assert [[family.tests for family in judged.families] for judged in found.judged] == [[1, 3]] * 3


def test_a_data_set_without_one_of_them_is_said() -> None:
    made = [r for r in records() if (r.dataset["name"], r.method) != ("shop", A)]
    assert "shop has no mmoe/equal: nothing to compare." in str(compare(A, B, made))


def test_methods_are_named_as_they_were_asked_for() -> None:
    elsewhere = [record("shop", method, trainer={"learning_rate": 1e-2}) for method in (A, B)]
    assert [judged.sides for judged in compare(A, B, [*records(("videos",)), *elsewhere]).judged] == [(A, B), (A, B)]
    rival = record("videos", A, trainer={"learning_rate": 1e-2}, status="failed")
    (judged,) = compare(A, B, [*records(("videos",)), rival]).judged  # now the parameters are needed to tell which
    assert judged.sides[0].startswith(f"{A} [") and judged.sides[1] == B


def test_that_there_are_tuned_runs_too_is_said() -> None:
    tuned = [*searched(method=A), *searched(method=B)]
    found = compare(A, B, [*records(("videos",)), *tuned])
    assert f"videos also has both tuned: '{A} (tuned)' and '{B} (tuned)', a separate comparison." in found.notes
    small = records(("videos",), architecture={"num_experts": 2})
    variants = [*records(("videos",)), *small, *tuned]
    both = [name for name in Study.of(variants).methods if name.startswith(f"{A} [")]
    assert len(both) == 2 and not compare(*both, variants).notes
    assert not compare(f"{A} (tuned)", f"{B} (tuned)", [*records(("videos",)), *tuned]).notes


def test_a_margin_can_be_declared_for_one_metric_alone() -> None:
    narrow, wide = (compare("ple/pcgrad", A, records(("videos",)), margins=m) for m in ({}, {"auc": Margin(0.1)}))
    assert not any(c.within_margin for c in narrow.comparisons[1:3])
    assert all(c.within_margin for c in wide.comparisons[1:3])
    for unmoved in (0, 3):
        assert narrow.comparisons[unmoved].margin == wide.comparisons[unmoved].margin


def test_a_diverged_seed_leaves_no_verdict() -> None:
    made = [*records(("videos",), seeds=4), record("videos", A, 4, status="diverged"), record("videos", B, 4)]
    found = compare(A, B, made)
    assert {c.verdict for c in found.comparisons} == {None} and found.incomplete and not found.worse
    assert {c.reason for c in found.comparisons} == {f"{A}: seed 4 diverged"}
    assert f"{A} is not compared with {B}: {A}: seed 4 diverged." in " ".join(str(found).split())


def test_seeds_of_one_side_only_count_where_runs_are_not_paired() -> None:
    made = [*records(("videos",)), record("videos", A, 5), record("videos", A, 6)]
    click = compare(A, B, made).comparisons[1]
    assert click.n == 5 and click.difference is not None
    means = [
        fmean(r.metrics["test"]["click"]["auc"] for r in made if r.method == method)  # type: ignore[misc]
        for method in (A, B)
    ]
    assert click.difference.mean == pytest.approx(means[0] - means[1])
    assert "no counterpart" not in str(compare(A, B, made))


def test_runs_on_data_drawn_anew_are_paired_and_those_of_one_side_only_are_left_out_and_counted() -> None:
    made = [record("shop", m, seed, options={"data_seed": seed}) for m in METHODS for seed in range(5)]
    made += [record("shop", A, seed, options={"data_seed": seed}) for seed in (5, 6)]
    found = compare(A, B, made)
    assert {c.n for c in found.comparisons} == {5}
    assert "2 runs have no counterpart with the same data and seed" in str(found)
    aucs = [[r.metrics["test"]["click"]["auc"] for r in made if r.method == m and r.seed < 5] for m in (A, B)]
    assert found.comparisons[1].p == pytest.approx(ttest_rel(*aucs).pvalue)


def test_an_undefined_metric_leaves_its_task_without_verdict() -> None:
    made = records(("videos",))
    undefine(next(r for r in made if r.method == A and r.seed == 2), "like", "auc", "one class only")
    like = compare(A, B, made).comparisons[1]
    assert like.verdict is None and like.reason == f"{A}: no auc in 1 of 5 runs where another method has one"


def test_test_rows_that_vary_are_corrected_for() -> None:
    made = records(("videos",))
    plain = compare(A, B, made).comparisons[0]
    for each in made:
        each.dataset["test_rows"] = f"rows of {each.seed}"
    corrected = compare(A, B, made).comparisons[0]
    assert corrected.test_train_ratio == pytest.approx(10_000 / 80_000)
    assert corrected.p is not None and plain.p is not None and corrected.p > plain.p


def test_a_method_that_is_like_none_is_not_guessed() -> None:
    with pytest.raises(ValueError, match=r"^unknown method 'gated_stitch'; known: mmoe/equal, "):
        compare("gated_stitch", "mmoe/equal", records(("videos",)))


def test_an_unknown_method_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown method 'mmoe/eqal'; did you mean mmoe/equal\? known: mmoe/equal, "):
        compare("mmoe/eqal", B, records())


@pytest.mark.parametrize(
    ("word", "near", "methods"),
    [
        ("mmoe", "mmoe", "mmoe/equal, mmoe/uncertainty"),
        ("mmoee", "mmoe", "mmoe/equal, mmoe/uncertainty"),
        ("pcgrad", "pcgrad", "ple/pcgrad"),
    ],
)
def test_half_of_a_name_gets_all_methods_that_have_it(word: str, near: str, methods: str) -> None:
    line = f"^method '{word}': expected architecture/weighting; of {near} there are {methods}$"
    with pytest.raises(ValueError, match=line):
        compare(word, B, records())


def test_a_method_and_itself_are_identical() -> None:
    found = compare(A, A, records(("videos",)))
    assert {c.verdict for c in found.comparisons} == {Verdict.IDENTICAL}
    assert f"identical on {TASKS}, click, like, play_time" in str(found)
    assert set(found.table["difference"]) == set(found.table["low"]) == set(found.table["high"]) == {0.0}


# two folders ----------------------------------------------------------------------------------------------------------


def test_before_and_after_a_change(tmp_path: Path) -> None:
    before = write(tmp_path / "before", records())
    after = write(tmp_path / "after", shifted(records(), A, "click", -0.004))
    found = compare(after, before)
    worse = [
        (judged.dataset, c.task) for judged in found.judged for c in judged.comparisons if c.verdict is Verdict.WORSE
    ]
    assert worse == [("shop", "click"), ("videos", "click")]
    assert sum(c.verdict is Verdict.IDENTICAL for c in found.comparisons) == 2 * 3 * len(METHODS) - 2
    text = " ".join(str(found).split())
    assert f"{after} against {before}, shop: worse on click (mmoe/equal); identical in 14 of 15 comparisons." in text
    assert "Identical on every task: mmoe/uncertainty, ple/pcgrad, shared_bottom/equal, single_task/equal." in text


def test_what_is_in_one_folder_only_is_said(tmp_path: Path) -> None:
    before = write(tmp_path / "before", records(("videos",)))
    after = write(tmp_path / "after", [r for r in records(("videos",)) if r.method in (A, B)])
    found = compare(after, before)
    assert {c.method for c in found.comparisons} == {f"{A} in {after}", f"{B} in {after}"}
    assert f"Only in {before}: mmoe/uncertainty on videos, ple/pcgrad on videos," in " ".join(str(found).split())


def test_folders_without_anything_in_common(tmp_path: Path) -> None:
    before = write(tmp_path / "before", records(("videos",), seeds=1))
    after = write(tmp_path / "after", records(("shop",), seeds=1))
    with pytest.raises(ValueError, match="have no method on one data set in common"):
        compare(after, before)


# the verb -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "options", "status"),
    [
        (A, B, ["--fail-if-worse"], 0),
        (B, A, [], 0),
        (B, A, ["--fail-if-worse"], 1),
        (B, A, ["--fail-if-worse", "--selection", "per_task"], 1),
    ],
)
def test_ci_fails_where_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, second: str, options: list[str], status: int
) -> None:
    folder = write(tmp_path, records(("videos",)))
    try:
        main(["compare", first, second, str(folder), *options])
        found = 0
    except SystemExit as stopped:
        found = stopped.code  # type: ignore[assignment]
    assert found == status
    out, err = capsys.readouterr()
    assert out.startswith(f"{first} against {second}, videos: ") and err == ""


def test_ci_fails_where_a_run_has_no_verdict(tmp_path: Path) -> None:
    before = write(tmp_path / "before", records(("videos",)))
    after = write(tmp_path / "after", [*records(("videos",), seeds=4), record("videos", A, 4, status="failed")])
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(after), str(before), "--fail-if-worse"])
    assert stopped.value.code == 1


@pytest.mark.parametrize("kept", [
    lambda r: r.method != A,
    lambda r: r.dataset["name"] != "shop",
    lambda r: r.method != A or r.seed < 4,
    lambda r: r.seed < 2,
], ids=["a method", "a data set", "a seed", "too many seeds for a test"])  # fmt: skip
def test_ci_fails_where_something_was_lost(tmp_path: Path, kept: Callable[[Record], bool]) -> None:
    before = records(("videos", "shop"))
    write(tmp_path / "before", before)
    write(tmp_path / "after", [r for r in before if kept(r)])
    found = compare(tmp_path / "after", tmp_path / "before")
    assert found.incomplete and not found.worse
    assert not compare(tmp_path / "before", tmp_path / "before").incomplete
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(tmp_path / "after"), str(tmp_path / "before"), "--fail-if-worse"])
    assert stopped.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], f"no folder of records at nowhere; {MAKES_SOME}"),
        (["{folder}", "--margin", "auc=0"], "--margin auc=0: a margin must be a finite number above 0, found 0.0"),
        (["{folder}", "--margin", "auc"], "--margin auc: expected METRIC=VALUE, such as auc=0.001 or mse=1%"),
        (
            ["{folder}", "--margin", "mse=one"],
            "--margin mse=one: a margin is a number or a percentage, such as 0.001 or 1%, found 'one'",
        ),
        (
            ["{folder}", "--margin", "acu=0.1"],
            "--margin acu=0.1: unknown headline metric 'acu'; did you mean auc? known: auc, gain, mse",
        ),
        (["{folder}", "--margin", "gain=0.5"], "the margin of gain must be a percentage, such as 0.5%, found 0.5"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    folder = write(tmp_path, records(("videos",), seeds=1))
    with pytest.raises(SystemExit) as stopped:
        main(["compare", A, B, *(each.format(folder=folder) for each in arguments)])
    assert stopped.value.code == 1
    assert capsys.readouterr().err == f"mtlbench: {line}\n"
