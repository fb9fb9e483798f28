r"""The tables of a report as LaTeX for booktabs, one file each, to include with `\input`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmark.reporting.layout import Cell, Column, Document, Row, TextTable
from benchmark.reporting.names import renamed

NEEDS = r"% needs \usepackage{booktabs,graphicx,textcomp} and \usepackage[T1]{fontenc}"

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    # our symbols that pdflatex has no letter for
    "±": r"$\pm$", "Δ": r"$\Delta$", "²": r"$^2$", "→": r"$\rightarrow$", "−": "$-$", "—": "---", "–": "--", "…": r"\dots{}",
    "\u00a0": "~", "≥": r"$\geq$", "≈": r"$\approx$", "≤": r"$\leq$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}",
}  # fmt: skip
_LIGATURES = re.compile(r"(?<=-)-|(?<=,),|(?<=[?!])`")  # two characters that T1 draws as another one
_MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
_BREAKABLE = 40  # from this number of characters on, a column of text is broken into lines
_HEAD = 12  # characters of a heading that stay on one line, however narrow the column is


def render(document: Document, names: Mapping[str, str], *, notes: bool) -> dict[str, str]:
    """The tables by file name: the name from `Document.tables` with `.tex`.

    `detail` columns are left out, as on a terminal: a printed page is not wider.

    Args:
        document: What to draw.
        names: Print names: of methods everywhere, of data sets and tasks in titles and headings.
        notes: Whether to print notes and the legend below the tables.
    """
    drawn = {}
    for name, part, table in document.tables():
        text = _table(_renamed(table, names), name, renamed(part.name, names), document.glossary, notes=notes)
        drawn[f"{name}.tex"] = text
    return drawn


def _renamed(table: TextTable, names: Mapping[str, str]) -> TextTable:
    methods = {name: printed for name, printed in names.items() if "/" in name}
    if not names:
        return table

    def row(old: Row) -> Row:
        return replace(
            old,
            cells=tuple(
                replace(c, text=renamed(c.text, methods), short=c.short and renamed(c.short, methods))
                for c in old.cells
            ),
        )

    return replace(
        table,
        title=renamed(table.title, names),
        subtitle=renamed(table.subtitle, names),
        columns=tuple(replace(column, title=renamed(column.title, names)) for column in table.columns),
        rows=tuple(map(row, table.rows)),
        notes=tuple(renamed(note, methods) for note in table.notes),
    )


def escape(text: str) -> str:
    """Text that LaTeX shows as it is, on one line."""
    spaced = re.sub(r"[ \t\r\n]+", " ", text.strip())
    parts = _LIGATURES.sub(r"\0\g<0>", spaced.replace("\0", ""))  # NUL marks a break between two characters
    return "".join(
        "{}" if character == "\0" else _ESCAPES.get(character, character)
        for character in parts
        if character.isprintable() or character in "\u00a0\0"
    )


def _table(table: TextTable, name: str, dataset: str, glossary: Mapping[str, str], *, notes: bool) -> str:
    shown = [number for number, column in enumerate(table.columns) if not column.detail]
    widths = [max((len(row.cells[n].text) for row in table.rows), default=0) for n in shown]
    letters = _letters([table.columns[number] for number in shown], widths)
    head = " & ".join(_head(table.columns[number], width) for number, width in zip(shown, widths, strict=True))
    about = f" of {escape(dataset)}" if dataset else ""
    subtitle = f" {escape(table.subtitle[:1].upper() + table.subtitle[1:])}." if table.subtitle else ""
    lines = [
        NEEDS, r"\begin{table}", r"\centering\small", rf"\caption{{{escape(table.title)}{about}.{subtitle}}}",
        rf"\label{{tab:{name}}}", r"\par\smallskip", r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{letters}@{{}}}}", r"\toprule", rf"{head} \\", r"\midrule",
    ]  # fmt: skip
    ruled = False
    for row in table.rows:
        if row.reference and not ruled and row is not table.rows[0]:
            lines.append(r"\midrule")
            ruled = True
        cells = zip((row.cells[number] for number in shown), shown, widths, strict=True)
        drawn = [
            _cell(cell, table.columns[number], reference=row.reference, broken=width >= _BREAKABLE)
            for cell, number, width in cells
        ]
        lines.append(" & ".join(drawn) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    below = _notes(table, shown, glossary) if notes else []
    lines += [rf"\par\smallskip\raggedright\footnotesize {escape(note)}" for note in below]
    return "\n".join([*lines, r"\end{table}", ""])


def _notes(table: TextTable, shown: Sequence[int], glossary: Mapping[str, str]) -> list[str]:
    """Readers see a table on its own, so the terms that occur in it are explained below it."""
    every = [row.cells[number] for row in table.rows for number in shown]
    marks = {
        "a ± b, [low, high]": any(" ± " in cell.text or " [" in cell.text for cell in every),
        "bold": any(cell.best for cell in every),
        "train s": any(table.columns[n].key == "seconds" for n in shown),
    }
    terms = [f"{term}: {glossary[term]}" for term, occurs in marks.items() if occurs and term in glossary]
    return [*table.notes, *terms]


def _letters(columns: Sequence[Column], widths: Sequence[int]) -> str:
    """The tabular's columns. Columns of long text break it into lines and share the rest of the page."""
    broken = sum(not column.numeric and width >= _BREAKABLE for column, width in zip(columns, widths, strict=True))
    share = rf"p{{{0.7 / max(broken, 1):.2f}\linewidth}}"
    return "".join(
        "r" if column.numeric else "l" if width < _BREAKABLE else share
        for column, width in zip(columns, widths, strict=True)
    )


def _head(column: Column, width: int) -> str:
    """A column's title, in lines not much wider than the cells below."""
    wrapped = textwrap.wrap(column.title, max(width, _HEAD), break_long_words=False, break_on_hyphens=False)
    lines = [_begun(escape(line)) for line in wrapped]
    if len(lines) < 2:
        return "".join(lines)
    letter = "r" if column.numeric else "l"
    return rf"\begin{{tabular}}[b]{{@{{}}{letter}@{{}}}}" + r" \\ ".join(lines) + r"\end{tabular}"


def _cell(cell: Cell, column: Column, *, reference: bool, broken: bool) -> str:
    text = escape(cell.text if column.numeric else cell.narrow)
    if not text:
        return ""
    if column.numeric:
        text = minus(text)
    elif broken:  # names are long words: a line may end at any of their characters
        text = re.sub(r"\\_|\\text\w+\{\}|[/=.,:](?! )", r"\g<0>\\allowbreak{}", text)
    text = _begun(text)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    elif reference:
        text = rf"\textit{{{text}}}"
    # ragged, but not by \raggedright, which gives `\\` another meaning
    return rf"\rightskip=0pt plus 1fil\relax {text}" if broken and not column.numeric else text


def minus(text: str) -> str:
    """Turns a number's hyphen into a minus; hyphens in names stay."""
    return _MINUS.sub("$-$", text)


def _begun(text: str) -> str:
    """Text at the start of a line, where `[` and `*` would be read as an argument of the line break before."""
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
