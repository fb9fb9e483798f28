"""A value of a column that is not what it should be, before it is known in which file it stands; R rows."""

from __future__ import annotations

import polars as pl


class Fault(ValueError):
    """A value that is not what its column should have.

    Args:
        row: Its row in the file, from 0; None if it is about the whole column.
        text: What was expected and what was found.
    """

    def __init__(self, row: int | None, text: str) -> None:
        super().__init__(text)
        self.row = row


def refuse(values: pl.Series, wrong: pl.Series, expected: str) -> None:
    """Raises the fault of the first row that is wrong.

    Args:
        values: (R,) what was found.
        wrong: (R,) bool; null is not wrong.
        expected: What it should be.

    Raises:
        Fault: if any is.
    """
    row = wrong.fill_null(value=False).arg_max()
    if row is not None and wrong[row]:
        raise Fault(row, f"expected {expected}, found {values[row]!r}")
