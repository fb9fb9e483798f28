"""Tables as text in cells, the same for every output: HTML, Markdown and the terminal only draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmark.reporting.statistics import Interval

ABSENT = "—"
TOO_FEW = "too few seeds"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        text: What stands in it.
        best: Whether it is the best mean of its column.
        method: The method it names, so that a page can draw the method's key beside it.
        short: What a narrow output shows in its place.
        heat: In [0, 1]: how strongly a page shades it.
    """

    text: str
    best: bool = False
    method: str | None = None
    short: str | None = None
    heat: float | None = None

    @property
    def narrow(self) -> str:
        """The text for a narrow output."""
        return self.text if self.short is None else self.short


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `numeric` ones stand right; a terminal leaves out `detail` ones, a narrow one `cost` ones too."""

    title: str
    numeric: bool = True
    detail: bool = False
    cost: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row; a `reference` row is no method but a line to compare with."""

    cells: tuple[Cell, ...]
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title, a line under it, and notes below."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """What a report says of one data set."""

    name: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    trouble: Table | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, before it is drawn."""

    title: str
    lines: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    configurations: Table | None = None
    commands: tuple[str, ...] = field(default=())


def decimals(values: Iterable[float]) -> int:
    """Decimals that show five digits of the largest value, four after the point for an AUC."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return 4
    return max(0, min(8, 4 - math.floor(math.log10(largest)), 4 if largest > 0.01 else 8))


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
        return f"{interval.mean:+z.{places}f}, {TOO_FEW}"
    if interval.low == interval.high == 0:
        return "identical"
    return f"{interval.mean:+z.{places}f} [{interval.low:+z.{places}f}, {interval.high:+z.{places}f}]"


def count(value: float | None) -> str:
    """A count with three digits: `85`, `1.24 k`, `12.4 M`."""
    if value is None:
        return ABSENT
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}" if value < 999.5 * size else f"{value / size:.0f} {letter}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """Seconds with about three digits."""
    return ABSENT if seconds is None else f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


def numbers(values: Iterable[int]) -> str:
    """Whole numbers with runs joined: `0–4, 7`."""
    parts: list[list[int]] = []
    for value in sorted(set(values)):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)
