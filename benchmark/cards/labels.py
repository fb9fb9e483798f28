"""How labels are distributed, correlated, and ordered by the number of the row; block by block.

R rows, B rows of a block, T tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.cards.sums import BLOCK, centred
from benchmark.kinds import KINDS
from benchmark.rows import Split
from benchmark.schema import Task

LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Quantiles of a regression."""
MOST_CLASSES = 20
"""Labels that a card counts one by one, for tasks that are neither binary nor a regression."""
_ROUNDED = 1e-10  # a spread below this share of the squares is what rounding leaves of a constant


@dataclass(frozen=True, slots=True)
class LabelSums:
    """Sums over the labels of a split, minus their centre.

    Shape:
        rows: R; centre_T: (T,). For each pair of tasks, over the rows where both are known, (T, T): known_TT, how many;
        sums_TT, squares_TT, the sum of the first and of its square; products_TT. For each task, (T,): units_T, the sum in the
        unit of the task; places_T, the sum of label times place, which counts the known rows of the task from 0.
    """

    rows: int
    centre_T: np.ndarray
    known_TT: np.ndarray
    sums_TT: np.ndarray
    squares_TT: np.ndarray
    products_TT: np.ndarray
    units_T: np.ndarray
    places_T: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(T,) rows with a label."""
        return self.known_TT.diagonal()

    @property
    def means(self) -> np.ndarray:
        """(T,) mean of the labels, as they are in the split; NaN without any."""
        with np.errstate(invalid="ignore"):
            means_T: np.ndarray = self.centre_T + self.sums_TT.diagonal() / self.known
        return means_T

    @property
    def unit_means(self) -> np.ndarray:
        """(T,) the same in the unit of the task."""
        with np.errstate(invalid="ignore"):
            means_T: np.ndarray = self.units_T / self.known
        return means_T


def label_sums(split: Split, tasks: tuple[Task, ...]) -> LabelSums:
    """The sums of a split, in one pass."""
    number = len(tasks)
    centre_T = _some_mean(split)
    known_TT, sums_TT, squares_TT, products_TT = np.zeros((4, number, number))
    units_T, places_T = np.zeros((2, number))
    for start in range(0, len(split), BLOCK):
        labels_BT = split.labels[start : start + BLOCK]
        values_BT, known_BT = centred(labels_BT, centre_T)
        places_T += ((known_TT.diagonal() + np.cumsum(known_BT, axis=0) - 1) * values_BT).sum(axis=0)
        known_BT = known_BT.astype(np.float64)
        known_TT += known_BT.T @ known_BT
        sums_TT += values_BT.T @ known_BT
        squares_TT += np.square(values_BT).T @ known_BT
        products_TT += values_BT.T @ values_BT
        units_T += [
            float(np.nansum(task.transform.undo(label_B))) for task, label_B in zip(tasks, labels_BT.T, strict=True)
        ]
    return LabelSums(len(split), centre_T, known_TT, sums_TT, squares_TT, products_TT, units_T, places_T)


def _some_mean(split: Split) -> np.ndarray:
    """(T,) of the first known labels: near enough to the mean that nothing is lost to rounding."""
    labels_BT = split.labels[:BLOCK]
    known_BT = ~np.isnan(labels_BT)
    mean_T: np.ndarray = np.where(known_BT, labels_BT, 0.0).sum(axis=0) / np.maximum(known_BT.sum(axis=0), 1)
    return mean_T


def correlation(sums: LabelSums, first: int, second: int) -> float | None:
    """Pearson's correlation of two labels over the rows where both are known; None if one of them is constant there."""
    return _pearson(
        sums.known_TT[first, second],
        (sums.sums_TT[first, second], sums.squares_TT[first, second]),
        (sums.sums_TT[second, first], sums.squares_TT[second, first]),
        sums.products_TT[first, second],
    )


def order(sums: LabelSums, t: int, *, is_binary: bool) -> float | None:
    """Are rows sorted by a label? Of place among the known rows: AUC for a binary label, else the correlation; or None."""
    n, centre = sums.known[t], sums.centre_T[t]
    label, places = sums.sums_TT[t, t], n * (n - 1) / 2
    if is_binary:
        positives = np.rint(label + centre * n)
        negatives = n - positives
        if positives == 0 or negatives == 0:
            return None
        below = sums.places_T[t] + centre * places - positives * (positives - 1) / 2
        return float(np.clip(below / (positives * negatives), 0, 1))
    squares = places * (2 * n - 1) / 3
    return _pearson(n, (label, sums.squares_TT[t, t]), (places, squares), sums.places_T[t])


def _pearson(n: float, first: tuple[float, float], second: tuple[float, float], product: float) -> float | None:
    """From the number of rows, sum and sum of squares of either, and the sum of products."""
    if n < 2:
        return None
    (a, aa), (b, bb) = first, second
    spreads = aa - a * a / n, bb - b * b / n
    if spreads[0] <= _ROUNDED * aa or spreads[1] <= _ROUNDED * bb:
        return None
    return float(np.clip((product - a * b / n) / np.sqrt(spreads[0] * spreads[1]), -1, 1))


def quantiles(split: Split, t: int, task: Task) -> dict[str, float]:
    """{level: value in the unit} of the known labels of a regression. Holds the labels of one task in memory."""
    label_R = np.array(split.labels[:, t])
    label_R = label_R[~np.isnan(label_R)]
    if not len(label_R) or not KINDS[task.kind].is_standardised:
        return {}
    # values of the data themselves, so that the transform does not change which ones they are
    found = np.quantile(label_R, LEVELS, method="inverted_cdf", overwrite_input=True)
    values = task.transform.undo(found)
    return {f"{level:g}": float(value) for level, value in zip(LEVELS, values, strict=True) if np.isfinite(value)}


def classes(split: Split, t: int) -> dict[str, float]:
    """{label: share of the known rows}, the most frequent first."""
    counts: dict[float, int] = {}
    for start in range(0, len(split), BLOCK):
        label_B = split.labels[start : start + BLOCK, t]
        for value, number in zip(*np.unique(label_B[~np.isnan(label_B)], return_counts=True), strict=True):
            counts[float(value)] = counts.get(float(value), 0) + int(number)
    total, most = sum(counts.values()), sorted(counts, key=lambda value: (-counts[value], value))[:MOST_CLASSES]
    return {f"{value:g}": counts[value] / total for value in most}
