"""The gain over tasks, held to its formula by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from benchmark.analysis import families, gain
from benchmark.analysis.gain import TASKS, Scores
from benchmark.analysis.study import Group, Study
from benchmark.analysis.values import Values, values_on_test
from benchmark.cli import main
from benchmark.records.record import GAIN, Record
from benchmark.reporting import report
from benchmark.statistics import Margin, Verdict
from tests.benchmark.reporting.fabricate import record, records

BASELINE = "single_task/equal"
# [seed] of click, an AUC; like, an AUC; play_time, an MSE whose constant is 2.2 (LEVELS)
VALUES = {
    BASELINE: [(0.70, 0.80, 1.50), (0.72, 0.82, 1.40), (0.71, 0.81, 1.60)],
    "mmoe/equal": [(0.73, 0.80, 1.45), (0.72, 0.79, 1.35), (0.74, 0.81, 1.40)],
    "ple/equal": [(0.71, 0.84, 1.50), (0.72, 0.83, 1.55), (0.70, 0.85, 1.60)],
    "omoe/equal": [(0.60, 0.83, 1.30), (0.61, 0.84, 1.25), (0.62, 0.82, 1.35)],
}
B = {"click": 0.71, "like": 0.81, "play_time": 1.50}
"""Means of the baseline."""


def made(values: Mapping[str, list[tuple[float, ...]]] = VALUES) -> list[Record]:
    runs = []
    for method, rows in values.items():
        for seed, row in enumerate(rows):
            run = record("videos", method, seed)
            for task, value in zip(("click", "like", "play_time"), row, strict=True):
                run.metrics["test"][task]["auc" if task != "play_time" else "mse"] = value
            runs.append(run)
    return runs


def found(runs: list[Record], baseline: str | None = BASELINE) -> tuple[Group, Values, Scores]:
    study = Study.of(runs)
    (group,) = study.groups
    values = families.compared(group, values_on_test(study, "joint")[group.name])
    return group, values, gain.scores(group, values, baseline)


def seeds_of(row: Mapping[tuple[str, str, str, int], float]) -> dict[int, float]:
    return {pair[3]: value for pair, value in row.items()}


def by_hand(method: str, seed: int) -> list[float]:
    """The parts, in per cent: 100 (AUC - B) / (B - .5), and 100 (B - MSE) / (2.2 - B)."""
    click, like, play_time = VALUES[method][seed]
    return [
        100 * (click - B["click"]) / (B["click"] - 0.5),
        100 * (like - B["like"]) / (B["like"] - 0.5),
        100 * (B["play_time"] - play_time) / (2.2 - B["play_time"]),
    ]


def test_a_run_gains_as_the_formula_says() -> None:
    _, _, scores = found(made())
    for method in VALUES:
        for seed in range(3):
            parts = [seeds_of(scores.parts[task][method])[seed] for task in ("click", "like", "play_time")]
            assert parts == pytest.approx(by_hand(method, seed), abs=1e-9)
            assert seeds_of(scores.totals[method])[seed] == pytest.approx(fmean(by_hand(method, seed)), abs=1e-9)
    # .73 where the baseline has .71 in the mean is 2 of the 21 points that it is above chance
    assert seeds_of(scores.parts["click"]["mmoe/equal"])[0] == pytest.approx(100 * 2 / 21)
    # an MSE of 1.45 where it has 1.50 is 5 of the 70 points that it is below the constant
    assert seeds_of(scores.parts["play_time"]["mmoe/equal"])[0] == pytest.approx(100 * 5 / 70)


def test_the_baselines_own_runs_gain_nothing_in_the_mean_and_are_not_all_zero() -> None:
    _, _, scores = found(made())
    own = scores.totals[BASELINE].values()
    assert fmean(own) == pytest.approx(0, abs=1e-9) and max(map(abs, own)) > 1


def test_parts_average_to_the_total() -> None:
    group, values, scores = found(made())
    gains = gain.gains(scores, BASELINE, families.terms(group, values))
    assert set(gains) == VALUES.keys() - {BASELINE}
    for method, of in gains.items():
        parts = [fmean(by_hand(method, seed)[task] for seed in range(3)) for task in range(3)]
        assert [of.parts[task].mean for task in ("click", "like", "play_time")] == pytest.approx(parts)
        assert of.total is not None and of.total.mean == pytest.approx(fmean(parts))
    worst = gains["omoe/equal"].worst
    assert worst is not None and worst[0] == "click" and worst[1].mean == pytest.approx(-100 * 0.10 / 0.21)


def test_a_run_that_lacks_a_task_has_no_gain_and_its_method_is_not_ranked() -> None:
    runs = made()
    next(r for r in runs if (r.method, r.seed) == ("mmoe/equal", 1)).metrics["test"]["like"]["auc"] = None
    _, _, scores = found(runs)
    assert set(seeds_of(scores.totals["mmoe/equal"])) == {0, 2}
    assert set(seeds_of(scores.parts["click"]["mmoe/equal"])) == {0, 1, 2}
    (results,) = report(runs).results
    compared = results.of_gain("mmoe/equal")
    assert compared is not None and compared.verdict is None
    assert compared.reason == "no gain in 1 of 3 runs where another method has one"
    ple = results.of_gain("ple/equal")
    assert ple is not None and ple.verdict is not None


def without_constant(runs: list[Record]) -> list[Record]:
    for run in runs:
        del run.dataset["constant"]
    return runs


def at(task: int, value: float) -> list[Record]:
    """The baseline's value of one task in place of its own."""
    rows = [tuple(value if n == task else v for n, v in enumerate(row)) for row in VALUES[BASELINE]]
    return made({**VALUES, BASELINE: rows})


