"""Fields whose rows are lists, stored as `codes` of all entries and `bounds` of the rows: what is empty, new, and told by one alone.

The prediction for a row is the mean over its entries of what `alone` predicts for the entry's code, fitted on entries. So
the label of a row counts once for each of its entries.

B rows of a block, E their entries, C codes, T tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmark.cards.alone import FEWEST, auc, smoothed
from benchmark.cards.sums import BLOCK, CodeSums, centred
from benchmark.rows import Split
from benchmark.schema import OtherField


def is_list(field: OtherField) -> bool:
    """Is the field stored as codes and bounds, with as many codes as its `cardinality` says?"""
    return {"codes", "bounds"} <= {*field.stored} and hasattr(field, "cardinality")


def _blocks(
    field: OtherField, split: Split, on_rows: Callable[[int], object]
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    for start in range(0, len(split), BLOCK):
        part = slice(start, min(start + BLOCK, len(split)))
        arrays = field.cut(split.features.others[field], part.start, part.stop)
        yield part, np.asarray(arrays["codes"]), np.diff(np.asarray(arrays["bounds"]))
        on_rows(part.stop - part.start)


def entries_by_code(
    field: OtherField, split: Split, centre_T: np.ndarray, on_rows: Callable[[int], object]
) -> tuple[CodeSums, int]:
    """Sums over the entries of a split, each with the labels of its row; and the number of empty rows."""
    sums, empty = CodeSums.zeros(field.cardinality, len(centre_T)), 0  # type: ignore[attr-defined]
    for part, codes_E, lengths_B in _blocks(field, split, on_rows):
        labels_BT, known_BT = centred(split.labels[part, : len(centre_T)], centre_T)
        rows_E = np.repeat(np.arange(len(lengths_B)), lengths_B)
        sums.add(codes_E, labels_BT[rows_E].T, known_BT[rows_E].T.astype(np.float64))
        empty += int((lengths_B == 0).sum())
    return sums, empty


def predicted(field: OtherField, train: CodeSums, t: int, split: Split, on_rows: Callable[[int], object]) -> np.ndarray:
    """(R,) predictions for a split, minus the mean of train; 0 for an empty row."""
    estimates_C, found_R = smoothed(train, t), np.zeros(len(split))
    for part, codes_E, lengths_B in _blocks(field, split, on_rows):
        rows_E = np.repeat(np.arange(len(lengths_B)), lengths_B)
        sums_B = np.bincount(rows_E, estimates_C[codes_E], minlength=len(lengths_B))
        found_R[part] = sums_B / np.maximum(lengths_B, 1)
    return found_R


def measured(predictions_R: np.ndarray, label_R: np.ndarray, centre: float, *, is_binary: bool) -> float | None:
    """AUC, or R², of predictions minus a centre; None if there are too few rows."""
    known_R = ~np.isnan(label_R)
    predictions, labels = predictions_R[known_R], label_R[known_R]
    if is_binary:
        if min((labels == 1).sum(), (labels == 0).sum()) < FEWEST:
            return None
        return auc(predictions, (labels == 1).astype(np.float64), (labels == 0).astype(np.float64))
    if len(labels) < FEWEST or labels.min() == labels.max():
        return None
    return float(1 - np.square(labels - centre - predictions).mean() / labels.var())
