r"""The equations of docstrings on a terminal: LaTeX between dollars as Unicode text.

A block between lines of `$$` becomes indented lines, `$\sigma_t^2$` in a sentence becomes `σ_t²`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text

BLOCK = re.compile(r"^(?P<indent> *)\$\$\n(?P<latex>.*?)\n *\$\$$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<![\w`$\\])\$(?P<latex>[^\s$]|[^\s$][^$`\n]*[^\s$])\$(?![\w$])")
SCRIPT = re.compile(r"([_^])\{((?:[^{}]|\{[^{}]*\})*)\}")
GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
FRACTION = re.compile(rf"\\frac{GROUP}{GROUP}")
WORD = re.compile(r"(?<![_^])(\\(?!l[vV]ert|langle)[a-zA-Z]+) +(?=[\w\\])")
NAMED = re.compile(r"\\operatorname\{(\w+)\}")
SPACE = re.compile(r"\\(?:q?quad|,|;|:|!)(?![a-zA-Z])")
POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def readable(docstring: str) -> str:
    r"""A docstring with its equations as text.

    >>> readable("The weight $e^{-s_t}$ of task $t$.")
    'The weight e^(-s_t) of task t.'
    """
    inside = BLOCK.sub(lambda found: _indented(found["latex"], found["indent"] + "    "), docstring)
    return INLINE.sub(lambda found: text_of(found["latex"]), inside)


def text_of(latex: str) -> str:
    r"""One equation as text.

    >>> text_of(r"w = \operatorname{softmax}(W_{u,j}\, v_{u,j-1}), \qquad s^2 \le \frac{1}{2}")
    'w = softmax(W_(u,j) v_(u,j-1)),    s² ≤ 1/2'
    >>> text_of(r"\log \sigma = \frac{1 - \alpha}{2 x}")
    'log σ = (1 - α)/(2 x)'
    """
    latex = NAMED.sub(r"\\mathrm{\1}", latex)
    latex = SPACE.sub(lambda space: "@" if "quad" in space[0] else " ", latex)  # laid out after the conversion
    latex = WORD.sub(r"\1\\ ", latex)  # or LaTeX's rule takes the space after a command's name
    while FRACTION.search(latex):
        latex = FRACTION.sub(lambda f: f"{_grouped(f[1], '+-')}/{_grouped(f[2], '+- ')}", latex)
    while SCRIPT.search(latex):
        latex = SCRIPT.sub(_script, latex)
    text = " ".join(_converter().latex_to_text(f"${latex}$").split())
    text = re.sub(r"\^(\d)(?!\d)", lambda power: power[1].translate(POWERS), text)
    text = re.sub(r"(?<=[(⟨|‖]) | (?=[),⟩])", "", text)
    return re.sub(r" ?@ ?", "    ", text).strip()


def _indented(latex: str, indent: str) -> str:
    return "\n".join(indent + text_of(line) for line in latex.splitlines())


def _script(found: re.Match[str]) -> str:
    mark, inner = found.groups()
    return f"{mark}{inner}" if len(inner) == 1 else f"{mark}({inner})"


def _grouped(part: str, marks: str) -> str:
    """A side of a fraction, in parentheses where it would fall apart without them."""
    inside = re.sub(rf"{GROUP}|\\langle.*?\\rangle", "", part)
    return f"({part})" if any(mark in inside for mark in marks) else part


@cache
def _converter() -> LatexNodes2Text:
    from pylatexenc.latex2text import LatexNodes2Text  # only where an equation is shown

    return LatexNodes2Text(math_mode="text", keep_braced_groups=False)
