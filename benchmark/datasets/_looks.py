"""How the columns of an unknown table look, in a sample of its rows: what `mtlbench data describe` decides from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from benchmark.datasets._fault import Fault
from benchmark.datasets._lines import header_of, undecodable
from benchmark.datasets._own_files import PARQUET, damaged
from benchmark.datasets._own_times import UNITS, parse_times
from benchmark.datasets.text import read_text

MOST_ROWS = 200_000
_SEPARATORS = (",", "\t", ";", "|")
_LIST_SEPARATORS = ("|", ";", ",", " ")
_MISSING = ("NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "\\N", "?", "-")
_REPEATS = 10  # rows beyond one a user, below which nothing is said of what is constant within users
_EPOCHS = {"s": (10**8, 42 * 10**8), "ms": (10**11, 42 * 10**11), "us": (10**14, 42 * 10**14)}


@dataclass(frozen=True)
class Look:
    """One column of the sample.

    Args:
        name: Its name.
        values: (R,) as text, without texts that mean missing; lists of Parquet as they are.
        missing_texts: The texts that mean missing here.
    """

    name: str
    values: pl.Series
    missing_texts: tuple[str, ...] = ()

    @cached_property
    def words(self) -> list[str]:
        """The words of its name, in lower case: `isClicked` and `is_clicked` have two."""
        split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name)
        return [word for word in re.split(r"[\W_]+", split.lower()) if word]

    @cached_property
    def known(self) -> pl.Series:
        """The values that are not missing."""
        return self.values.drop_nulls()

    @cached_property
    def missing(self) -> float:
        """The share that is missing."""
        return self.values.null_count() / max(len(self.values), 1)

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return self.known.n_unique() if not self.is_list else 0

    @property
    def has_fractions(self) -> bool:
        """Are these lists of numbers, such as vectors?"""
        inner: Any = self.values.dtype
        return self.is_list and (inner.inner.is_float() or inner.inner.is_nested())

    @property
    def is_list(self) -> bool:
        """Does Parquet hold lists?"""
        return self.values.dtype.base_type() == pl.List

    @cached_property
    def numbers(self) -> pl.Series | None:
        """(R,) float64 if all that is known are numbers."""
        if self.is_list or not len(self.known):
            return None
        numbers = self.values.cast(pl.Float64, strict=False)
        return None if numbers.null_count() > self.values.null_count() else numbers

    @cached_property
    def is_whole(self) -> bool:
        """Are all that are known whole numbers?"""
        return self.numbers is not None and self.known.str.contains(r"^-?\d+$").all()

    @cached_property
    def is_binary(self) -> bool:
        """Is it 0 and 1, or true and false?"""
        found = set(self.known.str.to_lowercase().unique()) if self.distinct == 2 else set()
        return found in ({"0", "1"}, {"0.0", "1.0"}, {"false", "true"})

    @cached_property
    def ones(self) -> pl.Series:
        """(R,) where a binary column is 1."""
        return self.values.str.to_lowercase().is_in(["1", "1.0", "true"])

    @cached_property
    def time(self) -> str | None:
        """How it would be a time: `text`, a unit of numbers, `%Y%m%d`; None if it would not."""
        if self.is_list or not len(self.known):
            return None
        if self.numbers is None:
            try:
                parse_times(self.values, "s", None)
            except Fault:
                return None
            return "text"
        every = self.numbers.drop_nulls().to_numpy()
        low, high = every.min(), every.max()
        if self.is_whole and self.known.str.contains(r"^(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])$").all():
            return "%Y%m%d"
        return next((unit for unit in UNITS if _EPOCHS[unit][0] <= low and high <= _EPOCHS[unit][1]), None)

    @cached_property
    def list_separator(self) -> str | None:
        """What separates several values at once, where they come from a vocabulary; None if there is one value each."""
        if self.is_list or self.numbers is not None or self.distinct < 3:
            return None
        for separator in _LIST_SEPARATORS:
            has = self.known.str.contains(separator, literal=True)
            if has.sum() < 0.1 * len(has):
                continue
            parts = self.parts(separator)
            is_code = separator != " " or parts.str.contains(r"^[\w:-]+$").all()  # and no free text
            if is_code and parts.n_unique() <= max(self.distinct // 2, 30) and parts.n_unique() < len(parts) / 3:
                return separator
        return None

    def parts(self, separator: str | None) -> pl.Series:
        """All single values of its lists."""
        lists = self.known if self.is_list else self.known.str.split(separator or "|")
        parts = lists.explode().cast(pl.String).str.strip_chars().drop_nulls()
        return parts.filter(parts != "")

    @cached_property
    def examples(self) -> str:
        """A few values, the most frequent first."""
        if self.is_list:
            return ", ".join(str(value.to_list()) for value in self.known.head(2))
        counts = self.known.value_counts(sort=True).head(3)[self.name].to_list()
        return ", ".join(text if len(text) <= 24 else f"{text[:23]}…" for text in sorted(counts))


@dataclass(frozen=True)
class Sample:
    """The first rows of a table.

    Args:
        files: The files.
        separator, encoding: How text files are written.
        columns: How each one looks, by name.
        rows: How many rows were read.
        is_whole: Are there no more?
    """

    files: tuple[Path, ...]
    separator: str
    encoding: str
    columns: dict[str, Look]
    rows: int
    is_whole: bool
    _constant: dict[str, set[str]] = field(default_factory=dict)

    @property
    def missing_texts(self) -> list[str]:
        """The texts that mean missing in some column."""
        return sorted({text for look in self.columns.values() for text in look.missing_texts})

    def constant_within(self, name: str | None) -> set[str]:
        """The columns that have one value for each value of this one; none if too few of its values come twice."""
        if name is None:
            return set()
        if name not in self._constant:
            others = [look for look in self.columns.values() if look.name != name and not look.is_list]
            frame = pl.DataFrame({"_key": self.columns[name].values, **{look.name: look.values for look in others}})
            if self.rows - self.columns[name].distinct < _REPEATS:
                self._constant[name] = set()
            else:
                most = frame.group_by("_key").agg(pl.exclude("_key").n_unique()).drop("_key").max()
                self._constant[name] = {look.name for look in others if most[look.name][0] == 1 and look.distinct > 1}
        return self._constant[name]


def look(paths: Sequence[Path], most: int = MOST_ROWS) -> Sample:
    """Reads the first rows of each file.

    Raises:
        FileNotFoundError: for a path without a file.
        ValueError: for a file that cannot be read, has no line of names, or has other columns than the first.
    """
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}")
    encoding, separator = "utf8", ","
    if not _is_parquet(paths[0]):
        encoding = _encoding_of(paths[0], most)
        separator = _separator_of(paths[0], encoding)
    frames = [_first_rows(path, separator, encoding, most // len(paths)) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.columns != frames[0].columns:
            other = sorted({*frame.columns} ^ {*frames[0].columns})
            raise ValueError(
                f"{path}: expected the columns of {paths[0]}, found a difference: {', '.join(other) or 'their order'}"
            )
    whole = pl.concat(frames, how="vertical_relaxed")
    if not len(whole):
        raise ValueError(f"{paths[0]}: expected rows, found only a line of names")
    is_whole = all(len(frame) < most // len(paths) for frame in frames)
    columns = {column.name: _look(column) for column in whole}
    return Sample(tuple(paths), separator, encoding, columns, len(whole), is_whole)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _encoding_of(path: Path, most: int) -> str:
    """utf8, or latin-1 where the first rows are not that."""
    try:
        return "utf8" if undecodable(path, separator=",", encoding="utf8", most=most) is None else "latin-1"
    except (EOFError, OSError):  # a damaged file; reading it says so
        return "utf8"


def _separator_of(path: Path, encoding: str) -> str:
    """The separator that makes the most names of the first line."""
    return max(_SEPARATORS, key=lambda separator: len(header_of(path, separator=separator, encoding=encoding)))


def _first_rows(path: Path, separator: str, encoding: str, most: int) -> pl.DataFrame:
    if _is_parquet(path):
        try:
            frame = pl.scan_parquet(path, glob=False, hive_partitioning=False).head(most).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValueError(damaged(path, error)) from None
        return pl.DataFrame([_as_text(column) for column in frame])
    names = header_of(path, separator=separator, encoding=encoding)
    numeric = [name for name in names if re.fullmatch(r"-?[\d.]+|", name)]
    if len(numeric) > len(names) / 2 or len(set(names)) < len(names):
        raise ValueError(
            f"{path}: line 1: expected the names of the columns, each once, found {', '.join(names[:6])}; put a line of names "
            "at the top"
        )
    types: Any = dict.fromkeys(names, pl.String)
    return read_text(path, types, separator=separator, encoding=encoding, nullable=tuple(names), most=most)


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.base_type() == pl.Datetime:
        column = column.cast(pl.Datetime("us"))  # in UTC, as it is read
    if column.dtype.is_float():
        column = column.fill_nan(None)  # as it is read
    return column if column.dtype.base_type() == pl.List else column.cast(pl.String)


def _look(column: pl.Series) -> Look:
    """The column without the texts that keep it from being numbers and mean missing."""
    plain = Look(column.name, column)
    if plain.is_list or (plain.numbers is not None and not plain.numbers.is_nan().any()):
        return plain
    texts = tuple(_texts_for_missing(column))
    if texts:
        without = Look(column.name, column.set(column.is_in(texts), None), texts)
        if without.numbers is not None:
            return without
    return plain


def _texts_for_missing(column: pl.Series) -> Iterator[str]:
    found = set(column.filter(column.is_in(_MISSING)).unique())
    yield from (text for text in _MISSING if text in found)
