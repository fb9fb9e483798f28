"""The files of a user's table: which they are, and the columns that each one has, checked and typed; R rows.

`read_file` is all that reads rows.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from benchmark.datasets._columns import categories
from benchmark.datasets._description import (
    BY_COLUMN,
    IGNORE,
    MULTI,
    NUMERIC,
    SEQUENCE,
    TIME,
    UNITS,
    WEIGHT,
    Description,
    OwnColumn,
)
from benchmark.datasets._lines import header_of, is_utf8, line_of, undecodable, wrong_length
from benchmark.datasets.sources import file_digest
from benchmark.datasets.table import SPLITS
from benchmark.datasets.text import read_text
from benchmark.kinds import KINDS, Transform
from benchmark.schema import Task
from benchmark.text import near

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PIECE = 1 << 18
"""Rows that are read at a time."""
FEATURE, LABEL, SPLIT = "x:", "y:", "split"
"""The columns of what `read_file` returns: features, time and title by `x:<name>`, labels by `y:<task>`, the split's column."""
_PACKED = {b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_BINARY = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}
_DATES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ISO = "a date such as 2024-05-31 or 2024-05-31 18:30:00 (of another form: the key format), or a number"


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


class Fault(ValueError):
    """A value that is not what its column should have.

    Args:
        row: Its row in the file, from 0; None if it is about the whole column.
        text: What was expected and what was found.
    """

    def __init__(self, row: int | None, text: str) -> None:
        super().__init__(text)
        self.row = row


def find_files(description: Description) -> list[File]:
    """All files, those of a pattern sorted by their paths.

    Raises:
        FileNotFoundError: for a path or a pattern without files.
    """
    folder, found = description.path.parent, []
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
            found += [File(path, split, _partitions(path, folder)) for path in sorted(paths)]
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
    for name, column, parse in _uses(description):
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


def _raw(file: File, names: list[str], description: Description) -> Iterator[pl.DataFrame]:
    """The columns that are used, in pieces: of text as text or numbers, of Parquet as they are stored."""
    uses = _uses(description)
    needed = [name for name in names if name in {column for _, column, _ in uses}]
    if file.is_parquet:
        scanned = pl.scan_parquet(file.path, glob=False, hive_partitioning=False).select(needed)
        for frame in scanned.collect_batches(chunk_size=PIECE, maintain_order=True, engine="streaming"):
            yield frame.with_columns(pl.col(pl.String).replace([*description.missing, ""], None))
        return
    numbers = {column for _, column, parse in uses if parse in (_number, _logged, _weight)}
    others = {column for _, column, parse in uses if parse not in (_number, _logged, _weight)}
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


Parse = Callable[[pl.Series], pl.Series]


def _uses(description: Description) -> list[tuple[str, str, Parse]]:
    """Every use of a column: its name in the result, the column, and what parses it."""
    used = [column for column in description.columns.values() if column.kind != IGNORE]
    found = [(f"{FEATURE}{column.name}", column.name, _parser(column, description)) for column in used]
    found += [(f"{LABEL}{task.name}", description.labels[task.name], _label(task)) for task in description.tasks]
    if description.rule == BY_COLUMN:
        meaning = {text: SPLITS[split] for split in SPLITS for text in description.split[split]}
        found.append((SPLIT, description.split["column"], partial(_split_number, meaning=meaning)))
    return found


def _parser(column: OwnColumn, description: Description) -> Parse:
    if column.kind == NUMERIC:
        return _number
    if column.kind == TIME:
        return partial(_times, of=column, required=description.rule == TIME)
    if column.kind == WEIGHT:
        return _weight
    if column.kind in (MULTI, SEQUENCE):
        return partial(_list, separator=column.options["separator"])
    return _category


def _label(task: Task) -> Parse:
    if KINDS.get(task.kind) is not None and KINDS[task.kind].is_binary:
        return _binary
    return _logged if task.transform is Transform.LOG1P else _number


def _category(values: pl.Series) -> pl.Series:
    return categories(f"column {values.name!r}", values, len(values))


def _number(values: pl.Series) -> pl.Series:
    """(R,) finite float64; NaN is missing."""
    dtype = values.dtype
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Null)):
        raise Fault(None, f"expected numbers, found polars' {dtype}")
    numbers = values.cast(pl.Float64, strict=False)
    _refuse(values, numbers.is_null() & values.is_not_null(), "a number")
    _refuse(values, numbers.is_infinite(), "a finite number")
    return numbers.fill_nan(None)


