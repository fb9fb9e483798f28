r"""The table of a paper as LaTeX for booktabs: data sets and tasks as heads over their columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from benchmark.reporting.outputs.latex import NEEDS, escape, minus
from benchmark.reporting.paper import PaperCell, PaperColumn, PaperRow, PaperTable
from benchmark.statistics import Verdict

FILE = "paper.tex"
_MARKS = {Verdict.BETTER: r"\textdagger", Verdict.WORSE: r"\textdaggerdbl"}


def render(table: PaperTable, *, notes: bool) -> str:
    r"""The table, to include with `\input`, with or without its notes below."""
    lines = [
        NEEDS, r"\begin{table}", r"\centering\small", rf"\caption{{{escape(table.caption)}}}", r"\label{tab:paper}",
        r"\par\smallskip", r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        # a mark is outside its column, so that numbers stay aligned
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(table.columns)}@{{\hspace{{0.6em}}}}}}", r"\toprule",
        *_heads(table.columns), r"\midrule",
    ]  # fmt: skip
    for is_reference, rows in groupby(table.rows, key=lambda row: row.reference):
        lines += [r"\midrule"] if is_reference and not table.rows[0].reference else []
        lines += [_row(row) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if notes:
        lines.append(rf"\par\smallskip\raggedright\footnotesize {escape(' '.join(table.notes))}")
    return "\n".join([*lines, r"\end{table}", ""])


def _heads(columns: Sequence[PaperColumn]) -> list[str]:
    """The headings: data sets (if several), tasks and metrics. Headings over several columns have a line below."""
    lines = []
    if len({column.dataset for column in columns}) > 1:
        lines += _spanned([(column.dataset,) for column in columns])
    lines += _spanned([(column.dataset, column.task) for column in columns])
    lines.append(" & ".join(["", *(escape(column.head) for column in columns)]).strip() + r" \\")
    if any(column.unit for column in columns):
        units = (rf"{{\scriptsize {escape(column.unit)}}}" if column.unit else "" for column in columns)
        lines.append(" & ".join(["", *units]).strip() + r" \\")
    return lines


def _spanned(heads: Sequence[tuple[str, ...]]) -> list[str]:
    """A line of headings, each over the columns that share it, and the rules below headings over several columns."""
    cells, rules, start = [""], [], 2
    for head, members in groupby(heads):
        span = len(list(members))
        cells.append(escape(head[-1]) if span == 1 else rf"\multicolumn{{{span}}}{{c}}{{{escape(head[-1])}}}")
        if span > 1:
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    return [" & ".join(cells).strip() + r" \\", *(["".join(rules)] if rules else [])]


def _row(row: PaperRow) -> str:
    name = rf"\textit{{{escape(row.name)}}}" if row.reference else f"{{}}{escape(row.name)}"
    return " & ".join([name, *map(_cell, row.cells)]) + r" \\"


def _cell(cell: PaperCell) -> str:
    if not cell.mean:
        return "---"
    mean = minus(escape(cell.mean))
    text = rf"\textbf{{{mean}}}" if cell.best else mean
    if cell.half_width:
        text += rf"\,{{\scriptsize$\pm$\,{escape(cell.half_width)}}}"
    return text if cell.verdict is None else rf"{text}\rlap{{\textsuperscript{{{_MARKS[cell.verdict]}}}}}"
