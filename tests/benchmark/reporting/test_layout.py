"""What an output finds by a key does not hang on what is shown."""

from __future__ import annotations

from dataclasses import replace

from benchmark.reporting import Report, report
from benchmark.reporting.layout import Chapter, Column, Document, Part, TextTable
from tests.benchmark.reporting.fabricate import searched, study


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
    assert folded(other) == folded(made) == 1


def notes(tex: str) -> list[str]:
    return [line for line in tex.splitlines() if line.startswith(r"\par\smallskip\raggedright")]


def folded(made: Report) -> int:
    return made.html().count("<details><summary>")


def test_tables_of_one_name_have_files_of_their_own() -> None:
    tables = tuple(TextTable(key, "", (Column("method"),), ()) for key in ("task_a/b", "task_a-b", "task_ä"))
    document = Document("", (), (Chapter("tasks", "", (Part("shop", tables),)),), report(study()).document.legend)
    assert [name for name, _, _ in document.tables()] == ["task_a_b", "task_a_b_2", "task"]
    two = replace(document, chapters=(Chapter("tasks", "", (Part("shop", tables[:1]), Part("videos", tables[:1]))),))
    assert [name for name, _, _ in two.tables()] == ["shop_task_a_b", "videos_task_a_b"]


def test_a_key_is_the_title_of_a_column_that_has_no_other() -> None:
    assert (Column("seeds").title, Column("p", "adjusted p").title) == ("seeds", "adjusted p")
