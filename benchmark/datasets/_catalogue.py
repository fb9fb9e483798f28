"""All users and all items of a data set, as they were last known, and the usual context; M users or items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets import Catalogue, Entities
from benchmark.datasets.table import LEFT_OUT, TRAIN, Table
from benchmark.schema import Schema

Arrays = dict[str, list[np.ndarray]]  # kind (categorical, numeric) to the arrays of train, validation and test


def write_catalogue(
    folder: Path, table: Table, schema: Schema, origins: dict[str, str], arrays: Arrays
) -> dict[str, Any]:
    """Writes the arrays of users and items; returns the rest of the catalogue as plain values.

    Args:
        folder: Where to.
        table: The parsed columns.
        schema: Has both a user and an item field.
        origins: Field name to the table's column that it is made of.
        arrays: The prepared rows, which users and items are picked from.
    """
    names = {"categorical": [f.name for f in schema.categorical], "numeric": [f.name for f in schema.numeric]}
    roles = {"users": (schema.user, table.user_fields), "items": (schema.item, table.item_fields)}
    stored: dict[str, Any] = {}
    for role, (id_field, owned) in roles.items():
        assert id_field in owned, f"{id_field} is one of the columns that belong to it"
        last = _last_rows(table, id_field)
        np.save(folder / f"{role}_ids.npy", np.array(last["id"].cast(pl.String).to_list(), dtype=np.str_))
        stored[role] = {"id": id_field}
        for kind, fields in names.items():
            places = [place for place, name in enumerate(fields) if origins[name] in owned]
            stored[role][kind] = [fields[place] for place in places]
            picked = _pick(arrays[kind], table.split, last["row"].to_numpy())
            np.save(folder / f"{role}_{kind}.npy", np.ascontiguousarray(picked[:, places]))
        if role == "items" and table.titles:
            titles = [table.titles.get(item, "") for item in last["id"].cast(pl.String)]
            np.save(folder / f"{role}_titles.npy", np.array(titles, dtype=np.str_))
    owned_by_any = {*table.user_fields, *table.item_fields}
    context = {
        name: (kind, place)
        for kind, fields in names.items()
        for place, name in enumerate(fields)
        if origins[name] not in owned_by_any
    }
    stored["context"] = {name: _usual(arrays[kind][TRAIN][:, place]) for name, (kind, place) in context.items()}
    return stored


def load_catalogue(folder: Path, stored: dict[str, Any]) -> Catalogue:
    """The inverse of `write_catalogue`, memory-mapped."""
    return Catalogue(
        users=_entities(folder, "users", stored["users"]),
        items=_entities(folder, "items", stored["items"]),
        context=stored["context"],
    )


def _entities(folder: Path, role: str, names: dict[str, Any]) -> Entities:
    def array(part: str) -> np.ndarray:
        mapped: np.ndarray = np.load(folder / f"{role}_{part}.npy", mmap_mode="r", allow_pickle=False)
        return mapped

    categorical = array("categorical")
    return Entities(
        ids=array("ids"),
        codes=categorical[:, names["categorical"].index(names["id"])],
        categorical_names=tuple(names["categorical"]),
        numeric_names=tuple(names["numeric"]),
        categorical=categorical,
        numeric=array("numeric"),
        titles=array("titles") if (folder / f"{role}_titles.npy").exists() else None,
    )


def _last_rows(table: Table, id_field: str) -> pl.DataFrame:
    """Columns `id`, sorted, and `row`: its last row in train; of one that is not there, in validation or test."""
    frame = pl.DataFrame({"id": table.series(id_field), "train": table.split == TRAIN}).with_row_index("row")
    frame = frame.filter(pl.Series(table.split != LEFT_OUT))
    last = pl.col("row").filter(pl.col("train")).max().fill_null(pl.col("row").max())
    return frame.drop_nulls("id").group_by("id").agg(last).sort("id")


def _pick(arrays: list[np.ndarray], split: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(M, W): these rows of the whole data, out of the arrays of its splits."""
    picked = np.empty((len(rows), arrays[0].shape[1]), arrays[0].dtype)
    for number, array in enumerate(arrays):
        place = np.cumsum(split == number) - 1  # of each row within its split
        here = split[rows] == number
        picked[here] = array[place[rows[here]]]
    return picked


def _usual(values: np.ndarray) -> float:
    return float(np.bincount(values).argmax() if np.issubdtype(values.dtype, np.integer) else values.mean())
