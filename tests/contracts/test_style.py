"""House style of what this project and its plugins register: docstrings that carry paper, shapes and every parameter."""

from __future__ import annotations

import re

import pytest

from benchmark.settings.listing import parameters
from benchmark.settings.registry import Registry, architectures, datasets, weightings


@pytest.mark.parametrize("name", architectures.names())
def test_an_architecture_names_its_paper_and_shapes(name: str) -> None:
    text = architectures.get(name).__doc__ or ""
    assert re.search(r"\b(19|20)\d\d\b", text), "the paper's year"
    assert re.search(r"doi 10\.|arXiv \d{4}\.\d+", text), "the paper's doi or arXiv number"
    assert "Shape:" in text


@pytest.mark.parametrize("name", weightings.names())
def test_a_weighting_names_its_paper_and_shapes(name: str) -> None:
    text = weightings.get(name).__doc__ or ""
    assert "Paper:" in text
    assert "arXiv" in text or "doi" in text
    assert "Shape:" in text


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        pytest.param(registry, name, id=name)
        for registry in (architectures, datasets, weightings)
        for name in registry.names()
    ],
)
def test_a_docstring_has_every_parameter(registry: Registry, name: str) -> None:
    for parameter in parameters(registry, name):
        assert parameter.meaning, parameter.key
