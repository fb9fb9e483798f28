"""Times as parts of the calendar: the hour, the weekday and so on, each a categorical column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import polars as pl

from benchmark.text import unknown

Part = Literal["year", "quarter", "month", "week", "day", "weekday", "weekend", "hour", "minute"]
"""Weekdays count from 1, Monday, as weeks do from 1 (ISO 8601); a weekend is 1 on Saturday and Sunday, else 0."""
PARTS: tuple[Part, ...] = get_args(Part)
Unit = Literal["s", "ms", "us"]
DEFAULT: tuple[Part, ...] = ("hour", "weekday", "month")

_CLOCKS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET_OF_HOURS = r"(:\d\d(?:\.\d+)?[+-]\d\d)$"
_OF_A_DAY = ("hour", "minute")
_EXPECTED = "expected dates, times, ISO 8601 text, or numbers of seconds since 1970 with `unit`"


def calendar(
    name: str, times: Any, parts: Sequence[str] = DEFAULT, *, unit: Unit | None = None, time_zone: str | None = None
) -> dict[str, pl.Series]:
    """{`<name>_<part>`: (R,) whole numbers}, null where the time is missing, for `Table.categorical`.

    Trees of years and networks alike see a time as a number that only grows. Its parts come again.

    Args:
        name: The column's name, for the new ones and for errors.
        times: (R,) a polars series, or values that make one.
        parts: Names in `PARTS`; years and weeks of a split by time may be new in test.
        unit: What numbers count since 1970 in UTC: s, ms or us.
        time_zone: Whose clock is read: "Asia/Shanghai". None: that of the column's own time zone, else UTC.

    Raises:
        ValueError: for an unknown part, hours of dates without a time, numbers without a unit, and text that is not ISO 8601
            (with its row).
    """
    column = times.alias(name) if isinstance(times, pl.Series) else pl.Series(name, times)
    frame = pl.DataFrame({name: column})
    made = expressions(name, column.dtype, parts, unit=unit, time_zone=time_zone)
    if column.dtype == pl.String:
        _check_text(column)
    found = frame.select(**made)
    return {key: found[key] for key in made}


def expressions(
    name: str,
    dtype: pl.DataType,
    parts: Sequence[str] = DEFAULT,
    *,
    unit: Unit | None = None,
    time_zone: str | None = None,
) -> dict[str, pl.Expr]:
    """The same as expressions over a column of a lazy frame, for `Table.frame`. Text that is not ISO 8601 becomes missing.

    Args:
        name: The column's name.
        dtype: Its type.
        parts: As `calendar` takes them.
        unit: As `calendar` takes it.
        time_zone: As `calendar` takes it.

    Raises:
        ValueError: as `calendar`, except for text.
    """
    if not parts:
        raise ValueError(f"column {name!r}: expected parts of the calendar, found none; known: {', '.join(PARTS)}")
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"column {name!r}: {unknown('part of the calendar', part, PARTS)}")
    time = _time(name, dtype, unit)
    has_no_clock = [part for part in parts if part in _OF_A_DAY] if dtype == pl.Date else []
    if has_no_clock:
        raise ValueError(f"column {name!r}: {', '.join(has_no_clock)} of dates without a time; leave it out")
    if time_zone is not None and dtype != pl.Date:
        zoned = time if isinstance(dtype, pl.Datetime) and dtype.time_zone else time.dt.replace_time_zone("UTC")
        time = zoned.dt.convert_time_zone(time_zone)
    return {f"{name}_{part}": _part(time, part) for part in parts}


def iso(text: pl.Expr) -> pl.Expr:
    """Text in ISO 8601, such as 2024-05-31T18:30:00.5+02:00, as times in UTC. Text without an offset is in UTC; other text null."""
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    clock = text.str.replace("T", " ", literal=True).str.strip_suffix("Z").str.replace(_OFFSET_OF_HOURS, "${1}00")
    local = [clock.str.to_datetime(form, strict=False, time_unit="us") for form in _CLOCKS]
    zoned = [clock.str.to_datetime(f"{form}%z", strict=False, time_unit="us") for form in _CLOCKS]
    return pl.coalesce(day, *local, *(time.dt.replace_time_zone(None) for time in zoned))


def _part(time: pl.Expr, part: str) -> pl.Expr:
    if part == "weekend":
        return (time.dt.weekday() > 5).cast(pl.Int8)
    found: pl.Expr = getattr(time.dt, part)()
    return found


def _time(name: str, dtype: pl.DataType, unit: Unit | None) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_numeric():
        if unit is None or unit not in get_args(Unit):
            raise ValueError(
                f"column {name!r}: numbers need a unit, one of {', '.join(get_args(Unit))} since 1970, found {unit}"
            )
        return pl.from_epoch(column.cast(pl.Int64), unit)
    if unit is not None:
        raise ValueError(f"column {name!r}: a unit is for numbers, found {dtype} and unit={unit}")
    if dtype == pl.String:
        return iso(column)
    if not isinstance(dtype, pl.Date | pl.Datetime):
        raise ValueError(f"column {name!r}: {_EXPECTED}, found {dtype}")
    return column


def _check_text(column: pl.Series) -> None:
    parsed = column.to_frame().select(_time(column.name, column.dtype, None)).to_series()
    wrong = column.is_not_null() & parsed.is_null()
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise ValueError(f"column {column.name!r}: {_EXPECTED}, found {column[row]!r} in row {row}")
