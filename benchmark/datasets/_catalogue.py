"""All users and all items of a data set, as they were last known, and the usual context; M users or items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmark.datasets import Catalogue, Entities
from benchmark.datasets.table import LEFT_OUT, TRAIN, Table
from benchmark.rows import Features
from benchmark.schema import Schema

USERS, ITEMS, CONTEXT = "users", "items", "context"


def write_entities(folder: Path, table: Table, role: str, id_field: str) -> np.ndarray:
    """Writes the ids, and the titles, of all users or all items; returns the numbers of their last rows.

    Args:
        folder: Where to.
        table: The parsed columns.
        role: USERS or ITEMS.
        id_field: The column of their ids.
    """
    last = _last_rows(table, id_field)
    ids = last["id"].cast(pl.String)
    np.save(folder / f"{role}_ids.npy", np.array(ids.to_list(), dtype=np.str_))
    if role == ITEMS and table.titles:
        np.save(folder / f"{role}_titles.npy", np.array([table.titles.get(item, "") for item in ids], dtype=np.str_))
    return last["row"].cast(pl.Int64).to_numpy()


def load_catalogue(folder: Path, schema: Schema, names: dict[str, list[str]]) -> Catalogue:
    """The catalogue of a schema with user and item, memory-mapped; `names` are the fields of users, items and context."""
    fields = {field.name: field for field in schema.fields}

    def features(part: str) -> Features:
        return Features.load(folder, part, [fields[name] for name in names[part]])

    def entities(role: str, id_field: str | None) -> Entities:
        assert id_field is not None
        known = features(role)
        ids, titles = (folder / f"{role}_{part}.npy" for part in ("ids", "titles"))
        return Entities(
            ids=np.load(ids, mmap_mode="r", allow_pickle=False),
            codes=known.column(id_field),
            features=known,
            titles=np.load(titles, mmap_mode="r", allow_pickle=False) if titles.exists() else None,
        )

    return Catalogue(entities(USERS, schema.user), entities(ITEMS, schema.item), features(CONTEXT))


def _last_rows(table: Table, id_field: str) -> pl.DataFrame:
    """Columns `id`, sorted, and `row`: its last row in train; of one that is not there, in validation or test."""
    frame = pl.DataFrame({"id": table.series(id_field), "train": table.split == TRAIN}).with_row_index("row")
    frame = frame.filter(pl.Series(table.split != LEFT_OUT))
    last = pl.col("row").filter(pl.col("train")).max().fill_null(pl.col("row").max())
    return frame.drop_nulls("id").group_by("id").agg(last).sort("id")
