"""What an output finds by a key does not hang on what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmark.analysis import lines
from benchmark.metrics import METRICS
from benchmark.records.record import Record
from benchmark.records.reference import ReferenceRecord
from benchmark.reporting import Report, report
from benchmark.reporting.figures import comparisons
from benchmark.reporting.figures.styles import styles
from benchmark.reporting.layout import Chapter, Column, Document, Part, TextTable
from tests.benchmark.reporting.fabricate import records, searched, study, trees


def renamed(document: Document) -> Document:
    """With other words in the head of every table and column."""

    def part(old: Part) -> Part:
        return replace(old, blocks=tuple(table(b) if isinstance(b, TextTable) else b for b in old.blocks))

    def table(old: TextTable) -> TextTable:
        columns = tuple(replace(column, title="a column") for column in old.columns)
        return replace(old, title="a table", subtitle="", columns=columns)

    chapters = [replace(c, title="a chapter", parts=tuple(map(part, c.parts))) for c in document.chapters]
    return replace(document, chapters=tuple(chapters))


def test_no_output_finds_anything_by_a_title() -> None:
    made = report([*study(), *searched()])
    other = replace(made, document=renamed(made.document))
    assert [name for name, _, _ in other.document.tables()] == [name for name, _, _ in made.document.tables()]
    for one, two in zip(made.latex().values(), other.latex().values(), strict=True):
        assert notes(one) == notes(two)
    assert folded(other) == folded(made) > 1


def rename_what_is_shown(monkeypatch: pytest.MonkeyPatch, references: Sequence[ReferenceRecord]) -> None:
    """All metrics and all references are called as a method is."""
    for name, metric in METRICS.items():
        monkeypatch.setitem(METRICS, name, replace(metric, title="mmoe/equal"))
    for key in lines.LABELS:
        monkeypatch.setitem(lines.LABELS, key, "mmoe/equal")
    for reference in references:
        reference.label = "mmoe/equal"


def test_no_number_and_no_verdict_hangs_on_the_title_of_a_metric_or_the_label_of_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, references = [*study(), *searched()], [*trees(shift=0.05), *trees("shop")]
    made = report(runs, references=references)
    rename_what_is_shown(monkeypatch, references)
    other = report(runs, references=references)
    assert other.summary.equals(made.summary) and other.ranking == made.ranking
    assert [results.against_lines for results in other.results] == [results.against_lines for results in made.results]
    assert shape(other) == shape(made)
    assert {c.baseline for c in made.results[0].against_lines["gbdt"].comparisons} == {"gbdt"}


def shape(made: Report) -> list[tuple[str, int, int, int]]:
    """Of every table its name, rows, columns, and how many cells are marked."""
    marked = [sum(cell.best for row in table.rows for cell in row.cells) for _, _, table in made.document.tables()]
    return [
        (name, len(table.rows), len(table.columns), number)
        for (name, _, table), number in zip(made.document.tables(), marked, strict=True)
    ]


def errors_first() -> list[Record]:
    """Runs on a data set whose first task is a regression, without any that could be the baseline."""
    made = [run for run in records(("videos",), 3) if run.method != "single_task/equal"]
    for run in made:
        run.dataset["schema"]["tasks"] = run.dataset["schema"]["tasks"][::-1]
    return made


def test_who_is_best_hangs_on_no_title_of_an_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    (results,) = report(errors_first()).results
    best = results.ranked(results.group.tasks[0])[0]
    drawn = comparisons.Drawn(results, results.order, styles(results.order))
    quality = comparisons._quality
    for title in (quality(drawn)[-1], "higher is better", "lower is better"):
        monkeypatch.setattr(comparisons, "_quality", lambda drawn, title=title: (*quality(drawn)[:-1], title))
        figure = comparisons.costs(drawn)
        assert figure is not None and f"Best: {best}." in figure.alternative


def notes(tex: str) -> list[str]:
    return [line for line in tex.splitlines() if line.startswith(r"\par\smallskip\raggedright")]


def folded(made: Report) -> int:
    return made.html().count("<details><summary>")


def test_tables_of_one_name_have_files_of_their_own() -> None:
    tables = tuple(TextTable(key, "", (Column("method"),), ()) for key in ("task_a/b", "task_a-b", "task_ä"))
    document = Document("", (), (Chapter("tasks", "", (Part("shop", tables),)),), {})
    assert [name for name, _, _ in document.tables()] == ["task_a_b", "task_a_b_2", "task"]
    two = replace(document, chapters=(Chapter("tasks", "", (Part("shop", tables[:1]), Part("videos", tables[:1]))),))
    assert [name for name, _, _ in two.tables()] == ["shop_task_a_b", "videos_task_a_b"]


def test_a_key_is_the_title_of_a_column_that_has_no_other() -> None:
    assert (Column("seeds").title, Column("p", "adjusted p").title) == ("seeds", "adjusted p")
