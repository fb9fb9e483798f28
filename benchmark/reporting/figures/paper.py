"""Figures for a paper, as wide as a column or a page, with fixed colours and their own legend, as PDF, SVG or PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl

from benchmark.analysis.results import Results
from benchmark.reporting.figures import FIGURES, Figure, draw
from benchmark.reporting.figures.medium import Medium, drawing, on
from benchmark.reporting.figures.ranks import critical_difference
from benchmark.reporting.figures.styles import LIGHT, styles
from benchmark.statistics import Ranking
from benchmark.text import listed, unknown

Width: TypeAlias = Literal["page", "column"]
WIDTHS: Mapping[Width, tuple[float, float]] = {"page": (6.9, 7.5), "column": (3.3, 7.0)}
"""Width in inches, and size of the text in points."""
RANKS = "ranks"
_FORMATS = (".pdf", ".svg", ".png")
_DOTS = 300  # pixels per inch of a PNG


def paper_figure(
    name: str,
    results: Sequence[Results],
    ranking: Ranking | None,
    methods: Sequence[str],
    *,
    dataset: str | None = None,
    width: Width = "page",
    names: Mapping[str, str] | None = None,
) -> Figure:
    """A figure, drawn for a paper.

    Args:
        name: One of `FIGURES`, or `ranks`.
        results: The numbers, one object per data set.
        ranking: The ranking of methods over all tasks, if they can be ranked.
        methods: All methods, in the order of their keys.
        dataset: The data set to draw; needed if there are several.
        width: `page`, 6.9 inches, or `column`, 3.3.
        names: Print names of methods and tasks.

    Raises:
        ValueError: if there is no such figure, data set or width, or the records do not allow the figure.
    """
    if name not in (*FIGURES, RANKS):
        raise ValueError(unknown("figure", name, (*FIGURES, RANKS)))
    if width not in WIDTHS:
        raise ValueError(unknown("width", width, WIDTHS))
    inches, font = WIDTHS[width]
    medium = Medium("#000000", "#6b6b6b", "#e2e2e2", LIGHT, font, inches, names or {})
    keys = styles(methods)
    with on(medium):
        if name == RANKS:
            found = critical_difference(ranking, keys) if ranking is not None else None
            why = (ranking.reason if ranking is not None else None) or "fewer than two methods are ranked on every task"
        else:
            found, why = draw(name, _of(results, dataset), keys), f"it needs {FIGURES[name].needs}"
    if found is None:
        raise ValueError(f"these records do not allow the figure {name}: {why}")
    return found


def _of(results: Sequence[Results], dataset: str | None) -> Results:
    known = {one.group.name: one for one in results}
    if dataset is None:
        if len(known) > 1:
            purpose = (
                "" if len({one.group.dataset for one in results}) > 1 else ", or choose a purpose: tuned or default"
            )
            raise ValueError(f"dataset: a figure is of one data set; expected one of {listed(known)}{purpose}")
        return results[0]
    if dataset not in known:
        raise ValueError(unknown("data set", dataset, known))
    return known[dataset]


def write(figure: Figure, path: Path, suffix: str) -> None:
    """Writes a figure; the same figure gives the same bytes.

    Args:
        figure: The figure, drawn for a paper.
        path: Where to write it.
        suffix: From `check_format`. A PDF embeds fonts, an SVG has letters as shapes, a PNG has a white background.
    """
    # without a date, and with ids from the title, the file depends only on the records
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix, {})
    metadata: dict[str, Any] = {"Title": figure.title, **undated}
    salt = f"{figure.title} {figure.place}"
    with (
        on(figure.medium),
        drawing(),
        mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": salt}),
    ):
        figure.canvas.patch.set(visible=suffix == ".png", facecolor="white")
        figure.canvas.savefig(path, format=suffix[1:], dpi=_DOTS, metadata=metadata)


def check_format(path: str | Path) -> str:
    """The suffix of a file that a figure is written to.

    Raises:
        ValueError: if it is not .pdf, .svg or .png.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"out must end with one of {', '.join(_FORMATS)}, found {str(path)!r}")
    return suffix
