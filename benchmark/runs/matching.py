"""`match_parameters`: an architecture's layer widths, scaled until it has the size of another. Embeddings do not count.

All widths are multiplied by one factor and rounded, so that a network keeps its shape; none falls below `NARROWEST`. If
that misses the size by more than `TOLERANCE`, equal widths are rounded one by one. The nearest size wins, so it is at
most half a unit of one width away, or within the tolerance. A unit is 1, or more where the class wants widths that a
number divides.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias, cast

import torch
from torch import nn

from benchmark.embeddings import embedding_parameters
from benchmark.schema import Schema
from benchmark.seeding import seeded
from benchmark.settings import registry
from benchmark.settings.config import RunConfig
from benchmark.settings.hydra_text import value_text
from benchmark.settings.registry import ArchitectureConfig, parameter_names
from benchmark.settings.suitability import refusal

TOLERANCE = 0.03
"""A size this near to the target, as a share of it, is as good as equal."""
WIDEST = 65_536
"""No width becomes larger."""
NARROWEST = 8
"""No width becomes smaller, unless it was: a layer of few ReLUs can be zero for every row, and then it never learns."""
LARGEST_UNIT = 64
"""Classes that want widths that a number divides may want one up to this."""

Widths: TypeAlias = dict[str, int | tuple[int, ...]]
"""{parameter: its width or widths}"""


def matched(config: RunConfig, schema: Schema) -> RunConfig:
    """The run with the widths that `match_parameters` asks for; the same run if it asks for nothing, or has them.

    Args:
        config: A run that suits its data set.
        schema: That of its prepared data.

    Returns:
        The run with the scaled architecture. Its `matched` has target, parameters (both without embeddings) and before, the
        widths as they were.

    Raises:
        ValueError: if no widths lead to the target, with the sizes that the architecture can have.
    """
    if config.match_parameters is None or config.matched:
        return config
    schema = config.embedded(schema)
    target, before = _target(config, schema), widths_of(config.architecture)
    try:
        architecture, parameters = scaled_to(config.architecture, schema, target)
    except ValueError as error:
        raise ValueError(f"match_parameters={config.match_parameters}: on {config.dataset.shown}, {error}") from None
    facts = {
        "target": target,
        "parameters": parameters,
        "before": {key: _plain(value) for key, value in before.items()},
    }
    return dataclasses.replace(config, architecture=architecture, matched=facts)


def told(config: RunConfig) -> str:
    """The line that says what was chosen, of a run that `matched` returned."""
    chosen, facts = widths_of(config.architecture), config.matched
    asked = f"match_parameters={config.match_parameters}"
    if isinstance(config.match_parameters, str):
        asked += f" ({facts['target']:,})"
    same = {key: _plain(value) for key, value in chosen.items()} == facts["before"]
    return (
        f"mtlbench: {asked}: {config.architecture.name} on {config.dataset.shown} {'keeps' if same else 'gets'} "
        + " ".join(f"{key}={value_text(value)}" for key, value in chosen.items())
        + f", {facts['parameters']:,} parameters outside the embeddings"
    )


def widths_of(config: ArchitectureConfig) -> Widths:
    """The layer widths that carry the capacity of an architecture: its class says which, or their names do.

    Raises:
        ValueError: if the class names a parameter that is not one, or is not a width.
    """
    cls = registry.architectures.get(config.name)
    names = cls.capacity  # type: ignore[attr-defined]
    if names is None:
        known = parameter_names(type(config))
        names = [key for key in known if key.endswith("_dims") or (key.endswith("_dim") and "embedding" not in key)]
    found: Widths = {}
    for key in names:
        value = getattr(config, key, None)
        if isinstance(value, int) and not isinstance(value, bool):
            found[key] = value
        elif isinstance(value, tuple | list) and all(isinstance(width, int) for width in value):
            if value:
                found[key] = tuple(value)
        else:
            raise ValueError(
                f"{cls.__name__}.capacity: expected parameters that are a width or a list of widths, found {key}={value!r}"
            )
    return found


def size(config: ArchitectureConfig, schema: Schema) -> int:
    """The parameters of an architecture outside its embedding tables, as in a record's `cost`."""
    with seeded(0, "size"):
        try:
            with torch.device("meta"):  # sizes without memory or initial values
                model: nn.Module = registry.architectures.build(config, schema)
        except (RuntimeError, TypeError):  # a module that computes with its values when it is made
            model = registry.architectures.build(config, schema)
    return sum(parameter.numel() for parameter in model.parameters()) - embedding_parameters(model)


