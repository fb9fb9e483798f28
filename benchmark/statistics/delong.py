"""Two scorers on one test set: DeLong's comparison of AUCs, by midranks (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313).

The test is about two checkpoints, not about two methods: it covers the choice of test rows, but not the seeds. On a
million rows, any two checkpoints differ. Reports do not use it unless asked.

Suffixes: R rows, P positives, Q negatives, two scorers first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata


@dataclass(frozen=True, slots=True)
class DeLong:
    """Two AUCs on the same rows.

    Args:
        first: AUC of the first scorer.
        second: AUC of the second.
        covariance: ((var first, cov), (cov, var second)), from the sampling of rows.
        low: Lower end of the interval of `first - second`.
        high: Upper end.
        z: `(first - second) / standard error`; None if the two rank all pairs alike.
        p: Two-sided; 1 if the two rank all pairs alike.
    """

    first: float
    second: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    low: float
    high: float
    z: float | None
    p: float

    @property
    def difference(self) -> float:
        """`first - second`."""
        return self.first - self.second


def placements(positive_R: np.ndarray, scores_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) shares of negatives below each positive, and (Q,) shares of positives above each negative; ties count half.

    The mean of either is the AUC.

    Args:
        positive_R: (R,) bool, with at least one positive and one negative.
        scores_R: (R,) finite.
    """
    everywhere_R, positives = rankdata(scores_R), int(positive_R.sum())
    above_P = (everywhere_R[positive_R] - rankdata(scores_R[positive_R])) / (len(scores_R) - positives)
    below_Q = 1 - (everywhere_R[~positive_R] - rankdata(scores_R[~positive_R])) / positives
    return above_P, below_Q


def delong(labels_R: np.ndarray, first_R: np.ndarray, second_R: np.ndarray, *, confidence: float = 0.95) -> DeLong:
    """Compares the AUCs of two scorers on one test set (DeLong et al. 1988), in R log R.

    Args:
        labels_R: (R,) of 0 and 1, at least two of each.
        first_R: (R,) scores, higher for the positive class.
        second_R: (R,) scores of the other scorer, for the same rows.
        confidence: Confidence of the interval of the difference.

    Raises:
        ValueError: if lengths differ, labels are not 0 and 1, a score is not finite, a class has fewer than two rows, or
            the AUCs differ without any spread.
    """
    labels, first, second = (np.asarray(each, dtype=np.float64) for each in (labels_R, first_R, second_R))
    if not labels.ndim == first.ndim == second.ndim == 1 or not len(labels) == len(first) == len(second):
        raise ValueError(f"labels and scores must have one length, found {labels.shape}, {first.shape}, {second.shape}")
    if not np.isin(labels, (0.0, 1.0)).all() or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("labels must be 0 or 1 and scores finite")
    positive = labels == 1
    p_count, q_count = int(positive.sum()), int((~positive).sum())
    if min(p_count, q_count) < 2:
        raise ValueError(f"a class needs at least two rows, found {p_count} positive and {q_count} negative")
    above_2P, below_2Q = map(np.stack, zip(*(placements(positive, scores) for scores in (first, second)), strict=True))
    aucs = above_2P.mean(axis=1)
    covariance = np.cov(above_2P) / p_count + np.cov(below_2Q) / q_count
    difference = float(aucs[0] - aucs[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(max(0.0, variance))
    half = float(ndtri((1 + confidence) / 2)) * error
    z = difference / error if error > 1e-12 else None
    if z is None and abs(difference) > 1e-12:
        raise ValueError(
            f"the AUCs {aucs[0]:g} and {aucs[1]:g} differ, but no row's rank varies, so they cannot be compared"
        )
    (a, b), (c, d) = covariance.tolist()
    return DeLong(
        float(aucs[0]), float(aucs[1]), ((a, b), (c, d)), difference - half, difference + half, z,
        1.0 if z is None else 2 * float(ndtr(-abs(z))),
    )  # fmt: skip
