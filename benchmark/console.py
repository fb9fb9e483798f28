"""Output on a console that cannot show every character (cp1252, GBK, ASCII): missing ones are replaced by similar ones."""

from __future__ import annotations

import codecs
import io
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from benchmark.text import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

STAND_INS = {
    "⟨": "<", "⟩": ">", "‖": "||",
    "−": "-", "–": "-", "—": "-", "─": "-", "┼": "+", "│": "|", "±": "+/-", "×": "x", "·": "*", "…": "...", "≈": "~",
    "≤": "<=", "≥": ">=", "→": "->", "↑": "^", "↓": "v", "Δ": "d", "●": "o", "†": "+", "‡": "++", "“": '"', "”": '"',
    "‘": "'", "’": "'", "█": "#", "ß": "ss", "ø": "o",
    "∑": "sum", "∏": "prod", "√": "sqrt", "∇": "grad ", "∂": "d", "⊤": "T", "⊙": ".*", "∈": "in", "∝": "~", "∼": "~",
    "←": "<-", "≠": "!=", "\u0305": "_bar",
}  # fmt: skip
"""Replacements for the characters that reports, messages and equations use."""
_GREEK = re.compile(r"GREEK (CAPITAL|SMALL) LETTER (?:FINAL )?(\w+)")


def allow_any_console() -> None:
    """From now on stdout and stderr replace what their encoding lacks, where Python would raise an error."""
    codecs.register_error("mtlbench", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's and a test's own streams take every sign
            stream.reconfigure(errors="mtlbench")


def echo(text: object, file: TextIO | None = None) -> None:
    """Prints a text in one write to stdout or to this file, without what would control a terminal.

    `print` writes the end of the line by itself, and where output is unbuffered another process can come between.
    `click.echo` writes UTF-8 even on an ASCII console.
    """
    file = file or sys.stdout
    file.write(f"{printable(str(text))}\n")
    file.flush()


def terminal(**options: Any) -> Console:
    """A console of rich on which no text from outside controls the terminal; what rich itself writes still does.

    Args:
        options: Those of `rich.console.Console`.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

    return Plain(**options)


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(_plain, missing)), error.end


def _plain(sign: str) -> str:
    """The sign's stand-in, a Greek letter's name, the letter without its accent, or a question mark."""
    if sign in STAND_INS:
        return STAND_INS[sign]
    decomposed = unicodedata.normalize("NFKD", sign)
    greek = _GREEK.fullmatch(unicodedata.name(decomposed[0], ""))
    if greek:
        name = greek[2].lower().replace("lamda", "lambda")  # as Unicode spells it
        return name.capitalize() if greek[1] == "CAPITAL" else name
    plain = decomposed.encode("ascii", "ignore").decode() or "?"
    return f"^{plain}" if unicodedata.decomposition(sign).startswith("<super>") else plain
