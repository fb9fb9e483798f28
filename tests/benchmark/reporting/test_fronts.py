"""AUC against MSE: who is on the front, what the front dominates, and where the report says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.analysis.fronts import Front, fronts
from benchmark.kinds import BINARY, REGRESSION
from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.reporting.figures import comparisons, figures
from benchmark.reporting.figures.styles import styles
from benchmark.reporting.fronts import front_table
from benchmark.schema import Task
from tests.benchmark.reporting.fabricate import METHODS, record, records

CLICK, STAY = Task("click", BINARY), Task("stay", REGRESSION)
MEANS = {"a": (1.0, 0.6), "b": (1.5, 0.8), "c": (1.6, 0.7), "d": (3.0, 0.9)}


def test_areas_are_shares_of_what_a_perfect_model_dominates() -> None:
    front = Front(CLICK, STAY, MEANS, (2.0, 0.5))
    assert front.methods == ["a", "b", "d"]
    # from the constant's (2, .5): a has 1 x .1, b .5 x .3, both .5 x .1; a perfect model 2 x .5
    assert front.area() == pytest.approx(0.1 + 0.15 - 0.05)
    assert front.loss("a") == pytest.approx(0.05)
    assert front.loss("b") == pytest.approx(0.2 - (0.1 + 0.08 - 0.04))  # c, behind it, takes a part of its place
    assert front.loss("d") == 0  # its MSE is above the constant's


def test_of_two_equal_methods_neither_is_missed() -> None:
    front = Front(CLICK, STAY, {"a": (1.0, 0.6), "b": (1.0, 0.6)}, (2.0, 0.5))
    assert front.methods == ["a", "b"] and front.loss("a") == front.loss("b") == 0


def test_without_a_constant_there_is_a_front_and_no_area() -> None:
    front = Front(CLICK, STAY, MEANS, None)
    assert front.methods == ["a", "b", "d"] and front.area() is None and front.loss("a") is None


def traded() -> list[Record]:
    """Two methods that trade click for play_time, and one that is behind both."""
    made = records(("videos",), seeds=3)
    at = {"ple/pcgrad": (0.74, 1.50), "mmoe/equal": (0.72, 1.40)}
    for each in made:
        auc, mse = at.get(each.method, (0.70, 1.60))
        each.metrics["test"]["click"]["auc"], each.metrics["test"]["play_time"]["mse"] = auc, mse
    return made


def test_the_table_says_what_each_method_adds_and_from_where_it_is_measured() -> None:
    (results,) = report(traded()).results
    table = front_table(results)
    assert table is not None
    assert [column.title for column in table.columns] == [
        "method", "click against play_time, %", "like against play_time, %",
    ]  # fmt: skip
    cells = {row.cells[0].text: row.cells[1].text for row in table.rows}
    # constant (2.2, .5), perfect model 2.2 x .5 = 1.1
    both = (0.7 * 0.24 + 0.1 * 0.22) / 1.1
    assert cells["all methods together"] == f"{100 * both:.2f}" and table.rows[-1].reference
    assert cells["ple/pcgrad"] == f"{100 * 0.7 * 0.02 / 1.1:.2f}"
    assert cells["mmoe/equal"] == f"{100 * 0.1 * 0.22 / 1.1:.2f}"
    assert not cells.get("single_task/equal")
    assert "constant predictor (click AUC 0.5000, play_time MSE 2.2000, like AUC 0.5000)" in table.notes[0]


def test_a_method_that_is_not_ranked_is_on_no_front() -> None:
    made = traded()
    made = [r for r in made if (r.method, r.seed) != ("ple/pcgrad", 2)]
    made.append(record("videos", "ple/pcgrad", 2, status="diverged"))
    (results,) = report(made).results
    assert fronts(results)[0].methods == ["mmoe/equal"]


def test_the_figure_fills_the_marks_on_the_front_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[bool]] = []
    real = comparisons.mark
    monkeypatch.setattr(
        comparisons, "mark", lambda axes, marks: (drawn.append([m.filled for m in marks]), real(axes, marks))
    )
    (results,) = report(traded()).results
    figure = comparisons.front(comparisons.Drawn(results, sorted(METHODS), styles(METHODS)))
    assert figure is not None
    assert drawn[0] == [method in ("mmoe/equal", "ple/pcgrad") for method in sorted(METHODS)]
    assert "On the front, the lowest MSE first: mmoe/equal, ple/pcgrad." in figure.alternative


def test_markdown_has_the_table_only_where_there_are_both_kinds_of_task() -> None:
    assert "## AUC against MSE\n\n#### Methods on the front\n" in report(traded()).markdown()
    made = records(("videos",), seeds=3)
    for each in made:
        tasks = each.dataset["schema"]["tasks"]
        each.dataset["schema"]["tasks"] = [task for task in tasks if task["name"] != "play_time"]
    alone = report(made)
    assert "AUC against MSE" not in alone.markdown()
    assert "front" not in figures(alone.results[0], styles(alone.study.methods))


def test_records_that_know_no_constant_have_no_table(tmp_path: Path) -> None:
    made = records(("videos",), seeds=3)
    for each in made:
        del each.dataset["constant"]
    alone = report(made, html=tmp_path / "page.html")
    assert front_table(alone.results[0]) is None
    assert "On the front, the lowest MSE first: " in (tmp_path / "page.html").read_text()
