"""Architecture by weighting: what was not trained because it is equal is said to be equal."""

from __future__ import annotations

from benchmark.reporting import report
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


def test_a_weighting_of_gradients_is_equal_where_nothing_is_shared_and_one_of_losses_is_missing() -> None:
    table = grid(*CROSSED)
    assert texts(table)["single_task"] == {"equal": "baseline", "pcgrad": "= equal", "uncertainty": ""}
    assert "= equal" not in texts(table)["mmoe"].values()
    (note,) = table.notes
    assert note.startswith("= equal: not trained, as no parameter is shared")


def test_the_cell_is_worth_what_the_plain_one_is() -> None:
    table = grid(*CROSSED)
    (row,) = (row for row in table.rows if row.cells[0].text == "single_task")
    by_column = dict(zip((column.key for column in table.columns), row.cells, strict=True))
    assert (by_column["pcgrad"].value, by_column["pcgrad"].heat) == (0.0, 0.0)


def test_what_was_trained_is_shown_as_it_is() -> None:
    table = grid(*CROSSED, "single_task/pcgrad")
    assert "= equal" not in [text for row in texts(table).values() for text in row.values()]
    assert table.notes == ()


def test_a_hole_in_the_grid_of_a_model_that_shares_is_a_hole() -> None:
    table = grid("shared_bottom/equal", *CROSSED)
    assert texts(table)["shared_bottom"]["pcgrad"] == ""


def test_nobody_counts_it_as_missing() -> None:
    made = report([record("videos", method, seed) for method in CROSSED for seed in range(3)])
    shown = [note for chapter in made.document.chapters for part in chapter.parts for note in part.notes]
    assert not [note for note in shown if "missing" in note or "not ranked" in note]
    assert "single_task/pcgrad" not in str(made.document)
