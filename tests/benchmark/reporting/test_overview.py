"""Architecture by weighting: what was not trained because it is equal is said to be equal."""

from __future__ import annotations

from benchmark.analysis.study import Run
from benchmark.reporting import Report, report
from benchmark.reporting.layout import TextTable
from tests.benchmark.reporting.fabricate import record

CROSSED = ("single_task/equal", "mmoe/equal", "mmoe/pcgrad", "mmoe/uncertainty")


def grid(*methods: str) -> TextTable:
    made = report([record("videos", method, seed) for method in methods for seed in range(3)])
    return next(table for _, _, table in made.document.tables() if table.key == "grid")


def texts(table: TextTable) -> dict[str, dict[str, str]]:
    titles = [column.title or column.key for column in table.columns[1:]]
    return {
        row.cells[0].text: dict(zip(titles, (cell.text for cell in row.cells[1:]), strict=True)) for row in table.rows
    }


SIZES = ["parameters outside embeddings", "embedding parameters", "multiply-adds a row"]


def sized(**costs: int | None) -> dict[str, TextTable]:
    """The tables of a report whose runs of mmoe/equal have these sizes."""
    runs = [record("videos", method, seed) for method in CROSSED[:2] for seed in range(3)]
    for run in runs:
        if run.method == "mmoe/equal":
            run.cost |= costs
    return {table.key: table for _, _, table in report(runs).document.tables()}


def test_both_kinds_of_parameters_and_the_multiply_adds_are_beside_each_other() -> None:
    tables = sized(parameters=130_000, embedding_parameters=30_000, multiply_adds=98_700)
    for table in (tables["overview"], tables["cost"]):
        titles = [column.title for column in table.columns]
        start = titles.index(SIZES[0])
        assert titles[start : start + 3] == SIZES
        (row,) = (row for row in table.rows if row.cells[0].text == "mmoe/equal")
        assert [cell.text for cell in row.cells[start : start + 3]] == ["100 k", "30 k", "98.7 k"]
        assert [cell.value for cell in row.cells[start : start + 3]] == [100_000, 30_000, 98_700]


def test_a_size_of_0_is_known() -> None:
    runs = [record("videos", "mmoe/equal", seed) for seed in range(3)]
    for run in runs:
        run.cost["embedding_parameters"] = 0  # of a data set without categorical fields
    (table,) = (table for _, _, table in report(runs).document.tables() if table.key == "overview")
    cells = dict(zip((column.key for column in table.columns), table.rows[0].cells, strict=True))
    assert cells["embedding_parameters"].text == "0"
    assert cells["parameters_outside_embeddings"].value == runs[0].cost["parameters"]


def test_sizes_that_no_record_has_have_no_column() -> None:
    runs = [record("videos", method, seed) for method in CROSSED[:2] for seed in range(3)]
    for run in runs:
        del run.cost["multiply_adds"]  # as in older records
    for key, table in {table.key: table for _, _, table in report(runs).document.tables()}.items():
        if key in ("overview", "cost"):
            assert [column.title for column in table.columns if column.title in SIZES] == SIZES[:2]


def test_a_weighting_of_gradients_is_equal_where_nothing_is_shared_and_one_of_losses_is_missing() -> None:
    table = grid(*CROSSED)
    assert texts(table)["single_task"] == {"equal": "baseline", "pcgrad": "= equal", "uncertainty": "not run"}
    assert not {"= equal", "not run"} & set(texts(table)["mmoe"].values())
    same, absent = table.notes
    assert same.startswith("= equal: no parameter is shared between tasks")
    assert absent.startswith("not run: these records have no such run. Where no parameter is shared there is nothing")


def test_the_cell_is_worth_what_the_plain_one_is() -> None:
    table = grid(*CROSSED)
    (row,) = (row for row in table.rows if row.cells[0].text == "single_task")
    by_column = dict(zip((column.key for column in table.columns), row.cells, strict=True))
    assert (by_column["pcgrad"].value, by_column["pcgrad"].heat) == (0.0, 0.0)


