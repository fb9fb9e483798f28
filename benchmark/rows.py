"""Rows as arrays: do they fit the fields of a schema?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from benchmark.schema import Schema


def check_rows(schema: Schema, categorical: np.ndarray, numeric: np.ndarray, what: str) -> None:
    """Refuses rows that do not fit the schema: a model would learn from other rows of its tables, or read past their end.

    Args:
        schema: The fields.
        categorical: (R, F) codes.
        numeric: (R, N) numbers.
        what: The rows' name in errors: train, validation.

    Raises:
        ValueError: if the number of columns or rows is another, or a code is not from 0 to its field's cardinality - 1.
    """
    fields, num_rows = schema.categorical, len(categorical)
    for name, array, columns in (
        ("categorical", categorical, len(fields)),
        ("numeric", numeric, len(schema.numeric)),
    ):
        if array.shape != (num_rows, columns):
            raise ValueError(f"{what}: {name} must be ({num_rows}, {columns}), found {tuple(array.shape)}")
    if not num_rows:
        return
    for field, least, most in zip(fields, categorical.min(axis=0), categorical.max(axis=0), strict=True):
        if not 0 <= least <= most < field.cardinality:
            raise ValueError(
                f"{what}: field {field.name!r} has codes 0 to {field.cardinality - 1}, found {least if least < 0 else most} "
                "(0: unseen in train); raise the field's cardinality, or correct what codes the rows"
            )
