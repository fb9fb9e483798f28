"""A delimited text file line by line: its names, and where in it something is wrong. Slow, for the first line and for errors."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from benchmark.datasets._ranges import Domains, fault

FAILURES = (EOFError, OSError, UnicodeError, csv.Error)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written; see `text.read_text`."""

    header: bool = True
    separator: str = ","
    quote: str | None = '"'
    encoding: str = "utf8"
    strip: bool = False
    nullable: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@contextmanager
def rows_of(path: Path, *, separator: str, encoding: str, quote: str | None = '"') -> Iterator[Any]:
    """A `csv.reader` of a file, gzipped or not."""
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    with unpacked(path) as stream:
        text = io.TextIOWrapper(stream, encoding=_without_mark(encoding), newline="")
        yield csv.reader(text, delimiter=separator, **quoting)


def unpacked(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if it is gzipped."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")


def header_of(path: Path, *, separator: str, encoding: str) -> list[str]:
    """The names on the first line.

    Raises:
        ValueError: if it cannot be read, or is empty.
    """
    try:
        with rows_of(path, separator=separator, encoding=encoding) as rows:
            names: list[str] = next(rows, [])
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {undecodable(path, separator=separator, encoding=encoding) or error}") from None
    except (EOFError, OSError, csv.Error) as error:
        raise ValueError(f"{path}: line 1: unreadable, truncated or damaged: {error}") from None
    if not any(names):
        raise ValueError(f"{path}: line 1: expected the names of the columns, found an empty line")
    return names


def line_of(path: Path, row: int, *, separator: str, encoding: str) -> int:
    """The line on which the row of this number, from 0, ends; a value in quotes may have several lines."""
    with rows_of(path, separator=separator, encoding=encoding) as rows:
        next(rows, None)
        for _ in range(row + 1):
            next(rows, None)
        return int(rows.line_num)


def undecodable(
    path: Path,
    *,
    separator: str,
    encoding: str,
    most: int | None = None,
    names: list[str] | None = None,
    remedy: str = "give the right encoding, such as latin-1, or save the file in UTF-8",
) -> str | None:
    """`line 7, column title: expected text in UTF-8, found the byte 0xe9`, of the first such line; None if there is none.

    Args:
        path: The file, gzipped or not.
        separator: One character.
        encoding: As Python names it.
        most: How many lines to look at; None: all.
        names: Those of the columns, if the first line does not have them.
        remedy: What to do about it.
    """
    with unpacked(path) as stream:
        for number, line in enumerate(islice(stream, most), 1):
            try:
                text = line.decode(_without_mark(encoding) if number == 1 else encoding)
            except UnicodeDecodeError as error:
                before = line[: error.start].decode("latin-1")
                place = len(next(csv.reader([before], delimiter=separator), [""])) - 1
                column = f", column {names[place]}" if names and place < len(names) else ""
                name = "UTF-8" if is_utf8(encoding) else encoding
                return (
                    f"line {number}{column}: expected text in {name}, found the byte {line[error.start]:#04x}; {remedy}"
                )
            if names is None:
                names = next(csv.reader([text], delimiter=separator), [])
    return None


def wrong_length(
    path: Path, *, separator: str, encoding: str, quote: str | None = '"', names: list[str] | None = None
) -> str | None:
    """`line 7 has 3 values, expected 4`, of the first such line that is not empty; None if there is none.

    Args:
        path: The file, gzipped or not.
        separator: One character.
        encoding: As Python names it.
        quote: The quote character; None: quotes mean nothing.
        names: Those of the columns, if the first line does not have them.
    """
    expected = len(names or header_of(path, separator=separator, encoding=encoding))
    if is_utf8(encoding) and not _any_odd(path, separator, quote, expected):
        return None
    with rows_of(path, separator=separator, encoding=encoding, quote=quote) as rows:
        for row in rows:
            if row and len(row) != expected:
                return _length(rows.line_num, row, expected)
    return None


def _any_odd(path: Path, separator: str, quote: str | None, number: int) -> bool:
    """Does a line have a quote, or neither nothing nor this number of values? It spares reading millions of lines one by one."""
    line = pl.col("line")
    odd = line.str.count_matches(separator, literal=True) != number - 1
    if quote:
        odd |= line.str.contains(quote, literal=True)
    lines = pl.scan_lines(path, name="line", glob=False).filter(line.str.strip_chars("\r") != "")
    return bool(lines.select(odd.any()).collect(engine="streaming").item())


def _length(line: int, row: list[str], expected: int) -> str:
    return f"line {line} has {len(row)} values, expected {expected}; is the file truncated?"


def first_fault(path: Path, columns: Domains, form: Form) -> str | None:
    """What is wrong with the values of a file, in words: the first fault of all lines; None if there is none.

    Args:
        path: The file, gzipped or not.
        columns: Type and range of the columns that are read.
        form: What was expected.
    """
    line = 0
    all_names = None if form.header else list(columns)
    try:
        with rows_of(path, separator=form.separator, encoding=form.encoding, quote=form.quote) as rows:
            names = next(rows, []) if all_names is None else all_names
            if found := wrong_names(names, columns):
                return found
            places = [(name, names.index(name), column) for name, column in columns.items()]
            seen: dict[str, dict[str, str]] = {name: {} for name in columns}
            for row in rows:
                line = rows.line_num
                if len(row) != len(names):
                    return _length(line, row, len(names))
                for name, place, column in places:
                    value = row[place].strip() if form.strip else row[place]
                    value = "" if value in form.missing else value
                    is_nullable = name in form.nullable
                    if found := fault(f"line {line}", name, value, column, seen[name], nullable=is_nullable):
                        return found
    except UnicodeDecodeError as error:
        remedy = "is the file damaged, or in another encoding?"
        where = {"separator": form.separator, "encoding": form.encoding, "names": all_names}
        return undecodable(path, **where, remedy=remedy) or str(error)  # type: ignore[arg-type]
    except FAILURES as error:
        return f"unreadable after line {line}, truncated or damaged: {error}"
    return None


def wrong_names(names: list[str], columns: Iterable[str]) -> str | None:
    """What is wrong with the line of names: a column of these is not there, or more than once."""
    wanted = list(columns)
    if lacking := [name for name in wanted if name not in names]:
        return f"no column {', '.join(lacking)}; columns: {', '.join(names)}"
    if repeated := [name for name in wanted if names.count(name) > 1]:
        return f"line 1: expected each column once, found {', '.join(repeated)} more often; columns: {', '.join(names)}"
    return None


def is_utf8(encoding: str) -> bool:
    """Is it the encoding that polars reads in pieces?"""
    return codecs.lookup(encoding).name == "utf-8"


def _without_mark(encoding: str) -> str:
    """The codec that takes away a byte order mark, as spreadsheets write it."""
    return "utf-8-sig" if is_utf8(encoding) else encoding
