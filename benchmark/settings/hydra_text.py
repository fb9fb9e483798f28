"""What users type on the command line: a value, the type of a parameter in words, and the whole command of a run."""

from __future__ import annotations

import re
import shlex
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from hydra.core.override_parser.types import Quote, QuotedString

from benchmark.settings.config import EmbeddingConfig, RunConfig, TrainerConfig
from benchmark.settings.registry import REGISTRIES, ComponentConfig, neutral_values

# a text that needs no quotes; a text that Hydra would read as another type does
_BARE = re.compile(r"(?!(?:true|false|null|inf|nan)\Z)[./]*[a-z_][\w./-]*", re.ASCII | re.IGNORECASE)
_SPECIAL = re.compile(r"([\\()\[\]{}:=, \t])")


def value_text(value: Any) -> str:
    """A plain value in the syntax of Hydra's overrides. Read back, it is equal and of the same type; a tuple becomes a list.

    >>> value_text({"a.b": [1, 2.5], "c": "log(2)", "d": None, "e": "adam", "f": "1e4"})
    "{a.b:[1,2.5],c:'log(2)',d:null,e:adam,f:'1e4'}"

    Keys cannot be quoted: Hydra refuses keys such as `true`, `7` or non-ASCII letters.
    """
    if isinstance(value, Mapping):
        keys = (_SPECIAL.sub(r"\\\1", str(key)) for key in value)
        pairs = zip(keys, map(value_text, value.values()), strict=True)
        return "{" + ",".join(map(":".join, pairs)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(value_text, value)) + "]"
    if isinstance(value, str):
        text = _escaped(value)
        return text if _BARE.fullmatch(text) else QuotedString(text, Quote.single).with_quotes()
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def pasted(key: str, text: str) -> str:
    """The word `key=text` as one pastes it into a shell: `seed='range(0,3)'`.

    Args:
        key: The key of a parameter.
        text: Its value, as Hydra reads it.
    """
    return f"{key}={shlex.quote(text)}"


def quoted(text: str) -> str:
    """Any text as Hydra reads it, in double quotes where it needs some: a shell's own single quotes go around them.

    >>> print(pasted("results_dir", quoted("~/für mich")))
    results_dir='"~/für mich"'
    """
    if value_text(text) == text:
        return text
    return QuotedString(_escaped(text), Quote.single if '"' in text else Quote.double).with_quotes()


def type_text(kind: Any) -> str:
    """The type of a parameter in words: `int`, `float or null`, `a list of int, as in [1,2]`, `one of bins, raw`.

    Args:
        kind: The resolved annotation of the parameter.
    """
    parts, origin = get_args(kind), get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if part is type(None) else type_text(part) for part in parts)
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is tuple:
        example = "[1,2]" if parts[0] in (int, float) else "[a,b]"
        return f"a list of {type_text(parts[0])}, as in {example}"
    if origin is dict:
        return f"a mapping to {type_text(parts[1])}, as in '{{a: 1, b: 2}}'"
    if kind is bool:
        return "true or false"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(member.name for member in kind)}"
    if isinstance(kind, type) and issubclass(kind, ComponentConfig):
        return "the name of a registered one"
    if is_dataclass(kind):
        return f"its own keys ({', '.join(field.name for field in fields(kind))})"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _escaped(text: str) -> str:
    """Without references: omegaconf would take ${...} for one."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def command_text(config: Mapping[str, Any]) -> str:
    """The command of a run: the names chosen, and what differs from their defaults.

    Args:
        config: A record's `config`.
    """
    words = ["mtlbench", "run"]
    for group in ("dataset", "architecture", "weighting"):
        name = config[group]["name"]
        words += [f"{group}={name}", *_changes(f"{group}.", config[group], REGISTRIES[group].config(name))]
    words += _changes("embedding.", config.get("embedding", {}), EmbeddingConfig())
    words += _changes("trainer.", config["trainer"], TrainerConfig())
    alone = {
        key: config[key] for key in ("purpose", "seed", "debug", "device", "threads", "results_dir") if key in config
    }
    return shlex.join([*words, *_changes("", alone, RunConfig())])


def _changes(prefix: str, values: Mapping[str, Any], default: Any) -> Iterator[str]:
    """What differs from a configuration's defaults. A key missing from the record has its neutral value."""
    values = {**neutral_values(type(default)), **values}
    for key in (field.name for field in fields(default) if field.name in values):
        text = value_text(values[key])
        if text != value_text(getattr(default, key)):
            yield f"{prefix}{key}={text}"
