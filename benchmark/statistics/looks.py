"""Looks: comparisons judged again as seeds come in, at moments that were announced before.

Who judges after five seeds, and again after eight at full error, errs more often than he says: over five looks in 14 to
19 % of studies. Here the error is split over the looks, alpha / L for each of L (Bonferroni), so it needs no joint
distribution of what is seen at them. A method that is better, worse or equivalent at a look keeps that verdict and gets
no more seeds; the others go on to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.statistics.comparison import Verdict

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
