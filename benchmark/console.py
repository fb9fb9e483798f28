"""Output on a console that cannot show every character (cp1252, GBK, ASCII): missing ones are replaced by similar ones."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

STAND_INS = {
    "⟨": "<", "⟩": ">", "‖": "||",
    "−": "-", "–": "-", "—": "-", "─": "-", "┼": "+", "│": "|", "±": "+/-", "×": "x", "·": "*", "…": "...", "≈": "~",
    "≤": "<=", "≥": ">=", "→": "->", "↑": "^", "↓": "v", "Δ": "d", "●": "o", "†": "+", "‡": "++", "“": '"', "”": '"',
    "‘": "'", "’": "'", "█": "#", "ß": "ss",
}  # fmt: skip
"""Replacements for the characters that reports and messages use."""


def allow_any_console() -> None:
    """From now on stdout and stderr replace what their encoding lacks, where Python would raise an error."""
    codecs.register_error("mtlbench", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's and a test's own streams take every sign
            stream.reconfigure(errors="mtlbench")


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(_plain, missing)), error.end


def _plain(sign: str) -> str:
    """The sign's stand-in, the letter without its accent, or a question mark."""
    decomposed = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return STAND_INS.get(sign) or decomposed or "?"
