"""What is known of a data set without reading it: its size, tasks and licence, and whether its files are here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from benchmark.settings.registry import datasets, options

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Stock:
    """One variant of a data set, in words; what is unknown is empty.

    Args:
        variant: The value of `dataset.variant`; empty if the data set has no such parameter.
        rows: "1,436,609", or "about 84 million".
        tasks: "click, purchase (given click)".
        licence: How the files may be used.
        files: Whether they are on this machine.
    """

    variant: str
    rows: str
    tasks: str
    licence: str
    files: str


def stock(name: str, *, look: bool = True) -> list[Stock]:
    """What a data set with its default parameters declares, each of its variants on its own, the default one first.

    Args:
        name: Its registered name.
        look: Whether to look for the files; they are neither read nor downloaded.
    """
    return [_declared(name, variant, look=look) for variant in _variants(name)]


def _variants(name: str) -> list[str | None]:
    """The values of its parameter `variant`, the default one first; [None] if there are no such values to choose from."""
    for definition, parameter in options(datasets.get(name)):
        kind = get_type_hints(definition)[parameter.name]
        if parameter.name == "variant" and get_origin(kind) is Literal:
            return [parameter.default, *(value for value in get_args(kind) if value != parameter.default)]
    return [None]


def _declared(name: str, variant: str | None, *, look: bool) -> Stock:
    parameters = {} if variant is None else {"variant": variant}
    try:
        dataset: Any = datasets.build(datasets.config(name, **parameters))
        source, rows = dataset.source, dataset.rows
        tasks = (f"{task.name} (given {task.given})" if task.given else task.name for task in dataset.tasks)
        return Stock(
            variant=variant or "",
            rows="" if rows is None else _size(rows),
            tasks=", ".join(tasks),
            licence="" if source is None else source.terms,
            files=dataset.files if look else "",
        )
    except Exception:  # noqa: BLE001  a plugin may raise anything, and one that needs a parameter has no defaults
        return Stock(variant or "", "", "", "", "")


def lines(name: str) -> list[str]:
    """What `mtlbench list datasets` has below the first line of a data set: its facts, then a line for each variant."""
    first, *others = stock(name)
    if not others:
        return list(filter(None, [_joined(_rows(first), first.tasks, first.licence, first.files)]))
    variants = [f"variant={one.variant}: {_joined(_rows(one), one.files)}" for one in (first, *others)]
    return [_joined(first.tasks, first.licence), *variants]


def facts(name: str) -> dict[str, str]:
    """{rows, tasks, licence} for a table, where they are known; of variants, the rows of each."""
    first, *others = found = stock(name, look=False)
    sizes = ", ".join(f"{one.rows} ({one.variant})" for one in found if one.rows) if others else first.rows
    return {"rows": sizes, "tasks": first.tasks, "licence": first.licence}


def _size(rows: int) -> str:
    """The number as it is, or in millions where that is all that was declared."""
    is_round = rows >= _MILLION and rows % (_MILLION // 10) == 0
    return f"about {rows / _MILLION:g} million" if is_round else f"{rows:,}"


def _rows(one: Stock) -> str:
    return f"{one.rows} rows" if one.rows else ""


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