def scaled_to(config: ArchitectureConfig, schema: Schema, target: int) -> tuple[ArchitectureConfig, int]:
    """The architecture with widths that bring its size next to the target, and that size.

    Raises:
        ValueError: if the target is out of reach, or the class refuses the widths in between.
    """
    base, sizes = widths_of(config), dict[Any, int]()

    def resized(widths: Widths) -> ArchitectureConfig:
        return dataclasses.replace(config, **cast(dict[str, Any], widths))

    def size_of(widths: Widths) -> int:
        key = tuple(widths.items())
        if key not in sizes:
            sizes[key] = size(resized(widths), schema)
        return sizes[key]

    if _is_near(now := size_of(base), target):
        return config, now
    if not base:
        cls = registry.architectures.get(config.name)
        why = "" if cls.capacity is not None else f" ({cls.__name__}.capacity may name parameters that are widths)"  # type: ignore[attr-defined]
        raise ValueError(
            f"{config.name} has no layer width to scale{why}: it has {now:,} parameters outside the embeddings, and the "
            f"target is {target:,}"
        )
    low, high = _neighbours(base, _unit(base, size_of), size_of, target, config.name)
    best = min((low, high), key=lambda widths: abs(size_of(widths) - target))
    if not _is_near(size_of(best), target):
        best = min((low, high, *_between(low, high)), key=lambda widths: _distance(widths, size_of, target))
    return resized(best), size_of(best)


def _unit(base: Widths, size_of: Callable[[Widths], int]) -> int:
    """The smallest number that the class takes as all of its widths.

    Raises:
        ValueError: the class's own, if there is none.
    """
    for unit in range(1, LARGEST_UNIT):
        with suppress(ValueError):
            size_of(_scaled(base, 0, unit, narrowest=1))
            return unit
    size_of(_scaled(base, 0, LARGEST_UNIT, narrowest=1))
    return LARGEST_UNIT


def _neighbours(
    base: Widths, unit: int, size_of: Callable[[Widths], int], target: int, name: str
) -> tuple[Widths, Widths]:
    """The widths next to the target, on both sides of it, of all that are the base times a factor."""
    below, above = 0.0, WIDEST / max(width for value in base.values() for width in _several(value))
    low, high = _scaled(base, below, unit), _scaled(base, above, unit)
    if not (size_of(low) <= target <= size_of(high) or _is_near(size_of(low), target)):
        raise ValueError(
            f"{name} can have from {size_of(low):,} to {size_of(high):,} parameters outside the embeddings by "
            f"{', '.join(base)} of at least {NARROWEST} units, and the target is {target:,}"
        )
    while above - below > 1e-9 * above:
        factor = (below + above) / 2
        middle = _scaled(base, factor, unit)
        if middle == low or (middle != high and size_of(middle) <= target):
            below, low = factor, middle
        else:
            above, high = factor, middle
    return low, high


def _scaled(base: Widths, factor: float, unit: int, narrowest: int = NARROWEST) -> Widths:
    """All widths times a factor, rounded to a multiple of the unit, at least `narrowest` or what they were."""

    def scale(width: int) -> int:
        least = math.ceil(min(width, narrowest) / unit)
        return unit * max(1, least, math.floor(width * factor / unit + 0.5))

    return {key: scale(value) if isinstance(value, int) else tuple(map(scale, value)) for key, value in base.items()}


def _between(low: Widths, high: Widths) -> Iterator[Widths]:
    """From one to the other, one width after another."""
    widths = {key: list(_several(value)) for key, value in low.items()}
    for key, value in high.items():
        for place, width in enumerate(_several(value)):
            if widths[key][place] != width:
                widths[key][place] = width
                yield {k: v[0] if isinstance(low[k], int) else tuple(v) for k, v in widths.items()}


def _distance(widths: Widths, size_of: Callable[[Widths], int], target: int) -> float:
    """How far from the target; infinitely, if the class refuses widths that it wants equal."""
    try:
        return abs(size_of(widths) - target)
    except ValueError:
        return math.inf


def _is_near(parameters: int, target: int) -> bool:
    return abs(parameters - target) <= TOLERANCE * target


def _several(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else value


def _plain(value: int | tuple[int, ...]) -> int | list[int]:
    """As JSON has it."""
    return value if isinstance(value, int) else list(value)


def _target(config: RunConfig, schema: Schema) -> int:
    """The size that is asked for.

    Raises:
        ValueError: if it is that of an architecture which does not suit the data set.
    """
    asked = config.match_parameters
    if not isinstance(asked, str):
        return int(asked or 0)
    reason = registry.architectures.get(asked).requires(schema)  # type: ignore[attr-defined]
    if reason is not None:
        raise ValueError(f"match_parameters={asked}: {refusal(asked, config.dataset.shown, reason)}")
    return size(registry.architectures.config(asked), schema)
