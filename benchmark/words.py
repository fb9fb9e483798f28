"""Words that the command line and reports share. Imports nothing heavy."""

from __future__ import annotations

import textwrap


def counted(number: int, what: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shortened(text: str) -> str:
    """Another program's message in one line of at most 300 characters."""
    return textwrap.shorten(text, 300, placeholder=" …")
