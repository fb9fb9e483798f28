r"""How well one field alone predicts a label: the leak that no table of columns shows.

Fitted on train, judged on validation, from sums by code. The prediction for every row with code $c$ is

$$
s_c = \bar{y} + \frac{\sum_{i:\, c_i = c} (y_i - \bar{y})}{n_c + m}
$$

$n_c$ is the number of train rows with code $c$ and a known label, $y_i$ are labels, $\bar{y}$ is the mean of all labels in train,
and $m$ is the smoothing. A code that train does not have gets the mean. AUC and R² of these predictions are exact: rows with one
code have one prediction, so sums by code are enough.

C codes, T tasks.
"""

from __future__ import annotations

import numpy as np

from benchmark.cards.sums import CodeSums

SMOOTHING = 10.0
"""Rows with the mean label that are added to each code, so that a code of one row does not predict 0 or 1."""
FEWEST = 30
"""Positives, and negatives, that validation must have for an AUC; rows for an R²: fewer say too little about a field."""


def auc(scores_C: np.ndarray, positives_C: np.ndarray, negatives_C: np.ndarray) -> float | None:
    """The share of pairs (positive, negative) in the order of the scores, ties half; None without either.

    Shape:
        (C,) each: the score of a code, and its numbers of positive and negative rows.
    """
    positives, negatives = positives_C.sum(), negatives_C.sum()
    if positives == 0 or negatives == 0:
        return None
    values, place_C = np.unique(scores_C, return_inverse=True)
    positives_V = np.bincount(place_C, positives_C, minlength=len(values))
    negatives_V = np.bincount(place_C, negatives_C, minlength=len(values))
    below_V = np.cumsum(negatives_V) - negatives_V
    return float(positives_V @ (below_V + negatives_V / 2) / (positives * negatives))


def smoothed(train: CodeSums, t: int) -> np.ndarray:
    """(C,) predictions minus the mean of train. The sums must be centred by that mean."""
    estimates_C: np.ndarray = train.labels_TC[t] / (train.observed_TC[t] + SMOOTHING)
    return estimates_C


def classes_of(sums: CodeSums, t: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """(C,) numbers of positive and of negative rows of a binary task, whose sums are centred by `rate`."""
    positives_C = np.rint(sums.labels_TC[t] + rate * sums.observed_TC[t])
    return positives_C, sums.observed_TC[t] - positives_C


def auc_alone(train: CodeSums, validation: CodeSums, t: int, rate: float) -> float | None:
    """AUC on validation of the field as the only input of a binary task; None if it cannot be judged."""
    classes = classes_of(validation, t, rate)
    if min(numbers.sum() for numbers in classes) < FEWEST:
        return None
    positives_C, negatives_C = classes_of(
        train, t, rate
    )  # whole numbers: codes of equal counts tie, whatever was rounded
    scores_C = (positives_C + SMOOTHING * rate) / (positives_C + negatives_C + SMOOTHING)
    return auc(scores_C, *classes)


def r2_alone(train: CodeSums, validation: CodeSums, t: int, squares: float) -> float | None:
    """R² on validation of the field as the only input of a regression; None if it cannot be judged.

    Args:
        train: Sums of train, centred by its mean.
        validation: Sums of validation, centred by the mean of train.
        t: The task.
        squares: The sum of the squared labels on validation, centred likewise.
    """
    estimates_C, rows_C, labels_C = smoothed(train, t), validation.observed_TC[t], validation.labels_TC[t]
    rows = rows_C.sum()
    if rows < FEWEST:
        return None
    spread = squares - labels_C.sum() ** 2 / rows
    if spread <= 0:
        return None
    error = squares - 2 * estimates_C @ labels_C + np.square(estimates_C) @ rows_C
    return float(1 - error / spread)


def auc_in_order(train: CodeSums, t: int, rate: float) -> float | None:
    """AUC of the code itself as a score: codes have the order of the values. None if there are too few rows of a class."""
    classes = classes_of(train, t, rate)
    if min(numbers.sum() for numbers in classes) < FEWEST:
        return None
    return auc(np.arange(len(train.rows_C)), *classes)


def correlation_in_order(train: CodeSums, t: int, squares: float) -> float | None:
    """Pearson's correlation of the code itself with the label of a regression on train.

    Args:
        train: Sums centred by the mean.
        t: The task.
        squares: The sum of the squared labels, centred likewise.
    """
    rows_C, labels_C = train.observed_TC[t], train.labels_TC[t]
    rows = rows_C.sum()
    if rows < FEWEST:
        return None
    code_C = np.arange(len(rows_C)) - (rows_C @ np.arange(len(rows_C))) / rows
    spreads = np.square(code_C) @ rows_C, squares - labels_C.sum() ** 2 / rows
    if min(spreads) <= 0:
        return None
    return float(np.clip(code_C @ labels_C / np.sqrt(spreads[0] * spreads[1]), -1, 1))


def auc_apart(train: CodeSums, test: CodeSums) -> float | None:
    """AUC of a field as a sign of test rows against train rows, fitted on the same rows: for fields with few codes."""
    total_C = train.rows_C + test.rows_C
    return auc(
        np.divide(test.rows_C, total_C, out=np.zeros(len(total_C)), where=total_C > 0), test.rows_C, train.rows_C
    )
