"""What figures are drawn with: panels, marks and a legend, in a medium's size. pyplot and its state are not used."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, starmap
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmark.reporting.figures.medium import Medium, colour, current, named
from benchmark.reporting.figures.styles import Style
from benchmark.reporting.figures.svg import svg
from benchmark.statistics import Interval

_COLUMNS, _MOST_COLUMNS = 3, 4
_PANEL = {"grid": (3.1, 1.6), "row": (2.4, 1.0), "narrow": (1.6, 0.8)}  # inches per panel: on a page, and at least
_ALONE = 4.6  # inches of a single panel beside names
_LONGEST = 36  # characters of a name beside an axis
_NAMES = 0.45  # largest share of a given width for names beside an axis


@dataclass(frozen=True)
class Figure:
    """A figure: title, canvas, caption, and alternative text."""

    title: str
    canvas: Canvas
    caption: str
    alternative: str
    place: str
    medium: Medium

    @cached_property
    def svg(self) -> str:
        """The figure for a page, if it was drawn on one."""
        return svg(self.canvas, f"{self.title} {self.place}", self.alternative)


_MOST_LINES = 4  # of an axis' label


def figure(title: str, canvas: Canvas, place: str, caption: str, sentences: Sequence[str]) -> Figure:
    """The finished figure of a canvas; `place` distinguishes its ids from those of other data sets."""
    for axes in canvas.axes:
        _fit(axes, canvas)
    return Figure(title, canvas, caption, " ".join((f"{title}.", *sentences)), place, current())


def _fit(axes: Axes, canvas: Canvas) -> None:
    """Breaks and shrinks the texts of a panel until they fit its width, and leaves out ticks without room."""
    medium = current()
    width, height = canvas.get_size_inches() * axes.get_position().size
    for text, room, put in (
        (axes.get_xlabel(), width, axes.set_xlabel),
        (axes.get_ylabel(), height, axes.set_ylabel),
    ):
        if text:
            letters = max(int(room / medium.letter), 8)
            text = shortened(text, _MOST_LINES * letters)
            longest = max(map(len, text.split()))
            put(textwrap.fill(text, letters, break_long_words=False), fontsize=medium.font * _shrunk(longest, letters))
    title, letters = axes.get_title(loc="left"), max(int(width / medium.letter / 1.2), 8)  # it is bold, and larger
    shrunk = _shrunk(len(title), letters)
    axes.set_title(shortened(title, int(letters / shrunk)), fontsize=(medium.font + 1) * shrunk)
    if axes.get_xscale() == "linear":
        _thin(axes, width)


def _shrunk(letters: int, room: int) -> float:
    """The share of its size at which a text of `letters` letters fits, but not below what is readable."""
    return min(1.0, max(0.7, room / letters)) if letters else 1.0


def _thin(axes: Axes, width: float) -> None:
    """Removes ticks from the x axis until their labels do not touch."""
    axis, letter = axes.xaxis, current().letter
    low, high = sorted(axes.get_xlim())

    def apart(one: tuple[float, int], other: tuple[float, int]) -> bool:
        return abs(one[0] - other[0]) / (high - low) * width >= letter * ((one[1] + other[1]) / 2 + 1.5)

    for most in range(5, 0, -1):
        axes.locator_params(axis="x", nbins=most)
        places = [float(place) for place in axis.get_major_locator()() if low <= place <= high]
        lengths = [len(label) for label in axis.get_major_formatter().format_ticks(places)]
        found = list(zip(places, lengths, strict=True))
        if all(starmap(apart, pairwise(found))):
            return
    for order in (sorted(found, key=lambda tick: abs(tick[0])), [found[0], *found[:0:-1]]):
        kept: list[tuple[float, int]] = []
        for tick in order:
            if all(apart(tick, other) for other in kept):
                kept.append(tick)
        if len(kept) > 1:  # with zero, or else without it: a single tick gives no scale
            break
    axes.set_xticks([place for place, _ in kept])


def grid(
    panels: int, height: float = 2.5, *, labelled: bool = False, a_row: int | None = None, wide: float = 1.0
) -> tuple[Canvas, list[Axes]]:
    """A canvas with `panels` panels of equal size, `a_row` per row, or else three or four; `height` in inches.

    `wide` is the width of a panel on a page, relative to the usual one.

    Margins are fixed, because measuring every label takes longer than drawing it.
    """
    medium = current()
    wanted, least = (size * wide for size in _PANEL["grid"])
    columns = panels if panels <= _MOST_COLUMNS else _COLUMNS
    columns = min(a_row, panels) if a_row is not None and a_row <= _MOST_COLUMNS else columns
    width = wanted * columns + 0.1
    if medium.width is not None:
        columns, width = min(columns, max(int(medium.width / least), 1)), medium.width
        height *= max(width / columns / wanted, 0.6)
    lines = -(-panels // columns)
    left = (0.68 if labelled else 0.5) * medium.scale
    size = width, height * lines
    canvas = Canvas(figsize=size)
    axes = canvas.subplots(lines, columns, squeeze=False).ravel().tolist()
    _margins(canvas, size, (lines, columns), left=left, right=0.12, gaps=(left + 0.14, 0.78))
    for unused in axes[panels:]:
        unused.remove()
    return canvas, _prepared(canvas, axes[:panels])


def rows(names: Sequence[str], panels: int, *, first_wide: bool = False) -> tuple[Canvas, list[Axes]]:
    """A canvas with a line for each name, the first on top, and `panels` panels side by side, four per row.

    With `first_wide`, the first panel is twice as wide and does not count among the four.
    """
    medium = current()
    wanted, least = _PANEL["narrow" if first_wide else "row"]
    columns = min(panels + first_wide, _MOST_COLUMNS + 2 * first_wide)
    labels = [shortened(named(name)) for name in names]
    if medium.width is not None:
        labels = [shortened(name, int(_NAMES * medium.width / medium.letter)) for name in labels]
    left = 0.2 + medium.letter * max(map(len, labels))
    width = left + (wanted * columns if columns > 1 else _ALONE)
    if medium.width is not None:
        columns, width = min(columns, max(int((medium.width - left) / least), 1)), medium.width
    first = min(1 + first_wide, columns)
    lines = -(-(panels - 1 + first) // columns)
    size = (width, (0.78 + 0.2 * medium.scale * len(names)) * lines)
    canvas = Canvas(figsize=size)
    cells = canvas.add_gridspec(lines, columns)
    chosen = [canvas.add_subplot(cells[0, :first])]
    for place in range(first, first + panels - 1):
        chosen.append(canvas.add_subplot(cells[divmod(place, columns)], sharey=chosen[0]))
        chosen[-1].tick_params(axis="y", labelleft=place % columns == 0)
    _margins(canvas, size, (lines, columns), left=left, right=0.15, gaps=(0.22, 0.78))
    _prepared(canvas, chosen)
    for panel in chosen:
        panel.xaxis.set_major_formatter(
            _Plain(lambda value, _: f"{0 if abs(value) < 1e-12 else value:g}".replace("-", "−"))
        )
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
    chosen[0].set_yticks(range(len(names)), labels)
    chosen[0].set_ylim(len(names) - 0.4, -0.6)
    return canvas, chosen


def legend(canvas: Canvas, keys: Mapping[str, Style], *, lines: bool = False) -> None:
    """The key of the methods' marks, below the panels of a paper's figure. A page has it beside the names in its tables."""
    medium = current()
    if medium.width is None or not keys:
        return
    labels = [shortened(named(method)) for method in keys]
    columns = max(1, min(len(labels), int(medium.width / (medium.letter * max(map(len, labels)) + 0.4))))
    depth = 0.06 + 0.16 * medium.scale * -(-len(labels) // columns)
    (width, height), at = canvas.get_size_inches(), canvas.subplotpars
    taller = height + depth
    canvas.set_size_inches(width, taller)
    canvas.subplots_adjust(bottom=(at.bottom * height + depth) / taller, top=(at.top * height + depth) / taller)
    handles = [
        Line2D(
            [], [], color=colour(style), marker=style.marker, markersize=4.5, linewidth=1.2,
            linestyle=((0, style.dash) if style.dash else "-") if lines else "none",
        )
        for style in keys.values()
    ]  # fmt: skip
    canvas.legend(
        handles, labels, loc="lower center", ncols=columns, frameon=False, borderaxespad=0.2, borderpad=0,
        fontsize=medium.font, handlelength=2.4 if lines else 1.0, columnspacing=1.2, labelspacing=0.3,
    )  # fmt: skip


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
    top, bottom = 0.27, 0.62  # room for a label of two lines
    panel_width = (width - left - right - gaps[0] * (columns - 1)) / columns
    panel_height = (height - top - bottom - gaps[1] * (lines - 1)) / lines
    canvas.subplots_adjust(
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height,
        wspace=gaps[0] / panel_width, hspace=gaps[1] / panel_height,
    )  # fmt: skip


def _prepared(canvas: Canvas, axes: list[Axes]) -> list[Axes]:
    canvas.patch.set_visible(False)
    for panel in axes:
        panel.patch.set_visible(False)
        panel.locator_params(nbins=5)
    return axes


def shortened(name: str, most: int = _LONGEST) -> str:
    """A name of at most `most` characters, without its middle: the end distinguishes long names."""
    start = (most - 3) // 2
    return name if len(name) <= most else f"{name[:start]}…{name[-(most - start - 1) :]}"


def log_axis(axes: Axes, which: str, values: Sequence[float], form: Any) -> None:
    """A logarithmic axis with plain numbers, if the values span more than a factor of eight."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if values and min(values) > 0 and max(values) > 8 * min(values):
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(_Plain(lambda value, _: form(value)))  # powers of ten would need mathtext


