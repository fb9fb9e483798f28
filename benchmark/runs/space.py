"""The search space: which parameters a search tries, and over which values, in the grammar of Hydra's sweeps.

    trainer:
      learning_rate: tag(log, interval(1e-4, 1e-2))
    architecture:
      dropout: choice(0.0, 0.1, 0.2)
      num_experts: range(4, 17, 4)

A parameter is tried over the same values for every method that has it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
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
FIXED = ("monitor",)  # of the trainer: the trials are judged by it
DIGITS = 4  # significant digits of a drawn number: readable, and the same on all machines


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Numbers from one end to another, both included, uniform in value or in logarithm.

    Args:
        low: The smaller end.
        high: The larger end.
        log: Are they uniform in logarithm?
        whole: Are they integers?
        step: The step between integers.

    Raises:
        ValueError: if the ends are in the wrong order, or have no logarithm.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"expected the smaller number first, found {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"tag(log, ...) is for numbers above 0, found {self.low}")

    @property
    def distribution(self) -> BaseDistribution:
        """The same for Optuna's samplers."""
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step)
        return FloatDistribution(self.low, self.high, log=self.log)

    def at(self, share: float) -> float:
        """The number below which this share of the range is."""
        if self.log:
            return self.rounded(math.exp(math.log(self.low) + math.log(self.high / self.low) * share))
        beyond = self.step / 2 if self.whole else 0.0  # so that both ends are as likely as the numbers between
        point = self.low - beyond + (self.high - self.low + 2 * beyond) * share
        return min(max(self.rounded(point), self.low), self.high)

    def rounded(self, drawn: float) -> float:
        """The number for a draw: short, and inside the ends."""
        if self.whole:
            return self.low + self.step * round((drawn - self.low) / self.step)
        return min(max(float(f"{drawn:.{DIGITS}g}"), self.low), self.high)


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the space.

    Args:
        key: "trainer.learning_rate".
        text: The values to try, as written.
        tried: The same, parsed: numbers, or the values of a choice.
    """

    key: str
    text: str
    tried: Range | tuple[Any, ...]

    def suits(self, config: RunConfig) -> bool:
        """Does this method have the parameter?"""
        group, _, name = self.key.partition(".")
        return name in _names(type(getattr(config, group)))

    @property
    def is_shared(self) -> bool:
        """Does every method have the parameter?"""
        return self.key.startswith("trainer.")

    def at(self, share: float) -> Any:
        """The value at a point of [0, 1). The values of a choice have equal parts."""
        return self.tried.at(share) if isinstance(self.tried, Range) else self.tried[int(share * len(self.tried))]

    def end(self, value: Any, tried: Sequence[Any]) -> str | None:
        """`lowest` or `highest` if the value is at an end of the numbers tried; None for a choice of other values."""
        is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in tried)
        if not is_number or min(tried) == max(tried):
            return None
        return "lowest" if value == min(tried) else "highest" if value == max(tried) else None

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from; for a choice, the indices of its values."""
        if isinstance(self.tried, Range):
            return self.tried.distribution
        return CategoricalDistribution(range(len(self.tried)))

    def value(self, drawn: Any) -> Any:
        """The value for Optuna's draw."""
        return self.tried.rounded(drawn) if isinstance(self.tried, Range) else self.tried[drawn]

    def drawn(self, value: Any) -> Any:
        """The inverse of `value`."""
        return value if isinstance(self.tried, Range) else self.tried.index(value)


def parse_space(space: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a space, in order of their keys, so that the written order does not matter.

    Raises:
        ValueError: if no registered architecture or weighting has a parameter of this name, or the values cannot be
            read.
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
            return Parameter(key, text, tuple(_plain(item) for item in sweep.list))
        if isinstance(sweep, RangeSweep | IntervalSweep):
            return Parameter(key, text, _numbers(sweep))
    except (HydraException, ValueError, TypeError) as error:
        raise ValueError(f"{WHERE}.{key}: cannot read {text!r}: {' '.join(str(error).split())}") from error
    raise ValueError(f"{WHERE}.{key}: expected {FORMS}, found {text!r}")


def _numbers(sweep: RangeSweep | IntervalSweep) -> Range:
    if surplus := (sweep.tags or set()) - {"log"}:
        raise ValueError(unknown("tag", min(surplus), ["log"]))
    log = "log" in (sweep.tags or ())
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        return Range(sweep.start, sweep.end, log, whole=isinstance(sweep.start, int) and isinstance(sweep.end, int))
    values = list(sweep.range())  # its end is left out
    if not values or sweep.step <= 0:
        raise ValueError("the range is empty")
    if log and sweep.step != 1:
        raise ValueError("a range with tag(log, ...) has the step 1")
    if all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step)):
        return Range(int(values[0]), int(values[-1]), log, whole=True, step=int(sweep.step))
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
