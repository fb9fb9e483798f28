"""What weightings do to the tasks: effective weights, conflicting steps and cosines, in the report and of one record."""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean

import pytest

from benchmark.analysis.balance import SHARE, ends_of_weight, mean_conflict, scope, whole_epochs
from benchmark.records.record import Record
from benchmark.reporting import Report, report
from benchmark.reporting.balance import conflict_table, weight_table
from benchmark.reporting.figures import figures
from benchmark.reporting.figures.styles import styles
from benchmark.reporting.one_record import in_words
from tests.benchmark.reporting.fabricate import log_conflicts, record, records

LOGGED = ("ple/pcgrad", "mmoe/equal")


@pytest.fixture(scope="module")
def made() -> Report:
    runs = records(("videos",), seeds=3)
    return report([log_conflicts(run) if run.method in LOGGED else run for run in runs])


def test_the_last_entry_of_an_epoch_is_of_the_whole_epoch() -> None:
    run = record()
    run.epochs = [{"epoch": epoch} for epoch in (0.25, 0.5, 1.0, 1.5, 2.0, 2.25)]
    assert [entry["epoch"] for entry in whole_epochs(run)] == [1.0, 2.0, 2.25]


def test_means_are_over_epochs_then_over_seeds(made: Report) -> None:
    runs = made.study.groups[0].finished["ple/pcgrad"]
    lengths = [12, 13, 14]  # epochs of each seed
    shares = [fmean(0.25 + 0.01 * number for number in range(1, length + 1)) for length in lengths]
    assert mean_conflict(SHARE, runs) == pytest.approx(fmean(shares))
    assert mean_conflict("click|play_time", runs) == pytest.approx(0.2)
    assert mean_conflict("click|play_time", made.study.groups[0].finished["mmoe/uncertainty"]) is None
    first, last = ends_of_weight("like", runs) or (0.0, 0.0)
    by_hand = [[entry["effective_weights"]["like"] for entry in run.record.epochs] for run in runs]
    assert (first, last) == pytest.approx((fmean(w[0] for w in by_hand), fmean(w[-1] for w in by_hand)))


def test_the_tables(made: Report) -> None:
    (results,) = made.results
    table = conflict_table(results)
    assert table is not None
    assert [column.title for column in table.columns] == [
        "method", "scope", "conflicting steps, %", "cosine of click and like", "cosine of click and play_time",
        "cosine of like and play_time",
    ]  # fmt: skip
    shown = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in table.rows}
    assert shown == {method: ["trunk", "32.0", "-0.040", "0.200", "0.300"] for method in LOGGED}
    weights = weight_table(results)
    assert weights is not None and weights.folded
    assert {row.cells[0].text for row in weights.rows} == {"ple/pcgrad", "mmoe/uncertainty"}
    assert weights.rows[0].cells[1].text == "1 → 1"


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        ({}, "trunk"),  # a weighting of losses: `log_conflicts` looks at the trunk
        ({"scope": "trunk"}, "trunk"),
        ({"scope": "all"}, "all"),
        ({"scope": "representation"}, "representation"),
        ({"scope": "output"}, "trunk"),  # gradients at the towers' inputs are not compared
    ],
)
def test_the_scope_of_a_record_is_that_of_the_gradients_it_compared(weighting: dict[str, str], expected: str) -> None:
    run = record("videos", "ple/pcgrad")
    run.config["weighting"] = {"name": "pcgrad", **weighting}
    assert scope(run) == expected


def test_scopes_are_told_apart_where_they_differ() -> None:
    runs = [log_conflicts(run) for run in records(("videos",), seeds=2)]
    for run in runs:
        if run.config["weighting"]["name"] == "pcgrad":
            run.config["weighting"]["scope"] = "representation"
    made = report(runs)
    table = conflict_table(made.results[0])
    assert table is not None
    found = {row.cells[0].text: row.cells[1].text for row in table.rows}
    assert found["mmoe/equal"] == "trunk"
    assert {scope for method, scope in found.items() if method.endswith("pcgrad")} == {"representation"}
    assert "Compare numbers of one scope only" in made.html()
    drawn = figures(made.results[0], styles(made.study.methods))["conflicts"]
    assert "The gradients' scopes are representation, trunk: compare lines of one scope only." in drawn.caption


def test_the_figure_has_a_panel_for_the_share_and_for_each_pair(made: Report) -> None:
    found = figures(made.results[0], styles(made.study.methods))
    titles = [axes.get_title(loc="left") for axes in found["conflicts"].canvas.axes]
    assert titles == [
        "conflicting steps", "cosine of click and like", "cosine of click and play_time", "cosine of like and play_time",
    ]  # fmt: skip
    assert "The gradients' scope is trunk. " in found["conflicts"].caption
    assert "cosine of click and play_time, mmoe/equal: 0.2 on average." in found["conflicts"].alternative


def test_records_without_conflicts_have_no_chapter() -> None:
    alone = report(records(("videos",), seeds=1))
    assert "Conflicts between tasks" not in alone.html()
    assert conflict_table(alone.results[0]) is None


def told(run: Record) -> list[str]:
    return in_words(asdict(run)).splitlines()


def test_one_record_shows_the_first_the_selected_and_the_last_epoch() -> None:
    run = log_conflicts(record("videos", "ple/pcgrad"))
    run.best_epoch = 6
    lines = told(run)
    at = lines.index("Effective weights and conflicts of gradients, scope trunk, means over the epoch so far")
    rows = [line.split() for line in lines[at + 2 : at + 5]]
    assert [row[0] for row in rows] == ["1", "6", "12"]
    assert rows[1] == ["6", "1.0000", "1.2150", "1.4300", "0.3100", "-0.0200", "0.2000", "0.3000"]
    assert "Effective weights, means over the epoch so far" in told(record("videos", "mmoe/uncertainty"))
    assert not [line for line in told(record("videos", "mmoe/equal")) if line.startswith("Effective weights")]
