"""`mtlbench power`, on fabricated records."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark import power
from benchmark.analysis.gain import TASKS
from benchmark.cli import main
from benchmark.statistics import Margin, detectable_difference, seeds_needed
from benchmark.statistics.planning import Degrees
from tests.benchmark.reporting.fabricate import METHODS, record, records

BASELINE = "single_task/equal"


def test_numbers_come_from_the_spreads_of_both_methods() -> None:
    made = [r for r in records(("videos",)) if r.method in ("mmoe/equal", BASELINE)]
    row = power(made).table.row(1, named=True)
    aucs = [[r.metrics["test"]["click"]["auc"] for r in made if r.method == m] for m in ("mmoe/equal", BASELINE)]
    variances = np.var(aucs, axis=1, ddof=1)
    sd = math.sqrt(variances.sum())
    # Satterthwaite's degrees of freedom for S seeds of each: (v1 + v2)^2 / (v1^2 + v2^2) times S - 1
    degrees = Degrees(factor=variances.sum() ** 2 / (variances**2).sum(), arms=2)
    assert (row["task"], row["metric"], row["method"], row["baseline"]) == ("click", "auc", "mmoe/equal", BASELINE)
    assert (row["seeds_so_far"], row["tests"], row["difference"]) == (5, 3, 0.001)
    assert row["sd"] == pytest.approx(sd)
    assert row["detectable_10"] == pytest.approx(detectable_difference(sd, 10, 0.05 / 3, degrees=degrees))
    assert row["seeds"] == seeds_needed(0.001, sd, 0.05 / 3, degrees=degrees)


def test_the_gain_is_a_family_of_its_own_with_a_row_a_method() -> None:
    made = records(("videos",))
    table = power(made).table
    of_gain = table.filter(pl.col("metric") == "gain")
    assert of_gain["task"].unique().to_list() == [TASKS] and set(of_gain["method"]) == METHODS.keys() - {BASELINE}
    assert set(of_gain["tests"]) == {4} and set(of_gain["difference"]) == {0.5}
    assert set(table.filter(pl.col("metric") != "gain")["tests"]) == {12}
    wide = power(made, differences={"gain": Margin.parse("2%")}).table.filter(pl.col("metric") == "gain")
    assert set(wide["difference"]) == {2.0} and (wide["seeds"] < of_gain["seeds"]).all()
    with pytest.raises(ValueError, match=r"the margin of gain must be a percentage, such as 0.5%, found 2"):
        power(made, differences={"gain": Margin(2)})


def test_with_looks_seeds_are_planned_at_the_error_of_one_look() -> None:
    made = records(("videos",))
    plain = power(made)
    for each in made:
        each.config["looks"] = {"seeds": [3, 5], "margin": "0.5%"}
    looks = power(made)
    assert "at the level 0.05 / m" in " ".join(str(plain).split()) and "at the level 0.025 / m" in " ".join(
        str(looks).split()
    )
    assert (looks.table["detectable_10"] > plain.table["detectable_10"]).all()


def test_more_seeds_show_less_and_a_larger_difference_needs_fewer() -> None:
    made = records()
    table, wide = power(made).table, power(made, differences={"auc": Margin(0.01)}).table
    for few, more in (("detectable_3", "detectable_5"), ("detectable_5", "detectable_10")):
        assert (table[few] > table[more]).all()
    of_auc = table["metric"] == "auc"
    assert (table["seeds"] >= wide["seeds"]).all() and (table["seeds"] > wide["seeds"]).filter(of_auc).any()


def test_the_answer_comes_first() -> None:
    text = str(power(records(("shop",))))
    assert text.startswith(f"shop, {TASKS}: to find a difference of 0.50 % from single_task/equal takes ")
    text = " ".join(text.split())
    assert "shop, click: to find a difference of 0.0010 AUC from single_task/equal takes " in text
    assert "MSE [seconds²] from single_task/equal takes " in text
    assert "by the test of reports at the level 0.05 / m, for a family of m tests (here 12)" in text


def test_unfinished_runs_are_no_spread() -> None:
    made = [*records(("videos",), seeds=4), record("videos", "mmoe/equal", 4, status="diverged")]
    assert {row["method"]: row["seeds_so_far"] for row in power(made).table.iter_rows(named=True)} == {
        method: 4 for method in METHODS if method != BASELINE
    }


def test_too_few_runs_have_no_spread() -> None:
    with pytest.raises(
        ValueError, match=r"no spread to plan by: videos: left out, as no method has 3 runs, as single_task/equal has"
    ):
        power(records(("videos",), seeds=2))


def test_an_unknown_baseline_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown baseline 'single_tsk/equal'; did you mean single_task/equal"):
        power(records(), baseline="single_tsk/equal")


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for each in records(("videos",)):
        each.write(tmp_path)
    main(["power", str(tmp_path), "--difference", "auc=0.005", "--baseline", "mmoe/equal"])
    out, err = capsys.readouterr()
    assert "a difference of 0.0050 AUC from mmoe/equal" in " ".join(out.split()) and err == ""