def one_task() -> list[Record]:
    runs = made()
    for run in runs:
        tasks = run.dataset["schema"]["tasks"]
        run.dataset["schema"]["tasks"] = [task for task in tasks if task["name"] == "click"]
    return runs


def undefined(runs: list[Record]) -> list[Record]:
    for run in runs:
        if run.method == BASELINE:
            run.metrics["test"]["like"]["auc"] = None
    return runs


@pytest.mark.parametrize(
    ("runs", "baseline", "reason"),
    [
        (made(), None, "there is no baseline"),
        (one_task(), BASELINE, "there is only one task"),
        (at(0, 0.5), BASELINE, f"{BASELINE} is not better than chance on click"),
        (at(0, 0.45), BASELINE, f"{BASELINE} is not better than chance on click"),
        (at(2, 2.2), BASELINE, f"{BASELINE} is not better than the constant predictor on play_time"),
        (at(2, 2.5), BASELINE, f"{BASELINE} is not better than the constant predictor on play_time"),
        (without_constant(made()), BASELINE, "no record has the constant's MSE on play_time"),
        (undefined(made()), BASELINE, f"{BASELINE} has no AUC on like"),
    ],
)
def test_where_there_is_no_gain_the_reason_is_said(runs: list[Record], baseline: str | None, reason: str) -> None:
    group, values, scores = found(runs, baseline)
    assert scores == Scores(reason=reason)
    assert gain.gains(scores, baseline, families.terms(group, values)) == {}
    if baseline is not None:
        (results,) = report(runs).results
        assert results.no_gains == reason and not results.gains and results.of_gain("mmoe/equal") is None
        assert len(results.group.tasks) == 1 or any(f"No gain over tasks: {reason}." in n for n in overview_notes(runs))


def overview_notes(runs: list[Record]) -> tuple[str, ...]:
    return next(table for _, _, table in report(runs).document.tables() if table.key == "overview").notes


def test_an_auc_needs_no_constant() -> None:
    runs = without_constant(made())
    for run in runs:
        tasks = run.dataset["schema"]["tasks"]
        run.dataset["schema"]["tasks"] = [task for task in tasks if task["name"] != "play_time"]
    _, _, scores = found(runs)
    parts = by_hand("mmoe/equal", 0)[:2]
    assert seeds_of(scores.totals["mmoe/equal"])[0] == pytest.approx(fmean(parts))


