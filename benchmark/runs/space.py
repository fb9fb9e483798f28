"""The search space: which parameters a search tries, and over what, in the grammar of Hydra's own sweeps.

    trainer:
      learning_rate: tag(log, interval(1e-4, 1e-2))
    architecture:
      dropout: choice(0.0, 0.1, 0.2)
      num_experts: range(4, 17, 4)

A parameter is tried for every method that has one of this name, over the same values; others do without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, QuotedString, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmark.settings.config import RunConfig, TrainerConfig
from benchmark.settings.registry import REGISTRIES
from benchmark.text import unknown

WHERE = "hydra.sweeper.space"
FORMS = "choice(4, 8), range(4, 17, 4) or interval(1e-4, 1e-2), perhaps in tag(log, ...)"
TUNED_GROUPS = ("architecture", "weighting")
FIXED = ("monitor",)  # of the trainer: it is what the trials are judged by
DIGITS = 4  # significant ones of a drawn number: readable, and the same wherever it was drawn


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the space.

    Args:
        key: "trainer.learning_rate".
        text: What it is tried over, as it was written.
        distribution: The same for Optuna; of a choice, the places in `choices`.
        choices: The values of a choice; None: numbers.
    """

    key: str
    text: str
    distribution: BaseDistribution
    choices: tuple[Any, ...] | None = None

    def suits(self, config: RunConfig) -> bool:
        """Has this method the parameter?"""
        group, _, name = self.key.partition(".")
        return name in _names(type(getattr(config, group)))

    def value(self, drawn: Any) -> Any:
        """The value that Optuna's draw stands for."""
        if self.choices is not None:
            return self.choices[drawn]
        if isinstance(self.distribution, FloatDistribution):
            rounded = float(f"{drawn:.{DIGITS}g}")
            return min(max(rounded, self.distribution.low), self.distribution.high)
        return drawn

    def drawn(self, value: Any) -> Any:
        """The inverse of `value`."""
        return value if self.choices is None else self.choices.index(value)


def parse_space(space: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a space, in order of their keys, so that the order of writing does not matter.

    Raises:
        ValueError: if no registered architecture or weighting has a parameter of this name, or what it is tried over cannot
            be read.
    """
    return tuple(_parse(key, text) for key, text in sorted(_flat(space)))


def _flat(space: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in space.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _parse(key: str, text: Any) -> Parameter:
    _check_key(key)
    try:
        sweep = OverridesParser.create().parse_override(f"{key}={text}").value() if isinstance(text, str) else None
        if isinstance(sweep, ChoiceSweep) and not sweep.shuffle:
            choices = tuple(_plain(item) for item in sweep.list)
            return Parameter(key, text, CategoricalDistribution(range(len(choices))), choices)
        if isinstance(sweep, RangeSweep | IntervalSweep):
            return Parameter(key, text, _numbers(sweep))
    except (HydraException, ValueError, TypeError) as error:
        raise ValueError(f"{WHERE}.{key}: cannot read {text!r}: {' '.join(str(error).split())}") from error
    raise ValueError(f"{WHERE}.{key}: expected {FORMS}, found {text!r}")


def _numbers(sweep: RangeSweep | IntervalSweep) -> BaseDistribution:
    if surplus := (sweep.tags or set()) - {"log"}:
        raise ValueError(unknown("tag", min(surplus), ["log"]))
    log = "log" in (sweep.tags or ())
    if isinstance(sweep, IntervalSweep):
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=log)
        return FloatDistribution(float(sweep.start), float(sweep.end), log=log)  # type: ignore[arg-type]
    values = list(sweep.range())  # its end is left out
    if not values or sweep.step <= 0:
        raise ValueError("the range is empty")
    if log and sweep.step != 1:
        raise ValueError("a range with tag(log, ...) has the step 1")
    if all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step)):
        return IntDistribution(int(values[0]), int(values[-1]), step=int(sweep.step), log=log)
    raise ValueError("a range is of whole numbers; expected interval(0.1, 0.5) or choice(0.1, 0.2)")


def _check_key(key: str) -> None:
    group, _, name = key.partition(".")
    if group == "trainer":
        known = [name for name in _names(TrainerConfig) if name not in FIXED]
    elif group in TUNED_GROUPS:
        registry = REGISTRIES[group]
        known = sorted({name for entry in registry.names() for name in _names(registry.get(entry).Config)})  # type: ignore[attr-defined]
    else:
        raise ValueError(f"{WHERE}.{key}: {unknown('part', group, ['trainer', *TUNED_GROUPS])}")
    if name not in known:
        raise ValueError(f"{WHERE}: {unknown(f'parameter of {group}', name, known)}")


def _names(config: type) -> list[str]:
    return [field.name for field in dataclasses.fields(config) if field.init]


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    return [_plain(item) for item in value] if isinstance(value, list) else value
