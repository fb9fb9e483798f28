"""Words and numbers as people read them, on the command line and in reports. Imports nothing heavy."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.statistics import Interval


def unknown(what: str, name: str, known: Any, meant: Sequence[str] = ()) -> str:
    """One line for a misspelt name: what was meant, and all that is known.

    Args:
        what: The word for it: "architecture".
        name: As it was typed; upper and lower case are the same to the guess.
        known: All names there are.
        meant: What was meant, where the caller knows better than the spelling.
    """
    guess = list(meant) or near(name, known)
    asked = f"; did you mean {' or '.join(guess)}?" if guess else ";"
    return f"unknown {what} {name!r}{asked} known: {', '.join(sorted(known)) or 'none'}"


def near(name: str, known: Iterable[str]) -> list[str]:
    """The one name that is spelt much like this, whatever the case; or none."""
    by_lower = {text.lower(): text for text in known}
    return [by_lower[text] for text in difflib.get_close_matches(name.lower(), by_lower, n=1)]


def as_whole(value: Any) -> str:
    """What an error adds where a whole number was written as a float, 1e5 or 4.0: "; write 4". Empty elsewhere."""
    return f"; write {value:.0f}" if isinstance(value, float) and value.is_integer() else ""


def counted(number: int, what: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shortened(text: str) -> str:
    """Another program's message in one line of at most 300 characters."""
    return textwrap.shorten(text[:1000], 300, placeholder=" …")  # longer ones would take their length squared


_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # they turn what follows around
_LINES = (0x0085, 0x2028, 0x2029)
_HIDDEN = (*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080))
_CONTROLS = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    for code in (*range(32), *range(127, 160), *_DIRECTIONS, *_LINES, *_HIDDEN)
}
_BETWEEN_LINES = {**_CONTROLS, ord("\n"): "\n", ord("\t"): "\t"}
_IN_A_LINE = {**_CONTROLS, **dict.fromkeys(map(ord, "\n\r\t"), " ")}


LONGEST_CELL = 200
"""Most characters of a cell on a terminal."""


def printable(text: str) -> str:
    r"""Text for a terminal: what would control it is written as an escape, `\x1b`. Ends of lines and tabs stay.

    Controls are the codes below 32 and from 127 to 159, and those that turn the direction of writing.
    """
    return text.translate(_BETWEEN_LINES)


def one_line(text: str, most: int | None = None) -> str:
    """The same for a text in a line or a cell: an end of a line or a tab becomes a blank.

    Args:
        text: The text.
        most: The largest number of characters; longer ones lose their middle.
    """
    if most is not None and len(text) > most:
        text = f"{text[: most - most // 3 - 1]}…{text[len(text) - most // 3 :]}"
    return text.translate(_IN_A_LINE)


ABSENT = "—"


TOO_FEW = "too few seeds"


def decimals(intervals: Iterable[Interval]) -> int:
    """Decimals that show five digits of the largest mean, four after the point for an AUC, and a digit of the median ±."""
    found = list(intervals)
    largest = max((abs(interval.mean) for interval in found), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return 4
    of_mean = max(0, min(8, 4 - math.floor(math.log10(largest)), 4 if largest > 0.01 else 8))
    widths = sorted(interval.half_width for interval in found if interval.half_width)
    of_width = -math.floor(math.log10(widths[len(widths) // 2])) if widths else 0
    return max(of_mean, min(6, of_width))


def number(value: float | None, places: int = 4) -> str:
    """A number with `places` decimals, without a sign on zero; a dash for None."""
    return ABSENT if value is None else f"{value:z.{places}f}"


def with_interval(interval: Interval | None, places: int) -> str:
    """`0.9512 ± 0.0011`; for too few seeds the mean alone."""
    if interval is None:
        return ABSENT
    if interval.half_width is None:
        return number(interval.mean, places)
    return f"{interval.mean:z.{places}f} ± {interval.half_width:.{places}f}"


def signed_interval(interval: Interval | None, places: int) -> str:
    """`+0.0021 [+0.0012, +0.0030]`; `identical` where every pair is equal to the last bit."""
    if interval is None:
        return ABSENT
    if interval.low is None or interval.high is None:
        return f"{signed(interval.mean, places)}, {TOO_FEW}"
    if interval.low == interval.high == 0:
        return "identical"
    return f"{signed(interval.mean, places)} [{signed(interval.low, places)}, {signed(interval.high, places)}]"


def signed(value: float, places: int) -> str:
    """`+0.0021`; what rounds to zero has no sign, for it may be on either side."""
    text = f"{value:+z.{places}f}"
    return text if text.strip("+-0.") else text.removeprefix("+")


def count(value: float | None) -> str:
    """A count with three digits: `85`, `1.24 k`, `12.4 M`."""
    if value is None:
        return ABSENT
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}" if value < 999.5 * size else f"{value / size:.0f} {letter}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """How long something takes, in the unit that suits it: `7 s`, `4 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def in_seconds(seconds: float | None) -> str:
    """The same as a bare number, under a head that names the unit, with about three digits: `0.14`, `8.5`, `139`."""
    if seconds is None:
        return ABSENT
    return f"{seconds:.2f}" if seconds < 0.995 else f"{seconds:.1f}" if seconds < 99.95 else f"{seconds:.0f}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names joined by commas. If there are more than `most`, the first ones and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def numbers(values: Iterable[int]) -> str:
    """Whole numbers with runs joined: `0–4, 7`."""
    parts: list[list[int]] = []
    for value in sorted(set(values)):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)
