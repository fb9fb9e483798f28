"""One comparison: what is compared, what was found, and what the spread over seeds implies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from benchmark.statistics.arms import Contrast
from benchmark.statistics.intervals import FEWEST, Interval, spread
from benchmark.statistics.planning import POWER, detectable_difference, seeds_for_equivalence, seeds_needed
from benchmark.statistics.significance import Outcome, paired_t_test, sign_flip_test


class Verdict(StrEnum):
    """The possible verdicts on a comparison. A comparison that is not ranked has none."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    IDENTICAL = "identical"
    UNDECIDED = "undecided"


FIRM = (Verdict.BETTER, Verdict.WORSE)
"""The verdicts that tell two methods apart."""


@dataclass(frozen=True, slots=True)
class Margin:
    """The largest difference that does not matter, declared before the results are seen.

    Args:
        size: In the metric's unit (0.001 of AUC), or a share of the baseline's mean where `relative` (0.01 of MSE).
        relative: Which of the two.
    """

    size: float
    relative: bool = False

    def __post_init__(self) -> None:
        if not (self.size > 0 and math.isfinite(self.size)):
            raise ValueError(f"a margin must be a finite number above 0, found {self.size!r}")

    @classmethod
    def parse(cls, text: str) -> Margin:
        """Parses `0.001`, in the metric's unit, or `1%`, of the baseline's mean.

        >>> Margin.parse("1%")
        Margin(size=0.01, relative=True)

        Raises:
            ValueError: if the text is neither, or not above 0.
        """
        number = text.strip().removesuffix("%")
        relative = number != text.strip()
        try:
            size = float(number)
        except ValueError:
            raise ValueError(f"a margin is a number or a percentage, such as 0.001 or 1%, found {text!r}") from None
        return cls(size / 100 if relative else size, relative)

    def of(self, baseline_mean: float) -> float:
        """The margin in the metric's unit."""
        return self.size * abs(baseline_mean) if self.relative else self.size


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How methods are compared on one task.

    Args:
        task: Its name.
        metric: Its headline metric: AUC for a binary task, MSE for a regression.
        direction: +1 if higher is better, -1 if lower is.
        margin: Differences up to this size count as equivalent.
    """

    task: str
    metric: str
    direction: int
    margin: Margin

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise ValueError(f"direction of {self.metric} on {self.task} must be 1 or -1, found {self.direction!r}")


@dataclass(frozen=True)
class Comparison:
    """One method against another on one task, and the verdict. `judge` adds the verdict.

    Args:
        endpoint: Task, metric, direction and margin.
        method: The method that the verdict is about.
        baseline: The method it is compared to.
        differences: `method - baseline` in the metric's unit, one per pair, in order of the pairs.
        baseline_mean: Mean of the baseline over its runs; relative margins are shares of it.
        test_train_ratio: Test rows over training rows if test rows vary between pairs, else 0.
        excluded: Why it is shown but not ranked, such as a diverged seed; None if it is ranked.
        withheld: Is it excluded only because a run lacks the value? Then its test counts in the family.
        verdict: None if excluded, without pairs, or not judged yet.
        reason: Why there is no verdict, or no test behind it; None otherwise.
        tests: Number of tests in the family, for which p is adjusted.
        alpha: The family's error, over all looks.
        looks: How often the family is judged, as announced in advance; each look has its share of the error.
        p: The p of a difference; None if there is no test.
        p_adjusted: The same, adjusted by Holm and multiplied by the number of looks.
        p_equivalence: The larger p of the two one-sided tests.
        p_equivalence_adjusted: The same, adjusted in the same way.
        contrast: The difference of the means of two arms; None if runs are paired, so that the differences count.
    """

    endpoint: Endpoint
    method: str
    baseline: str
    differences: tuple[float, ...]
    baseline_mean: float
    test_train_ratio: float = 0.0
    excluded: str | None = None
    withheld: bool = False
    verdict: Verdict | None = None
    reason: str | None = None
    tests: int = 0
    alpha: float = 0.05
    looks: int = 1
    p: float | None = None
    p_adjusted: float | None = None
    p_equivalence: float | None = None
    p_equivalence_adjusted: float | None = None
    contrast: Contrast | None = None

    @classmethod
    def of(
        cls,
        endpoint: Endpoint,
        method: str,
        mine: Mapping[Any, float],
        baseline: str,
        other: Mapping[Any, float],
        *,
        contrast: Contrast | None = None,
        excluded: str | None = None,
        withheld: bool = False,
        test_train_ratio: float = 0.0,
    ) -> Comparison:
        """From the values of two methods.

        Args:
            endpoint: The endpoint of the values.
            method: The method that the verdict will be about.
            mine: {pair: value} of the method.
            baseline: The method it is compared to.
            other: {pair: value} of the baseline.
            contrast: The contrast of the two methods' arms, for unpaired runs. Not used for identical runs, which do not
                differ, whatever their spread.
            excluded: As for the class.
            withheld: The same.
            test_train_ratio: As for the class.
        """
        pairs = [pair for pair in other if pair in mine]
        judged = [other[pair] for pair in (pairs if contrast is None else other)]
        if mine == other:
            contrast = None
        return cls(
            endpoint, method, baseline,
            differences=tuple(mine[pair] - other[pair] for pair in pairs),
            baseline_mean=spread(judged)[1] if judged else math.nan,
            test_train_ratio=test_train_ratio,
            excluded=excluded,
            withheld=withheld,
            contrast=contrast,
        )  # fmt: skip

    def turned(self) -> Comparison:
        """The same comparison with the methods swapped."""
        other = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
        return replace(
            self,
            method=self.baseline,
            baseline=self.method,
            differences=tuple(-d for d in self.differences),
            contrast=self.contrast.turned() if self.contrast is not None else None,
            baseline_mean=self.baseline_mean + (self.estimate.value if self.estimate is not None else 0.0),
            verdict=other.get(self.verdict, self.verdict) if self.verdict is not None else None,
        )

    @property
    def task(self) -> str:
        """The endpoint's task."""
        return self.endpoint.task

    @property
    def metric(self) -> str:
        """The endpoint's metric."""
        return self.endpoint.metric

    @cached_property
    def estimate(self) -> Contrast | None:
        """`method - baseline`, and its precision; None if there is nothing to compare."""
        if self.contrast is not None or not self.differences:
            return self.contrast
        return Contrast.paired(self.differences, self.test_train_ratio)

    @property
    def n(self) -> int:
        """Number of pairs, or of seeds of the method with fewer seeds."""
        return self.estimate.n if self.estimate is not None else 0

    @property
    def is_identical(self) -> bool:
        """Are all runs with the same seed the same, to the last bit?"""
        return 0 < len(self.differences) == self.n and not any(self.differences)

    @property
    def margin(self) -> float:
        """The margin in the metric's unit."""
        return self.endpoint.margin.of(self.baseline_mean)

    @property
    def p_of_verdict(self) -> float | None:
        """The adjusted p of the test behind the verdict: equivalence if the verdict is equivalent, a difference otherwise."""
        return self.p_equivalence_adjusted if self.verdict is Verdict.EQUIVALENT else self.p_adjusted

    @property
    def within_margin(self) -> bool:
        """Whether the difference is shown to be inside the margin, adjusted for the family; possible together with "better"."""
        return self.p_equivalence_adjusted is not None and self.p_equivalence_adjusted < self.alpha

    @property
    def difference(self) -> Interval | None:
        """`method - baseline` with its interval at `1 - alpha`, not adjusted; None if there is nothing to compare.

        It uses the same estimate as the verdict, so that interval and p agree.
        """
        return self.estimate.interval(1 - self.alpha) if self.estimate is not None else None

    @property
    def difference_adjusted(self) -> Interval | None:
        """The same at `1 - level` (Bonferroni), so that the family's intervals cover together.

        Holm works in steps and can find a difference while this interval still covers 0; never the reverse.
        """
        confidence = 1 - self.level
        return self.estimate.interval(confidence, adjusted=True) if self.estimate is not None else None

    @property
    def level(self) -> float:
        """The error of one test at one look, before Holm's steps."""
        return self.alpha / (max(self.tests, 1) * self.looks)

    @property
    def improvement(self) -> Interval | None:
        """`difference` turned so that positive is better."""
        return None if (found := self.difference) is None else found.scaled(self.endpoint.direction)

    @property
    def sd(self) -> float | None:
        """Standard deviation of the difference of two runs; None if unknown, 0 if nothing varies."""
        if self.estimate is None or self.estimate.n < FEWEST:
            return None
        return self.estimate.sd if self.estimate.error > 0 else 0.0

    @property
    def p_paired(self) -> float | None:
        """The p of the paired t test of runs with the same seed. Verdicts use it only if runs are paired."""
        return paired_t_test(self.differences, test_train_ratio=self.test_train_ratio).p

    @property
    def _terms(self) -> dict[str, Any]:
        assert self.estimate is not None
        return {"test_train_ratio": self.test_train_ratio, "degrees": self.estimate.degrees}

    def seeds_needed(self, difference: float | None = None, power: float = POWER) -> int | None:
        """Seeds with which a true difference of this size is found with this power at the family's adjusted level.

        Args:
            difference: In the metric's unit; by default the margin. Do not use the observed difference: its power is p
                in disguise.
            power: Probability of the verdict "better" or "worse".

        Returns:
            None if the spread is unknown, or if no number is enough because test rows vary.
        """
        if not self.sd:
            return None
        size = self.margin if difference is None else difference
        return seeds_needed(size, self.sd, self.level, power, **self._terms)

    @property
    def seeds_to_decide(self) -> int | None:
        """Seeds that distinguish a difference of the margin from none, each with 80 % power.

        With them, a true difference of the margin is found, and equal methods are called equivalent. None as for
        `seeds_needed`.
        """
        different = self.seeds_needed()
        if different is None or self.sd is None:
            return None
        level = self.level
        equal = seeds_for_equivalence(self.margin, self.sd, level, **self._terms)
        return None if equal is None else max(different, equal)

    def detectable(self, seeds: int | None = None, power: float = POWER) -> float | None:
        """The difference that this number of seeds (by default `n`) finds with this power at the adjusted level."""
        seeds = self.n if seeds is None else seeds
        if not self.sd or seeds < FEWEST:
            return None
        return detectable_difference(self.sd, seeds, self.level, power, **self._terms)

    @property
    def sign_flip(self) -> Outcome:
        """The permutation test, besides the t test. It assumes only symmetry, and needs more than five seeds."""
        return sign_flip_test(self.differences, level=self.level)
