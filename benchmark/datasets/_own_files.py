"""The files of a user's table: which they are, and the columns that each one has, checked and typed; R rows.

`read_file` is all that reads rows.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from benchmark.datasets._description import (
    IGNORE,
    Description,
)
from benchmark.datasets._fault import Fault
from benchmark.datasets._lines import header_of, is_utf8, line_of, undecodable, wrong_length
from benchmark.datasets._own_columns import NUMBERS, uses_of
from benchmark.datasets.sources import file_digest
from benchmark.datasets.text import read_text
from benchmark.text import near

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PIECE = 1 << 18
"""Rows that are read at a time."""
_PACKED = {b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the table.

    Args:
        path: Where it is.
        split: The split that it is, or an empty text.
        partitions: OwnColumn to value, from folders such as `day=7`.
    """

    path: Path
    split: str
    partitions: dict[str, str]

    @property
    def is_parquet(self) -> bool:
        """By its ending; all other files are text."""
        return self.path.suffix.lower() in PARQUET

    @property
    def identity(self) -> list[Any]:
        """What the file is, wherever it lies."""
        return [self.split, self.partitions, file_digest(self.path)]


def find_files(description: Description) -> list[File]:
    """All files, those of a pattern sorted by their paths.

    Raises:
        FileNotFoundError: for a path or a pattern without files.
        ValueError: for a file that is there twice.
    """
    folder = description.path.parent
    found: list[File] = []
    sources: dict[Path, str] = {}
    for split, patterns in description.files.items():
        for pattern in patterns:
            place = Path(folder, Path(pattern).expanduser())
            if place.is_file():
                paths = [place]
            elif place.is_dir():
                paths = [p for p in place.rglob("*") if p.is_file() and p.name.lower().endswith((*PARQUET, *TEXT))]
            else:
                # of the folder itself, brackets are no pattern; pathlib takes no absolute one
                found_here = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
                paths = [Path(folder, text) for text in found_here if Path(folder, text).is_file()]
            if not paths:
                raise FileNotFoundError(
                    f"{description.path}, files: expected the file {pattern}, found none at {place}"
                )
            source = f"{pattern!r} ({split})" if split else repr(pattern)
            for path in sorted(paths):
                other = sources.get(path.resolve())
                if other is not None:
                    raise ValueError(
                        f"{description.path}, files: expected each file once, found {path} by {source} and by {other}"
                    )
                sources[path.resolve()] = source
                found.append(File(path, split, _partitions(path, folder)))
    return found


def _partitions(path: Path, folder: Path) -> dict[str, str]:
    inner = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else path.parts[:-1]
    pairs = (unquote(part).partition("=") for part in inner)
    return {name: value for name, equals, value in pairs if name and equals}


def read_file(file: File, description: Description) -> Iterator[pl.DataFrame]:
    """The columns that are used, typed, of all rows of one file, in pieces. Missing values are null.

    Raises:
        ValueError: with file, line (of Parquet, row), column, what was expected and what was found.
    """
    names = _names_of(file, description)
    if not all(names):
        raise ValueError(
            f"{file.path}: line 1: expected a name for each column, found none for column {names.index('') + 1}"
        )
    partitions = {name: value for name, value in file.partitions.items() if name not in names}
    _check_names(file, [*names, *partitions], description)
    start = 0
    for raw in _raw(file, names, description):
        is_empty = raw.select(pl.all_horizontal(pl.all().is_null())).to_series()  # an empty line
        whole = raw.with_columns(pl.lit(value).alias(name) for name, value in partitions.items())
        yield _typed(file, whole, start, description).filter(~is_empty)
        start += len(raw)


def _typed(file: File, raw: pl.DataFrame, start: int, description: Description) -> pl.DataFrame:
    """A piece whose first row has the number `start`."""
    columns: dict[str, pl.Series] = {}
    for name, column, parse in uses_of(description):
        try:
            columns[name] = parse(raw[column]).alias(name)
        except Fault as fault:
            place = "" if fault.row is None else f"{_row(file, start + fault.row, description)}, "
            raise ValueError(f"{file.path}: {place}column {column}: {fault}") from None
        except ValueError as error:  # of `categories`
            raise ValueError(f"{file.path}: {error}") from None
    return pl.DataFrame(columns)


def _names_of(file: File, description: Description) -> list[str]:
    if file.is_parquet:
        try:
            names = pl.scan_parquet(file.path, glob=False, hive_partitioning=False).collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValueError(
                f"{file.path}: expected a Parquet file, found none: {str(error).splitlines()[0]}"
            ) from None
    else:
        with file.path.open("rb") as stream:
            start = stream.read(6)
        packed = next((what for magic, what in _PACKED.items() if start.startswith(magic)), None)
        if packed is not None:
            raise ValueError(f"{file.path}: expected text, plain or gzipped (.gz), found {packed}; unpack it first")
        names = header_of(file.path, separator=description.separator, encoding=description.encoding)
    return names


