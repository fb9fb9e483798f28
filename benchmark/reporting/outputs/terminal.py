"""A report on the terminal: the answer, the overview with its intervals drawn, and compact tables; spare columns as they fit."""

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

from benchmark.reporting.layout import Cell, Column, Document, Part, Sentences, TextTable
from benchmark.text import LONGEST_CELL, one_line

WIDTH = 100
"""Columns of a terminal of unknown width."""
MOST_ROWS, MOST_SENTENCES = 15, 20
LONGEST_TEXT = 20_000
"""Most characters of a sentence or a note."""
STRIP = 17  # columns of a drawn interval
_LEAST_NAME, _LONGEST_WORD = 14, 18  # characters of a method's column, and of a word in a heading that is not broken
_WHOLE_NAME = 26  # a name up to this number of characters is not broken while spare columns are shown
_NAME_OF_ANY_TERMINAL = 8  # characters that a method's column has, however narrow the terminal is
_FEWEST_TO_STACK = 5  # columns of a table that is split in two, one below the other, if it is too wide
_SHORT_TEXT = (
    24  # a column of texts up to this number of characters, such as verdicts, is not cut but broken between words
)


def render(document: Document, width: int = WIDTH) -> Iterator[RenderableType]:
    """The parts of a document for a width of `width` columns, one after the other. Names are never read as rich's markup.

    If a data set has tuned methods, its methods with default parameters are left out, and a line says how to see them.
    """
    for line in document.lines:
        yield _said(line)
    left_out = False
    for chapter in document.chapters:
        if chapter.folded:
            continue
        shown = [part for part in chapter.parts if part.parameters != "default"]
        left_out = left_out or len(shown) < len(chapter.parts)
        drawn = [(part, blocks) for part in shown if (blocks := _blocks(part, width, chapter.title)) or part.notes]
        if not drawn:
            continue
        yield Text()
        yield Rule(Text(chapter.title, style="bold"), align="left")
        for number, (part, blocks) in enumerate(drawn):
            if part.name and len(drawn) > 1:
                if number:
                    yield Text()
                yield _said(part.name, "bold")
            yield from blocks
            yield from (_said(note, "dim") for note in part.notes)
    yield Text()
    yield Rule(Text("Terms", style="bold"), align="left")
    for term, meaning in document.glossary.items():
        yield Text.assemble(_said(f"{term}: "), _said(meaning, "dim"))
    if left_out:
        yield Text("Use --purpose default to compare methods with default parameters.")


def _said(text: str, style: str = "") -> Text:
    """A sentence or a note, in which there may be names from outside: without controls, and not too long."""
    return Text(one_line(text, LONGEST_TEXT), style=style)


def _blocks(part: Part, width: int, under: str) -> list[RenderableType]:
    drawn: list[RenderableType] = []
    for block in part.blocks:
        if isinstance(block, TextTable) and not block.detail:
            drawn.append(_table(replace(block, title="") if block.title == under else block, width))
        elif isinstance(block, Sentences):
            drawn += [_said(f"- {sentence.text}") for sentence in block.items[:MOST_SENTENCES]]
            if len(block.items) > MOST_SENTENCES:
                drawn.append(Text(f"... and {len(block.items) - MOST_SENTENCES} more", style="dim"))
    return drawn


def _table(table: TextTable, width: int) -> RenderableType:
    table = _with_strip(table)
    known = [n for n, column in enumerate(table.columns) if not column.detail]
    spare = [n for n in known if table.columns[n].spare]
    drawn, fits = _drawn(table, known, width)
    while not fits and spare:  # the last first
        known.remove(spare.pop())
        drawn, fits = _drawn(table, known, width)
    return drawn


def _with_strip(table: TextTable) -> TextTable:
    """The table with a column of drawn intervals, if a column has intervals."""
    place = next((n for n in range(len(table.columns)) if any(row.cells[n].ends for row in table.rows)), None)
    if place is None:
        return table
    cells = [row.cells[place] for row in table.rows]
    every: list[float] = [
        0.0,
        *(value for cell in cells for value in (*(cell.ends or ()), cell.value) if value is not None),
    ]
    low, high = min(every), max(every)

    def at(value: float) -> int:
        return round((value - low) / (high - low) * (STRIP - 1))

    def strip(cell: Cell) -> Cell:
        if cell.value is None or not high > low:
            return Cell("")
        left, right = map(at, cell.ends or (cell.value, cell.value))
        line = [" "] * left + ["─"] * (right - left + 1) + [" "] * (STRIP - 1 - right)
        line[at(0.0)] = "┼" if left <= at(0.0) <= right else "│"
        line[at(cell.value)] = "●"
        return Cell("".join(line))

    columns = list(table.columns)
    columns.insert(place + 1, Column("strip", f"{low:+.2g} to {high:+.2g}", numeric=False))
    rows = []
    for row in table.rows:
        cells = list(row.cells)
        cells.insert(place + 1, strip(row.cells[place]))
        rows.append(replace(row, cells=tuple(cells)))
    return replace(table, columns=tuple(columns), rows=tuple(rows))


def _drawn(table: TextTable, shown: Sequence[int], width: int) -> tuple[RenderableType, bool]:
    """The table with these columns, and whether they leave room for names."""
    title = Text.assemble(
        _said(table.title, "bold"), "  " if table.title and table.subtitle else "", _said(table.subtitle, "dim")
    )
    drawn = Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="", padding=(0, 1, 0, 0), pad_edge=False
    )
    rows, left_out = table.first(MOST_ROWS)
    rows = tuple(row for row in rows if not row.reference or any(row.cells[n].text for n in shown[1:]))
    texts = [[one_line(row.cells[n].narrow, LONGEST_CELL) for n in shown] for row in rows]
    titles = [_title(table.columns[number], [row[place] for row in texts]) for place, number in enumerate(shown)]
    widths = [max(map(len, [*title.split("\n"), *column])) for title, *column in zip(titles, *texts, strict=True)]
    room = width - sum(widths[1:]) - 2 * len(widths)
    fits = room >= min(widths[0], _WHOLE_NAME)
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
        return Group(*(_drawn(table, [0, *part], width)[0] for part in (shown[1:half], shown[half:]))), False
    if all(fixed[1:]):
        fixed[0], widths[0] = True, min(widths[0], max(room, _NAME_OF_ANY_TERMINAL))
    for line in texts:  # if space is short, names break after their slash; numbers never break
        line[0] = line[0].replace("/", "/\n", 1) if len(line[0]) > room else line[0]
    for head, is_number, is_fixed, widest in zip(titles, numeric, fixed, widths, strict=True):
        drawn.add_column(
            Text(head), justify="right" if is_number else "left", width=widest if is_fixed else None, overflow="fold",
            vertical="bottom",
        )  # fmt: skip
    for row, cells in zip(rows, texts, strict=True):
        style = "dim" if row.reference else ""
        marks = ["bold green" if cell.best else style for cell in row.cells]
        drawn.add_row(*(Text(text, style=marks[n]) for text, n in zip(cells, shown, strict=True)))
    if left_out:
        drawn.caption = Text(left_out)
    return Padding(drawn, (1 if table.title else 0, 0, 0, 0)), fits


def _title(column: Column, texts: list[str]) -> str:
    """A column's title, broken so that it is not wider than the numbers below it."""
    widest, title = max(map(len, texts), default=0), one_line(column.title, LONGEST_CELL)
    words = min(max(map(len, title.split(" "))), _LONGEST_WORD) if column.numeric else len(title)
    return textwrap.fill(title, max(widest, words))
