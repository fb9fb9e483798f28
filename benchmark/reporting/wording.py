"""Small phrases that several parts of a report use."""

from __future__ import annotations

from collections.abc import Sequence

PRACTICAL = 100
"""The largest practical number of seeds; larger numbers are not printed."""


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def rounded(number: float) -> str:
    """Two digits: `0.38`, `1.2`, `1,200`."""
    short = float(f"{number:.2g}")
    return f"{short:,.0f}" if short >= 10 else f"{short:g}"
