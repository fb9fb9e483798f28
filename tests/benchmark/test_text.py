from __future__ import annotations

import pytest

from benchmark.text import duration, in_seconds


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (240.0, "4 min"), (7500.0, "2 h 5 min")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_seconds_have_about_three_digits() -> None:
    assert [in_seconds(seconds) for seconds in (0.142, 8.49, 99.97, 139.2)] == ["0.14", "8.5", "100", "139"]
