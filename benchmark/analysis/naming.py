"""Names of methods and data sets in a report: as short as possible while different."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from benchmark.settings.hydra_text import value_text

Key = TypeVar("Key", bound=Hashable)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested plain values as dotted keys, as on the command line: `{"trainer.learning_rate": "0.001"}`; texts unchanged."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else value_text(value)
    return flat


def distinguish(named: Mapping[Key, tuple[str, Mapping[str, Any]]]) -> dict[Key, str]:
    """The name of every entry: its own name if unique, else followed by the configuration keys that differ.

    >>> one = ("mmoe/equal", {"trainer": {"learning_rate": 1e-3, "patience": 3}})
    >>> two = ("mmoe/equal", {"trainer": {"learning_rate": 1e-4, "patience": 3}})
    >>> distinguish({1: one, 2: two})
    {1: 'mmoe/equal [trainer.learning_rate=0.001]', 2: 'mmoe/equal [trainer.learning_rate=0.0001]'}

    Args:
        named: Short name and configuration, by identity. Configurations with one name must differ.
    """
    groups: dict[str, dict[Key, dict[str, str]]] = defaultdict(dict)
    for key, (name, config) in named.items():
        groups[name][key] = flatten(config)
    names: dict[Key, str] = {}
    for name, members in groups.items():
        options = sorted({option for flat in members.values() for option in flat})
        differing = [o for o in options if len({flat.get(o, "absent") for flat in members.values()}) > 1]
        for key, flat in members.items():
            suffix = ", ".join(f"{option}={flat.get(option, 'absent')}" for option in differing)
            names[key] = f"{name} [{suffix}]" if suffix else name
    return {key: names[key] for key in named}
