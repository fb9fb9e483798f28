"""A report on the terminal: compact tables that fit into 100 columns, and without their spare columns into 80."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from benchmark.reporting.layout import Column, Document, Part, Sentences, TextTable

WIDTH = 100
"""Columns for which the tables are made; narrower terminals get them without the spare ones."""
MOST_ROWS, MOST_SENTENCES = 60, 20
_LEAST_NAME, _LONGEST_WORD = 14, 18  # characters: of a method's column, and of a word in a head that is not broken
_NAME_OF_ANY_TERMINAL = 8  # characters that a method's column has, however narrow the terminal is
_FEWEST_TO_STACK = 5  # columns of a table that is cut in two, one below the other, where it is too wide
_SHORT_TEXT = 24  # characters: a column of so short texts, verdicts for one, is not cut but broken between words


def render(document: Document, width: int = WIDTH) -> Iterator[RenderableType]:
    """The parts of a document for so many columns, one after the other. Names are never read as rich's markup."""
    for line in document.lines:
        yield Text(line)
    for chapter in document.chapters:
        parts = [] if chapter.detail else [(part, _blocks(part, width)) for part in chapter.parts]
        if not any(drawn for _, drawn in parts):
            continue
        yield Text()
        yield Rule(Text(chapter.title, style="bold"), align="left")
        for number, (part, drawn) in enumerate((part, drawn) for part, drawn in parts if drawn):
            if part.name:
                yield Text(f"\n{part.name}" if number else part.name, style="bold")
            yield from drawn
            yield from (Text(note, style="dim") for note in part.notes)
    yield Text()
    for note in (*document.legend.lines("underlined"), *document.notes):
        yield Text(note, style="dim")


def _blocks(part: Part, width: int) -> list[RenderableType]:
    drawn: list[RenderableType] = []
    for block in part.blocks:
        if isinstance(block, TextTable) and not block.detail:
            drawn.append(_table(block, width))
        elif isinstance(block, Sentences):
            drawn += [Padding(Text(f"- {sentence.text}"), (0, 0, 0, 0)) for sentence in block.items[:MOST_SENTENCES]]
            if len(block.items) > MOST_SENTENCES:
                drawn.append(Text(f"... and {len(block.items) - MOST_SENTENCES} more", style="dim"))
    return drawn


def _table(table: TextTable, width: int, *, spare: bool = True) -> RenderableType:
    with_spare = spare and width >= WIDTH
    shown = [n for n, column in enumerate(table.columns) if not column.detail and (with_spare or not column.spare)]
    title = Text.assemble((table.title, "bold"), (f"  {table.subtitle}" if table.subtitle else "", "dim"))
    drawn = Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="", padding=(0, 1, 0, 0), pad_edge=False
    )
    rows, left_out = table.first(MOST_ROWS)
    texts = [[row.cells[n].narrow for n in shown] for row in rows]
    titles = [_title(table.columns[number], [row[place] for row in texts]) for place, number in enumerate(shown)]
    widths = [max(map(len, [*title.split("\n"), *column])) for title, *column in zip(titles, *texts, strict=True)]
    room = width - sum(widths[1:]) - 2 * len(widths)
    if room < _LEAST_NAME and with_spare and any(column.spare for column in table.columns):
        return _table(table, width, spare=False)
    numeric = [table.columns[number].numeric for number in shown]
    fixed = [is_number or (place > 0 and widths[place] <= _SHORT_TEXT) for place, is_number in enumerate(numeric)]
    if room < _LEAST_NAME:
        for place in range(1, len(widths)):
            if fixed[place] and not numeric[place]:
                words = [word for text in (titles[place], *(row[place] for row in texts)) for word in text.split()]
                widths[place] = max(map(len, words), default=0)
        room = width - sum(widths[1:]) - 2 * len(widths)
    if room < _NAME_OF_ANY_TERMINAL and len(shown) > _FEWEST_TO_STACK:
        half = 1 + len(shown) // 2
        return Group(*(_table(_only(table, [0, *part]), width, spare=spare) for part in (shown[1:half], shown[half:])))
    if all(fixed[1:]):
        fixed[0], widths[0] = True, min(widths[0], max(room, _NAME_OF_ANY_TERMINAL))
    for line in texts:  # lack of space breaks names, after their slash, never a number
        line[0] = line[0].replace("/", "/\n", 1) if len(line[0]) > room else line[0]
    for head, is_number, is_fixed, widest in zip(titles, numeric, fixed, widths, strict=True):
        drawn.add_column(
            Text(head), justify="right" if is_number else "left", width=widest if is_fixed else None, overflow="fold",
            vertical="bottom",
        )  # fmt: skip
    for row, cells in zip(rows, texts, strict=True):
        style = "dim" if row.reference else ""
        marks = ["bold green" if cell.best else "underline" if cell.close else style for cell in row.cells]
        drawn.add_row(*(Text(text, style=marks[n]) for text, n in zip(cells, shown, strict=True)))
    if left_out:
        drawn.caption = Text(left_out)
    return Padding(drawn, (1, 0, 0, 0))


def _only(table: TextTable, places: Sequence[int]) -> TextTable:
    """The table with these of its columns."""
    rows = tuple(replace(row, cells=tuple(row.cells[n] for n in places)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[n] for n in places), rows=rows)


def _title(column: Column, texts: list[str]) -> str:
    """A column's title, broken so that it takes no more than the numbers below it."""
    widest = max(map(len, texts), default=0)
    words = min(max(map(len, column.title.split(" "))), _LONGEST_WORD) if column.numeric else len(column.title)
    return textwrap.fill(column.title, max(widest, words))
