"""How a method is drawn: one colour, dash and marker on the whole page, in figures and in the key beside its name.

Colours are variables of the page (`var(--c0)`), so that light and dark mode have their own. They follow Okabe and Ito's
palette, which colour-blind readers can distinguish; dash and marker repeat the information without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIGHT = ("#0072b2", "#d55e00", "#009e73", "#b5569a", "#b07d00", "#3d3d3d", "#3a9bd6", "#7a5195")
DARK = ("#56b4e9", "#ff8b3d", "#2fc79a", "#e59bc9", "#e6b422", "#d0d0d0", "#9bd3f5", "#b79ae0")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 3))
MARKERS = {
    "o": "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
    "s": "M-3-3h6v6h-6z",
    "^": "M0-3.8L3.6 3H-3.6z",
    "D": "M0-4L4 0L0 4L-4 0z",
    "v": "M0 3.8L3.6-3H-3.6z",
    "P": "M-1.3-3.6h2.6v2.3h2.3v2.6h-2.3v2.3h-2.6v-2.3h-2.3v-2.6h2.3z",
}
"""matplotlib's marker, and the same as an SVG path."""


@dataclass(frozen=True, slots=True)
class Style:
    """Number of the colour, dash pattern in points, and marker."""

    colour: int
    dash: tuple[float, ...]
    marker: str

    @property
    def marker_path(self) -> str:
        """The marker as an SVG path around the origin."""
        return MARKERS[self.marker]


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A style for every method: first all colours, then the same colours with the next dash and marker."""
    markers, made = list(MARKERS), {}
    for number, method in enumerate(methods):
        lap, colour = divmod(number, len(LIGHT))
        made[method] = Style(colour, DASHES[lap % len(DASHES)], markers[(colour + lap) % len(markers)])
    return made
