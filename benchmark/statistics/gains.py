"""Several tasks in one number: gain, seesaw, Pareto front and hypervolume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.statistics.comparison import Comparison, Verdict

Point = tuple[float, float]


def relative_gain(value: float, baseline: float, constant: float) -> float:
    r"""Improvement over the baseline, in per cent of how much the baseline is better than a constant; positive is better.

    With the method's value $x$, the baseline's $B$ and the constant's $C$, whether higher or lower is better:

    $$
    100\, \frac{x - B}{B - C}
    $$

    For an AUC, whose constant is .5, this is RelaImpr (Yan et al. 2014); for an MSE it is the relative change of R squared.

    Args:
        value: The method's value.
        baseline: The baseline's value, better than the constant.
        constant: The value of a constant predictor.
    """
    assert baseline != constant
    return 100.0 * (value - baseline) / (baseline - constant)


def multi_task_gain(parts: Sequence[float]) -> float:
    """Mean of the `relative_gain` of at least one task: the multi-task gain (Maninis et al. 2019, arXiv:1904.08918).

    There is one metric per task. Positive is better; papers that report a drop reverse the sign.
    """
    return math.fsum(parts) / len(parts)


@dataclass(frozen=True, slots=True)
class Seesaw:
    """The tasks on which a method's verdict is better, and the tasks on which it is worse."""

    better: tuple[str, ...]
    worse: tuple[str, ...]

    @property
    def seesaws(self) -> bool:
        """Whether one task improved at the expense of another (Tang et al. 2020, doi:10.1145/3383313.3412236)."""
        return bool(self.better and self.worse)


def seesaw(comparisons: Iterable[Comparison]) -> dict[str, Seesaw]:
    """By method, in order of appearance; methods without any verdict are left out.

    The count of a study is `sum(each.seesaws for each in seesaw(family.comparisons).values())`: it uses verdicts,
    because by signs of means half of all methods with two tasks seesaw.
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
    """Indices of the points that no other point beats in both coordinates, by the first coordinate. Lower is better.

    Equal points are either all on the front or all off it.

    >>> pareto_front([(0.2, 0.6), (0.5, 0.3), (0.5, 0.7)])
    [0, 1]
    """
    front: list[int] = []
    lowest, at = math.inf, math.nan  # the second coordinate so far, and the first coordinate there
    for index in sorted(range(len(points)), key=points.__getitem__):
        x, y = points[index]
        if y < lowest or (y == lowest and x == at):
            front.append(index)
            lowest, at = y, x
    return front


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area between the front of the points and a reference point that is worse in both coordinates. Lower is better.

    For AUC against MSE, a point is `(1 - auc, mse)`, and the reference is the constant predictor. Points that are not
    better than the reference in both coordinates add nothing.

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
