"""Columns whose rows are lists: multi-valued fields (genres, tags) and sequences (what a user saw last).

A column of R rows is stored as the codes of all its E entries, one row's after another's, and R + 1 `bounds` between them.
So a row takes as much room as it has entries, and an empty one takes none. Code 0 is 'unseen in train'.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from benchmark import pieces as module_of_pieces
from benchmark.numbering import Numbering
from benchmark.pieces import pieces
from benchmark.rows import joined
from benchmark.schema import Arrays, OtherField, Schema, column_kind

if TYPE_CHECKING:
    from torch import nn

_LISTS = "expected lists of text or whole numbers, null or [] where there is nothing"
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio


@dataclass(frozen=True)
class ListField(OtherField):
    """A column of lists of any length. Its values are a polars series of lists; null is an empty list, and null entries are dropped.

    Args:
        cardinality: The codes of its entries are in [0, cardinality). `fit` sets it.
    """

    cardinality: int = 0
    stored: ClassVar[tuple[str, ...]] = ("codes", "bounds")

    def content(self, values: Any) -> bytes:
        """See `OtherField.content`: text and whole numbers that read alike are alike."""
        return b"".join(self.contents(values))

    def contents(self, values: Any) -> Iterator[bytes]:
        """See `OtherField.contents`: how long each list is, all values, and the number of each entry among these."""
        column, found = self._column(values), list[pl.Series]()
        for _, some in _cut(column):
            every, lengths = self._flat(some)
            found = [pl.concat([*found, every.unique()]).unique()]
            yield lengths.astype("<i8").tobytes()
        known = found[0].gather(found[0].cast(pl.String).arg_sort())
        yield b"\x1e" + "\x1f".join(known.cast(pl.String)).encode() + b"\x1e"
        numbers = pl.Series(range(len(known)), dtype=pl.Int32)
        for _, some in _cut(column) if len(known) else ():
            codes = self._flat(some)[0].replace_strict(known, numbers, return_dtype=pl.Int32)
            yield codes.to_numpy().astype("<i4").tobytes()

    def fit(self, values: Any, train: np.ndarray, numbering: Numbering) -> tuple[Self, Arrays, list[Any] | None]:
        """See `OtherField.fit`."""
        fitted, parts, vocabulary = self.fit_in_pieces(values, train, numbering)
        return fitted, joined(self, parts), vocabulary

    def fit_in_pieces(
        self, values: Any, train: np.ndarray, numbering: Numbering
    ) -> tuple[Self, Iterator[Arrays], list[Any] | None]:
        """See `OtherField.fit_in_pieces`."""
        column = self._column(values)
        fitted, code, vocabulary = self._numbered(column, train, numbering)

        def parts() -> Iterator[Arrays]:
            for _, some in _cut(column):
                every, lengths = self._flat(some, self.longest)
                yield {"codes": code(every), "bounds": np.append(np.int64(0), np.cumsum(lengths))}

        return fitted, parts(), vocabulary

    @abstractmethod
    def _numbered(
        self, column: Any, train: np.ndarray, numbering: Numbering
    ) -> tuple[Self, Callable[[pl.Series], np.ndarray], list[Any] | None]:
        """The fitted field, what makes codes of its entries, and what these mean, if they are its own."""

    def appended(self, arrays: Arrays, lengths: dict[str, int]) -> Arrays:
        """See `OtherField.appended`."""
        if not lengths["bounds"]:
            return arrays
        return {"codes": arrays["codes"], "bounds": arrays["bounds"][1:] + lengths["codes"]}

    def check(self, arrays: Arrays, what: str) -> None:
        """See `OtherField.check`."""
        codes, bounds = arrays["codes"], arrays["bounds"]
        shortest, longest = _extremes(bounds)
        if bounds[0] != 0 or bounds[-1] != len(codes) or shortest < 0:
            raise ValueError(
                f"{what}: field {self.name!r}: bounds must rise from 0 to the number of codes, {len(codes)}, found "
                f"{bounds[0]} to {bounds[-1]}"
            )
        least, most = (int(codes.min()), int(codes.max())) if len(codes) else (0, 0)
        if not 0 <= least <= most < self.cardinality:
            raise ValueError(
                f"{what}: field {self.name!r} has codes 0 to {self.cardinality - 1}, found {least if least < 0 else most} "
                "(0: unseen in train)"
            )
        if self.longest is not None and longest > self.longest:
            raise ValueError(
                f"{what}: field {self.name!r} has at most {self.longest} entries a row, found {longest}; keep the last ones"
            )

    @property
    def longest(self) -> int | None:
        """The most entries of a row; None: any number."""
        return None

    def usual(self, arrays: Arrays) -> Arrays:
        """The most frequent list."""
        counted = list[pl.DataFrame]()
        for part in pieces(self.num_rows(arrays)):
            keys = self.key(self.cut(arrays, part.start, part.stop))[:, 0]
            known, first, counts = np.unique(keys, return_index=True, return_counts=True)
            new = pl.DataFrame({"key": known, "first": first + part.start, "count": counts})
            counted = [pl.concat([*counted, new]).group_by("key").agg(pl.col("first").min(), pl.col("count").sum())]
        best = counted[0].sort("count", "key", descending=[True, False])
        return self.take(arrays, best["first"][:1].to_numpy())

    def key(self, arrays: Arrays) -> np.ndarray:
        """(R, 1) uint64: a hash of each row's entries, by `_mixed`, and of their number."""
        keys = np.empty((self.num_rows(arrays), 1), np.uint64)
        for part in pieces(len(keys), _size()):
            some = self.cut(arrays, part.start, part.stop)
            bounds, codes = np.asarray(some["bounds"]), np.asarray(some["codes"])
            sums = np.append(np.uint64(0), np.cumsum(self._mixed(codes, bounds)))[bounds]
            keys[part, 0] = np.diff(sums) + _scrambled(np.diff(bounds).astype(np.uint64))
        return keys

    def _mixed(self, codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """(E,) uint64 whose sum tells a row from others: by default, the order of its entries does not matter."""
        return _scrambled(codes.astype(np.uint64) + np.uint64(1))

    def num_rows(self, arrays: Arrays) -> int:
        """See `OtherField.num_rows`."""
        return len(arrays["bounds"]) - 1

    def take(self, arrays: Arrays, index: Any) -> Arrays:
        """See `OtherField.take`: one gather of the entries of all rows."""
        bounds: Any = arrays["bounds"]
        taken: Any
        places: Any
        starts = bounds[index]
        lengths = bounds[index + 1] - starts
        if isinstance(bounds, np.ndarray):
            taken = np.append(np.int64(0), np.cumsum(lengths))
            places = np.arange(taken[-1]) + np.repeat(starts - taken[:-1], lengths)
        else:
            import torch

            taken = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
            shift = torch.repeat_interleave(starts - taken[:-1], lengths)
            places = torch.arange(len(shift), device=shift.device) + shift
        return {"codes": arrays["codes"][places], "bounds": taken}

    def cut(self, arrays: Arrays, start: int, stop: int) -> Arrays:
        """See `OtherField.cut`."""
        bounds = arrays["bounds"][start : stop + 1]
        if not len(bounds):
            return {"codes": arrays["codes"][:0], "bounds": arrays["bounds"][:1] * 0}
        return {"codes": arrays["codes"][int(bounds[0]) : int(bounds[-1])], "bounds": bounds - bounds[0]}

    def _column(self, values: Any) -> Any:
        """What a slice gives a polars series of."""
        if not isinstance(values, list | tuple | np.ndarray):
            return values
        try:
            return pl.Series(values)
        except (TypeError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"column {self.name!r}: {_LISTS}, found {str(error).splitlines()[0]}") from None

    def _flat(self, column: pl.Series, most: int | None = None) -> tuple[pl.Series, np.ndarray]:
        """All entries (E,) and the number of each row's (R,); with `most`, only the last ones of a row."""
        if column.dtype == pl.Null:
            column = column.cast(pl.List(pl.String))
        inner: Any = getattr(column.dtype, "inner", None)
        if inner in (pl.Null, pl.Categorical, pl.Enum):
            column = column.cast(pl.List(pl.String))
        elif not isinstance(column.dtype, pl.List) or not (inner == pl.String or inner.is_integer()):
            raise ValueError(f"column {self.name!r}: {_LISTS}, found {column.dtype}")
        column = column.list.drop_nulls()
        if most is not None:
            column = column.list.tail(most)
        return column.explode().drop_nulls(), column.list.len().fill_null(0).to_numpy().astype(np.int64)


@column_kind("multi")
@dataclass(frozen=True)
class MultiValuedField(ListField):
    """A column of several values in each row, in no order: genres, tags. They have an embedding table of their own.

    Args:
        pooling: The `mean` of a row's embeddings, or their `sum`. The run sets it, see `pooled`.
    """

    pooling: str = field(default="mean", kw_only=True, compare=False)

    def _numbered(
        self, column: Any, train: np.ndarray, numbering: Numbering
    ) -> tuple[Self, Callable[[pl.Series], np.ndarray], list[Any]]:
        """Its values are numbered as those of a categorical field."""
        seen = (self._flat(some.filter(pl.Series(train[part])))[0] for part, some in _cut(column))
        code, vocabulary = numbering.fit(self.name, seen)
        return dataclasses.replace(self, cardinality=len(vocabulary) + 1), code, vocabulary

    def embedding(self, dim: int) -> nn.Module:
        """See `OtherField.embedding`."""
        from benchmark.pooling import BagEmbedding

        return BagEmbedding(self.cardinality, dim, is_mean=self.pooling == "mean")


@column_kind("sequence")
@dataclass(frozen=True, kw_only=True)
class SequenceField(ListField):
    """A column of values in the order of time, the most recent last: the items that a user saw.

    Its codes are those of a categorical field, whose embedding table it shares.

    Args:
        of: The name of this categorical field.
        max_length: Each row keeps this many entries, the last ones; None: all.
        pooling: The `mean` of a row's embeddings, or `attention` of its own value of `of`. The run sets it, see `pooled`.

    Raises:
        ValueError: if `max_length` is below 1.
    """

    of: str
    max_length: int | None = None
    pooling: str = field(default="mean", compare=False)

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"field {self.name!r}: max_length must be at least 1, found {self.max_length}")

    @property
    def shares(self) -> str:
        """See `OtherField.shares`."""
        return self.of

    def _numbered(
        self, column: Any, train: np.ndarray, numbering: Numbering
    ) -> tuple[Self, Callable[[pl.Series], np.ndarray], None]:
        code, cardinality = numbering.of(self.of)
        return dataclasses.replace(self, cardinality=cardinality), code, None

    @property
    def longest(self) -> int | None:
        """See `ListField.longest`."""
        return self.max_length

    def _mixed(self, codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        place = np.arange(len(codes)) - np.repeat(bounds[:-1], np.diff(bounds))
        return _scrambled(codes.astype(np.uint64) * _ODD + place.astype(np.uint64) + np.uint64(1))

    def embedding(self, dim: int) -> nn.Module:
        """See `OtherField.embedding`."""
        from benchmark.pooling import AttentionPooling, SequencePooling

        return AttentionPooling(dim) if self.pooling == "attention" else SequencePooling(dim)


def pooled(schema: Schema, *, multi: str = "mean", sequence: str = "mean") -> Schema:
    """The schema as a model is built from it, with the pooling of its lists. It is equal to the schema, whose rows fit it.

    Args:
        schema: That of the data.
        multi: mean or sum, of multi-valued fields.
        sequence: mean or attention, of sequences.

    Raises:
        ValueError: if one of them is not the default, and the schema has no such field for it to change.
    """
    for kind, key, pooling, have in (
        (MultiValuedField, "multi", multi, "multi-valued field, such as genres or tags"),
        (SequenceField, "sequence", sequence, "sequence, such as a user's history"),
    ):
        if pooling != "mean" and not any(isinstance(other, kind) for other in schema.others):
            raise ValueError(
                f"embedding.{key}={pooling} changes nothing here, since these data have no {have}; leave it out, or choose "
                "data or a parameter of the data set that has one"
            )
    chosen: list[OtherField] = []
    for other in schema.others:
        if isinstance(other, MultiValuedField):
            chosen.append(dataclasses.replace(other, pooling=multi))
        else:
            chosen.append(dataclasses.replace(other, pooling=sequence) if isinstance(other, SequenceField) else other)
    return dataclasses.replace(schema, others=tuple(chosen))


def _size() -> int:
    """How many rows of lists are a piece: fewer than of other columns, since a row has many entries."""
    return -(-module_of_pieces.PIECE // 8)


def _cut(column: Any) -> Iterator[tuple[slice, pl.Series]]:
    """The column in pieces, with their places; from the disk come more rows at once, whose entries are packed."""
    for many in pieces(len(column)):
        whole = column[many]
        for part in pieces(len(whole), _size()):
            yield slice(many.start + part.start, many.start + part.stop), whole[part]


def _extremes(bounds: np.ndarray) -> tuple[int, int]:
    """The fewest and the most entries of a row; 0 if there is no row."""
    shortest, longest = [0], [0]
    for part in pieces(len(bounds) - 1):
        lengths = np.diff(bounds[part.start : part.stop + 1])
        shortest.append(int(lengths.min(initial=0)))
        longest.append(int(lengths.max(initial=0)))
    return min(shortest), max(longest)


def _scrambled(numbers: np.ndarray) -> np.ndarray:
    """uint64 to uint64, one to one, so that sums of different ones hardly ever agree (splitmix64)."""
    mixed = numbers * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
