"""Sums over rows by the codes of fields, block by block: what shares, rates and predictions from one field are made of.

R rows, B rows of a block, T tasks, C codes of a field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.rows import Features, Split
from benchmark.schema import Schema

BLOCK = 1 << 17
"""Rows read at a time. They stay in the processor's cache while each field is counted."""
NUMBERS_AT_A_TIME = 1 << 25
"""Most sums held at a time, of all splits, 256 MB. More fields take another pass over the rows. A field with more is counted alone."""
BINS = 40
"""Bins of a numeric field, by quantiles of train."""
_MOST_SAMPLED = 1 << 20  # rows of train that bins are fitted to


@dataclass(frozen=True, slots=True)
class Coded:
    """A field as codes.

    Args:
        name: Its name.
        place: Its column among the categorical or the numeric fields.
        size: C.
        edges: Where the bins of a numeric field begin, without the first; None: the field is categorical.
    """

    name: str
    place: int
    size: int
    edges: np.ndarray | None = None

    def codes(self, block: Features) -> np.ndarray:
        """(B,) integers in [0, C)."""
        if self.edges is None:
            codes: np.ndarray = block.categorical[:, self.place]
            return codes
        binned: np.ndarray = np.searchsorted(self.edges, block.numeric[:, self.place], side="right")
        return binned


@dataclass(slots=True)
class CodeSums:
    """Sums over the rows of a split, by code.

    Shape:
        rows_C: (C,) how many; observed_TC: (T, C) how many with a label; labels_TC: (T, C) the sum of their labels, each minus
        its centre. All float64; counts are exact below 2^53.
    """

    rows_C: np.ndarray
    observed_TC: np.ndarray
    labels_TC: np.ndarray

    @classmethod
    def zeros(cls, size: int, tasks: int) -> CodeSums:
        """The sums over no rows."""
        return cls(np.zeros(size), np.zeros((tasks, size)), np.zeros((tasks, size)))

    def add(self, codes_B: np.ndarray, labels_TB: np.ndarray, known_TB: np.ndarray) -> None:
        """Adds the rows of a block.

        Args:
            codes_B: (B,) their codes.
            labels_TB: (T, B) minus their centre, 0 where not known.
            known_TB: (T, B) float, 1 where the label is known, else 0.
        """
        size = len(self.rows_C)
        where: slice | np.ndarray = slice(None)
        if size > len(codes_B):  # sums over all codes for each block would cost more than its rows
            where, codes_B = np.unique(codes_B, return_inverse=True)
            size = len(where)
        codes_B = codes_B.astype(np.intp)  # once, where every sum would do it
        rows_C = np.bincount(codes_B, minlength=size)
        self.rows_C[where] += rows_C
        for t, (label_B, known_B) in enumerate(zip(labels_TB, known_TB, strict=True)):
            self.observed_TC[t, where] += rows_C if known_B.all() else np.bincount(codes_B, known_B, minlength=size)
            self.labels_TC[t, where] += np.bincount(codes_B, label_B, minlength=size)


def coded_fields(schema: Schema, train: Features) -> list[Coded]:
    """All categorical and numeric fields. Fields of other kinds have no single code for each row.

    Numeric fields are cut at quantiles of train, of at most a million evenly spaced rows: any cut is a fair one, and what is
    counted in the bins is exact.
    """
    found = [Coded(field.name, place, field.cardinality) for place, field in enumerate(schema.categorical)]
    sample = train.numeric[:: -(-len(train) // _MOST_SAMPLED) or 1]
    for place, known in enumerate(schema.numeric):
        edges = np.unique(np.quantile(sample[:, place], np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))
        found.append(Coded(known.name, place, len(edges) + 1, edges))
    return found


def grouped(fields: Sequence[Coded], tasks: int) -> Iterator[list[Coded]]:
    """The fields in groups, each for one pass over the rows, whose sums take a bounded amount of memory."""
    group: list[Coded] = []
    held = 0
    for field in fields:
        numbers = field.size * (
            3 + 4 * tasks
        )  # rows of three splits; observed and summed labels of train and validation
        if group and held + numbers > NUMBERS_AT_A_TIME:
            yield group
            group, held = [], 0
        group.append(field)
        held += numbers
    if group:
        yield group


def sums_by_code(
    fields: Sequence[Coded], split: Split, centre_T: np.ndarray, on_rows: Callable[[int], object]
) -> list[CodeSums]:
    """The sums of some fields over a split, in one pass.

    Args:
        fields: Which.
        split: The rows.
        centre_T: (T,) what is taken from the labels before they are summed, so that nothing is lost to rounding; (0,): the
            labels are not read.
        on_rows: Called with the number of rows of each block that is done.
    """
    found = [CodeSums.zeros(field.size, len(centre_T)) for field in fields]
    for start in range(0, len(split), BLOCK):
        block = split.features.cut(start, start + BLOCK)
        labels_BT, known_BT = centred(split.labels[start : start + BLOCK, : len(centre_T)], centre_T)
        labels_TB, known_TB = np.ascontiguousarray(labels_BT.T), np.ascontiguousarray(known_BT.T, dtype=np.float64)
        for field, sums in zip(fields, found, strict=True):
            sums.add(field.codes(block), labels_TB, known_TB)
        on_rows(len(block))
    return found


def centred(labels_BT: np.ndarray, centre_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, T) labels minus their centre, 0 where not known; (B, T) bool: is the label known?"""
    values_BT = labels_BT - centre_T
    known_BT = ~np.isnan(values_BT)
    return np.where(known_BT, values_BT, 0.0), known_BT
