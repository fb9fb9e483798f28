"""A report as GitHub-flavoured Markdown: the tables, their notes, and how they were made."""

from __future__ import annotations

import re

from benchmark.reporting.layout import Block, Code, Document, Facts, Sentences, TextTable

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$#&]|(?<!\w)_|_(?!\w)")
MOST_ROWS = 80
"""Most methods in a table; the CSV file has all."""


def render(document: Document) -> str:
    """The document as Markdown."""
    parts = [f"# {escape(document.title)}", *map(escape, document.lines)]
    for chapter in document.chapters:
        if not chapter.has_text:
            continue
        parts += [f"## {escape(chapter.title)}", *map(escape, chapter.notes)]
        for part in chapter.parts:
            if document.has_parts and part.name and (part.blocks or part.notes):
                parts.append(f"### {escape(part.name)}")
            for block in part.blocks:
                parts += _block(block)
            parts += map(escape, part.notes)
    parts += ["## Terms", "\n".join(f"- {escape(term)}: {escape(text)}" for term, text in document.glossary.items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: it cannot become markup, HTML or the end of a table cell."""
    escaped = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"^(?=[-+](?![\w.])|=|\d+[.)](?: |$))", "\u200b", escaped)


def _block(block: Block) -> list[str]:
    if isinstance(block, TextTable):
        return _table(block)
    if isinstance(block, Sentences):
        return ["\n".join(f"- {escape(sentence.text)}" for sentence in block.items)]
    if isinstance(block, Facts):
        facts = "\n".join(f"- {escape(label)}: {escape(text)}" for label, text in block.pairs)
        return [f"#### {escape(block.title)}", facts]
    assert isinstance(block, Code)
    # an indented block has no fence that a line could close; after a paragraph, as it would join the list before it
    lines = "\n".join("    " + " ".join(line.split()) for line in block.lines)
    return [f"#### {escape(block.title)}", "As run:", lines]


def _table(table: TextTable) -> list[str]:
    lines = [
        _line([escape(column.title) for column in table.columns]),
        _line(["---:" if column.numeric else ":---" for column in table.columns]),
    ]
    rows, left_out = table.first(MOST_ROWS)
    for row in rows:
        texts = [escape(cell.text) for cell in row.cells]
        marks = ["**" if cell.best else "" for cell in row.cells]
        lines.append(_line([f"{mark}{text}{mark}" for text, mark in zip(texts, marks, strict=True)]))
    notes = [*table.notes, *([left_out] if left_out else [])]
    return [f"#### {escape(table.title)}", escape(table.subtitle), "\n".join(lines), *map(escape, notes)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
