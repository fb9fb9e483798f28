"""A delimited text file line by line: its names, and where in it something is wrong. Slow, for the first line and for errors."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import polars as pl


@contextmanager
def rows_of(path: Path, *, separator: str, encoding: str) -> Iterator[Any]:
    """A `csv.reader` of a file, gzipped or not."""
    with unpacked(path) as stream:
        text = io.TextIOWrapper(stream, encoding=_without_mark(encoding), newline="")
        yield csv.reader(text, delimiter=separator)


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


def undecodable(path: Path, *, separator: str, encoding: str, most: int | None = None) -> str | None:
    """`line 7, column title: expected text in UTF-8, found the byte 0xe9`, of the first such line; None if there is none.

    Args:
        path: The file, gzipped or not.
        separator: One character.
        encoding: As Python names it.
        most: How many lines to look at; None: all.
    """
    names: list[str] = []
    with unpacked(path) as stream:
        for number, line in enumerate(islice(stream, most), 1):
            try:
                text = line.decode(_without_mark(encoding) if number == 1 else encoding)
            except UnicodeDecodeError as error:
                before = line[: error.start].decode("latin-1")
                place = len(next(csv.reader([before], delimiter=separator), [""])) - 1
                column = f", column {names[place]}" if place < len(names) else ""
                name = "UTF-8" if is_utf8(encoding) else encoding
                return (
                    f"line {number}{column}: expected text in {name}, found the byte {line[error.start]:#04x}; "
                    "give the right encoding, such as latin-1, or save the file in UTF-8"
                )
            if number == 1:
                names = next(csv.reader([text], delimiter=separator), [])
    return None


def wrong_length(path: Path, *, separator: str, encoding: str) -> str | None:
    """`line 7 has 3 values, expected 4`, of the first such line that is not empty; None if there is none."""
    names = header_of(path, separator=separator, encoding=encoding)
    if is_utf8(encoding) and not _any_odd(path, separator, len(names)):
        return None
    with rows_of(path, separator=separator, encoding=encoding) as rows:
        for row in rows:
            if row and len(row) != len(names):
                return f"line {rows.line_num} has {len(row)} values, expected {len(names)}; is the file truncated?"
    return None


def _any_odd(path: Path, separator: str, number: int) -> bool:
    """Does a line have a quote, or neither nothing nor this number of values? It spares reading millions of lines one by one."""
    line = pl.col("line")
    odd = line.str.contains('"', literal=True) | (line.str.count_matches(separator, literal=True) != number - 1)
    lines = pl.scan_lines(path, name="line", glob=False).filter(line.str.strip_chars("\r") != "")
    return bool(lines.select(odd.any()).collect(engine="streaming").item())


def is_utf8(encoding: str) -> bool:
    """Is it the encoding that polars reads in pieces?"""
    return codecs.lookup(encoding).name == "utf-8"


def _without_mark(encoding: str) -> str:
    """The codec that takes away a byte order mark, as spreadsheets write it."""
    return "utf-8-sig" if is_utf8(encoding) else encoding