class _Plain(FuncFormatter):
    """Labels in our format, with more digits if two labels would read the same."""

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
    """Draws marks, all of one shape at once: one call of matplotlib per mark would take most of a page's time."""
    horizontal = [(m.y, *m.x_ends, colour(m.style)) for m in marks if m.x_ends is not None]
    vertical = [(m.x, *m.y_ends, colour(m.style)) for m in marks if m.y_ends is not None]
    for lines, ends in ((axes.hlines, horizontal), (axes.vlines, vertical)):
        if ends:
            places, lows, highs, colours = zip(*ends, strict=True)
            lines(places, lows, highs, colors=colours, linewidth=1.1)
    for shape in dict.fromkeys(m.style.marker for m in marks):
        chosen = [m for m in marks if m.style.marker == shape]
        axes.scatter(
            [m.x for m in chosen], [m.y for m in chosen], marker=shape, s=26 * current().scale**2, linewidths=1.0, zorder=3,
            edgecolors=[colour(m.style) for m in chosen],
            facecolors=[colour(m.style) if m.filled else "none" for m in chosen],
        )  # fmt: skip


def ends(interval: Interval) -> tuple[float, float] | None:
    """The ends of an interval, if it has them."""
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)


@dataclass(frozen=True, slots=True)
class Writing:
    """A text to write beside a point, in the colour of its mark."""

    x: float
    y: float
    text: str
    colour: str


