"""Parts of the calendar, by hand and against Python's own."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl
import pytest

from benchmark.datasets.calendar import PARTS, calendar, expressions
from tests.benchmark.datasets.toy import made, table

TIMES = [datetime.datetime(2022, 5, 7, 23, 59), None, datetime.datetime(2024, 2, 29, 0, 5)]  # noqa: DTZ001
SATURDAY = {
    "year": 2022,
    "quarter": 2,
    "month": 5,
    "week": 18,
    "day": 7,
    "weekday": 6,
    "weekend": 1,
    "hour": 23,
    "minute": 59,
}


def test_every_part_by_hand() -> None:
    found = calendar("shown", TIMES, PARTS)
    assert {key: column[0] for key, column in found.items()} == {
        f"shown_{part}": value for part, value in SATURDAY.items()
    }
    assert [column[1] for column in found.values()] == [None] * len(PARTS)
    assert (found["shown_weekday"][2], found["shown_weekend"][2], found["shown_quarter"][2]) == (4, 0, 1)


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (pl.Series(TIMES), None),
        (pl.Series(TIMES).dt.epoch("s"), "s"),
        (pl.Series(TIMES).dt.epoch("ms"), "ms"),
        (pl.Series(TIMES).dt.epoch("us"), "us"),
        (["2022-05-07 23:59:00", None, "2024-02-29T00:05:00Z"], None),
        (["2022-05-08T01:59:00+02:00", None, "2024-02-28 18:35:00.5-0530"], None),
        (["2022-05-08T01:59+02", None, "2024-02-29T00:05:00+00:00"], None),
        (["2022-05-07 23:59", None, "2024-02-29 00:05:00.25"], None),
    ],
)
def test_a_time_may_come_in_many_forms(times: Any, unit: Any) -> None:
    expected = calendar("t", TIMES, ("hour", "weekday", "minute"))
    assert {
        key: column.to_list() for key, column in calendar("t", times, ("hour", "weekday", "minute"), unit=unit).items()
    } == {key: column.to_list() for key, column in expected.items()}


def test_dates_have_no_hour() -> None:
    days = pl.Series(TIMES).cast(pl.Date)
    assert calendar("day", days, ("weekday", "month"))["day_month"].to_list() == [5, None, 2]
    assert calendar("day", ["2022-05-07"], ("weekday",))["day_weekday"].to_list() == [6]
    with pytest.raises(ValueError, match=r"^column 'day': hour of dates without a time; leave it out"):
        calendar("day", days)


def test_the_clock_is_that_of_the_time_zone() -> None:
    assert calendar("t", [0], ("hour",), unit="s", time_zone="Asia/Shanghai")["t_hour"].to_list() == [8]
    zoned = pl.Series([TIMES[0]]).dt.replace_time_zone("Europe/Berlin")
    assert calendar("t", zoned, ("hour",))["t_hour"].to_list() == [23]
    assert calendar("t", zoned, ("hour",), time_zone="UTC")["t_hour"].to_list() == [21]


@pytest.mark.parametrize(
    ("times", "options", "message"),
    [
        (TIMES, {"parts": ("hours",)}, r"^column 't': unknown part of the calendar 'hours'; did you mean hour\?"),
        (TIMES, {"parts": ()}, r"^column 't': expected parts of the calendar, found none; known: year, "),
        ([1, 2], {}, r"^column 't': numbers need a unit, one of s, ms, us since 1970, found None"),
        (TIMES, {"unit": "s"}, r"^column 't': a unit is for numbers, found Datetime.* and unit=s"),
        (["2022-05-07", "7 May"], {}, r"^column 't': expected dates, .*, found '7 May' in row 1"),
        ([True], {}, r"^column 't': expected dates, .*, found Boolean"),
    ],
)  # fmt: skip
def test_what_is_not_a_time_is_named(times: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar("t", times, **options)


def test_a_table_takes_the_parts_as_categories_and_as_expressions() -> None:
    hours = pl.Series([TIMES[0]] * 4 + [TIMES[2]] * 4)
    whole, lazy = table(), table(frame=pl.LazyFrame({"shown": hours}))
    whole.categorical |= calendar("shown", hours)
    lazy.categorical |= expressions("shown", hours.dtype)
    first, second = made(lambda: whole), made(lambda: lazy)
    names = [field.name for field in first.schema.categorical]
    assert {"shown_hour", "shown_weekday", "shown_month"} <= {*names}
    assert first.fingerprint == second.fingerprint
    assert first.train.features.column("shown_hour").tolist() == [1] * 4
    assert first.test.features.column("shown_hour").tolist() == [0] * 2