def _check_names(file: File, names: list[str], description: Description) -> None:
    """Refuses missing, extra and repeated columns."""
    where = str(file.path) if file.is_parquet else f"{file.path}: line 1"
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{where}: the column {repeated[0]!r} is there {names.count(repeated[0])} times; rename one")
    uses = description.described
    missing = [name for name in uses if name not in names]
    extra = [name for name in names if name not in uses]
    meant = near(missing[0], extra) if missing else []
    if missing and len(names) == 1:
        other = next((s for s in ",;\t|" if s != description.separator and set(missing) & set(names[0].split(s))), None)
        if other is not None:
            shown = {"\t": '"\\t"'}.get(other, f'"{other}"')
            raise ValueError(
                f"{where}: expected values separated by {description.separator!r}, found {other!r}; write "
                f"`separator: {shown}` in {description.path}"
            )
    if missing:
        optional = missing[0] in description.columns and uses[missing[0]] == IGNORE
        raise ValueError(
            f"{where}: expected the column {missing[0]!r} ({uses[missing[0]]} in {description.path}), found none"
            + (f"; did you mean {meant[0]}?" if meant else "")
            + ("" if extra else f"; columns: {', '.join(names)}")
            + ("; take it out there" if optional else "")
        )  # fmt: skip
    if extra:
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(
            f"{where}: the column {extra[0]!r}{more} is not in {description.path}; add `{extra[0]}: {IGNORE}` to columns there, "
            "or the kind that it has"
        )


def damaged(path: Path, error: Exception) -> str:
    """The error for a Parquet file that polars cannot read."""
    return f"{path}: unreadable as Parquet, truncated or damaged: {str(error).splitlines()[0]}"


def _raw(file: File, names: list[str], description: Description) -> Iterator[pl.DataFrame]:
    """The columns that are used, in pieces: of text as text or numbers, of Parquet as they are stored."""
    uses = uses_of(description)
    needed = [name for name in names if name in {column for _, column, _ in uses}]
    if file.is_parquet:
        scanned = pl.scan_parquet(file.path, glob=False, hive_partitioning=False).select(needed)
        try:
            for frame in scanned.collect_batches(chunk_size=PIECE, maintain_order=True, engine="streaming"):
                yield frame.with_columns(pl.col(pl.String).replace([*description.missing, ""], None))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValueError(damaged(file.path, error)) from None
        return
    numbers = {column for _, column, parse in uses if parse in NUMBERS}
    others = {column for _, column, parse in uses if parse not in NUMBERS}
    types: Any = {name: pl.Float64 if name in numbers - others else pl.String for name in needed}
    last, has_gaps = names[-1], False  # a line with too few values has none for the last column
    for frame in _text(file, {last: pl.String, **types}, description):
        has_gaps = has_gaps or frame[last].null_count() > 0
        yield frame.with_columns(pl.col(pl.String).replace("", None))
    form: Any = {"separator": description.separator, "encoding": description.encoding}
    if has_gaps and (found := wrong_length(file.path, **form)):
        raise ValueError(f"{file.path}: {found}")


def _text(file: File, types: dict[str, Any], description: Description) -> Iterator[pl.DataFrame]:
    """These columns of a text file."""
    form: Any = {"separator": description.separator, "encoding": description.encoding}
    cause: Exception | None = None
    if is_utf8(description.encoding):
        scanned = pl.scan_csv(
            file.path, separator=description.separator, schema_overrides=types, glob=False,
            null_values=list(description.missing) or None, infer_schema=False,
        )  # fmt: skip
        batches = scanned.select(list(types))
        try:
            yield from batches.collect_batches(chunk_size=PIECE, maintain_order=True, engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            cause = error
        else:
            return
    try:
        frame = read_text(file.path, types, **form, nullable=tuple(types), missing=description.missing)
    except ValueError as error:
        found = (
            undecodable(file.path, **form)
            if isinstance(error.__cause__, pl.exceptions.PolarsError | UnicodeError)
            else None
        )
        raise ValueError(f"{file.path}: {found}" if found else str(error)) from None
    if cause is not None:  # some of the rows are handed out already
        raise ValueError(f"{file.path}: {str(cause).splitlines()[0]}") from cause
    yield frame


def _row(file: File, row: int, description: Description) -> str:
    if file.is_parquet:
        return f"row {row + 1}"
    return f"line {line_of(file.path, row, separator=description.separator, encoding=description.encoding)}"


def read_files(description: Description, files: list[File], folder: Path) -> tuple[pl.LazyFrame, list[int]]:
    """The rows of all files, one after another, and how many each one has.

    Args:
        description: What they are.
        files: The files.
        folder: Pieces are written here as they are read, and the frame reads them; so no table has to fit in memory.
    """
    frames: list[pl.LazyFrame] = []
    sizes: list[int] = []
    for file in files:
        sizes.append(0)
        for piece in read_file(file, description):
            path = folder / f"{len(frames)}.parquet"
            piece.write_parquet(path, compression="lz4")
            frames.append(pl.scan_parquet(path, glob=False))
            sizes[-1] += len(piece)
    if not frames:
        raise ValueError(f"{files[0].path}: expected rows, found none")
    return pl.concat(frames, how="vertical_relaxed"), sizes
