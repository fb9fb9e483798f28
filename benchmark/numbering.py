"""How the values of a data set's categorical fields become codes; other kinds of columns use the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Numbering(Protocol):
    """Numbers values: what the `fit` of a column of another kind gets."""

    def fit(self, name: str, train: Iterable[Any]) -> tuple[Callable[[Any], np.ndarray], list[Any]]:
        """Numbers values of a column's own. Returns what makes codes of values, and what the codes from 1 on mean.

        A polars series of E texts or integers becomes (E,) int32 codes, 0 for unseen in train.

        Args:
            name: The column's name.
            train: The values to fit on, in pieces, each a polars series of texts or integers.
        """

    def of(self, field: str) -> tuple[Callable[[Any], np.ndarray], int]:
        """Numbers values as a categorical field does. Returns what makes codes of values, and the field's cardinality.

        Raises:
            ValueError: if there is no such categorical field.
        """
