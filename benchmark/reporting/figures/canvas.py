"""Figures as inline SVG that takes its colours from the page; pyplot, and so its state, is not touched."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmark.reporting.figures.styles import Style
from benchmark.statistics import Interval

# matplotlib knows only fixed colours: these stand for the page's variables, and are exchanged in the finished SVG
INK, MUTED, GRID = "#0a0a01", "#0a0a02", "#0a0a03"
_VARIABLES = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)"}
_RC: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "text.color": INK, "font.family": "sans-serif", "font.size": 8.5,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.titlesize": 9.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "axes.linewidth": 0.7, "axes.formatter.useoffset": False,
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK,
    "ytick.labelcolor": INK, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "path.simplify_threshold": 0.3,
}  # fmt: skip
_COLUMNS, _MOST_COLUMNS = 3, 4
_LONGEST = 36  # characters of a name beside an axis


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: title, SVG, caption, and the text that stands for it where it cannot be seen."""

    title: str
    svg: str
    caption: str
    alternative: str


def figure(title: str, canvas: Canvas, place: str, caption: str, sentences: Sequence[str]) -> Figure:
    """The finished figure of a canvas; `place` tells its ids from those of other data sets."""
    alternative = " ".join((f"{title}.", *sentences))
    return Figure(title, svg(canvas, f"{title} {place}", alternative), caption, alternative)


