"""Names of methods and data sets in a report: as short as possible while different."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from benchmark.settings.hydra_text import value_text

Key = TypeVar("Key", bound=Hashable)
WEIGHTING = "weighting."


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

    Those of the weighting are in parentheses after its name, by their last words; it does not show keys that it lacks.

    >>> one = ("mmoe/equal", {"trainer": {"learning_rate": 1e-3, "patience": 3}})
    >>> two = ("mmoe/equal", {"trainer": {"learning_rate": 1e-4, "patience": 3}})
    >>> distinguish({1: one, 2: two})
    {1: 'mmoe/equal [trainer.learning_rate=0.001]', 2: 'mmoe/equal [trainer.learning_rate=0.0001]'}
    >>> one, two = (("mmoe/fixed", {"weighting": {"weights": {"click": 1.0, "stay": weight}}}) for weight in (0.1, 3.0))
    >>> distinguish({1: one, 2: two})
    {1: 'mmoe/fixed(stay=0.1)', 2: 'mmoe/fixed(stay=3)'}

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
        inside = _last_words([option for option in differing if option.startswith(WEIGHTING)])
        others = [option for option in differing if option not in inside]
        for key, flat in members.items():
            own = ", ".join(f"{word}={_short(flat[option])}" for option, word in inside.items() if option in flat)
            suffix = ", ".join(f"{option}={flat.get(option, 'absent')}" for option in others)
            base, space, rest = name.partition(" ")  # of a tuned method
            names[key] = f"{base}{f'({own})' if own else ''}{space}{rest}{f' [{suffix}]' if suffix else ''}"
    return {key: names[key] for key in named}


def base_of(method: str) -> str:
    """`architecture/weighting` of a name in a report, without what distinguishes it."""
    return re.split(r"[ (]", method, maxsplit=1)[0]


def weighting_of(method: str) -> str:
    """The weighting of a name in a report, with the keys in which it differs: `fixed(stay=3)`."""
    return re.sub(r" \[.*\]$", "", method.partition("/")[2])


def _last_words(options: Sequence[str]) -> dict[str, str]:
    """{option: its last word}, or all its words after the group where two have the same last."""
    last = {option: option.rpartition(".")[2] for option in options}
    return last if len(set(last.values())) == len(last) else {o: o.removeprefix(WEIGHTING) for o in options}


def _short(value: str) -> str:
    return value.removesuffix(".0")
