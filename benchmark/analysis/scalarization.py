"""Fixed weights on a grid, and the weightings that adapt: which of them get beyond what fixed weights reach?

Fixed weights trade one task for another, and so draw a front (Xin et al., NeurIPS 2022, arXiv 2209.11379). A method is
beyond the front if no fixed setting dominates it, that is, is as good on both tasks and better on one.

The seeds decide what is said:

- A method is shown to be dominated if a fixed setting is shown to be better on both tasks. The larger p of the two tasks
  counts. The best of F settings is picked, so its p is multiplied by F.
- A method is shown to be beyond the front if it is shown to be better than every setting on one task or the other. The better
  of two tasks is picked, so its p is multiplied by two. The largest p of the F settings counts.

Each of the two claims is adjusted by Holm over all methods and pairs of tasks of the data set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmark.analysis import families
from benchmark.analysis.fronts import Front, Place, fronts
from benchmark.analysis.naming import distinguish, weighting_of
from benchmark.analysis.results import Results
from benchmark.files import digest
from benchmark.records.record import TUNED, has_fixed_weights
from benchmark.statistics import Comparison, Family, against_baseline, holm

FEWEST = 3
"""Fewest settings of fixed weights that make a front."""
ALPHA = 0.05


class FrontStanding(StrEnum):
    """Where a method stands; the last two are its means alone, which the seeds do not settle."""

    BEYOND = "beyond the front"
    DOMINATED = "dominated"
    MEAN_BEYOND = "not settled: beyond by its mean"
    MEAN_DOMINATED = "not settled: dominated by its mean"


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A method against the fixed weights, on two tasks.

    Args:
        method: Its name in the report.
        place: Its means, of `against` and of `task`.
        dominated_by: The fixed settings that dominate its means.
        p_beyond: The p of the claim that it is beyond the front, adjusted for the data set's other claims.
        p_dominated: The p of the claim that it is dominated, adjusted in the same way.
    """

    method: str
    place: Place
    dominated_by: tuple[str, ...]
    p_beyond: float
    p_dominated: float

    @property
    def p(self) -> float:
        """The p of the claim that its means suggest."""
        return self.p_dominated if self.dominated_by else self.p_beyond

    @property
    def standing(self) -> FrontStanding:
        """What is shown, or else what the means suggest."""
        if self.dominated_by:
            return FrontStanding.DOMINATED if self.p < ALPHA else FrontStanding.MEAN_DOMINATED
        return FrontStanding.BEYOND if self.p < ALPHA else FrontStanding.MEAN_BEYOND


@dataclass(frozen=True, slots=True)
class Scalarization:
    """The front of fixed weights of one architecture on two tasks, and the adaptive methods of the same architecture.

    Args:
        architecture: Its name, with what distinguishes it from others of the name.
        front: The fixed settings. Its corner is the constant predictor or, without one, the worst mean of any method here.
        adaptive: The methods, in the order of the report.
        has_constant: Is the corner the constant predictor?
    """

    architecture: str
    front: Front
    adaptive: tuple[Adaptive, ...]
    has_constant: bool

    def of(self, standing: FrontStanding) -> list[str]:
        """The weightings with this standing."""
        return [weighting_of(each.method) for each in self.adaptive if each.standing is standing]

    def added(self, each: Adaptive) -> float | None:
        """How much a method adds to the area that fixed weights dominate; None where areas are unknown."""
        alone, together = self.front.area(), self.front.with_methods({each.method: each.place}).area()
        return None if alone is None or together is None else together - alone

    def together(self) -> float | None:
        """The area that fixed weights and adaptive methods dominate together."""
        return self.front.with_methods({each.method: each.place for each in self.adaptive}).area()


def scalarizations(results: Results) -> list[Scalarization]:
    """One for every architecture with enough fixed settings and every pair of tasks with different headline metrics."""
    against: dict[str, Family] = {}
    found = []
    for architecture, (fixed, adaptive) in _by_architecture(results).items():
        if len(fixed) < FEWEST:
            continue
        pairs = zip(fronts(results, fixed), fronts(results, adaptive), strict=True)
        for front, others in ((front, others) for front, others in pairs if len(front.means) >= FEWEST):
            rows = []
            for method, place in others.means.items():
                if method not in against:
                    against[method] = _compared(results, method)
                p_beyond, p_dominated = _p(against[method], front)
                rows.append(Adaptive(method, place, tuple(front.dominating(place)), p_beyond, p_dominated))
            corner = front.corner or front.with_methods(others.means).worst()
            found.append(
                Scalarization(architecture, replace(front, corner=corner), tuple(rows), front.corner is not None)
            )
    return _adjusted(found, families.terms(results.group, results.values)["looks"]) if found else []


def _by_architecture(results: Results) -> dict[str, tuple[list[str], list[str]]]:
    """{architecture: methods with fixed weights, and others}; those of one entry differ in their weighting alone."""
    methods: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    named = {}
    for method in results.by_gain:
        record = results.group.by_method[method][0].record
        if record.purpose != TUNED:  # a search chose its parameters, and perhaps its weights
            shape = {key: value for key, value in record.method_config.items() if key != "weighting"}
            key = digest(shape)
            named[key] = record.config["architecture"]["name"], shape
            methods[key][not has_fixed_weights(record.config["weighting"])].append(method)
    return {name: methods[key] for key, name in distinguish(named).items()}


def _compared(results: Results, method: str) -> Family:
    """Every method against this one on every task, before any adjustment."""
    group = results.group
    asked = families.endpoints(group, results.margins)
    return against_baseline(results.values, asked, method, **families.terms(group, results.values))


def _p(family: Family, front: Front) -> tuple[float, float]:
    """The p of being beyond the front, and of being dominated, of the method that the family compares with."""
    tasks = (front.task.name, front.against.name)
    beyond, dominated = [], []
    for fixed in front.means:
        sides = [_one_sided(family.get(task, fixed)) for task in tasks]
        beyond.append(min(1.0, len(tasks) * min(worse for _, worse in sides)))
        dominated.append(max(better for better, _ in sides))
    return max(beyond), min(1.0, len(dominated) * min(dominated))


def _one_sided(comparison: Comparison | None) -> tuple[float, float]:
    """The p of a fixed setting being better, and being worse; 1 without a test."""
    if comparison is None or comparison.p is None or comparison.estimate is None:
        return 1.0, 1.0
    half = comparison.p / 2
    is_better = comparison.estimate.value * comparison.endpoint.direction > 0
    return (half, 1 - half) if is_better else (1 - half, half)


def _adjusted(found: Sequence[Scalarization], looks: int) -> list[Scalarization]:
    every = [each for one in found for each in one.adaptive]
    beyond = iter(holm([each.p_beyond for each in every]))
    dominated = iter(holm([each.p_dominated for each in every]))
    return [
        replace(
            one,
            adaptive=tuple(
                replace(
                    each,
                    p_beyond=min(1.0, looks * next(beyond)),
                    p_dominated=min(1.0, looks * next(dominated)),
                )
                for each in one.adaptive
            ),
        )
        for one in found
    ]