def _binary(values: pl.Series) -> pl.Series:
    """(R,) 0 or 1."""
    if values.dtype == pl.String:
        found = values.str.to_lowercase().replace_strict(_BINARY, default=None, return_dtype=pl.Float64)
    else:
        numbers = _number(values)
        found = numbers.set((numbers != 0) & (numbers != 1), None)
        values = values.fill_nan(None) if values.dtype.is_float() else values
    _refuse(values, found.is_null() & values.is_not_null(), "0 or 1, or nothing where it was not observed")
    return found


def _logged(values: pl.Series) -> pl.Series:
    numbers = _number(values)
    _refuse(values, numbers <= -1, "a number above -1, of which log1p is finite")
    return numbers.log1p()


def _weight(values: pl.Series) -> pl.Series:
    numbers = _number(values)
    _refuse(values, (numbers < 0) | numbers.is_null(), "a weight of at least 0")
    return numbers


def _times(values: pl.Series, of: OwnColumn, *, required: bool) -> pl.Series:
    if required:
        _refuse(values, values.is_null(), "a time, by which the rows are split")
    return parse_times(values, of.options["unit"], of.options["format"])


def parse_times(values: pl.Series, unit: str, form: str | None) -> pl.Series:
    """(R,) int64, microseconds since 1970.

    Args:
        values: Numbers, texts, or dates.
        unit: The unit of numbers, a key of `UNITS`.
        form: The form of texts, as strptime has it; None: ISO 8601, or numbers.

    Raises:
        Fault: for any other value.
    """
    dtype = values.dtype
    if dtype == pl.Date or dtype.base_type() == pl.Datetime:
        found = values.cast(pl.Datetime("us")).cast(pl.Int64)
    elif form is not None:
        texts = values.cast(pl.String)
        found = _coalesced(texts, (form,))
        _refuse(values, found.is_null() & values.is_not_null(), f"a time of the form {form!r}")
    else:
        numbers = values.cast(pl.Float64, strict=False)
        found = (numbers * UNITS[unit]).cast(pl.Int64, strict=False)
        if dtype == pl.String and found.null_count() > values.null_count():
            texts = values.str.replace("T", " ", literal=True).str.replace(r"(Z|[+-]00:?00)$", "")
            found = pl.select(pl.coalesce(found, _coalesced(texts, _DATES))).to_series()
        _refuse(values, found.is_null() & values.is_not_null(), _ISO)
    return found


def _coalesced(texts: pl.Series, forms: tuple[str, ...]) -> pl.Series:
    """Times in microseconds, by the first form that a text has; null where it has none."""
    frame = texts.to_frame("text")
    text = pl.col("text")
    times = [
        text.str.to_datetime(form, strict=False, time_unit="us")
        if any(part in form for part in ("%H", "%I", "%T", "%R", "%s", "%+"))
        else text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        for form in forms
    ]
    return frame.select(pl.coalesce(times).dt.epoch("us")).to_series()


def _split_number(values: pl.Series, meaning: dict[str, int]) -> pl.Series:
    """(R,) int8 of TRAIN, VALIDATION and TEST."""
    found = values.cast(pl.String).replace_strict(meaning, default=None, return_dtype=pl.Int8)
    _refuse(values, found.is_null(), f"{', '.join(map(repr, meaning))} (split)")
    return found


def _list(values: pl.Series, separator: str | None) -> pl.Series:
    """(R,) lists of texts or integers without empty ones; null where all is missing."""
    if values.dtype.base_type() not in (pl.List, pl.Array):
        if separator is None:
            raise Fault(None, "expected lists, found single values; write the key separator")
        texts = values.cast(pl.String)
        parts = texts.str.split(separator).list.eval(pl.element().str.strip_chars())
        values = parts.list.eval(pl.element().filter(pl.element() != ""))
    else:
        inner: Any = values.dtype
        if not (inner.inner.is_integer() or inner.inner.base_type() in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
            raise Fault(None, f"expected lists of text or whole numbers, found lists of {inner.inner}")
        to = pl.Int64 if inner.inner.is_integer() else pl.String
        values = values.cast(pl.List(to)).list.drop_nulls()
    return values


def _refuse(values: pl.Series, wrong: pl.Series, expected: str) -> None:
    """Raises the fault of the first row that is wrong."""
    row = wrong.fill_null(value=False).arg_max()
    if row is not None and wrong[row]:
        found = values[row]
        raise Fault(row, f"expected {expected}, found {found!r}")


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
