"""All contracts of one entry, tried one after the other: what `mtlbench check` prints."""

from __future__ import annotations

import ast
import inspect
import textwrap
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias

from benchmark.contracts import Case, NotApplicable, cases
from benchmark.contracts.expectation import Broken
from benchmark.contracts.loading import file_of
from benchmark.settings.registry import REGISTRIES

Status: TypeAlias = Literal["holds", "broken", "skipped", "not tried"]
"""How an entry did in a contract; `not tried` after the break of a contract without which it means little."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How an entry did in one contract.

    Args:
        title: The contract.
        status: Whether it holds in every setting.
        reason: What is broken and where, or why the contract does not apply; empty if it holds.
    """

    title: str
    status: Status
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.status:<7}  {self.title}" + (f": {self.reason}" if self.reason else "")


def check(group: str, name: str) -> Iterator[Checked]:
    """Tries the contracts of one entry, each in all its settings until it breaks in one.

    If a contract breaks without which the following ones mean little, these are not tried, because they
    would report the same fault in other words.

    Args:
        group: architecture, weighting or dataset.
        name: As it is registered.

    Raises:
        ValueError: for an unknown group or name.
    """
    all_cases, is_sound = list(cases(group, name)), True
    cls = REGISTRIES[group].get(name)
    for title, settings in groupby(all_cases, key=lambda case: case.title):
        every = list(settings)
        outcome = _outcome(title, every, cls) if is_sound else Checked(title, "not tried")
        is_sound = is_sound and not (outcome.status == "broken" and every[0].decides)
        yield outcome


def tally(outcomes: Iterable[Checked]) -> str:
    """How many contracts hold, are broken, do not apply and were not tried: `14 hold, 1 broken, 1 skipped`."""
    numbers = Counter(outcome.status for outcome in outcomes)
    others: dict[Status, str] = {
        "broken": "broken", "skipped": "skipped", "not tried": "not tried until the broken one holds"
    }  # fmt: skip
    return ", ".join(
        [f"{numbers['holds']} hold", *(f"{numbers[s]} {told}" for s, told in others.items() if numbers[s])]
    )


def _outcome(title: str, settings: Iterable[Case], cls: type) -> Checked:
    skipped = ""
    for case in settings:
        setting = f"on {case.setting}, " if case.setting else ""
        try:
            case.check()
        except NotApplicable as reason:
            skipped = str(reason)
        except Broken as error:
            return Checked(title, "broken", f"{setting}in {_place(cls, (error.at, *case.at))}, {error}")
        except Exception as error:  # noqa: BLE001  what the entry itself raises may be anything
            place = _raised(error, cls) or _place(cls, case.at)
            return Checked(title, "broken", f"{setting}{type(error).__name__} in {place}: {error}")
    return Checked(title, "skipped", skipped) if skipped else Checked(title, "holds")


def _raised(error: Exception, cls: type) -> str:
    """`my_net.py, line 17`: where in the entry's file an error comes from; empty if it comes from elsewhere."""
    file = file_of(cls)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}, line {lines[-1]}" if lines else ""


def _place(cls: type, names: Sequence[str]) -> str:
    """`my_net.py, line 14 (forward)`: the first of these methods and attributes that the entry's file defines, or its class."""
    file = file_of(cls)
    for name in filter(None, names):
        line = _method_line(cls, name, file) or _attribute_line(cls, name)
        if line is not None:
            return f"{Path(file).name}, line {line} ({name})"
    _, first = _source(cls)
    return f"{Path(file).name}, line {first} ({cls.__name__})" if first else cls.__name__


def _source(cls: type) -> tuple[list[str], int]:
    """The lines of a class and the number of the first; none and 0 for a class that no file has, such as one of `type(...)`."""
    try:
        return inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return [], 0


def _method_line(cls: type, name: str, file: str) -> int | None:
    member: Any = getattr(cls, name, None)
    code = getattr(inspect.unwrap(getattr(member, "fget", member)), "__code__", None)  # fget: of a property
    return code.co_firstlineno if code is not None and code.co_filename == file else None


def _attribute_line(cls: type, name: str) -> int | None:
    """The line of the class that sets `self.<name>`, or `<name>` outside of its methods."""
    source, first = _source(cls)
    nodes = list(ast.walk(ast.parse(textwrap.dedent("".join(source)))))
    local = {node for method in nodes if isinstance(method, ast.FunctionDef) for node in ast.walk(method)}
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            stored = node.attr if isinstance(node, ast.Attribute) else "" if node in local else node.id
            if stored == name:
                return first + node.lineno - 1
    return None
