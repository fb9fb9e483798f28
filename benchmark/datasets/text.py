"""Delimited text files to typed columns, with an error that names file, line and column."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import IO, Any, cast

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
    options = _options(columns, header=header, separator=separator, quote=quote, strip=strip)
    options |= {"null_values": list(missing) or None, "n_rows": most}
    cause: Exception | None = None
    frame = pl.DataFrame()
    try:
        wanted = {"columns": list(columns)} if header else {}
        frame = pl.read_csv(_in_utf8(path, encoding), **options | wanted).select(*columns)
        if strip:
            frame = frame.with_columns(pl.all().str.strip_chars()).cast(columns)  # type: ignore[arg-type]
    except _UNREADABLE as error:
        cause = error
    if cause is not None or any(frame[name].null_count() for name in columns if name not in nullable):
        found = _first_fault(path, columns, options, encoding=encoding, strip=strip, nullable=nullable, missing=missing)
        raise ValueError(f"{path}: {found or str(cause).splitlines()[0]}") from cause
    return frame


def scan_text(
    path: Path,
    columns: dict[str, type[pl.DataType]],
    *,
    header: bool = True,
    separator: str = ",",
    quote: str | None = '"',
    encoding: str = "utf8",
    strip: bool = False,
    nullable: tuple[str, ...] = (),
) -> pl.LazyFrame:
    """The same for a file that does not fit in memory: it is read once to check it, and again when the frame is used.

    A file in another encoding than UTF-8 is read whole.

    Args:
        path: The file.
        columns: Name to polars type.
        header: Is the first line the names?
        separator: One character.
        quote: The quote character; None: quotes mean nothing.
        encoding: As Python names it.
        strip: Take the spaces around values away.
        nullable: Columns that may be empty.

    Raises:
        ValueError: as `read_text`, before any of the frame is used.
    """
    options = _options(columns, header=header, separator=separator, quote=quote, strip=strip)
    if encoding not in ("utf8", "utf-8"):
        return read_text(
            path,
            columns,
            header=header,
            separator=separator,
            quote=quote,
            encoding=encoding,
            strip=strip,
            nullable=nullable,
        ).lazy()
    cause: Exception | None = None
    try:
        frame = pl.scan_csv(path, **options).select(*columns)
        if strip:
            frame = frame.with_columns(pl.all().str.strip_chars()).cast(columns)  # type: ignore[arg-type]
        empty = frame.select(pl.all().null_count()).collect(engine="streaming").row(0, named=True)
        if not any(empty[name] for name in columns if name not in nullable):
            return frame
    except _UNREADABLE as error:
        cause = error
    found = _first_fault(path, columns, options, encoding=encoding, strip=strip, nullable=nullable)
    raise ValueError(f"{path}: {found or str(cause).splitlines()[0]}") from cause


_UNREADABLE = (pl.exceptions.PolarsError, OSError, EOFError, UnicodeError)


def _options(
    columns: dict[str, type[pl.DataType]],
    *,
    header: bool,
    separator: str,
    quote: str | None,
    strip: bool,
) -> dict[str, Any]:
    """What `polars.read_csv` and `scan_csv` take alike."""
    read_as: dict[str, Any] = dict.fromkeys(columns, pl.String) if strip else dict(columns)
    types = {"schema_overrides": read_as} if header else {"schema": read_as}
    return {"has_header": header, "separator": separator, "quote_char": quote, "glob": False, **types}


def _opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if it is gzipped."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")


def _in_utf8(path: Path, encoding: str) -> Path | io.BytesIO:
    """What polars reads: of another encoding it does not unpack gzipped files."""
    if encoding == "utf8":
        return path
    with _opened(path) as stream:
        return io.BytesIO(stream.read().decode(encoding).encode())


def _first_fault(
    path: Path,
    columns: dict[str, type[pl.DataType]],
    options: dict[str, Any],
    *,
    encoding: str,
    strip: bool,
    nullable: tuple[str, ...],
    missing: tuple[str, ...] = (),
) -> str | None:
    """What is wrong, in words: reads line by line, which only an unreadable file is worth."""
    quote = options["quote_char"]
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    with _opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
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


def read_split(
    path: Path,
    columns: dict[str, type[pl.DataType]],
    separator: str,
    *,
    encoding: str = "utf8",
    may_lack: int = 0,
) -> pl.DataFrame:
    """Reads a file without a header and without quotes whose separator has several characters, gzipped or not.

    Args:
        path: The file.
        columns: Name to polars type, all in their order.
        separator: What is between values: `::`.
        encoding: As Python names it.
        may_lack: This many of the last columns may be missing, from all lines.

    Raises:
        ValueError: as `read_text` does.
    """
    lines = read_text(path, {"line": pl.String}, header=False, separator="\x1f", quote=None, encoding=encoding)["line"]
    values = lines.str.split(separator)
    widths = values.list.len()
    expected = min(max(widths[0], len(columns) - may_lack), len(columns)) if len(widths) else len(columns)
    wrong = (widths != expected).arg_true()
    if len(wrong):
        raise ValueError(
            f"{path}: line {wrong[0] + 1} has {widths[wrong[0]]} values, expected {expected}; is the file truncated?"
        )
    frame: dict[str, pl.Series] = {}
    for place, name in enumerate(list(columns)[:expected]):
        texts, kind = values.list.get(place), columns[name]
        frame[name] = texts.cast(kind, strict=False)
        wrong = (frame[name].is_null() | (texts == "")).arg_true()
        if len(wrong):
            raise ValueError(
                f"{path}: line {wrong[0] + 1}, column {name}: expected {_words(kind)}, found {texts[wrong[0]]!r}"
            )
    return pl.DataFrame(frame)
