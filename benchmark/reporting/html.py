"""A report as one self-contained HTML page: no network, one script that only sorts and filters, every name escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmark.reporting.figures import Figure, figures
from benchmark.reporting.figures.ranks import critical_difference
from benchmark.reporting.layout import Block
from benchmark.reporting.markdown import MOST_ROWS
from benchmark.reporting.styles import DARK, LIGHT, Style, styles

if TYPE_CHECKING:
    from benchmark.reporting import Report

MOST_DATASETS = 8
"""Data sets with figures on a page."""
_HEADLINE = ("auc", "mse")
_MOST_NUMBERS = 500


@dataclass(frozen=True, slots=True)
class PagePart:
    """A part of a chapter with its figure."""

    name: str
    blocks: Sequence[Block]
    notes: Sequence[str]
    figure: Figure | None


@dataclass(frozen=True, slots=True)
class PageChapter:
    """A chapter of the page; the anchor is what the contents lead to."""

    anchor: str
    title: str
    notes: Sequence[str]
    parts: Sequence[PagePart]


def render(report: Report) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("benchmark.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    palettes = {
        name: "".join(f"--c{number}:{colour};" for number, colour in enumerate(colours))
        for name, colours in (("light", LIGHT), ("dark", DARK))
    }
    script = files("benchmark.reporting").joinpath("report.js").read_text(encoding="utf-8")
    keys = styles(report.study.methods)
    symbols = list(dict.fromkeys(keys.values()))
    return environment.get_template("report.html").render(
        document=report.document,
        datasets=[group.name for group in report.study.groups],
        chapters=_chapters(report, keys),
        keys={method: symbols.index(style) for method, style in keys.items()},
        symbols=list(enumerate(symbols)),
        style=environment.get_template("report.css").render(palettes=palettes).strip(),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        slash=Markup("/<wbr>"),  # where a name may be broken
        most_rows=MOST_ROWS,
        folded="Configurations of the methods",
        data=_data(report),
    )


def _chapters(report: Report, keys: dict[str, Style]) -> list[PageChapter]:
    """The chapters with their figures; those that have neither text nor figure are left out."""
    drawn = {r.group.name: figures(r, keys) for r in report.results[:MOST_DATASETS]}
    left_out = len(report.results) - len(drawn)
    ranks = critical_difference(report.ranking, keys) if report.ranking is not None else None
    drawn[""] = {"ranks": ranks} if ranks is not None else {}
    chapters = []
    for chapter in report.document.chapters:
        parts = [
            PagePart(part.name, part.blocks, part.notes, drawn.get(part.name, {}).get(chapter.anchor))
            for part in chapter.parts
        ]
        parts = [part for part in parts if part.blocks or part.notes or part.figure]
        notes = list(chapter.notes)
        if left_out > 0 and any(part.figure and part.name for part in parts):
            notes.append(f"Figures of the first {MOST_DATASETS} of {len(report.results)} data sets.")
        if parts:
            chapters.append(PageChapter(chapter.anchor, chapter.title, notes, parts))
    return chapters


def _data(report: Report) -> dict[str, Any]:
    """The headline numbers, for programs that read the page; of very many the first."""
    summary = report.summary.filter(report.summary["metric"].is_in(_HEADLINE))
    rows = [
        [float(f"{v:.7g}") if isinstance(v, float) else v for v in row]
        for row in summary.head(_MOST_NUMBERS).iter_rows()
    ]
    return {"selection": report.selection, "columns": summary.columns, "rows": rows, "all_rows": summary.height}
