"""Which data sets suit an architecture, by what both of them declare. No data is read."""

from __future__ import annotations

from benchmark.schema import Schema
from benchmark.settings.registry import architectures, datasets


def suitable(architecture: str) -> list[str]:
    """The names of the data sets that, with their default parameters, have what an architecture needs."""
    requires = architectures.get(architecture).requires  # type: ignore[attr-defined]
    declared = {name: _declared(name) for name in datasets.names()}
    return [name for name, schema in declared.items() if schema is not None and requires(schema) is None]


def _declared(dataset: str) -> Schema | None:
    """What a data set declares with its default parameters; None if it cannot, as its error is not what is asked for."""
    try:
        schema: Schema = datasets.build(datasets.config(dataset)).declared()
    except Exception:  # noqa: BLE001  a plugin may raise anything, and must not hide why an architecture is refused
        return None
    return schema


def refusal(architecture: str, dataset: str, reason: str) -> str:
    """The line for an architecture that does not suit a data set, with the data sets that suit it.

    Args:
        architecture: Its name.
        dataset: The name of the data set, which may have other parameters than its default ones.
        reason: What `requires` said.
    """
    names = [f"{name} with its default parameters" if name == dataset else name for name in suitable(architecture)]
    return f"{architecture} does not suit dataset {dataset}: {reason}; data sets that suit it: {', '.join(names) or 'none'}"
