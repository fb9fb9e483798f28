"""What is registered, in words: the lines of `mtlbench list` and of `mtlbench run --help`."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Sequence
from typing import get_type_hints

from benchmark.settings import inventory
from benchmark.settings.equations import readable
from benchmark.settings.hydra_text import type_text, value_text
from benchmark.settings.registry import REGISTRIES, Registry, datasets, options
from benchmark.settings.suitability import suitable
from benchmark.text import unknown

WIDTH = 120  # columns of the text
YEAR = r"(?<![\d./])((?:19|20)\d\d)(?![\d.]\d)"
COMMON = ("architectures", "architectures.gates", "benchmark.weightings")
"""The modules of the base classes whose parameters many entries have. A base class of a few entries is part of each."""
PAPER = re.compile(rf'Paper: ([^"]+?), ".+?".*?{YEAR}|([A-Z][^:."]+(?: et al\.)?): [A-Z].*?{YEAR},? (?:doi|arXiv)')


@dataclasses.dataclass(frozen=True, slots=True)
class ListedParameter:
    """One key of a configuration.

    Args:
        key: Its name on the command line, "architecture.num_experts".
        kind: Its type in words, "int" or "one of offline, online".
        default: Its default on the command line, "8" or "[64]".
        meaning: Its meaning, from the docstring's Args; empty if missing.
        is_common: Does it come from one of the base classes in `COMMON`?
    """

    key: str
    kind: str
    default: str
    meaning: str
    is_common: bool


def listing(group: str | None = None, name: str | None = None, *, suits: str | None = None, names: bool = False) -> str:
    """The text of `mtlbench list`.

    Data sets come with their size, tasks and licence, and whether their files are on this machine.

    Args:
        group: "architectures", "weightings", "datasets" or "trackers" (or the singular); None: all of them.
        name: One entry: its parameters with defaults and types, and its docstring with the paper.
        suits: The name of a data set: list what works with it, and the reasons why the rest does not. No data is read.
        names: List only the names, joined by commas, as a sweep takes them.

    Raises:
        ValueError: for an unknown group, name or data set.
    """
    if name is not None and group is not None:
        return describe(_registry(group), name)
    registries = list(REGISTRIES.values()) if group is None else [_registry(group)]
    if suits is not None and group is None:
        registries = [r for r in registries if any(hasattr(r.get(entry), "requires") for entry in r.names())]
    if names:
        return "\n".join(",".join(n for n in r.names() if not _unsuited(r, n, suits)) for r in registries)
    return "\n\n".join(f"{r.plural}\n{_lines(r, suits)}" for r in registries)


def describe(registry: Registry, name: str) -> str:
    """Everything about one entry: its parameters and its docstring.

    Raises:
        ValueError: if no entry has this name.
    """
    cls = registry.get(name)
    rows = parameters(registry, name)
    table = (
        "\n".join(aligned([(f"{p.key}={p.default}", p.kind, readable(p.meaning)) for p in rows], indent=2)) or "  none"
    )
    head = f"{registry.group}={name}  ({cls.__module__}.{cls.__qualname__})"
    if registry is datasets:
        head = "\n".join([head, *inventory.lines(name)])
    return f"{head}\n\nParameters\n{table}\n\n{readable(inspect.cleandoc(cls.__doc__ or ''))}"


def summary(cls: type) -> str:
    """The first line of the class's own docstring."""
    return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]


def paper(cls: type) -> str:
    """The paper that a class's docstring names first, in short: "Yu et al. 2020"; empty if it names none.

    It is found as `Paper: Authors, "Title", Venue year` or, at the start of a paragraph, `Authors: Title, Venue year, doi`.
    """
    for paragraph in inspect.cleandoc(cls.__doc__ or "").split("\n\n"):
        found = PAPER.match(" ".join(paragraph.split()))
        if found:
            authors, year = found[1] or found[3], found[2] or found[4]
            first, *others = re.split(r",? and |, ", authors)
            return f"{f'{first} et al.' if len(others) > 1 else authors} {year}"
    return ""


def facts(cls: type) -> dict[str, str]:
    """What a list says about a class beside its name: its paper, the backward passes of a weighting, and what it does."""
    found = {"paper": paper(cls), "passes": getattr(cls, "passes", ""), "what it does": summary(cls)}
    return {name: text for name, text in found.items() if text}


