"""LaTeX tables read by a parser: what a compiler would refuse, where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexCommentNode,
    LatexEnvironmentNode,
    LatexMacroNode,
    LatexMathNode,
    LatexWalker,
)

MATH = {r"\pm", r"\Delta", "^2", r"\rightarrow", "-", r"\geq", r"\leq", r"\approx", r"\uparrow", r"\downarrow"}


def check(text: str) -> list[int]:
    """Asserts that groups and environments are balanced, that special characters are escaped, and that rows are full.

    Returns:
        The number of columns of every tabular.
    """
    walker = LatexWalker(text, tolerant_parsing=False)
    nodes, _, length = walker.get_latex_nodes()
    assert length == len(text)
    counts = []
    for node, in_tabular in _walk(nodes):
        if isinstance(node, LatexMathNode):
            assert "".join(inner.latex_verbatim() for inner in node.nodelist) in MATH, node.latex_verbatim()
        elif isinstance(node, LatexCharsNode):
            assert not re.search(r"[_^#]" if in_tabular else r"[_^#&]", node.chars), node.chars
        elif isinstance(node, LatexCommentNode):
            assert not node.comment or node.comment.startswith(" needs "), node.comment
        if isinstance(node, LatexEnvironmentNode) and node.environmentname == "tabular":
            counts.append(_columns(node))
            assert {sum(row) for row in _rows(node.nodelist)} == {counts[-1]}, node.latex_verbatim()
    return counts


def _walk(nodes: Sequence[Any], *, in_tabular: bool = False) -> Iterator[tuple[Any, bool]]:
    """All nodes but those inside of formulas, labels and lengths."""
    for node in nodes:
        if node is None:
            continue
        yield node, in_tabular
        if isinstance(node, LatexMathNode) or (isinstance(node, LatexMacroNode) and node.macroname == "label"):
            continue
        inside = in_tabular or (isinstance(node, LatexEnvironmentNode) and node.environmentname == "tabular")
        arguments = node.nodeargd.argnlist if getattr(node, "nodeargd", None) is not None else ()
        yield from _walk([*(arguments or ()), *(getattr(node, "nodelist", None) or ())], in_tabular=inside)


def _columns(tabular: LatexEnvironmentNode) -> int:
    inner = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
    letters = re.match(rf"\\begin\{{tabular\}}(?:\[b\])?\{{({inner})\}}", tabular.latex_verbatim())
    assert letters is not None
    plain = re.sub(rf"@\{{{inner}\}}", "", letters[1])
    return len(re.sub(r"p\{[^}]*\}", "p", plain))


def _rows(nodes: Sequence[Any]) -> Iterator[list[int]]:
    """Of every row, how many columns its cells span."""
    row, has_cells = [1], False
    for number, node in enumerate(nodes):
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            yield row
            row, has_cells = [1], False
        elif getattr(node, "specials_chars", "") == "&":
            row.append(1)
        elif isinstance(node, LatexMacroNode) and node.macroname == "multicolumn":
            row[-1] = int(nodes[number + 1].latex_verbatim().strip("{}"))
        has_cells = has_cells or (isinstance(node, LatexCharsNode) and bool(node.chars.strip()))
    if has_cells:
        yield row
