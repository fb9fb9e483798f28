"""Delimited text files to typed columns, with an error that names file, line and column."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


def read_text(
    path: Path,
    columns: dict[str, type[pl.DataType]],
    *,
    header: bool = True,
    separator: str = ",",
    quote: str | None = '"',
    encoding: str = "utf8",
    strip: bool = False,
    nullable: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    most: int | None = None,
) -> pl.DataFrame:
    """Reads the named columns of a delimited file, gzipped or not.

    Args:
        path: The file.
        columns: Name to polars type. With a header: any of its columns, in any order. Without: all, in their order.
        header: Is the first line the names?
        separator: One character.
        quote: The quote character; None: quotes mean nothing.
        encoding: As Python names it.
        strip: Take the spaces around values away.
        nullable: Columns that may be empty.
        missing: Texts that mean the same as an empty value.
        most: How many rows to read, the first ones; None: all.

    Raises:
        ValueError: for a truncated file, a line with too few or too many values, a missing column, an empty value where
            there must be one, or one of another type: file, line, column, value.
    """
    options: dict[str, Any] = {"has_header": header, "separator": separator, "quote_char": quote, "encoding": encoding}
    options |= {"null_values": list(missing) or None, "n_rows": most, "glob": False}
    read_as: dict[str, Any] = dict.fromkeys(columns, pl.String) if strip else dict(columns)
    if header:
        options |= {"columns": list(columns), "schema_overrides": read_as}
    else:
        options |= {"schema": read_as}
    cause: Exception | None = None
    frame = pl.DataFrame()
    try:
        frame = pl.read_csv(path, **options).select(*columns)
        if strip:
            frame = frame.with_columns(pl.all().str.strip_chars()).cast(columns)  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as error:
        cause = error
    if cause is not None or any(frame[name].null_count() for name in columns if name not in nullable):
        found = _first_fault(path, columns, options, strip=strip, nullable=nullable, missing=missing)
        raise ValueError(f"{path}: {found or str(cause).splitlines()[0]}") from cause
    return frame


def _first_fault(
    path: Path,
    columns: dict[str, type[pl.DataType]],
    options: dict[str, Any],
    *,
    strip: bool,
    nullable: tuple[str, ...],
    missing: tuple[str, ...],
) -> str | None:
    """What is wrong, in words: reads line by line, which only an unreadable file is worth."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    quote = options["quote_char"]
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    with gzip.open(path) if zipped else path.open("rb") as stream:
        text = io.TextIOWrapper(stream, encoding=options["encoding"], newline="")
        rows = csv.reader(text, delimiter=options["separator"], **quoting)
        line = 0
        try:
            names = next(rows, []) if options["has_header"] else list(columns)
            lacking = [name for name in columns if name not in names]
            if lacking:
                return f"no column {', '.join(lacking)}; columns: {', '.join(names)}"
            places = [(name, names.index(name), kind, name in nullable) for name, kind in columns.items()]
            for row in rows:
                line = rows.line_num
                if len(row) != len(names):
                    return f"line {line} has {len(row)} values, expected {len(names)}; is the file truncated?"
                for name, place, kind, may_be_empty in places:
                    value = row[place].strip() if strip else row[place]
                    if not _fits("" if value in missing else value, kind, may_be_empty=may_be_empty):
                        return f"line {line}, column {name}: expected {_words(kind)}, found {value!r}"
        except (EOFError, OSError, UnicodeError, csv.Error) as error:
            return f"unreadable after line {line}, truncated or damaged: {error}"
    return None


def _fits(value: str, kind: type[pl.DataType], *, may_be_empty: bool) -> bool:
    if not value:
        return may_be_empty
    try:
        if kind.is_integer():
            limits = np.iinfo(kind.__name__.lower())
            return limits.min <= int(value) <= limits.max
        if kind.is_float():
            float(value)
    except ValueError:
        return False
    return True


def _words(kind: type[pl.DataType]) -> str:
    return "an integer" if kind.is_integer() else "a number" if kind.is_float() else "a value"