def test_verdict_and_interval_of_the_gain_agree_with_satterthwaite_by_hand() -> None:
    """Of three arms no spread is shared: Welch's test of the scores, of each method with the baseline."""
    runs = made({method: VALUES[method] for method in (BASELINE, "mmoe/equal", "ple/equal")})
    (results,) = report(runs).results
    assert results.primary is not None and results.primary.tests == 2
    scores = {m: [fmean(by_hand(m, seed)) for seed in range(3)] for m in (BASELINE, "mmoe/equal", "ple/equal")}
    for method in ("mmoe/equal", "ple/equal"):
        compared = results.of_gain(method)
        error, p = welch(scores[method], scores[BASELINE])
        assert compared is not None and compared.estimate is not None
        assert compared.estimate.error == pytest.approx(error) and compared.p == pytest.approx(p)
        assert results.gains[method].total == compared.difference


def welch(one: list[float], other: list[float]) -> tuple[float, float]:
    parts = [float(np.var(row, ddof=1)) / len(row) for row in (one, other)]
    df = sum(parts) ** 2 / sum(part**2 / (len(row) - 1) for part, row in zip(parts, (one, other), strict=True))
    error = sum(parts) ** 0.5
    return error, 2 * t.sf(abs(fmean(one) - fmean(other)) / error, df)


def test_an_interval_excludes_zero_where_the_only_test_finds_a_difference() -> None:
    for method in ("mmoe/equal", "shared_bottom/equal", "ple/pcgrad"):
        runs = [r for r in records(("videos",)) if r.method in (BASELINE, method)]
        (results,) = report(runs).results
        compared, total = results.of_gain(method), results.gains[method].total
        assert compared is not None and total is not None and total.low is not None and total.high is not None
        assert (compared.verdict in (Verdict.BETTER, Verdict.WORSE)) == (total.low > 0 or total.high < 0)


def test_the_margin_of_the_gain_is_a_percentage() -> None:
    assert gain.endpoint({}).margin == Margin(0.5)
    assert gain.endpoint({GAIN: Margin.parse("2%")}).margin == Margin(2.0)
    (results,) = report(made(), margins={GAIN: Margin.parse("2%")}).results
    compared = results.of_gain("mmoe/equal")
    assert compared is not None and compared.margin == 2.0 and compared.task == TASKS
    with pytest.raises(ValueError, match=r"the margin of gain must be a percentage, such as 0.5%, found 0.5"):
        report(made(), margins={GAIN: Margin(0.5)})


def test_the_verb_takes_the_margin_of_the_gain_and_refuses_one_without_a_percent_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in made():
        run.write(tmp_path / "runs")
    main(["report", str(tmp_path / "runs"), "--margin", "gain=2%", "--csv", str(tmp_path / "table.csv")])
    rows = pl.read_csv(tmp_path / "table.csv").filter(pl.col("metric") == "gain")
    assert set(rows["method"]) == VALUES.keys() - {BASELINE} and set(rows["margin"]) == {2.0}
    capsys.readouterr()
    for verb in (["report"], ["compare", "mmoe/equal", BASELINE], ["power"]):
        option = "--difference" if verb == ["power"] else "--margin"
        with pytest.raises(SystemExit):
            main([*verb, str(tmp_path / "runs"), option, "gain=0.5"])
        said = capsys.readouterr().err
        assert said == "mtlbench: the margin of gain must be a percentage, such as 0.5%, found 0.5\n"


def test_the_summary_ends_with_the_gains() -> None:
    report_of = report(made())
    (results,) = report_of.results
    rows = report_of.summary.tail(3)
    assert rows["method"].to_list() == ["mmoe/equal", "omoe/equal", "ple/equal"]
    for row in rows.iter_rows(named=True):
        of = [fmean(by_hand(row["method"], seed)) for seed in range(3)]
        compared = results.of_gain(row["method"])
        assert compared is not None and compared.difference is not None
        assert (row["task"], row["metric"], row["seeds"], row["pairs"], row["tests"]) == (TASKS, "gain", 3, 3, 3)
        assert row["difference"] == pytest.approx(fmean(of))
        assert (row["difference_low"], row["p_adjusted"]) == (compared.difference.low, compared.p_adjusted)
        assert row["verdict"] == compared.verdict and row["margin"] == 0.5


def test_no_number_hangs_on_the_order_of_records() -> None:
    assert report(made()).summary.equals(report(made()[::-1]).summary)
