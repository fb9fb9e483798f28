"""What `mtlbench data describe` proposes, and the YAML that it prints, with a comment on every column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from benchmark.datasets._description import RANDOM
from benchmark.datasets._looks import Look, Sample

UNSURE = "UNSURE: "
"""Begins the comment on a column that may be something else."""


@dataclass
class Proposal:
    """What goes into the YAML.

    Args:
        columns: Column to its kind, or to a mapping with `kind`.
        tasks: The same for tasks.
        why: Column or task to its comment.
        split: The value of `split`, and its comment.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    split: tuple[Any, str] = (RANDOM, "")

    def add(self, look: Look, kind: str, why: str = "", *, about: str = "", **options: Any) -> None:
        """A column other than a label."""
        options |= {"about": about} if about else {}
        self.columns[look.name] = {"kind": kind, **options} if options else kind
        self.why[look.name] = why

    def label(self, look: Look, kind: str, why: str = "", **options: Any) -> None:
        """A column that is a label."""
        self.tasks[look.name] = {"kind": kind, **options} if options else kind
        self.why[look.name] = why


def written(sample: Sample, proposal: Proposal) -> str:
    """The YAML, with a comment on every column."""
    files = [file.as_posix() for file in sample.files]
    rows = f"all {sample.rows:,} rows" if sample.is_whole else f"the first {sample.rows:,} rows"
    lines = [
        f"# Proposed from {rows}. Look at the lines with {UNSURE.strip(': ')}, and at what is known only after the labels.",
        "# mtlbench list datasets table: all keys",
        _pair("files", files[0] if len(files) == 1 else files),
    ]
    if sample.separator != ",":
        lines.append(_pair("separator", sample.separator))
    if sample.encoding != "utf8":
        lines.append(_pair("encoding", sample.encoding))
    if sample.missing_texts:
        lines.append(_pair("missing", sample.missing_texts))
    lines += ["", "columns:"]
    lines += _commented(sample, proposal.columns, proposal) or ["  {}"]
    lines += ["", "tasks:"]
    lines += _commented(sample, proposal.tasks, proposal) or [
        "  # no column looks like a label; for example `click: binary`"
    ]
    value, why = proposal.split
    lines += ["", f"{_pair('split', value)}  # {why}"]
    return "\n".join(lines) + "\n"


def _commented(sample: Sample, entries: dict[str, Any], proposal: Proposal) -> list[str]:
    pairs = {name: f"  {_pair(name, value)}" for name, value in entries.items()}
    width = min(max(map(len, pairs.values()), default=0), 60)
    return [f"{text:<{width}}  # {_comment(sample.columns[name], proposal.why[name])}" for name, text in pairs.items()]


def _comment(one: Look, why: str) -> str:
    parts = [] if one.is_list else [f"{one.distinct:,} distinct"]
    if one.missing:
        parts.append(f"{one.missing:.1%} missing")
    parts.append(f"such as {one.examples}")
    facts = " ".join(", ".join(parts).split())
    return f"{why}; {facts}" if why else facts


def _pair(key: str, value: Any) -> str:
    """`key: value` on one line."""
    return f"{_scalar(key)}: {_inline(value)}"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and not value.isalnum():
        return '"\\t"' if value == "\t" else f'"{value}"'
    text: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.strip()[1:-1]
