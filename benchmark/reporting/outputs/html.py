"""A report as one self-contained HTML page: no network, one script that only sorts and filters, every name escaped."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.results import Results
from benchmark.kinds import default_margins
from benchmark.reporting.figures import Figure, figures
from benchmark.reporting.figures.profiles import performance_profiles
from benchmark.reporting.figures.ranks import critical_difference
from benchmark.reporting.figures.styles import DARK, LIGHT, Style, styles
from benchmark.reporting.layout import Block, Document, Part
from benchmark.reporting.outputs.markdown import MOST_ROWS
from benchmark.reporting.provenance import command
from benchmark.statistics import Ranking

KEYED = ("cost", "front", "curves", "weights", "conflicts")
"""Chapters whose figures show methods only by their keys."""
MOST_DATASETS = 8
"""Most data sets with figures on a page."""
_MOST_NUMBERS = 500


@dataclass(frozen=True, slots=True)
class PagePart:
    """A part of a chapter with its figure, and the methods whose keys are below the figure."""

    name: str
    blocks: Sequence[Block]
    notes: Sequence[str]
    figure: Figure | None
    keys: Sequence[str] = ()
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class PageChapter:
    """A chapter of the page; the contents link to the anchor."""

    anchor: str
    title: str
    notes: Sequence[str]
    parts: Sequence[PagePart]
    folded: bool = False


def render(
    document: Document,
    results: Sequence[Results],
    ranking: Ranking | None,
    summary: pl.DataFrame,
    methods: Sequence[str],
    boards: Sequence[Leaderboard] = (),
    *,
    folder: str,
) -> str:
    """The page.

    Args:
        document: What to draw.
        results: The numbers behind it, for the figures, one object per data set.
        ranking: The ranking of methods over all tasks, if they can be ranked.
        summary: `Report.summary`, whose headline numbers the page carries for programs.
        methods: All methods, in the order of their keys.
        boards: The leaderboards with performance profiles to draw.
        folder: Where the records are, for the commands that the page copies.
    """
    keys = styles(methods)
    return _page(
        document,
        list(dict.fromkeys(result.group.dataset for result in results)),
        _chapters(document, results, ranking, keys, boards),
        keys,
        _data(results, summary),
        _runs(results, folder),
    )


def render_alone(document: Document, dataset: str) -> str:
    """The page of a document that compares no methods, such as the card of a data set."""
    return _page(document, [dataset], _chapters(document, (), None, {}, ()), {}, {}, {})


def _page(
    document: Document,
    datasets: Sequence[str],
    chapters: Sequence[PageChapter],
    keys: dict[str, Style],
    data: dict[str, Any],
    runs: dict[str, Any],
) -> str:
    environment = Environment(
        loader=PackageLoader("benchmark.reporting.outputs", ""),
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
    script = files("benchmark.reporting.outputs").joinpath("report.js").read_text(encoding="utf-8")
    symbols = list(dict.fromkeys(keys.values()))
    return environment.get_template("report.html").render(
        document=document,
        datasets=datasets,
        has_views=any(part.parameters for chapter in document.chapters for part in chapter.parts),
        chapters=chapters,
        keys={method: symbols.index(style) for method, style in keys.items()},
        symbols=list(enumerate(symbols)),
        style=environment.get_template("report.css").render(palettes=palettes).strip(),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        slash=Markup("/<wbr>"),  # a name may be broken here
        most_rows=MOST_ROWS,
        data=data,
        runs=runs,
    )


def _chapters(
    document: Document,
    results: Sequence[Results],
    ranking: Ranking | None,
    keys: dict[str, Style],
    boards: Sequence[Leaderboard],
) -> list[PageChapter]:
    """The chapters with their figures, without chapters that have neither text nor figure."""
    named = {part.name for chapter in document.chapters for part in chapter.parts}
    drawn = {r.group.name: figures(r, keys) for r in results[:MOST_DATASETS] if r.group.name in named}
    left_out = len(results) - MOST_DATASETS
    ranks = critical_difference(ranking, keys) if ranking is not None else None
    over_all = {"ranks": ranks, "leaderboard": performance_profiles(boards, keys)}
    drawn[""] = {anchor: figure for anchor, figure in over_all.items() if figure is not None}
    finished = {r.group.name: [m for m in r.by_gain if r.group.finished[m]] for r in results}
    chapters = []
    for chapter in document.chapters:
        parts = [
            _part(part, drawn.get(part.name, {}).get(chapter.anchor), chapter.anchor, finished.get(part.name, ()))
            for part in chapter.parts
        ]
        parts = [part for part in parts if part.blocks or part.notes or part.figure]
        notes = list(chapter.notes)
        if left_out > 0 and any(part.figure and part.name for part in parts):
            notes.append(f"Figures of the first {MOST_DATASETS} of {len(results)} data sets.")
        if parts:
            chapters.append(PageChapter(chapter.anchor, chapter.title, notes, parts, chapter.folded))
    return chapters


def _part(part: Part, figure: Figure | None, anchor: str, methods: Sequence[str]) -> PagePart:
    """The part with the keys of the methods, if its figure does not name them."""
    keys = methods if figure is not None and anchor in KEYED else ()
    return PagePart(part.name, part.blocks, part.notes, figure, keys, part.parameters)


def _runs(results: Sequence[Results], folder: str) -> dict[str, dict[str, dict[str, str]]]:
    """{group: {method: {show: the command that prints its records, run: the command that trains it}}}, for copying."""
    return {
        of.group.name: {
            method: {
                "show": "\n".join(f"mtlbench show {shlex.quote(folder)} {run.record.id}" for run in runs),
                "run": command(runs),
            }
            for method, runs in of.group.by_method.items()
        }
        for of in results
    }


def _data(results: Sequence[Results], summary: pl.DataFrame) -> dict[str, Any]:
    """The headline numbers, for programs that read the page; only the first if there are very many."""
    headline = summary.filter(summary["metric"].is_in(list(default_margins())))
    rows = [
        [float(f"{v:.7g}") if isinstance(v, float) else v for v in row]
        for row in headline.head(_MOST_NUMBERS).iter_rows()
    ]
    return {
        "selection": results[0].selection, "columns": headline.columns, "rows": rows, "all_rows": headline.height,
    }  # fmt: skip
