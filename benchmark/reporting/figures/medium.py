"""What figures are drawn on: a page, which gives them its colours, or a paper, which gives them a width.

Drawing code names colours by their role: matplotlib's `C0`, `C1`, ... belong to the methods, followed by `INK` and
`MUTED`. The medium defines them. It is global, like matplotlib's own settings.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from cycler import cycler

from benchmark.reporting.figures.styles import LIGHT, Style

INK, MUTED = f"C{len(LIGHT)}", f"C{len(LIGHT) + 1}"
_RC: Any = {
    "text.parse_math": False, "font.family": "sans-serif", "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "axes.linewidth": 0.7, "axes.formatter.useoffset": False, "grid.linewidth": 0.6, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "path.simplify_threshold": 0.3,
}  # fmt: skip
_LETTER = 0.0078  # inches per letter and point of the font, on average


@dataclass(frozen=True, slots=True)
class Medium:
    """What figures are drawn on.

    Args:
        ink: Colour of text.
        muted: Colour of axes and of less important marks.
        grid: Colour of the lines behind the marks.
        colours: Colours of the methods, as `Style.colour` counts them.
        font: Size of text, in points.
        width: Width in inches; None: as wide as the panels need.
        names: Print names of methods and tasks.
    """

    ink: str
    muted: str
    grid: str
    colours: tuple[str, ...]
    font: float = 8.5
    width: float | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """The scale of everything as large as text, relative to the page."""
        return self.font / PAGE.font

    @property
    def letter(self) -> float:
        """Width of a letter in inches, on average."""
        return _LETTER * self.font

    @property
    def settings(self) -> Any:
        """The medium as matplotlib's settings."""
        ink = dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor"), self.ink)
        ink |= {"xtick.labelcolor": self.ink, "ytick.labelcolor": self.ink}
        muted = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), self.muted)
        cycle = cycler(color=[*self.colours, self.ink, self.muted])
        sizes = {"font.size": self.font, "axes.titlesize": self.font + 1}
        return {**_RC, **ink, **muted, **sizes, "grid.color": self.grid, "axes.prop_cycle": cycle}


# matplotlib knows only fixed colours: these represent the page's variables and are replaced in the finished SVG
PAGE = Medium("#0a0a01", "#0a0a02", "#0a0a03", tuple(f"#0b0b{number:02x}" for number in range(len(LIGHT))))

_current: ContextVar[Medium] = ContextVar("medium", default=PAGE)


def current() -> Medium:
    """The medium that is drawn on."""
    return _current.get()


def named(name: str) -> str:
    """The print name of a method or a task."""
    return current().names.get(name, name)


def colour(style: Style) -> str:
    """The colour of a method's marks."""
    return f"C{style.colour}"


@contextmanager
def on(medium: Medium) -> Iterator[None]:
    """Inside, figures are drawn on this medium."""
    token = _current.set(medium)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings for a figure, restored afterwards. The browser's fonts draw names in any script."""
    with mpl.rc_context(current().settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield
