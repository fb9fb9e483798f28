"""Delimited text files to typed columns, with an error that names file, line and column."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmark.datasets._lines import (
    FAILURES,
    Form,
    first_fault,
    is_utf8,
    rows_of,
    unpacked,
    wrong_length,
    wrong_names,
)
from benchmark.datasets._ranges import FLAG, ID, SECONDS, Domain, Domains, Types, domains_of, fault

__all__ = [
    "FLAG", "ID", "SECONDS", "Domain", "Types", "check_frame", "read_split", "read_text", "scan_text",
]  # fmt: skip

_UNREADABLE = (pl.exceptions.PolarsError, *FAILURES)


def read_text(
    path: Path,
    columns: Types,
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
        columns: Name to polars type, or to a `Domain`, which has a range too. With a header: any of its columns, in any
            order. Without: all, in their order.
        header: Is the first line the names?
        separator: One character.
        quote: The quote character; None: quotes mean nothing.
        encoding: As Python names it.
        strip: Take the spaces around values away.
        nullable: Columns that may be empty.
        missing: Texts that mean the same as an empty value.
        most: How many rows to read, the first ones; None: all. Then a line with too few values may pass.

    Raises:
        ValueError: with file, line, column and value. It is for a truncated file, too few or too many values on a line, and a
            column that is missing or comes twice. It is also for an empty value where there must be one, an infinite
            number, and a value of another type or outside its column's range.
    """
    form = Form(
        header=header, separator=separator, quote=quote, encoding=encoding, strip=strip, nullable=nullable,
        missing=missing,
    )  # fmt: skip
    return _read_whole(path, domains_of(columns), form, most=most)


def _read_whole(path: Path, columns: Domains, form: Form, *, most: int | None = None) -> pl.DataFrame:
    names = _names(path, columns, form)
    read_as = _with_last(columns, names)
    cause: Exception | None = None
    try:
        wanted: dict[str, Any] = {"columns": list(read_as)} if form.header else {}
        frame = pl.read_csv(_in_utf8(path, form.encoding), n_rows=most, **_options(read_as, form), **wanted)
        frame = frame.select(*read_as)
        if form.strip:
            frame = frame.with_columns(pl.all().str.strip_chars()).cast(read_as)  # type: ignore[arg-type]
        found = frame.select(**_faults(columns, form, names)).row(0, named=True)
        if not found["wrong"] and not (found["gaps"] and most is None and _is_short(path, form, names)):
            return frame.select(*columns)
    except _UNREADABLE as error:
        cause = error
    raise _refusal(path, columns, form, cause) from cause


