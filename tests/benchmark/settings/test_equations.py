"""Docstrings on the terminal: no equation is left as LaTeX, and hand-written texts of some."""

from __future__ import annotations

import inspect
import re

import pytest

from benchmark.metrics import METRICS
from benchmark.settings.equations import readable, text_of
from benchmark.settings.listing import describe
from benchmark.settings.registry import Registry, architectures, datasets, weightings

NAMED = [(registry, name) for registry in (architectures, weightings, datasets) for name in registry.names()]


@pytest.mark.parametrize(("registry", "name"), NAMED, ids=[name for _, name in NAMED])
def test_what_list_prints_has_no_latex(registry: Registry, name: str) -> None:
    text = describe(registry, name)
    text = text.replace(r"`\N`", "")  # a missing value in Tenrec's files
    assert re.findall(r"\\[a-zA-Z]+|\$\$|\.\. math|:math:|[_^]\{", text) == []
    assert not re.search(r"\$[a-zA-Z](?![A-Z])", text)  # $MTLBENCH_DATA is no equation


@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_no_latex_either(name: str) -> None:
    assert "\\" not in readable(inspect.getdoc(METRICS[name].function) or "")


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"y_k = h_k\Big(\sum_e g_k(x)_e\, f_e(x)\Big)", "y_k = h_k(∑_e g_k(x)_e f_e(x))"),
        (r"w_1^2 = 0.9\, \frac{1 - \alpha}{2}", "w_1² = 0.9 (1 - α)/2"),
        (r"\frac{1}{\sigma(a)\,\sigma(c)}", "1/(σ(a) σ(c))"),
        (r"\sqrt{1 - p^2}\, u_2", "√(1 - p²) u_2"),
        (r"L = \sum_t \left( c_t\, e^{-s_t} L_t + \frac{s_t}{2} \right)", "L = ∑_t (c_t e^(-s_t) L_t + s_t/2)"),
        (r"\langle v_i, g_j \rangle < 0", "⟨v_i, g_j⟩ < 0"),
        (r"x^{12}", "x^(12)"),
    ],
)
def test_text(latex: str, text: str) -> None:
    assert text_of(latex) == text


def test_blocks_are_indented_and_other_dollars_are_left_alone() -> None:
    assert readable("A\n\n    $$\n    a_{ij},\n    b\n    $$\n\nC") == "A\n\n        a_(ij),\n        b\n\nC"
    plain = "`$MTLBENCH_DATA/<name>` for $5 or $6, and $HOME too."
    assert readable(plain) == plain
