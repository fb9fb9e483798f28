"""A report on the terminal: compact tables that fit into 100 columns, and without the cost into 80."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.reporting.layout import Document, Table

WIDTH = 100
"""Columns for which the tables are made; narrower terminals get them without the cost."""


def render(document: Document, width: int = WIDTH) -> Iterator[RenderableType]:
    """The parts of a document for so many columns, one after the other. Names are never read as rich's markup."""
    for line in document.lines:
        yield Text(line)
    for section in document.sections:
        yield Text()
        yield Rule(Text(section.name, style="bold"), align="left")
        for table in section.tables:
            if not table.detail:
                yield _table(table, width)
        if section.trouble is not None:
            yield _table(section.trouble, width)
        for note in section.notes:
            yield Text(note, style="dim")
    yield Text()
    for note in document.notes:
        yield Text(note, style="dim")


def _table(table: Table, width: int) -> RenderableType:
    shown = [
        number
        for number, column in enumerate(table.columns)
        if not column.detail and (width >= WIDTH or not column.cost)
    ]
    title = Text.assemble((table.title, "bold"), (f"  {table.subtitle}" if table.subtitle else "", "dim"))
    drawn = RichTable(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="", padding=(0, 1, 0, 0), pad_edge=False
    )
    texts = [[row.cells[n].narrow for n in shown] for row in table.rows]
    for place, number in enumerate(shown):
        column = table.columns[number]
        widest = max((len(row[place]) for row in texts), default=0)
        # titles take no more than the numbers below them, so that lack of space breaks names, never a number
        title_width = (
            max(widest, *map(len, column.title.split(" "))) if column.numeric else max(widest, len(column.title))
        )
        drawn.add_column(
            Text(textwrap.fill(column.title, title_width)),
            justify="right" if column.numeric else "left",
            min_width=widest if column.numeric else None,
            overflow="fold",
            vertical="bottom",
        )
    for row, cells in zip(table.rows, texts, strict=True):
        style = "dim" if row.reference else ""
        bests = [row.cells[n].best for n in shown]
        drawn.add_row(*(Text(t, style="bold green" if best else style) for t, best in zip(cells, bests, strict=True)))
    return Padding(drawn, (1, 0, 0, 0))
