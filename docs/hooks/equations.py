"""Equations as MathML: what `pymdownx.arithmatex` marks in a page is drawn by the browser alone."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">(?P<open>\\[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>(?P<after>[.,;:)]*)',
    re.DOTALL,
)
FUNCTION = re.compile(r"(<mi>(?:log|exp|sin|cos|max|min)</mi>)(?=<m(?:i|sub|sup|subsup|frac)>)")  # of `log p`


def mathml(latex: str, *, display: bool) -> str:
    r"""The equation as MathML.

    >>> mathml("x", display=False)
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>'

    Raises:
        ValueError: if it has a command that is not understood.
    """
    drawn: str = convert(" ".join(latex.split()), display="block" if display else "inline")
    if unknown := re.search(r"\\[a-zA-Z]+", drawn):
        raise ValueError(f"the equation {latex!r} has the unknown command {unknown[0]}")
    return FUNCTION.sub(r'\1<mspace width="0.167em" />', drawn)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Draws every equation of a page."""

    def drawn(found: re.Match[str]) -> str:
        try:
            display = found["open"] == r"\["
            parts = html.unescape(found["latex"]).split(r"\qquad")  # on a narrow screen they stand below each other
            math = "".join(mathml(part, display=display) for part in parts)
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error
        if found["tag"] == "div":
            return f'<div class="equation">{math}</div>{found["after"]}'
        return f'<span class="inline-equation">{math}{found["after"]}</span>'  # no line begins with its full stop

    return MARKED.sub(drawn, content)
