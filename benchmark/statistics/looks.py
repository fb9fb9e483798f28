"""Looks: comparisons judged again as seeds come in, at moments that were announced before.

Who judges after five seeds, and again after eight at full error, errs more often than he says: over five looks in 14 to
19 % of studies. Here the error is split over the looks, alpha / L for each of L (Bonferroni), so it needs no joint
distribution of what is seen at them. A method that is better, worse or equivalent at a look keeps that verdict and gets
no more seeds; the others go on to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.statistics.comparison import Comparison, Endpoint, Verdict
from benchmark.statistics.verdicts import Family, against_baseline

DECIDED = (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT, Verdict.IDENTICAL)
"""Verdicts after which a method gets no more seeds."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of an experiment.

    Args:
        seeds: Numbers of seeds at which it is judged, ascending, at least `FEWEST` each.
        alpha: The error over all looks.

    Raises:
        ValueError: if the numbers do not ascend from 3 on, or alpha is no probability.
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
        """The last look that so many seeds allow; None before the first."""
        return max((look for look in self.seeds if look <= seeds), default=None)

    def after(self, seeds: int) -> int | None:
        """The next look after so many seeds; None after the last."""
        return min((look for look in self.seeds if look > seeds), default=None)

    def undecided(self, verdicts: Mapping[str, Verdict | None]) -> list[str]:
        """The methods that go on to the next look."""
        return [method for method, verdict in verdicts.items() if verdict not in DECIDED]


def over_looks(
    values: Mapping[tuple[str, str], Mapping[str, Mapping[Any, float]]],
    endpoint: Endpoint,
    baseline: str,
    looks: Looks,
    *,
    excluded: Mapping[str, str] | None = None,
    **terms: Any,
) -> Family:
    """All methods against the baseline, judged at every look that they have reached, as the plan announced it.

    At a look every method has its first so many runs, in order of their pairs, or fewer if it was decided before. Each look is
    a family at the error of one look, adjusted for all methods. Whoever is decided keeps that comparison; of the others the
    last one stands.

    Args: as `against_baseline`. Methods that stopped early lack no run.
    """
    rows = values[endpoint.task, endpoint.metric]
    tests = len(rows.keys() - {baseline} - (excluded or {}).keys())
    terms |= {"excluded": excluded, "expected": (), "alpha": looks.level, "tests": tests}
    found: dict[str, Comparison] = {}
    reached = looks.reached(len(rows.get(baseline, {})))
    for look in [look for look in looks.seeds if reached is not None and look <= reached]:
        cut = {method: dict(sorted(row.items())[:look]) for method, row in rows.items()}
        family = against_baseline({(endpoint.task, endpoint.metric): cut}, [endpoint], baseline, **terms)
        for comparison in family.comparisons:
            before = found.get(comparison.method)
            is_open = before is None or before.verdict not in DECIDED
            if is_open and (before is None or len(cut.get(comparison.method, {})) == look):
                found[comparison.method] = comparison
    if not found:
        return against_baseline(values, [endpoint], baseline, **terms)
    return Family(tuple(found[method] for method in sorted(found)), tests, looks.level)
