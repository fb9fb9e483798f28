"""Words that the command line and reports share. Imports nothing."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
