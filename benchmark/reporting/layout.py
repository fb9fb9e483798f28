"""Tables as text in cells, the same for every output: HTML, Markdown, LaTeX and the terminal only draw them.

A document is chapters in a fixed order; a chapter has a part for each data set; a part is a list of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from benchmark.statistics import Interval

ABSENT = "—"
TOO_FEW = "too few seeds"


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
class Table:
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


Block: TypeAlias = Table | Sentences | Facts | Code


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

    def tables(self) -> Iterator[tuple[Chapter, Part, Table]]:
        """Every table with where it stands."""
        for chapter in self.chapters:
            for part in chapter.parts:
                for block in part.blocks:
                    if isinstance(block, Table):
                        yield chapter, part, block


def decimals(intervals: Iterable[Interval]) -> int:
    """Decimals that show five digits of the largest mean, four after the point for an AUC, and a digit of the median ±."""
    found = list(intervals)
    largest = max((abs(interval.mean) for interval in found), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return 4
    of_mean = max(0, min(8, 4 - math.floor(math.log10(largest)), 4 if largest > 0.01 else 8))
    widths = sorted(interval.half_width for interval in found if interval.half_width)
    of_width = -math.floor(math.log10(widths[len(widths) // 2])) if widths else 0
    return max(of_mean, min(6, of_width))


def number(value: float | None, places: int = 4) -> str:
    """A number with so many decimals, without a sign on zero; a dash for None."""
    return ABSENT if value is None else f"{value:z.{places}f}"


def with_interval(interval: Interval | None, places: int) -> str:
    """`0.9512 ± 0.0011`; for too few seeds the mean alone."""
    if interval is None:
        return ABSENT
    if interval.half_width is None:
        return number(interval.mean, places)
    return f"{interval.mean:z.{places}f} ± {interval.half_width:.{places}f}"


def signed_interval(interval: Interval | None, places: int) -> str:
    """`+0.0021 [+0.0012, +0.0030]`; `identical` where every pair is equal to the last bit."""
    if interval is None:
        return ABSENT
    if interval.low is None or interval.high is None:
        return f"{signed(interval.mean, places)}, {TOO_FEW}"
    if interval.low == interval.high == 0:
        return "identical"
    return f"{signed(interval.mean, places)} [{signed(interval.low, places)}, {signed(interval.high, places)}]"


def signed(value: float, places: int) -> str:
    """`+0.0021`; what rounds to zero has no sign, for it may be on either side."""
    text = f"{value:+z.{places}f}"
    return text if text.strip("+-0.") else text.removeprefix("+")


def count(value: float | None) -> str:
    """A count with three digits: `85`, `1.24 k`, `12.4 M`."""
    if value is None:
        return ABSENT
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}" if value < 999.5 * size else f"{value / size:.0f} {letter}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """Seconds with about three digits: `0.14`, `8.5`, `139`."""
    if seconds is None:
        return ABSENT
    return f"{seconds:.2f}" if seconds < 0.995 else f"{seconds:.1f}" if seconds < 99.95 else f"{seconds:.0f}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names joined by commas; of very many the first, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def numbers(values: Iterable[int]) -> str:
    """Whole numbers with runs joined: `0–4, 7`."""
    parts: list[list[int]] = []
    for value in sorted(set(values)):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)
