"""Tables as text in cells, the same for every output: HTML, Markdown, LaTeX and the terminal only draw them.

A document is chapters in a fixed order; a chapter has a part for each data set; a part is a list of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        text: What stands in it.
        best: Whether it is the best mean of its column.
        close: Whether it cannot be told from the best.
        method: The method it names, so that a page can draw the method's key beside it.
        short: What a narrow output shows in its place.
        heat: In [0, 1]: how strongly a page shades it.
        value: What a page sorts by, where that is not the first number of the text.
    """

    text: str
    best: bool = False
    close: bool = False
    method: str | None = None
    short: str | None = None
    heat: float | None = None
    value: float | None = None

    @property
    def narrow(self) -> str:
        """The text for a narrow output."""
        return self.text if self.short is None else self.short


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `numeric` ones stand right; a terminal leaves out `detail` ones, a narrow one `spare` ones too."""

    title: str
    numeric: bool = True
    detail: bool = False
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row; a `reference` row is no method but a line to compare with."""

    cells: tuple[Cell, ...]
    reference: bool = False


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table with its title, a line under it, and notes below; a terminal leaves out `detail` ones."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    detail: bool = False

    def first(self, most: int) -> tuple[tuple[Row, ...], str]:
        """So many rows of methods and all lines to compare with, and a note if rows are left out."""
        methods = [row for row in self.rows if not row.reference]
        if len(methods) <= most:
            return self.rows, ""
        lines = [row for row in self.rows if row.reference]
        return (*methods[:most], *lines), f"The first {most} of {len(methods):,} rows; the CSV file has all."


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and the method it is about, so that a page can show those of one method only."""

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
    """Lines that are shown as they are."""

    title: str
    lines: tuple[str, ...]


Block: TypeAlias = TextTable | Sentences | Facts | Code


@dataclass(frozen=True, slots=True)
class Part:
    """What a chapter says of one data set, or with an empty name of all."""

    name: str
    blocks: tuple[Block, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter; the figures of a page's chapter are found by its anchor. A terminal leaves out `detail` ones."""

    anchor: str
    title: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    detail: bool = False

    @property
    def has_text(self) -> bool:
        """Whether there is anything to read beside figures."""
        return any(part.blocks or part.notes for part in self.parts)


class Legend(NamedTuple):
    """How numbers are read: intervals and p, what is marked, and seconds."""

    intervals: str
    marks: str
    seconds: str


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, before it is drawn; `legend` and `notes` say how it is read."""

    title: str
    lines: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    legend: Legend
    notes: tuple[str, ...] = ()

    def tables(self) -> Iterator[tuple[Chapter, Part, TextTable]]:
        """Every table with where it stands."""
        for chapter in self.chapters:
            for part in chapter.parts:
                for block in part.blocks:
                    if isinstance(block, TextTable):
                        yield chapter, part, block
