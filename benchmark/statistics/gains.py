"""Several tasks in one number: gain, seesaw, Pareto front and hypervolume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.statistics.comparison import Comparison, Verdict

Point = tuple[float, float]


def relative_gain(value: float, baseline: float, *, higher_is_better: bool, chance: float = 0.0) -> float | None:
    """Improvement over the baseline in percent; positive is better. None where the baseline is not above `chance`.

    `100 (value - baseline) / (baseline - chance)`, with the sign turned where lower is better. With `chance = 0.5` this
    is RelaImpr, the relative improvement of an AUC over what a coin gets (Yan et al. 2014); with 0 an AUC's gain looks
    smaller than it is.
    """
    if not baseline > chance:
        return None
    sign = 1.0 if higher_is_better else -1.0
    return sign * 100.0 * (value - baseline) / (baseline - chance)


def multi_task_gain(parts: Sequence[float | None]) -> float | None:
    """Mean of the tasks' `relative_gain`: the multi-task gain (Maninis et al. 2019, arXiv:1904.08918).

    One metric a task. Positive is better; papers that call it a drop turn the sign. None if a part is: a mean over
    other tasks than the other methods' would be no comparison.
    """
    known = [part for part in parts if part is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(parts) else None


@dataclass(frozen=True, slots=True)
class Seesaw:
    """The tasks on which a method's verdict is better, and those on which it is worse."""

    better: tuple[str, ...]
    worse: tuple[str, ...]

    @property
    def seesaws(self) -> bool:
        """Whether one task was bought with another (Tang et al. 2020, doi:10.1145/3383313.3412236)."""
        return bool(self.better and self.worse)


def seesaw(comparisons: Iterable[Comparison]) -> dict[str, Seesaw]:
    """By method, in order of appearance; methods without any verdict are left out.

    The count of a study is `sum(each.seesaws for each in seesaw(family.comparisons).values())`: by verdicts, as by signs
    of means half of all methods with two tasks seesaw.
    """
    found: dict[str, tuple[list[str], list[str]]] = {}
    for comparison in comparisons:
        if comparison.verdict is not None:
            better, worse = found.setdefault(comparison.method, ([], []))
            if comparison.verdict is Verdict.BETTER:
                better.append(comparison.task)
            elif comparison.verdict is Verdict.WORSE:
                worse.append(comparison.task)
    return {method: Seesaw(tuple(better), tuple(worse)) for method, (better, worse) in found.items()}


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other beats in both coordinates, lower being better; by the first coordinate.

    Of equal points all are on the front or none.

    >>> pareto_front([(0.2, 0.6), (0.5, 0.3), (0.5, 0.7)])
    [0, 1]
    """
    front: list[int] = []
    lowest, at = math.inf, math.nan  # of the second coordinate so far, and the first coordinate where it was
    for index in sorted(range(len(points)), key=points.__getitem__):
        x, y = points[index]
        if y < lowest or (y == lowest and x == at):
            front.append(index)
            lowest, at = y, x
    return front


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area between the front of the points and a reference point that is worse in both coordinates; lower is better.

    For AUC against MSE a point is `(1 - auc, mse)`, and the reference the constant predictor's. Points that are no
    better than the reference in either coordinate add nothing.

    >>> round(hypervolume([(0.2, 0.6), (0.5, 0.3)], (1.0, 1.0)), 10)
    0.47
    """
    area, right = 0.0, reference[1]
    for index in pareto_front(points):
        x, y = points[index]
        if x < reference[0] and y < right:
            area += (reference[0] - x) * (right - y)
            right = y
    return area
