"""A finished canvas as an `<svg>` element that takes its colours from the page."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmark.reporting.figures.medium import PAGE, drawing, on

_VARIABLES = {PAGE.ink: "currentColor", PAGE.muted: "var(--muted)", PAGE.grid: "var(--grid)"}


def svg(canvas: Canvas, salt: str, alternative: str) -> str:
    """The figure as an `<svg>` element: colours as variables, unique ids, short numbers, and its alternative text."""
    text = io.StringIO()
    with on(PAGE), drawing(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
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
    """A path's commands without needless spaces, with one decimal per number."""
    text = re.sub(r"(\d+\.\d)\d+", r"\1", text)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", text).strip()


def _ungrouped(text: str) -> str:
    """The SVG without groups that carry no information."""
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
