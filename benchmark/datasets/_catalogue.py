"""All users and all items of a data set, as they were last known, and the usual context; M users or items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmark.datasets import Catalogue, Entities
from benchmark.datasets.table import LEFT_OUT, TRAIN, Table
from benchmark.pieces import mapped, pieces
from benchmark.rows import Features, FeatureWriter
from benchmark.schema import CategoricalField, Schema

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
    _save(folder / f"{role}_ids.npy", ids.to_list())
    if role == ITEMS and table.titles:
        _save(folder / f"{role}_titles.npy", [table.titles.get(item, "") for item in ids])
    return last["row"].to_numpy()


def _save(path: Path, words: list[str]) -> None:
    array = np.array(words, dtype=np.str_)
    mapped(path, array.shape, array.dtype)[:] = array


def write_context(writer: FeatureWriter, train: Features) -> None:
    """Writes one row that stands for all of train: the most frequent code of a categorical field, the mean of a numeric one."""
    for known in writer.fields:
        column = train.column(known.name)
        if isinstance(known, CategoricalField):
            counts = sum(np.bincount(column[part], minlength=known.cardinality) for part in pieces(len(train)))
            writer.write(known.name, 0, np.argmax(counts))
        else:
            writer.write(known.name, 0, column.mean())


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
    row, lasts = pl.col("row"), list[pl.DataFrame]()
    for part in pieces(len(table.split)):
        split = table.split[part]
        frame = pl.DataFrame({"id": table.series(id_field, part), "row": np.arange(part.start, part.stop)})
        frame = frame.with_columns(pl.when(pl.Series(split == TRAIN)).then(row).alias("train"))
        frame = frame.filter(pl.Series(split != LEFT_OUT)).drop_nulls("id")
        lasts = [pl.concat([*lasts, frame]).group_by("id").agg(pl.col("row", "train").max())]
    return lasts[0].select("id", pl.col("train").fill_null(row).alias("row")).sort("id")