_AROUND = tuple((side, rows) for rows in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5) for side in (1, -1))
"""Places of a text beside its point: right (1) or left (-1), and the number of lines up. The first is preferred."""


def write(axes: Axes, writings: Sequence[Writing], steps: Sequence[tuple[float, float]] = ()) -> None:
    """Writes texts beside their points, each where it covers no point and no other text, or else where it covers least.

    A text that is not on its point's line gets a thin line to it. The limits of the axes must be final.

    Args:
        axes: Where to write.
        writings: The texts; the first have the choice.
        steps: The corners of a line in steps (`steps-post`) that texts should not cover.
    """
    medium, canvas = current(), axes.get_figure(root=True)
    assert canvas is not None
    frame = axes.get_position()
    width, height = canvas.get_size_inches() * (frame.width, frame.height)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(left, right), axes.set_ylim(bottom, top)
    size = 0.9 * medium.font
    line, gap = 0.016 * size, 0.07

    def inches(x: float, y: float) -> tuple[float, float]:
        return (x - left) / (right - left) * width, (y - bottom) / (top - bottom) * height

    points = [inches(one.x, one.y) for one in writings]
    taken = [(x - 0.04, y - 0.04, x + 0.04, y + 0.04) for x, y in points]
    for (x, y), (to_x, to_y) in pairwise(inches(*corner) for corner in steps):
        taken.append((min(x, to_x), y - 0.01, max(x, to_x), y + 0.01))
        taken.append((to_x - 0.01, min(y, to_y), to_x + 0.01, max(y, to_y)))
    for one, (x, y) in zip(writings, points, strict=True):
        long = 0.9 * medium.letter * len(one.text)
        boxes = []
        for side, rows in _AROUND:
            away = gap * (1 + abs(rows))
            start = x + away if side > 0 else x - away - long
            boxes.append((start, y + (rows - 0.5) * line, start + long, y + (rows + 0.5) * line))
        covered = [_outside(box, width, height) + sum(_common(box, other) for other in taken) for box in boxes]
        place = covered.index(min(covered))
        (start, low, end, high), (side, rows) = boxes[place], _AROUND[place]
        taken.append(boxes[place])
        middle = (low + high) / 2 / height
        axes.annotate(
            one.text, ((start if side > 0 else end) / width, middle), xycoords="axes fraction", color=one.colour,
            fontsize=size, va="center", ha="left" if side > 0 else "right", zorder=4,
        )  # fmt: skip
        if rows:
            ends = [x / width, (start - 0.02 if side > 0 else end + 0.02) / width], [y / height, middle]
            axes.plot(*ends, transform=axes.transAxes, color=one.colour, linewidth=0.5, alpha=0.6, zorder=1)


_Box: TypeAlias = tuple[float, float, float, float]


def _outside(box: _Box, width: float, height: float) -> float:
    left, low, right, high = box
    return max(-left, 0) + max(right - width, 0) + max(-low, 0) + max(high - height, 0)


def _common(one: _Box, other: _Box) -> float:
    """The area that two boxes share."""
    across, up = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    return max(across, 0) * max(up, 0)
