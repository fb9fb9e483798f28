"""A paper's table and its names: numbers and marks, apart from how they are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.reporting import Paper, Report, report
from benchmark.reporting.names import print_names, read_names, renamed
from benchmark.reporting.paper import PaperTable, paper_table
from benchmark.statistics import Verdict
from tests.benchmark.reporting.fabricate import METHODS, records, searched, study, trees


@pytest.fixture(scope="module")
def made() -> Report:
    return report(study(), references=[*trees("videos", shift=0.05)])


def heads(table: PaperTable) -> list[tuple[str, str, str]]:
    return [(column.dataset, column.task, column.head) for column in table.columns]


def test_a_table_has_the_gain_and_every_task_of_every_data_set(made: Report) -> None:
    table = paper_table(made.results, Paper())
    assert heads(table)[:4] == [
        ("shop", "gain", "% ↑"), ("shop", "click", "AUC ↑"), ("shop", "purchase", "AUC ↑"), ("shop", "duration", "MSE ↓"),
    ]  # fmt: skip
    assert len(table.columns) == 8 and table.columns[3].unit == "[seconds²]"
    assert all(len(row.cells) == 8 for row in table.rows)
    assert table.rows[0].name == "single_task/equal" and table.rows[0].cells[0].mean == "0"
    assert {row.name for row in table.rows if not row.reference} == set(METHODS)


def test_cells_are_the_numbers_of_the_results_and_marks_are_their_verdicts(made: Report) -> None:
    table = paper_table(made.results, Paper())
    shop = made.results[0]
    for row in (row for row in table.rows if not row.reference):
        for task, cell in zip(shop.group.tasks, row.cells[1:4], strict=True):
            mean = shop.headline(task, row.name).mean
            assert mean is not None and float(cell.mean) == pytest.approx(mean.mean, rel=1e-4)
            assert float(cell.half_width) == pytest.approx(mean.half_width, rel=0.1)
            firm = shop.verdict(task, row.name)
            assert cell.verdict is (firm if firm in (Verdict.BETTER, Verdict.WORSE) else None)
    assert any(cell.verdict is Verdict.BETTER for row in table.rows for cell in row.cells)
    best = [[row.name for row in table.rows if row.cells[n].best] for n in range(1, 4)]
    assert best == [[shop.best[t.name, m]] for t, m in zip(shop.group.tasks, ("auc", "auc", "mse"), strict=True)]


def test_a_reference_has_the_gain_of_its_means(made: Report) -> None:
    table, videos = paper_table(made.results, Paper()), made.results[1]
    (row,) = (row for row in table.rows if row.name.startswith("boosted trees"))
    parts = []
    for task, constant in zip(videos.group.tasks, (0.5, 0.5, 2.2), strict=True):
        base, line = videos.headline(task, "single_task/equal").mean, videos.lines["gbdt"].of(task)
        assert base is not None and line is not None
        parts.append(100 * (line.mean - base.mean) / (base.mean - constant))
    assert row.reference and row.cells[0].mean == "" and row.cells[4].mean == f"{sum(parts) / 3:+.2f}"


def test_columns_are_those_that_are_asked_for_in_order(made: Report) -> None:
    words = ("seconds", "log_loss", "duration.mae", "play_time", "parameters")
    assert heads(paper_table(made.results, Paper(columns=words))) == [
        ("shop", "training", "seconds"), ("shop", "click", "log loss ↓"), ("shop", "purchase", "log loss ↓"),
        ("shop", "duration", "MAE ↓"), ("shop", "parameters", ""),
        ("videos", "training", "seconds"), ("videos", "click", "log loss ↓"), ("videos", "like", "log loss ↓"),
        ("videos", "play_time", "MSE ↓"), ("videos", "parameters", ""),
    ]  # fmt: skip


def test_an_unknown_column_is_an_error_with_the_known_ones(made: Report) -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown column 'clik'; did you mean click\? known: .*gain.*; or TASK.METRIC, such as click.auc",
    ):
        paper_table(made.results, Paper(columns=("clik",)))


def test_tuned_and_default_runs_of_a_method_share_a_row() -> None:
    made = report([*records(("videos",), 3), *searched(), *searched(method="single_task/equal")])
    table = paper_table(made.results, Paper(names={"mmoe/equal": "MMoE", "videos": "Videos"}))
    assert list(dict.fromkeys(column.dataset for column in table.columns)) == ["Videos (tuned)", "Videos"]
    (row,) = (row for row in table.rows if row.name == "MMoE")
    assert all(cell.mean for cell in row.cells)


def test_notes_explain_only_the_marks_that_are_there(made: Report) -> None:
    notes = " ".join(paper_table(made.results, Paper()).notes)
    assert "† better, ‡ worse than single_task/equal" in notes and "Bold" in notes and "Gain:" in notes
    few = paper_table(report(records(("shop",), 1)).results, Paper(columns=("parameters",)))
    assert few.notes == ("Selected on validation: one epoch for all tasks.",)


def test_a_method_has_its_own_name_or_those_of_its_parts(made: Report) -> None:
    given = {"single_task/equal": "Single-task", "mmoe": "MMoE", "equal": "", "uncertainty": "UW", "like": "Likes"}
    assert print_names(made.results, given) == {
        "single_task/equal": "Single-task", "mmoe/equal": "MMoE", "mmoe/uncertainty": "MMoE + UW",
        "shared_bottom/equal": "shared_bottom", "like": "Likes",
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"unknown name 'mmoee'; did you mean mmoe\? known: .*ple/pcgrad"):
        print_names(made.results, {"mmoee": "MMoE"})


def test_a_name_is_replaced_where_it_is_a_word_of_its_own() -> None:
    names = {"mmoe/equal": "M", "mmoe/equal (tuned)": "T"}
    assert renamed("a/mmoe/equal mmoe/equal, mmoe/equal (tuned)", names) == "a/mmoe/equal M, T"


@pytest.mark.parametrize(
    ("text", "found"),
    [("- a", "found a list"), ("mmoe: 3", "found mmoe: 3"), ("a: [", "found no YAML"), ("equal:", "found equal: None")],
)
def test_a_file_of_names_holds_names(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=found):
        read_names(path)
    path.write_text("single_task/equal: Single-task\nequal: ''\n")
    assert read_names(path) == {"single_task/equal": "Single-task", "equal": ""}


def test_how_tables_look_is_about_latex() -> None:
    with pytest.raises(ValueError, match="paper is about LaTeX tables: expected latex"):
        report(records(("shop",), 1), paper=Paper(notes=False))
