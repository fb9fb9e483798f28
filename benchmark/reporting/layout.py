"""Tables as text in cells, the same for every output: HTML, Markdown, LaTeX and the terminal only draw them.

A document is a list of chapters in fixed order. A chapter consists of one part per data set, and a part is a list of
blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        text: Its text.
        best: Whether it is the best mean of its column.
        method: The method it names, so that a page can draw the method's key beside it.
        short: What a narrow output shows instead.
        heat: In [-1, 1]: how strongly a page shades the cell, and in which of two colours.
        ends: Both ends of its interval, for a terminal to draw.
        value: The value that a page sorts by, if it is not the first number of the text.
    """

    text: str
    best: bool = False
    method: str | None = None
    short: str | None = None
    heat: float | None = None
    ends: tuple[float, float] | None = None
    value: float | None = None

    @property
    def narrow(self) -> str:
        """The text for a narrow output."""
        return self.text if self.short is None else self.short


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Args:
        key: Identifies it, whatever its title says.
        title: Its heading; empty: the key.
        numeric: Whether it is right-aligned.
        detail: Whether a terminal and a paper leave it out.
        spare: Whether a narrow terminal leaves it out too.
    """

    key: str
    title: str = ""
    numeric: bool = True
    detail: bool = False
    spare: bool = False

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.key)


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Args:
        cells: One per column.
        reference: Whether it is a reference to compare with, not a method.
        ruled: Whether a line is drawn above it, where a tier begins.
    """

    cells: tuple[Cell, ...]
    reference: bool = False
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Args:
        key: Identifies it in its part of the document, whatever its title says; files are named after it.
        title: Its heading.
        columns: The first column holds names.
        rows: Each has one cell per column.
        subtitle: A line under the title.
        notes: Lines below the table.
        detail: Whether a terminal leaves it out.
        folded: Whether a page shows it only when it is opened.
        whole: Whether every output shows all rows, however many.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    detail: bool = False
    folded: bool = False
    whole: bool = False

    def first(self, most: int) -> tuple[tuple[Row, ...], str]:
        """The first `most` rows of methods, all references, and a note if rows are left out."""
        methods = [row for row in self.rows if not row.reference]
        if self.whole or len(methods) <= most:
            return self.rows, ""
        lines = [row for row in self.rows if row.reference]
        return (*methods[:most], *lines), f"The first {most} of {len(methods):,} rows; the CSV file has all."


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and the method it is about, so that a page can show the sentences about one method."""

    text: str
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Sentences:
    """A list of sentences."""

    items: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with their texts."""

    title: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to show as they are."""

    title: str
    lines: tuple[str, ...]


Block: TypeAlias = TextTable | Sentences | Facts | Code


@dataclass(frozen=True, slots=True)
class Part:
    """What a chapter says about one data set; about all data sets if the name is empty.

    Args:
        name: The name of the group: `census_income (tuned)`.
        blocks: Its blocks, in order.
        notes: Notes below the blocks.
        parameters: `tuned` or `default`, if the report has the data set with both; a page shows one of them at a time.
    """

    name: str
    blocks: tuple[Block, ...] = ()
    notes: tuple[str, ...] = ()
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter.

    Args:
        anchor: Identifies its figures on a page.
        title: Its heading.
        parts: One per data set.
        notes: The notes of all parts.
        folded: Whether a page shows it only when it is opened, and a terminal not at all.
    """

    anchor: str
    title: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    folded: bool = False

    @property
    def has_text(self) -> bool:
        """Whether there is anything to read besides figures."""
        return any(part.blocks or part.notes for part in self.parts)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, before it is drawn.

    Args:
        title: Its heading.
        lines: What was compared.
        chapters: In the order in which a reader asks.
        glossary: {term: what it means}, for the terms that occur.
    """

    title: str
    lines: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    glossary: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_parts(self) -> bool:
        """Whether its chapters have parts of several data sets."""
        return len({part.name for chapter in self.chapters for part in chapter.parts if part.name}) > 1

    def tables(self) -> Iterator[tuple[str, Part, TextTable]]:
        """Every table with the name of its file, `<data set>_<key>`, and its part; without the data set if there is only one."""
        names: set[str] = set()
        for part in (part for chapter in self.chapters for part in chapter.parts):
            for table in (block for block in part.blocks if isinstance(block, TextTable)):
                name = stem = _file_name(f"{part.name}_{table.key}" if self.has_parts else table.key)
                number = 2
                while name in names:  # keys may differ only in punctuation
                    name, number = f"{stem}_{number}", number + 1
                names.add(name)
                yield name, part, table


def _file_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:100] or "table"
