"""Looks: comparisons judged again as seeds come in, at moments announced in advance.

Judging after five seeds, and again after eight at the full error, errs more often than stated: over five looks, in 14
to 19 % of studies. Here the error is split over the looks, alpha / L for each of L (Bonferroni), so no joint
distribution over looks is needed. A method that is better, worse or equivalent at a look keeps that verdict and gets no
more seeds; the other methods continue to the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmark.statistics.comparison import Comparison, Endpoint, Verdict
from benchmark.statistics.verdicts import Family, against_baseline

DECIDED = (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT, Verdict.IDENTICAL)
"""Verdicts after which a method gets no more seeds."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of an experiment.

    Args:
        seeds: Numbers of seeds at which methods are judged, ascending, each at least `FEWEST`.
        alpha: The error over all looks.

    Raises:
        ValueError: if the numbers do not ascend from 3 on, or alpha is not a probability.
    """

    seeds: tuple[int, ...] = (3, 5, 8, 12, 20)
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.seeds or self.seeds[0] < 3 or any(b <= a for a, b in zip(self.seeds, self.seeds[1:], strict=False)):
            raise ValueError(f"looks must be ascending numbers of seeds, from 3 on, found {list(self.seeds)}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"the error of looks must be above 0 and below 1, found {self.alpha}")

    @property
    def level(self) -> float:
        """The error of one look."""
        return self.alpha / len(self.seeds)

    def reached(self, seeds: int) -> int | None:
        """The last look that this number of seeds allows; None before the first."""
        return max((look for look in self.seeds if look <= seeds), default=None)

    def after(self, seeds: int) -> int | None:
        """The next look after this number of seeds; None after the last."""
        return min((look for look in self.seeds if look > seeds), default=None)


Rows: TypeAlias = Mapping[str, Mapping[Any, float]]
"""{method: {pair: value}} of the primary endpoint."""


def first(rows: Rows, look: int) -> dict[str, dict[Any, float]]:
    """The first runs of every method up to this number, in order of their pairs."""
    return {method: dict(sorted(row.items())[:look]) for method, row in rows.items()}


def over_looks(
    at: Callable[[int], tuple[Rows, Mapping[str, str]]],
    endpoint: Endpoint,
    baseline: str,
    looks: Looks,
    **terms: Any,
) -> Family:
    """All methods against the baseline, judged at every look they have reached, with the runs known then.

    Each look is a family at the error of one look, adjusted for all methods ranked at the first look. A decided method
    keeps its comparison. A method that is no longer ranked has none. For every other method, the last look counts.

    Args:
        at: For a number of seeds: {method: its first runs up to it}, fewer for a method decided before; and {method:
            why it is not ranked}.
        endpoint: The endpoint of the values.
        baseline: The method that others are compared to.
        looks: The plan.
        terms: Further arguments of `against_baseline`.
    """
    key = endpoint.task, endpoint.metric
    terms |= {"expected": (), "alpha": looks.alpha, "looks": len(looks.seeds)}
    found: dict[str, Comparison] = {}
    tests: int | None = None
    for look in looks.seeds:
        rows, excluded = at(look)
        if found and len(rows.get(baseline, {})) < look:
            break
        if tests is None:
            tests = len(rows.keys() - {baseline} - excluded.keys())
        family = against_baseline({key: rows}, [endpoint], baseline, excluded=excluded, tests=tests, **terms)
        for comparison in family.comparisons:
            before = found.get(comparison.method)
            is_new = before is None or comparison.method in excluded or len(rows.get(comparison.method, {})) == look
            if is_new and (before is None or before.verdict not in DECIDED):
                found[comparison.method] = comparison
    return Family(tuple(found[method] for method in sorted(found)), tests or 0, looks.alpha)