def test_what_was_trained_where_nothing_is_shared_is_one_row_with_the_plain_weighting() -> None:
    runs = [record("videos", method, seed) for method in CROSSED for seed in range(3)]
    copies = [record("videos", f"single_task/{name}", seed) for name in ("pcgrad", "gradnorm") for seed in range(4)]
    for copy in copies:
        copy.config["weighting"]["scope"], copy.shared_parameters = "trunk", 0
    made = report([*runs, *copies])
    (group,) = made.study.groups
    assert sorted(group.by_method) == sorted(CROSSED)
    assert [run.record.seed for run in group.by_method["single_task/equal"]] == [0, 1, 2, 3]
    own = {run.record.id for run in runs_of(made, "single_task/equal")}
    assert {run.id for run in runs if run.method == "single_task/equal"} < own, "a run was replaced by its copy"
    assert made.study.repeated == 0
    tables = {table.key: table for _, _, table in made.document.tables()}
    assert texts(tables["grid"])["single_task"] == {"equal": "baseline", "pcgrad": "= equal", "uncertainty": "not run"}
    assert [row.cells[0].text for row in tables["overview"].rows].count("single_task/equal") == 1
    assert any(
        note.startswith(
            "single_task/equal is also single_task/gradnorm, single_task/pcgrad: where no parameter is shared"
        )
        for note in tables["overview"].notes
    )


def runs_of(made: Report, method: str) -> list[Run]:
    return made.study.groups[0].by_method[method]


def test_without_the_plain_weighting_copies_are_one_row_of_the_first() -> None:
    copies = [record("videos", f"single_task/{name}", seed) for name in ("pcgrad", "gradnorm") for seed in range(2)]
    for copy in copies:
        copy.config["weighting"]["scope"], copy.shared_parameters = "trunk", 0
    failed = record("videos", "single_task/pcgrad", 2, status="failed")
    (group,) = report([*copies, failed]).study.groups
    assert list(group.by_method) == ["single_task/gradnorm"] and group.seeds == [0, 1, 2]
    assert dict(group.copies) == {"single_task/gradnorm": ["single_task/pcgrad"]}


def test_losses_are_weighted_where_nothing_is_shared_and_gradients_where_something_is() -> None:
    methods = ("single_task/equal", "single_task/uncertainty", "mmoe/equal", "mmoe/pcgrad")
    made = [record("videos", method) for method in methods]
    made[1].shared_parameters = 0
    assert sorted(report(made).study.methods) == sorted(methods)


def test_a_hole_in_the_grid_of_a_model_that_shares_is_a_hole() -> None:
    table = grid("shared_bottom/equal", *CROSSED)
    assert texts(table)["shared_bottom"]["pcgrad"] == "not run"


def test_fixed_weights_are_columns_of_the_grid() -> None:
    runs = [record("videos", method, seed) for method in ("mmoe/equal", "ple/equal") for seed in range(3)]
    for architecture in ("mmoe", "ple"):
        for weight in (0.1, 3.0):
            runs += [record("videos", f"{architecture}/fixed", s, weights={"play_time": weight}) for s in range(3)]
    made = report(runs, baseline="mmoe/equal")
    table = next(table for _, _, table in made.document.tables() if table.key == "grid")
    assert [column.key for column in table.columns[1:]] == ["equal", "fixed(play_time=0.1)", "fixed(play_time=3)"]


def test_nobody_counts_it_as_missing() -> None:
    made = report([record("videos", method, seed) for method in CROSSED for seed in range(3)])
    shown = [note for chapter in made.document.chapters for part in chapter.parts for note in part.notes]
    assert not [note for note in shown if "missing" in note or "not ranked" in note]
    assert "single_task/pcgrad" not in str(made.document)
