"""A report as GitHub-flavoured Markdown: the tables, their notes, and how they were made."""

from __future__ import annotations

import re

from benchmark.reporting.layout import Document, Table

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$#&]|(?<!\w)_|_(?!\w)")


def render(document: Document) -> str:
    """The document as Markdown."""
    parts = [f"# {escape(document.title)}", *map(escape, document.lines)]
    for section in document.sections:
        parts.append(f"## {escape(section.name)}")
        for table in (*section.tables, section.trouble):
            if table is not None:
                parts += _table(table)
        parts += map(escape, section.notes)
        parts.append(_facts(section.facts))
    parts.append("## How to read this, and how it was made")
    parts += map(escape, document.notes)
    parts.append(_facts(document.provenance))
    if document.configurations is not None:
        parts += _table(document.configurations)
    if document.commands:
        # an indented block: no fence that a command could close
        parts += ["Commands:", "\n".join("    " + " ".join(command.split()) for command in document.commands)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no HTML, no end of a table's cell."""
    escaped = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"^(?=[-+] |=|\d+[.)] )", "\u200b", escaped)


def _table(table: Table) -> list[str]:
    lines = [
        _line([escape(column.title) for column in table.columns]),
        _line(["---:" if column.numeric else ":---" for column in table.columns]),
    ]
    for row in table.rows:
        texts = [escape(cell.text) for cell in row.cells]
        if row.reference:
            texts = [f"*{text}*" if text else "" for text in texts]
        lines.append(_line([f"**{t}**" if cell.best else t for t, cell in zip(texts, row.cells, strict=True)]))
    return [f"### {escape(table.title)}", escape(table.subtitle), "\n".join(lines), *map(escape, table.notes)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"- {escape(label)}: {escape(text)}" for label, text in facts)