def scan_text(
    path: Path,
    columns: Types,
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
        columns: Name to polars type, or to a `Domain`.
        header: Is the first line the names?
        separator: One character.
        quote: The quote character; None: quotes mean nothing.
        encoding: As Python names it.
        strip: Take the spaces around values away.
        nullable: Columns that may be empty.

    Raises:
        ValueError: as `read_text`, before any of the frame is used.
    """
    form = Form(
        header=header, separator=separator, quote=quote, encoding=encoding, strip=strip, nullable=nullable
    )  # fmt: skip
    wanted = domains_of(columns)
    if not is_utf8(encoding):
        return _read_whole(path, wanted, form).lazy()
    names = _names(path, wanted, form)
    read_as = _with_last(wanted, names)
    cause: Exception | None = None
    try:
        frame = pl.scan_csv(path, **_options(read_as, form)).select(*read_as)
        if strip:
            frame = frame.with_columns(pl.all().str.strip_chars()).cast(read_as)  # type: ignore[arg-type]
        found = frame.select(**_faults(wanted, form, names)).collect(engine="streaming").row(0, named=True)
        if not found["wrong"] and not (found["gaps"] and _is_short(path, form, names)):
            return frame.select(*wanted)
    except _UNREADABLE as error:
        cause = error
    raise _refusal(path, wanted, form, cause) from cause


def _names(path: Path, columns: Domains, form: Form) -> list[str]:
    """The names of all columns of the file; none if its first line cannot be read, which the parser will say.

    Raises:
        ValueError: if a column is not among them, or comes twice.
    """
    if not form.header:
        return list(columns)
    try:
        with rows_of(path, separator=form.separator, encoding=form.encoding, quote=form.quote) as rows:
            names: list[str] = next(rows, [])
    except FAILURES:
        return []
    if found := wrong_names(names, columns):
        raise ValueError(f"{path}: {found}")
    return names


def _with_last(columns: Domains, names: list[str]) -> dict[str, type[pl.DataType]]:
    """The types of the columns, and of the last one of the file: it is empty on a line that breaks off."""
    last = [name for name in names[-1:] if name not in columns and names.count(name) == 1]
    return {name: column.kind for name, column in columns.items()} | dict.fromkeys(last, pl.String)


def _options(columns: Mapping[str, type[pl.DataType]], form: Form) -> dict[str, Any]:
    """What `polars.read_csv` and `scan_csv` take alike."""
    read_as: dict[str, Any] = dict.fromkeys(columns, pl.String) if form.strip else dict(columns)
    types = {"schema_overrides": read_as} if form.header else {"schema": read_as}
    return {
        "has_header": form.header, "separator": form.separator, "quote_char": form.quote, "glob": False,
        "null_values": list(form.missing) or None, **types,
    }  # fmt: skip


def _faults(columns: Domains, form: Form, names: list[str]) -> dict[str, pl.Expr]:
    """Is any value wrong, and does the last column have gaps? Found in one pass."""
    wrong = [column.wrong(pl.col(name)) for name, column in columns.items()]
    wrong += [pl.col(name).null_count() > 0 for name in columns if name not in form.nullable]
    gaps = [pl.col(name).null_count() > 0 for name in names[-1:] if names.count(name) == 1]
    return {"wrong": pl.any_horizontal(wrong), "gaps": pl.any_horizontal(gaps or [pl.lit(value=False)])}


def _is_short(path: Path, form: Form, names: list[str]) -> bool:
    """Has a line too few values? Parsers fill them in with nulls."""
    where: dict[str, Any] = {"separator": form.separator, "encoding": form.encoding, "quote": form.quote}
    return wrong_length(path, **where, names=names) is not None


def _refusal(path: Path, columns: Domains, form: Form, cause: Exception | None) -> ValueError:
    """The error about a file that the parser, or a check of its values, has refused."""
    found = first_fault(path, columns, form) or str(cause or "unreadable").splitlines()[0]
    return ValueError(f"{path}: {found}")


def _in_utf8(path: Path, encoding: str) -> Path | io.BytesIO:
    """What polars reads: of another encoding it does not unpack gzipped files."""
    if is_utf8(encoding):
        return path
    with unpacked(path) as stream:
        return io.BytesIO(stream.read().decode(encoding).encode())


def read_split(
    path: Path,
    columns: Types,
    separator: str,
    *,
    encoding: str = "utf8",
    may_lack: int = 0,
) -> pl.DataFrame:
    """Reads a file without a header and without quotes whose separator has several characters, gzipped or not.

    Args:
        path: The file.
        columns: Name to polars type, or to a `Domain`, all in their order.
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
    for place, (name, column) in enumerate(list(domains_of(columns).items())[:expected]):
        texts = values.list.get(place)
        frame[name] = texts.cast(column.kind, strict=False)
        wrong = frame[name].is_null() | (texts == "")
        if wrong.any() or pl.select(column.wrong(pl.lit(frame[name]))).item():
            raise ValueError(f"{path}: {_first(texts, name, column, 'line')}")
    return pl.DataFrame(frame)


def check_frame(path: Path, frame: pl.LazyFrame, columns: Types) -> None:
    """Checks the ranges of columns that come with their types, as those of Parquet files do; one lazy pass.

    Raises:
        ValueError: with file, row (from 1), column and value.
    """
    wanted = domains_of(columns)
    found = frame.select(column.wrong(pl.col(name)).alias(name) for name, column in wanted.items())
    wrong = [name for name, is_wrong in found.collect(engine="streaming").row(0, named=True).items() if is_wrong]
    for name in wrong[:1]:
        texts = frame.select(pl.col(name).cast(pl.String)).collect()[name]
        raise ValueError(f"{path}: {_first(texts, name, wanted[name], 'row', nullable=True)}")


def _first(texts: pl.Series, name: str, column: Domain, what: str, *, nullable: bool = False) -> str:
    """The first fault of a column of texts, of which there is one."""
    seen: dict[str, str] = {}
    faults = (
        fault(f"{what} {number}", name, text or "", column, seen, nullable=nullable)
        for number, text in enumerate(texts, 1)
    )
    return next((found for found in faults if found), f"column {name}: expected {column.words}")
