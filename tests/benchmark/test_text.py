from __future__ import annotations

import pytest

from benchmark.statistics import Interval
from benchmark.text import decimals, duration, in_seconds, one_line, printable, signed_interval, unknown, with_interval


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (240.0, "4 min"), (7500.0, "2 h 5 min")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_seconds_have_about_three_digits() -> None:
    assert [in_seconds(seconds) for seconds in (0.142, 8.49, 99.97, 139.2)] == ["0.14", "8.5", "100", "139"]


def test_a_column_has_four_decimals_for_an_auc_and_more_where_its_intervals_are_narrower() -> None:
    wide = [Interval(0.9519, 0.9515, 0.9523, 5), Interval(0.5, None, None, 1)]
    assert decimals(wide) == 4
    narrow = [Interval(0.994604, 0.994564, 0.994644, 5), Interval(0.994441, 0.994331, 0.994551, 5)]
    assert decimals(narrow[:1]) == 5
    assert with_interval(narrow[0], decimals(narrow[:1])) == "0.99460 ± 0.00004"
    assert decimals([Interval(0.9, 0.9 - 1e-12, 0.9 + 1e-12, 5)]) == 6
    assert decimals([Interval(512.3, 510.0, 514.6, 5)]) == 2 and decimals([]) == 4


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert signed_interval(Interval(-3e-6, -4.8e-4, 4.7e-4, 5), 4) == "0.0000 [-0.0005, +0.0005]"
    assert signed_interval(Interval(4e-5, 3e-5, 5e-5, 5), 5) == "+0.00004 [+0.00003, +0.00005]"


def test_a_guess_does_not_mind_the_case() -> None:
    assert (
        unknown("architecture", "MMoE", ["mmoe", "ple"])
        == "unknown architecture 'MMoE'; did you mean mmoe? known: mmoe, ple"
    )
    assert (
        unknown("task", "income", ["Income", "Age"]) == "unknown task 'income'; did you mean Income? known: Age, Income"
    )
    assert (
        unknown("key", "lr", ["seed"], ["a.lr", "b.lr"]) == "unknown key 'lr'; did you mean a.lr or b.lr? known: seed"
    )
    assert unknown("parameter", "x", []) == "unknown parameter 'x'; known: none"


def test_what_would_control_a_terminal_is_an_escape() -> None:
    assert printable("a\x1b[31mb\x07\r\x00\x7f\x9b") == r"a\x1b[31mb\x07\x0d\x00\x7f\x9b"
    assert printable("\u202eabc\u2066\u200f\u2028") == r"\u202eabc\u2066\u200f\u2028"
    assert printable("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert printable("für ß 日本 ±0.1 R² 👩‍👩‍👧") == "für ß 日本 ±0.1 R² 👩‍👩‍👧"
    assert one_line("two\nlines\r\nand\ta tab\x1b") == r"two lines  and a tab\x1b"


@pytest.mark.parametrize("most", [3, 10, 200])
def test_a_long_text_loses_its_middle(most: int) -> None:
    text = one_line("a" * 1_000_000 + "b" * 1_000_000, most)
    assert len(text) == most and text[0] == "a" and text[-1] == "b" and "…" in text
    assert one_line("a" * most, most) == "a" * most
