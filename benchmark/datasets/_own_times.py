"""The times of a user's table and of its split, as microseconds since 1970 in UTC; R rows."""

from __future__ import annotations

import polars as pl

from benchmark.datasets._fault import Fault, refuse
from benchmark.datasets.calendar import iso

UNITS = {"s": 10**6, "ms": 10**3, "us": 1}
"""Microseconds in the units of a time that is a number."""
_ISO = "a date such as 2024-05-31 or 2024-05-31 18:30:00 (of another form: the key format), or a number"
_CLOCK = ("%H", "%I", "%T", "%R", "%s", "%+")
_LOOKS_LIKE_A_DAY = (19000101, 20991231)  # as seconds, all of these are in August 1970


def parse_times(values: pl.Series, unit: str, form: str | None) -> pl.Series:
    """(R,) int64, microseconds since 1970.

    Args:
        values: Numbers, texts, or dates.
        unit: The unit of numbers, a key of `UNITS`.
        form: The form of texts, as strptime has it; None: ISO 8601, or numbers.

    Raises:
        Fault: for any other value, and for days such as 20240531 that would be read as seconds.
    """
    dtype = values.dtype
    if dtype == pl.Date or dtype.base_type() == pl.Datetime:
        return values.cast(pl.Datetime("us")).cast(pl.Int64)
    if form is not None:
        found = _formed(values, form)
        refuse(values, found.is_null() & values.is_not_null(), f"a time of the form {form!r}")
        return found
    numbers = values.cast(pl.Float64, strict=False)
    if unit == "s":
        _refuse_days(values, numbers)
    found = (numbers * UNITS[unit]).cast(pl.Int64, strict=False)
    if dtype == pl.String and found.null_count() > values.null_count():
        texts = values.to_frame("text").select(iso(pl.col("text")).dt.epoch("us")).to_series()
        found = pl.select(pl.coalesce(found, texts)).to_series()
    refuse(values, found.is_null() & values.is_not_null(), _ISO)
    return found


def parse_time(value: object, unit: str, form: str | None) -> int:
    """One time that a YAML has, as `parse_times` takes it: in the column's own form, in ISO 8601, or a number.

    Raises:
        Fault: for any other value.
    """
    values = pl.Series([value])
    if values.null_count():
        raise Fault(None, f"expected {_ISO}, found nothing")
    if form is not None:
        found = _formed(values, form)
        if not found.null_count():
            return int(found[0])
    return int(parse_times(values, unit, None)[0])


def is_time_zone(name: str) -> bool:
    """Is it one such as Europe/Berlin?"""
    try:
        pl.select(pl.lit(0).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(name))
    except pl.exceptions.PolarsError:
        return False
    return True


def _formed(values: pl.Series, form: str) -> pl.Series:
    """The times of one form; null where a text is not of it."""
    if values.dtype.is_float() and (values == values.floor()).all():
        values = values.cast(pl.Int64, strict=False)  # 20240531.0, as a column with gaps may have it
    text = pl.col("text")
    has_clock = any(part in form for part in _CLOCK)
    time = (
        text.str.to_datetime(form, strict=False, time_unit="us")
        if has_clock
        else text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    )
    return values.cast(pl.String).to_frame("text").select(time.dt.epoch("us")).to_series()


def _refuse_days(values: pl.Series, numbers: pl.Series) -> None:
    """Refuses numbers that all look like 20240531."""
    known = numbers.drop_nulls()
    if not len(known) or not known.is_between(*_LOOKS_LIKE_A_DAY).all():
        return
    whole = known.cast(pl.Int64)
    if (whole == known).all() and not whole.cast(pl.String).str.to_date("%Y%m%d", strict=False).null_count():
        row = int(numbers.is_not_null().arg_true()[0])
        raise Fault(
            row,
            f"expected seconds since 1970, found {values[row]!r}, which looks like a day; write format: '%Y%m%d'",
        )