def parameters(registry: Registry, name: str) -> list[ListedParameter]:
    """The keyword-only parameters of an entry, in the order of its signature.

    Raises:
        ValueError: if no entry has this name.
    """
    cls = registry.get(name)
    meanings: dict[str, str] = {}
    for parent in reversed(cls.__mro__):  # a base may document what its children share
        meanings |= argument_meanings(parent.__doc__)
    return [
        ListedParameter(
            f"{registry.group}.{p.name}",
            type_text(get_type_hints(definition)[p.name]),
            value_text(p.default),
            meanings.get(p.name, ""),
            definition.__module__ in COMMON,
        )
        for definition, p in options(cls)
    ]


def own_defaults(registry: Registry, name: str) -> list[str]:
    """The parameters of an entry with their defaults, "c=0.5", without the common ones."""
    return [f"{p.key.partition('.')[2]}={p.default}" for p in parameters(registry, name) if not p.is_common]


def argument_meanings(docstring: str | None) -> dict[str, str]:
    """The `Args:` section of a google-style docstring, as {name: text on one line}."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n|\n)*)", inspect.cleandoc(docstring or "") + "\n", re.MULTILINE)
    meanings: dict[str, str] = {}
    if section is None:
        return meanings
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(section[1]).strip()):
        names, _, text = entry.partition(":")
        for name in names.split(","):
            meanings[name.strip()] = " ".join(text.split())
    return meanings


def aligned(rows: Sequence[tuple[str, ...]], indent: int) -> list[str]:
    """Aligns rows in columns as wide as their widest cell; the last column is wrapped within `WIDTH`."""
    if not rows:
        return []
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]) - 1)]
    margin = indent + sum(width + 2 for width in widths)
    lines: list[str] = []
    for row in rows:
        head = " " * indent + "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        told = textwrap.wrap(row[-1], max(WIDTH - margin, 40)) or [""]
        lines += [(head + told[0]).rstrip(), *(" " * margin + line for line in told[1:])]
    return lines


def _registry(group: str) -> Registry:
    for registry in REGISTRIES.values():
        if group in (registry.group, registry.plural):
            return registry
    for registry in REGISTRIES.values():
        if group in registry.names():
            raise ValueError(
                f"unknown group {group!r}; its group goes before it: mtlbench list {registry.plural} {group}"
            )
    raise ValueError(unknown("group", group, [r.plural for r in REGISTRIES.values()]))


def _unsuited(registry: Registry, name: str, suits: str | None) -> str | None:
    requires = getattr(registry.get(name), "requires", None)
    if suits is None or requires is None:
        return None
    reason: str | None = requires(datasets.build(datasets.config(suits)).declared())
    return reason


def _lines(registry: Registry, suits: str | None) -> str:
    reasons = {name: _unsuited(registry, name, suits) for name in registry.names()}
    found = {name: facts(registry.get(name)) for name, reason in reasons.items() if reason is None}
    columns = sorted(
        {column for told in found.values() for column in told}, key=["paper", "passes", "what it does"].index
    )
    head = [("", *columns)] if "passes" in columns else []
    if head:
        for name, told in found.items():
            if own := own_defaults(registry, name):
                told["what it does"] += f" ({', '.join(own)})"
    rows = []
    for name, told in found.items():
        rows.append((name, *(told.get(column, "") for column in columns)))
        if registry is datasets:
            rows += [(*[""] * len(columns), line) for line in inventory.lines(name)]
    lines = aligned([*head, *rows], indent=2)
    if head:
        lines.append("  passes: backward passes per step; T: the number of tasks")
        whole = f"`mtlbench list {registry.plural} NAME` has all"
        lines.append(f"  A method's own parameters and defaults are in parentheses; {whole}")
    unsuited = [
        (name, f"{reason}; suits {', '.join(suitable(name)) or 'no data set'}")
        for name, reason in reasons.items()
        if reason is not None
    ]
    refused = aligned(unsuited, indent=2)
    return "\n".join([*lines, *([f"not for {suits}:", *refused] if refused else [])]) or "  none"
