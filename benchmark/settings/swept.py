"""Several values where one is expected, and intervals where only a search could draw from them: the line for each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from benchmark.settings.hydra_text import pasted, quoted, value_text
from benchmark.settings.keys import kind
from benchmark.settings.malformed import reads

_INNER = r"[^(){}\"']*"
_FUNCTION = re.compile(rf"\b(?:tag|interval|range|choice)\({_INNER}(?:\({_INNER}\){_INNER})*\)")


def check_sweep(override: Override) -> None:
    """Refuses what Hydra reads and no sweep can take: an interval, which only a search draws from.

    Raises:
        ValueError: with what a search and what a sweep would take.
    """
    interval = override.value()
    if not isinstance(interval, IntervalSweep):
        return
    key, _, value = (override.input_line or "").partition("=")
    whole = kind(key.lstrip("+")) is int
    ends = [int(end) if whole else end for end in (interval.start, interval.end) if end is not None]
    told = f"{key}={value}: only tuning draws from an interval"
    if key.partition(".")[0] in ("trainer", "architecture", "weighting"):
        told += f": hydra/sweeper=tuning {pasted(f'++hydra.sweeper.space.{key}', quoted(value))}"
    raise ValueError(f"{told}; a sweep lists its values: {key}={','.join(map(value_text, ends))}")


def shows_only(arguments: Sequence[str]) -> bool:
    """Does the command line ask for a configuration, and not for runs?"""
    return any(word.partition("=")[0] in ("--cfg", "-c", "--info", "-i") for word in arguments)


def not_one(word: str, arguments: Sequence[str]) -> str:
    """The line for a sweep where one run is expected.

    Args:
        word: "seed=1,2".
        arguments: The whole command line.
    """
    override = OverridesParser.create().parse_override(word)
    try:
        check_sweep(override)
    except ValueError as error:
        return str(error)
    if shows_only(arguments):
        return f"{word}: several values make a sweep, and --cfg and --info show one run; choose one value: {_first(override)}"
    return f"{word}: commas make a sweep, and one run is expected here; a list is written [a,b], a text in quotes"


def swept_hydra(word: str) -> str:
    """The line for a sweep over a key of Hydra's: it takes one value per command, or a text that the sweeper reads.

    Args:
        word: "hydra.launcher.n_jobs=1,2".
    """
    key, _, value = word.partition("=")
    override = OverridesParser.create().parse_override(word)
    sweep = override.value()
    if key.lstrip("+").startswith(("hydra.sweeper.space.", "hydra.sweeper.params.")):
        is_plain = isinstance(sweep, ChoiceSweep) and sweep.simple_form
        text = f"choice({value})" if is_plain and ".space." in key else value
        return (
            f"{word}: the sweeper expects a text here, in quotes inside the shell's; write {pasted(key, quoted(text))}"
        )
    told = f"{word}: commas make a sweep, and hydra.* takes one value per command"
    return told if isinstance(sweep, IntervalSweep) else f"{told}: {_first(override)}"


def sweep_inside(arguments: Sequence[str]) -> str | None:
    """The line for `space={trainer:{learning_rate:interval(1,2)}}`, a sweep inside braces; None if there is none."""
    for word in arguments:
        key, _, value = word.partition("=")
        right = _FUNCTION.sub(lambda match: f'"{match[0]}"', value)
        if right != value and value[:1] in ("{", "[") and reads(f"{key}={right}"):
            return f"{word}: the sweeper expects texts here, in quotes inside the braces; write {pasted(key, right)}"
    return None


def _first(override: Override) -> str:
    key = (override.input_line or "").partition("=")[0]
    return pasted(key, next(iter(override.sweep_string_iterator())))