def grid(panels: int, height: float = 2.5, *, labelled: bool = False) -> tuple[Canvas, list[Axes]]:
    """A canvas with so many panels of equal size, three in a row, or four; `height` in inches.

    Margins are fixed: to measure the text of every label takes longer than to draw it.
    """
    columns = panels if panels <= _MOST_COLUMNS else _COLUMNS
    lines = -(-panels // columns)
    left = 0.68 if labelled else 0.5
    size = 3.1 * columns + 0.1, height * lines
    canvas = Canvas(figsize=size)
    axes = canvas.subplots(lines, columns, squeeze=False).ravel().tolist()
    _margins(canvas, size, (lines, columns), left=left, right=0.12, gaps=(left + 0.14, 0.78))
    return canvas, _prepared(canvas, axes, panels)


def rows(names: Sequence[str], panels: int) -> tuple[Canvas, list[Axes]]:
    """A canvas with a line for each name, the first on top, and so many panels beside each other, four in a row."""
    columns = min(panels, _MOST_COLUMNS)
    lines = -(-panels // columns)
    labels = [shortened(name) for name in names]
    left = 0.2 + 0.066 * max(map(len, labels))
    size = (left + (2.4 * columns if columns > 1 else 4.6), (0.78 + 0.2 * len(names)) * lines)
    canvas = Canvas(figsize=size)
    axes = canvas.subplots(lines, columns, squeeze=False, sharey=True).ravel().tolist()
    _margins(canvas, size, (lines, columns), left=left, right=0.15, gaps=(0.22, 0.78))
    chosen = _prepared(canvas, axes, panels)
    for panel in chosen:
        panel.locator_params(axis="x", nbins=4 if columns > 1 else 8)
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
    chosen[0].set_yticks(range(len(names)), labels)
    chosen[0].set_ylim(len(names) - 0.4, -0.6)
    return canvas, chosen


def _margins(
    canvas: Canvas,
    size: tuple[float, float],
    shape: tuple[int, int],
    *,
    left: float,
    right: float,
    gaps: tuple[float, float],
) -> None:
    """Sets the margins and the gaps between panels, in inches."""
    (width, height), (lines, columns) = size, shape
    top, bottom = 0.27, 0.5
    panel_width = (width - left - right - gaps[0] * (columns - 1)) / columns
    panel_height = (height - top - bottom - gaps[1] * (lines - 1)) / lines
    canvas.subplots_adjust(
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height,
        wspace=gaps[0] / panel_width, hspace=gaps[1] / panel_height,
    )  # fmt: skip


def _prepared(canvas: Canvas, axes: list[Axes], panels: int) -> list[Axes]:
    canvas.patch.set_visible(False)
    for unused in axes[panels:]:
        unused.remove()
    for panel in axes[:panels]:
        panel.patch.set_visible(False)
        panel.locator_params(nbins=5)
    return axes[:panels]


def shortened(name: str) -> str:
    """A name that fits beside an axis, its middle left out: the end of a long one tells it from others."""
    return name if len(name) <= _LONGEST else f"{name[:16]}…{name[-(_LONGEST - 17) :]}"


def log_axis(axes: Axes, which: str, values: Sequence[float], form: Any) -> None:
    """A logarithmic axis with plain numbers where the values span more than a factor of eight."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if values and min(values) > 0 and max(values) > 8 * min(values):
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(_Plain(lambda value, _: form(value)))  # powers of ten would need mathtext


class _Plain(FuncFormatter):
    """Labels of a form of ours, or with more digits where two of those would read the same."""

    def format_ticks(self, values: Any) -> list[str]:
        labels = super().format_ticks(values)
        return labels if len(set(labels)) == len(labels) else [f"{value:.6g}" for value in values]


@dataclass(frozen=True, slots=True)
class Mark:
    """A method's mark at a point, with the ends of its intervals along either axis."""

    x: float
    y: float
    style: Style
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    filled: bool = True


def mark(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draws marks, all of one shape at once: a call of matplotlib for each would take most of a page's time."""
    horizontal = [(m.y, *m.x_ends, colour(m.style)) for m in marks if m.x_ends is not None]
    vertical = [(m.x, *m.y_ends, colour(m.style)) for m in marks if m.y_ends is not None]
    for lines, ends in ((axes.hlines, horizontal), (axes.vlines, vertical)):
        if ends:
            places, lows, highs, colours = zip(*ends, strict=True)
            lines(places, lows, highs, colors=colours, linewidth=1.1)
    for shape in dict.fromkeys(m.style.marker for m in marks):
        chosen = [m for m in marks if m.style.marker == shape]
        axes.scatter(
            [m.x for m in chosen], [m.y for m in chosen], marker=shape, s=26, linewidths=1.0, zorder=3,
            edgecolors=[colour(m.style) for m in chosen],
            facecolors=[colour(m.style) if m.filled else "none" for m in chosen],
        )  # fmt: skip


def ends(interval: Interval) -> tuple[float, float] | None:
    """The ends of an interval, where it has them."""
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings for a figure, put back afterwards; names in any script are drawn by the browser's fonts."""
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def colour(style: Style) -> str:
    """The fixed colour that stands for a method's variable."""
    return f"#0b0b{style.colour:02x}"


def svg(canvas: Canvas, salt: str, alternative: str) -> str:
    """The figure as an `<svg>` element: colours as variables, ids of its own, short numbers, its alternative inside."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"<!--.*?-->\n?", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'<style type="text/css">.*?</style>|font-family: [^;"]*; ', "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)
    drawn = re.sub(r"(?<=[ :])#0b0b([0-9a-f]{2})", lambda found: f"var(--c{int(found[1], 16)})", drawn)
    for fixed, variable in _VARIABLES.items():
        drawn = drawn.replace(f": {fixed}", f": {variable}")
    drawn = re.sub(r'(?<= d=")[^"]*|(?<= points=")[^"]*', lambda found: _path(found[0]), drawn)
    drawn = re.sub(r'(?<= [xy]=")-?\d+\.\d{2,}', lambda found: f"{float(found[0]):.1f}", drawn)
    drawn = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", drawn)
    drawn = re.sub(r"\n\s*", "\n", _ungrouped(drawn))
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)
    assert size is not None
    opening = f'<svg role="img" viewBox="0 0 {size[1]} {size[2]}" style="width:{float(size[1]):.0f}pt"'
    label = f' aria-label="{_attribute(alternative)}"'
    return opening + label + ' xmlns:xlink="http://www.w3.org/1999/xlink">' + drawn[drawn.index(">") + 1 :]


def _path(text: str) -> str:
    """A path's commands without the spaces that they do not need, one decimal a number."""
    text = re.sub(r"(\d+\.\d)\d+", r"\1", text)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", text).strip()


def _ungrouped(text: str) -> str:
    """Without the groups that say nothing of what is in them."""
    parts, open_ = [], []
    for part in re.split(r"(<g\b[^>]*>|</g>\n?)", text):
        if part.startswith("<g") and part.endswith("/>"):
            continue  # an empty one
        if part.startswith("<g"):
            open_.append(part != "<g>")
        keep = open_[-1] if part.startswith("<g") else open_.pop() if part.startswith("</g>") else True
        parts.append(part if keep else "")
    return "".join(parts)


def _attribute(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
