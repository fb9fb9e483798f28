"""`mtlbench power`, on fabricated records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark import power
from benchmark.cli import main
from benchmark.statistics import Margin, detectable_difference, seeds_needed
from tests.benchmark.reporting.fabricate import record, records

BASELINE = "single_task/equal"


def test_numbers_come_from_the_spread_of_paired_differences() -> None:
    made = records(("videos",))
    row = power(made).table.row(0, named=True)
    auc = {(r.method, r.seed): r.metrics["test"]["click"]["auc"] for r in made}
    differences = [auc["mmoe/equal", s] - auc[BASELINE, s] for s in range(5)]  # type: ignore[operator]
    assert (row["task"], row["metric"], row["method"], row["baseline"]) == ("click", "auc", "mmoe/equal", BASELINE)
    assert (row["pairs"], row["tests"], row["difference"]) == (5, 12, 0.001)
    assert row["sd"] == pytest.approx(np.std(differences, ddof=1))
    assert row["detectable_10"] == pytest.approx(detectable_difference(row["sd"], 10, 0.05 / 12))
    assert row["seeds"] == seeds_needed(0.001, row["sd"], 0.05 / 12)


def test_more_seeds_show_less_and_a_larger_difference_needs_fewer() -> None:
    made = records()
    table, wide = power(made).table, power(made, differences={"auc": Margin(0.01)}).table
    for few, more in (("detectable_3", "detectable_5"), ("detectable_5", "detectable_10")):
        assert (table[few] > table[more]).all()
    of_auc = table["metric"] == "auc"
    assert (table["seeds"] >= wide["seeds"]).all() and (table["seeds"] > wide["seeds"]).filter(of_auc).any()


def test_the_answer_comes_first() -> None:
    text = str(power(records(("shop",))))
    assert text.startswith("shop, click: to find a difference of 0.0010 AUC from single_task/equal takes ")
    assert "MSE [seconds²] from single_task/equal takes " in " ".join(text.split())
    assert "paired t test at 0.05 / 12" in " ".join(text.split())


def test_unfinished_runs_are_no_spread() -> None:
    made = [*records(("videos",), seeds=4), record("videos", "mmoe/equal", 4, status="diverged")]
    assert set(power(made).table["pairs"]) == {4}


def test_too_few_pairs_have_no_spread() -> None:
    with pytest.raises(
        ValueError, match=r"no spread to plan by: videos: left out, as no method has 3 runs paired with"
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
