"""Vocabularies, bins and scales, fitted on the train rows only, in pieces; R rows, P of a piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl

from benchmark.datasets.table import TRAIN, Table, number_categories
from benchmark.pieces import Moments, moments, on_disk, pieces
from benchmark.schema import Arrays, CategoricalField, NumericField, OtherField
from benchmark.text import unknown

MAX_BINS = 40  # of a numeric column, beside those of zero and of missing
ZERO_SHARE = 0.2  # where more of train than this is zero, zero is a bin of its own
TREATMENTS = ("bins", "standardise", "raw")

PerColumn = int | None | Mapping[str, int]
"""One number for all categorical columns, or numbers for some of them by name."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """How columns become fields; see `prepare`.

    Raises:
        ValueError: for an unknown treatment of numbers, or a number that is too small.
    """

    numeric: str = "bins"
    min_frequency: PerColumn = 1
    hash_buckets: PerColumn = None

    def __post_init__(self) -> None:
        if self.numeric not in TREATMENTS:
            raise ValueError(f"dataset.numeric must be one of {', '.join(TREATMENTS)}, found {self.numeric!r}")
        for name, least in (("min_frequency", 1), ("hash_buckets", 2)):
            setting = getattr(self, name)
            for number in setting.values() if isinstance(setting, Mapping) else (setting,):
                if number is not None and number < least:
                    raise ValueError(f"dataset.{name} must be at least {least}, found {number}")

    def of(self, name: str, user: str | None) -> tuple[int, int | None]:
        """The least frequency in a column, and the number of its buckets."""
        frequency, buckets = self.min_frequency, self.hash_buckets
        if isinstance(frequency, Mapping):
            frequency = frequency.get(name, 1)
        if isinstance(buckets, Mapping):
            buckets = buckets.get(name)
        elif name == user:
            buckets = None
        return frequency or 1, buckets

    def check(self, table: Table, user: str | None) -> None:
        """Refuses settings of columns that are not there, and buckets of users.

        Raises:
            ValueError: with the names.
        """
        for setting in (self.min_frequency, self.hash_buckets):
            for name in setting if isinstance(setting, Mapping) else ():
                known = [*table.categorical, *(other.name for other in table.others if other.shares is None)]
                if name not in known:
                    raise ValueError(unknown("categorical column", name, known))
        if isinstance(self.hash_buckets, Mapping) and user in self.hash_buckets:
            raise ValueError(
                f"hash_buckets: column {user!r} has the users, whom metrics tell apart by their codes; give it a min_frequency"
            )


@dataclass(frozen=True, slots=True)
class FittedColumn:
    """A categorical or numeric field as a model sees it.

    Args:
        field: As train makes it.
        origin: The column of the table that it is made of.
        of: Makes (P,) int32 codes or float32 numbers of a piece of that column.
        vocabulary: For a field with codes, the values behind the numbers from 1 on (None: missing); otherwise None.
    """

    field: CategoricalField | NumericField
    origin: str
    of: Callable[[Any], np.ndarray]
    vocabulary: list[Any] | None = None


def fitted(
    table: Table, treatment: Treatment, *, user: str | None = None, folder: Path | None = None
) -> Iterator[FittedColumn]:
    """The categorical fields, those of bins among them, and the numeric ones.

    Args:
        table: The parsed columns.
        treatment: How they become fields.
        user: The column of users.
        folder: Where the numbers of a column are kept meanwhile; see `on_disk`.

    Raises:
        ValueError: if a numeric column has an infinite value, or its bins the name of another column.
    """
    binned = treatment.numeric == "bins"
    treatment.check(table, user)
    for name in table.numeric if binned else ():
        if f"{name}_bin" in (*table.columns, *table.labels):
            raise ValueError(
                f"column '{name}_bin': numeric=bins makes a field of this name of the numeric column {name!r}; rename one of "
                "the two, or take numeric=standardise or raw"
            )
    bins, scales = {}, {}
    for name, values in table.numeric.items():
        seen = _seen(name, values, table.split, folder)
        scales[name] = Scale.fit(seen, standardise=treatment.numeric != "raw")
        if binned:
            bins[name] = Bins.fit(seen)
    for name in table.categorical:
        frequency, buckets = treatment.of(name, user)
        yield _categorical(name, name, Vocabulary.fit(table, name, min_frequency=frequency, buckets=buckets))
    for name in bins:
        yield _categorical(f"{name}_bin", name, bins[name])
    for name in scales:
        yield FittedColumn(NumericField(name), name, scales[name])


@dataclass(frozen=True, slots=True)
class Numbers:
    """How categorical fields are numbered, for columns of other kinds: see `benchmark.numbering.Numbering`.

    Args:
        known: The vocabularies of the categorical columns.
        treatment: How columns become fields.
    """

    known: Mapping[str, Vocabulary]
    treatment: Treatment

    def fit(self, name: str, train: Iterable[pl.Series]) -> tuple[Vocabulary, list[Any]]:
        """See `Numbering.fit`."""
        frequency, buckets = self.treatment.of(name, None)
        made = Vocabulary.of(train, min_frequency=frequency, buckets=buckets)
        return made, made.names

    def of(self, field: str) -> tuple[Callable[[pl.Series], np.ndarray], int]:
        """See `Numbering.of`."""
        vocabulary = self.known[field]

        def code(column: pl.Series) -> np.ndarray:
            if vocabulary.buckets is not None or column.dtype == vocabulary.values.dtype:
                return vocabulary(column)
            # text and whole numbers that read alike are alike
            return replace(vocabulary, values=vocabulary.values.cast(pl.String))(column.cast(pl.String))

        return code, len(vocabulary.names) + 1


def fit_other(
    other: OtherField, values: Any, train: np.ndarray, numbers: Numbers
) -> tuple[OtherField, Iterator[tuple[slice, Arrays]], list[Any] | None]:
    """What `fit_in_pieces` of a column of another kind gives; each piece with its rows.

    Raises:
        ValueError: if the column has another number of rows.
    """

    def check(found: int) -> None:
        if found != len(train):
            raise ValueError(
                f"column {other.name!r}: expected {len(train)} values, one for each row of `split`, found {found}"
            )

    check(len(values))
    made, parts, vocabulary = other.fit_in_pieces(values, train, numbers)

    def with_rows() -> Iterator[tuple[slice, Arrays]]:
        start = 0
        for arrays in parts:
            stop = start + made.num_rows(arrays)
            yield slice(start, stop), arrays
            start = stop
        check(start)

    return made, with_rows(), vocabulary


def _categorical(name: str, origin: str, codes: Vocabulary | Bins) -> FittedColumn:
    return FittedColumn(CategoricalField(name, len(codes.names) + 1), origin, codes, codes.names)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Numbers categories: train's values in their order from 1 on, then missing; 0 is what train does not have, or rarely.

    Rare values share number 0 with values that train lacks. So training moves the embedding of an unseen value too, to what
    rare values are like.

    Args:
        values: The values with numbers of their own; with buckets, theirs.
        has_missing: Has null a number?
        buckets: Values are hashed into this many buckets first; None: they are not.
    """

    values: pl.Series
    has_missing: bool
    buckets: int | None = None

    @classmethod
    def fit(cls, table: Table, name: str, *, min_frequency: int = 1, buckets: int | None = None) -> Vocabulary:
        """Fitted on a categorical column in train; see `of`.

        Args:
            table: The parsed columns.
            name: The column's name.
            min_frequency: As in `of`.
            buckets: As in `of`.
        """
        parts = pieces(len(table.split))
        seen = (table.series(name, part).filter(pl.Series(table.split[part] == TRAIN)) for part in parts)
        return cls.of(seen, min_frequency=min_frequency, buckets=buckets)

    @classmethod
    def of(cls, parts: Iterable[pl.Series], *, min_frequency: int = 1, buckets: int | None = None) -> Vocabulary:
        """Fitted on all values of train.

        Args:
            parts: The values, in pieces, at least one.
            min_frequency: Values that come fewer times are rare.
            buckets: Where train has more values than this, they are hashed into this many buckets, and each bucket is a value.
        """
        hashes_to: int | None = None
        counted: list[pl.DataFrame] = []
        for seen in parts:
            new = pl.DataFrame({"value": seen if hashes_to is None else hashed(seen, hashes_to)})
            counted = [_added(*counted, new.with_columns(rows=pl.lit(1, pl.Int64)))]
            if buckets and hashes_to is None and len(counted[0].drop_nulls()) > buckets:
                hashes_to = buckets
                counted = [_added(counted[0].with_columns(value=hashed(counted[0]["value"], buckets)))]
        known = counted[0].filter(pl.col("rows") >= min_frequency)["value"]
        return cls(known.drop_nulls().sort(), known.null_count() > 0, hashes_to)

    @property
    def names(self) -> list[Any]:
        """What the numbers from 1 on stand for; None: missing."""
        return self.values.to_list() + [None] * self.has_missing

    def __call__(self, column: pl.Series) -> np.ndarray:
        """(P,) int32 of (P,) strings or integers."""
        if self.buckets is not None:
            column = hashed(column, self.buckets)
        return number_categories(column, self.values, missing=len(self.values) + 1 if self.has_missing else 0)


