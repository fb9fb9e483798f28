"""What a column of a file may contain: type and range, stated once. polars checks whole columns, Python the line that is wrong."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl

_SAMPLE = datetime.datetime(2024, 5, 31, 18, 30, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Domain:
    """The type of a column, and its range. Missing values, where they may be, are in every range.

    Args:
        kind: The polars type.
        least: The smallest number that it may have.
        most: The largest one.
        allowed: The only values, numbers or texts, that it may have.
        form: How dates or times are written, as `strptime` takes it: "%Y%m%d". Zeros may be missing in front.
        unique: Is each value there once?
    """

    kind: type[pl.DataType]
    least: float | None = None
    most: float | None = None
    allowed: tuple[float | str, ...] = ()
    form: str = ""
    unique: bool = False

    def wrong(self, column: pl.Expr) -> pl.Expr:
        """Is any value outside the range? One pass; null where all values are missing."""
        tests = [pl.lit(value=False)]
        if self.kind.is_float():
            tests.append(column.is_infinite().any())
            if self.least is not None or self.most is not None:
                tests.append(column.is_nan().any())
        if self.least is not None:
            tests.append(column.min() < self.least)
        if self.most is not None:
            tests.append(column.max() > self.most)
        if self.allowed:
            is_text = self.kind is pl.String
            values = column if is_text else column.cast(pl.Float64)
            allowed = self.allowed if is_text else map(float, self.allowed)
            tests.append((~values.is_in(list(allowed))).any())
        if self.form:
            tests.append(self._parsed(column.drop_nulls().unique()).is_null().any())  # a log has few dates
        if self.unique:
            tests.append(column.n_unique() < column.len())
        return pl.any_horizontal(tests)

    def fits(self, value: str) -> bool:
        """Is a text that is not empty a value of this type and range? It cannot tell whether it is there once."""
        try:
            if self.allowed:
                return (value if self.kind is pl.String else float(value)) in self.allowed
            if self.form:
                datetime.datetime.strptime(value.zfill(self._width), self.form)  # noqa: DTZ007  only whether it exists
                return True
            return not (self.kind.is_integer() or self.kind.is_float()) or self._is_within(value)
        except ValueError:
            return False

    def key(self, value: str) -> str:
        """The same for all texts of one value: 1 and 01 are one integer, 0 and -0.0 one float. A text of no number is its own."""
        try:
            if self.kind.is_integer():
                return str(int(value))
            if self.kind.is_float():
                return str(np.dtype(self.kind.__name__.lower()).type(value) + 0)  # -0.0 + 0 is 0.0
        except ValueError:
            pass
        return value

    @property
    def words(self) -> str:
        """What a value is: `an integer from 0 to 14`."""
        if self.allowed:
            *others, last = map(str, self.allowed)
            return f"{', '.join(others)} or {last}" if others else last
        if self.form:
            return f"a {'time' if self._is_clock else 'date'} such as {_SAMPLE.strftime(self.form)}"
        kind = in_words(self.kind)
        if self.least is not None and self.most is not None:
            return f"{kind} from {self.least} to {self.most}"
        if self.least is not None:
            return f"{kind} of at least {self.least}"
        return kind if self.most is None else f"{kind} of at most {self.most}"

    @property
    def _width(self) -> int:
        return len(_SAMPLE.strftime(self.form))

    @property
    def _is_clock(self) -> bool:
        return "%d" not in self.form

    def _parsed(self, column: pl.Expr) -> pl.Expr:
        text = column.cast(pl.String).str.zfill(self._width)
        return text.str.strptime(pl.Time if self._is_clock else pl.Date, self.form, strict=False)

    def _is_within(self, value: str) -> bool:
        number: float = int(value) if self.kind.is_integer() else float(value)
        if self.kind.is_integer():
            limits = np.iinfo(self.kind.__name__.lower())
            if not limits.min <= number <= limits.max:
                return False
        else:
            with np.errstate(over="ignore"):
                if math.isinf(np.dtype(self.kind.__name__.lower()).type(value)):
                    return False
        # so written that NaN is in no range
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


Types: TypeAlias = Mapping[str, type[pl.DataType] | Domain]
"""The polars type of each column, or a `Domain`: type and range."""
Domains: TypeAlias = dict[str, Domain]


def domains_of(types: Types) -> Domains:
    """A `Domain` for every column: one without a range where there is a type alone."""
    return {name: kind if isinstance(kind, Domain) else Domain(kind) for name, kind in types.items()}


def fault(place: str, name: str, value: str, column: Domain, seen: dict[str, str], *, nullable: bool) -> str | None:
    """`line 7, column age: expected an integer from 0 to 120, found '999'`; None if the value is right.

    Args:
        place: Where it is: "line 7".
        name: The column's name.
        value: Its text; empty: missing.
        column: What it should be.
        seen: The values of the column before it, as `Domain.key` has them, with their places; it is added.
        nullable: May it be missing?
    """
    if not (column.fits(value) if value else nullable):
        is_free = column.kind.is_float() and column.words == in_words(column.kind)  # then it is infinite, or no number
        expected = "a finite number" if is_free and _is_number(value) else column.words
        return f"{place}, column {name}: expected {expected}, found {value!r}"
    if column.unique and (first := seen.setdefault(column.key(value), place)) != place:
        return f"{place}, column {name}: expected each value once, found {value!r} again, as in {first}"
    return None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def in_words(kind: type[pl.DataType]) -> str:
    """What a value of a type is."""
    return "an integer" if kind.is_integer() else "a number" if kind.is_float() else "a value"


FLAG = Domain(pl.Int8, allowed=(0, 1))
"""A label or a mark: 0 or 1."""
ID = Domain(pl.Int32, least=0)
"""A number that names a user or an item."""
SECONDS = Domain(pl.Int64, least=0, most=2**32 - 1)
"""Seconds since 1970, until 2106."""
