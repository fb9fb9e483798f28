"""What `test_peers.py` compares: one of our architectures with a peer's model, and the rules by which our parameters are its."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import pytest
from torch import Tensor, nn

from architectures import Batch, Schema
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, make_schema

MIXED = make_schema(LIKE, SECONDS)
FUNNEL = make_schema(CLICK, CART)
CHAIN = make_schema(CLICK, CART, BUY)

DIM = 4  # of embeddings
WIDTH = 16  # of the last layer; a square, as torch-rechub takes its root in float32
LAYERS = (12, WIDTH)
TOWER = (8,)
EXPERTS = 4

EXTRA = "-e '.[peers]'"
ALONE = "--no-deps LibMTL nextrec"  # their other requirements are not used


class Rule(NamedTuple):
    """Our parameters whose names match `ours` are `theirs` in the peer.

    Several rules may match a name if each takes a part of the parameter.
    """

    ours: str
    theirs: str | Callable[[re.Match[str]], str]  # a template of `Match.expand`, or a function of the match
    take: Callable[[Tensor], Tensor] = lambda parameter: parameter


def keep(ours: Any, peer: Any) -> None:
    """Ties nothing."""


@dataclass(frozen=True)
class Case:
    """A comparison.

    Args:
        ours: The name of our architecture.
        schema: Of both.
        sizes: Parameters of our architecture, beside the embedding width.
        peer: Makes the peer's model of the same size.
        call: The peer's model and a batch -> (B, T): probabilities of binary tasks, values of regressions.
        rules: Where our parameters belong.
        fixed: {pattern: value} of the peer's parameters that the paper does not have; at that value they do nothing.
        unread: Pattern of the peer's parameters that no output depends on.
        tie: Makes two parameters one, in our model or the peer's, where the other has only one.
    """

    ours: str
    schema: Schema
    sizes: Mapping[str, Any]
    peer: Callable[[Schema], nn.Module]
    call: Callable[[nn.Module, Batch], Tensor]
    rules: tuple[Rule, ...]
    fixed: Mapping[str, float] = field(default_factory=dict)
    unread: str = r"(?!)"
    tie: Callable[[Any, Any], None] = keep

    @property
    def name(self) -> str:
        """Of the test."""
        return f"{self.ours}-{self.sizes.get('gate', len(self.schema.tasks))}"


def tables(schema: Schema, theirs: str) -> tuple[Rule, ...]:
    """The rows of a field in our table are a table of the peer's."""
    rules, end = [], 0
    for code in schema.categorical:  # in ascending order of cardinality, as in our table
        start, end = end, end + code.cardinality
        rules.append(Rule(r"embedding\.small\.weight", f"{theirs}.{code.name}.weight", itemgetter(slice(start, end))))
    return tuple(rules)


def needs(module: str, source: str = EXTRA) -> None:
    """Skips the test without this module, which it does not import; `make test-peers`, which installs it, then fails.

    Args:
        module: Its name.
        source: What to tell pip, `EXTRA` or `ALONE`.
    """
    if importlib.util.find_spec(module) is None:
        lacks = pytest.fail if os.environ.get("MTLBENCH_PEERS") == "all" else pytest.skip
        lacks(f"needs {module}: make test-peers, or pip install -c constraints.txt {source}")


def import_apart(name: str, absent: tuple[str, ...] = ()) -> Any:
    """Imports a module of a package, without the package's own `__init__`, and with dummies for what is not installed.

    Args:
        name: The module, with its package.
        absent: What it imports and does not use; each gets a dummy unless it is installed.
    """
    package, *_ = name.split(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    bare = ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations or ())
    dummies = {other: mock.MagicMock() for other in absent if importlib.util.find_spec(other.split(".")[0]) is None}
    added = {package: bare, **dummies}
    sys.modules.update(added)
    try:
        return importlib.import_module(name)
    finally:
        for other in added:
            del sys.modules[other]
