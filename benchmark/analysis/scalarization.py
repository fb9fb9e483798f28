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
from benchmark.analysis.estimates import arms, contrast
from benchmark.analysis.fronts import Front, Place, fronts
from benchmark.analysis.naming import distinguish, weighting_of
from benchmark.analysis.results import Results
from benchmark.files import digest
from benchmark.metrics import headline, headline_name
from benchmark.records.record import TUNED, has_fixed_weights
from benchmark.schema import Task
from benchmark.statistics import holm

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
    found, tests = [], None
    for architecture, (fixed, adaptive) in _by_architecture(results).items():
        if len(fixed) < FEWEST:
            continue
        pairs = zip(fronts(results, fixed), fronts(results, adaptive), strict=True)
        for front, others in ((front, others) for front, others in pairs if len(front.means) >= FEWEST):
            tests = tests or _Tests(results)
            rows = tuple(
                Adaptive(method, place, tuple(front.dominating(place)), *tests.p(method, front))
                for method, place in others.means.items()
            )
            corner = front.corner or front.with_methods(others.means).worst()
            found.append(Scalarization(architecture, replace(front, corner=corner), rows, front.corner is not None))
    return _adjusted(found, tests.terms["looks"]) if tests is not None else []


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


class _Tests:
    """The tests between two methods, on the same estimates as the verdicts of the report."""

    def __init__(self, results: Results) -> None:
        self.terms = families.terms(results.group, results.values)
        self._rows = {
            task.name: results.values.get((task.name, headline_name(task)), {}) for task in results.group.tasks
        }
        self._arms = {
            task.name: arms(headline_name(task), self._rows[task.name], self.terms) for task in results.group.tasks
        }

    def p(self, method: str, front: Front) -> tuple[float, float]:
        """The p of a method's being beyond the front, and of its being dominated; neither is adjusted for other methods."""
        tasks = (front.task, front.against)
        beyond, dominated = [], []
        for fixed in front.means:
            sides = [self._one_sided(method, fixed, task) for task in tasks]
            beyond.append(min(1.0, len(tasks) * min(better for better, _ in sides)))
            dominated.append(max(worse for _, worse in sides))
        return max(beyond), min(1.0, len(dominated) * min(dominated))

    def _one_sided(self, method: str, fixed: str, task: Task) -> tuple[float, float]:
        """The p of a method's being better on a task than a fixed setting, and of its being worse; 1 without a test."""
        rows, weights = self._rows[task.name], {method: 1.0, fixed: -1.0}
        if rows[method] == rows[fixed]:  # to the last bit
            return 1.0, 1.0
        if self.terms["paired"]:
            found = contrast(weights, headline_name(task), rows, self.terms)
        else:
            found = self._arms[task.name].contrast(weights)
        if found is None or found.p is None:
            return 1.0, 1.0
        is_better = found.value * headline(task).direction > 0
        return (found.p / 2, 1 - found.p / 2) if is_better else (1 - found.p / 2, found.p / 2)


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