def _added(*counts: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(counts).group_by("value").agg(pl.col("rows").sum())


def hashed(column: pl.Series, buckets: int) -> pl.Series:
    """(P,) the bucket of each value, from 0 on, by CRC-32 of its text; null stays null."""
    values = column.drop_nulls().unique()
    places = [crc32(value.encode()) % buckets for value in values.cast(pl.String)]
    numbers = pl.Series(places, dtype=pl.Int64)
    return column.replace_strict(values, numbers, default=None, return_dtype=pl.Int64)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The numbers of a column that train has, on disk, how many it lacks, and their moments before anybody sorted them."""

    values: np.ndarray
    missing: int
    moments: Moments


def _seen(name: str, column: Any, split: np.ndarray, folder: Path | None) -> _Seen:
    kept, count, missing = on_disk((len(split),), np.float64, folder), 0, 0
    for part in pieces(len(split)):
        values = column[part]
        if np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            raise ValueError(
                f"column {name!r}: expected finite numbers, or NaN where missing, found {values[row]} in row {part.start + row}"
            )
        train = values[split[part] == TRAIN]
        known = train[~np.isnan(train)]
        kept[count : count + len(known)] = known
        count, missing = count + len(known), missing + len(train) - len(known)
    values = kept[:count]
    return _Seen(values, missing, moments(lambda: (values[part] for part in pieces(count))))


@dataclass(frozen=True, slots=True)
class Bins:
    """Numbers the train quantile bins of a numeric column, then those of zero and of missing where train has them.

    Args:
        edges: Between the bins.
        zero: The number of zero's own bin; 0: it has none.
        missing: The same for NaN.
        names: The names of the bins from 1 on; None: missing.
    """

    edges: np.ndarray
    zero: int
    missing: int
    names: list[Any] = field(default_factory=list)

    @classmethod
    def fit(cls, seen: _Seen) -> Bins:
        """Fitted on train, whose numbers it sorts."""
        zeros = sum(int((seen.values[part] == 0).sum()) for part in pieces(len(seen.values)))
        own_zero = zeros > ZERO_SHARE * (len(seen.values) + seen.missing)
        rest, edges = _without_zeros(seen.values) if own_zero else seen.values, np.empty(0)
        if len(rest):
            # quantiles among the values themselves: between two of them an edge would make an empty bin
            levels = np.linspace(0, 1, MAX_BINS + 1)[1:-1]
            edges = np.unique(np.quantile(rest, levels, method="higher", overwrite_input=True))
            edges = edges[edges > rest.min()]
        names: list[Any] = [f"[{low:g}, {high:g})" for low, high in pairwise([-np.inf, *edges, np.inf])]
        names += ["0"] * own_zero
        zero = len(names) * own_zero
        names += [None] * bool(seen.missing)
        return cls(edges, zero, len(names) * bool(seen.missing), names)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(P,) int32 of (P,) float64."""
        codes = np.searchsorted(self.edges, values, side="right").astype(np.int32) + np.int32(1)
        if self.zero:
            codes[values == 0] = self.zero
        codes[np.isnan(values)] = self.missing
        return codes


def _without_zeros(values: np.ndarray) -> np.ndarray:
    count = 0
    for part in pieces(len(values)):
        rest = values[part][values[part] != 0]
        values[count : count + len(rest)] = rest
        count += len(rest)
    return values[:count]


@dataclass(frozen=True, slots=True)
class Scale:
    """The column with train's mean where it is missing, and standardised on train if asked for.

    A column that is constant in train is only centred: its computed deviation is rounding error, and need not be 0.
    """

    mean: float
    std: float | None

    @classmethod
    def fit(cls, seen: _Seen, *, standardise: bool) -> Scale:
        """Fitted on train."""
        found = seen.moments
        varies = found.least < found.most and found.std > 0
        return cls(found.mean, (found.std if varies else 1.0) if standardise else None)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(P,) float32 of (P,) float64."""
        filled = np.where(np.isnan(values), self.mean, values)
        return (filled if self.std is None else (filled - self.mean) / self.std).astype(np.float32)
