"""From a user's files to a `Table`: columns by their kinds, labels, and which rows belong to which split; R rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._description import (
    BY_COLUMN,
    CATEGORICAL,
    FILES,
    IGNORE,
    ITEM,
    MULTI,
    NUMERIC,
    RANDOM,
    SEQUENCE,
    TIME,
    TITLE,
    USER,
    WEIGHT,
    Description,
)
from benchmark.datasets._own_files import FEATURE, LABEL, SPLIT, File, parse_times, read_files
from benchmark.datasets.table import SPLITS, TEST, TRAIN, VALIDATION, Table
from benchmark.lists import MultiValuedField, SequenceField
from benchmark.schema import OtherField
from benchmark.seeding import derive

_WHOLE = r"^(0|-?[1-9]\d{0,17})$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_table(description: Description, files: list[File], split_seed: int) -> Table:
    """The parsed table.

    Raises:
        ValueError: with file, line, column, what was expected and what was found; and for an empty split.
    """
    frame, sizes = read_files(description, files)
    features = {column.name: _of_one_type(frame[f"{FEATURE}{column.name}"]) for column in _kept(description)}
    others = _lists(description, features)
    codes = {column.name: features[column.name] for column in description.of_kind(USER, ITEM, CATEGORICAL)}
    split, begins = split_rows(description, frame, files, sizes, split_seed)
    _check_splits(description, split, begins)
    return Table(
        categorical={**codes, **_calendar(description, features)},
        numeric={column.name: _floats(features[column.name]) for column in description.of_kind(NUMERIC)},
        labels={task.name: _floats(frame[f"{LABEL}{task.name}"]) for task in description.tasks},
        split=split,
        user_fields=tuple(column.name for column in description.columns.values() if column.about == USER),
        item_fields=tuple(column.name for column in description.columns.values() if column.about == ITEM),
        titles=_titles(description, features),
        others=others,
        weights=_weights(description, features),
        facts={
            "protocol": "files" if description.rule == FILES else f"by {description.rule}",
            **_dates(description, features, split),
            "files": sorted({file.path.name for file in files}),
            "left_out": [column.name for column in description.of_kind(IGNORE)],
        },
    )


def _kept(description: Description) -> list[Any]:
    return [column for column in description.columns.values() if column.kind != IGNORE]


def _of_one_type(values: pl.Series) -> pl.Series:
    """Integers where every text is one, as 42 is and 042 is not: text files and Parquet give the same."""
    if values.dtype == pl.String and values.str.contains(_WHOLE).all():
        return values.cast(pl.Int64)
    if values.dtype == pl.List(pl.String) and values.explode().str.contains(_WHOLE).all():
        return values.cast(pl.List(pl.Int64))
    return values


def _floats(values: pl.Series) -> np.ndarray:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _lists(description: Description, features: dict[str, pl.Series]) -> dict[OtherField, pl.Series]:
    """The columns of lists. One that shares the ids of another column has the same type as that, which may change both."""
    found: dict[OtherField, pl.Series] = {}
    for column in description.of_kind(MULTI):
        found[MultiValuedField(column.name)] = features[column.name]
    for column in description.of_kind(SEQUENCE):
        of, values = column.options["of"], features[column.name]
        if features[of].dtype.is_integer() != (values.dtype == pl.List(pl.Int64)):
            features[of], values = features[of].cast(pl.String), values.cast(pl.List(pl.String))
        found[SequenceField(column.name, of=of, max_length=column.options["max_length"])] = values
    return found


def _calendar(description: Description, features: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """The calendar parts that are asked for, as categories: `<time>_hour`."""
    found = {}
    for column in description.of_kind(TIME):
        times = features[column.name].cast(pl.Datetime("us"))
        for part in column.options["parts"]:
            found[f"{column.name}_{part}"] = getattr(times.dt, part)().cast(pl.Int32)
    return found


def _titles(description: Description, features: dict[str, pl.Series]) -> dict[str, str]:
    """Item id to title, the last that is known."""
    title, item = description.only(TITLE), description.only(ITEM)
    if title is None or item is None:
        return {}
    pairs = pl.DataFrame({"item": features[item].cast(pl.String), "title": features[title].cast(pl.String)})
    return dict(pairs.drop_nulls().unique("item", keep="last").iter_rows())


def _weights(description: Description, features: dict[str, pl.Series]) -> Any:
    """As `Table.weights` has them. A task's own weight counts in place of that of all tasks."""
    found = {column.options["task"]: _floats(features[column.name]) for column in description.of_kind(WEIGHT)}
    of_all = found.pop(None, None)
    if of_all is None or not found:
        return found or of_all
    return {task.name: found.get(task.name, of_all) for task in description.tasks}


def split_rows(
    description: Description, frame: pl.DataFrame, files: list[File], sizes: list[int], split_seed: int
) -> tuple[np.ndarray, dict[str, str]]:
    """(R,) int8 of TRAIN, VALIDATION, TEST; and when validation and test begin, if that is the rule.

    Args:
        description: Its `rule` says how.
        frame: What `read_files` returned.
        files: They may be splits.
        sizes: The number of rows of each.
        split_seed: Draws what is drawn.
    """
    rng = np.random.default_rng(derive(split_seed, "split"))
    keys, rows = description.split, len(frame)
    if description.rule == RANDOM:
        return _drawn(rng, rows, keys), {}
    if description.rule == USER:
        users = _of_one_type(frame[f"{FEATURE}{description.only(USER)}"])
        known = users.unique().sort(nulls_last=True)
        places = pl.Series(range(len(known)), dtype=pl.Int64)
        numbers = users.replace_strict(known, places, return_dtype=pl.Int64).to_numpy()
        return _drawn(rng, len(known), keys)[numbers], {}
    if description.rule == TIME:
        return _by_time(description, frame[f"{FEATURE}{description.only(TIME)}"])
    if description.rule == BY_COLUMN:
        return frame[SPLIT].to_numpy(), {}
    split = np.repeat([SPLITS[file.split] for file in files], sizes).astype(np.int8)
    if "validation" in keys:
        train = np.flatnonzero(split == TRAIN)
        split[rng.permutation(train)[: int(keys["validation"] * len(train))]] = VALIDATION
    return split, {}


def _drawn(rng: np.random.Generator, count: int, shares: Any) -> np.ndarray:
    """(count,) int8: the first of a random order are test, the next validation, as `random_split` has it."""
    split = np.full(count, TRAIN, np.int8)
    order = rng.permutation(count)
    test, validation = int(shares["test"] * count), int(shares["validation"] * count)
    split[order[:test]] = TEST
    split[order[test : test + validation]] = VALIDATION
    return split


def _by_time(description: Description, times: pl.Series) -> tuple[np.ndarray, dict[str, str]]:
    """Rows of one time are in one split."""
    values, keys = times.to_numpy(), description.split
    if all(isinstance(keys[part], float) and 0 < keys[part] < 1 for part in keys):
        ordered = np.sort(values)
        held_out = keys["validation"] + keys["test"]
        begins = [ordered[min(int((1 - share) * len(ordered)), len(ordered) - 1)] for share in (held_out, keys["test"])]
    else:
        (column,) = description.of_kind(TIME)
        given = [pl.Series([keys[part]]) for part in ("validation", "test")]
        begins = [parse_times(value, column.options["unit"], None)[0] for value in given]
    split = np.where(values < begins[0], TRAIN, np.where(values < begins[1], VALIDATION, TEST))
    told = dict(zip(("validation", "test"), (_iso(int(time)) for time in begins), strict=True))
    return split.astype(np.int8), told


def _dates(description: Description, features: dict[str, pl.Series], split: np.ndarray) -> dict[str, Any]:
    """{dates: {split: [first, last]}}, of a table with times."""
    name = description.only(TIME)
    if name is None:
        return {}
    parts = {part: features[name].filter(pl.Series(split == number)).drop_nulls() for part, number in SPLITS.items()}
    known = {part: times.to_numpy() for part, times in parts.items() if len(times)}
    return {"dates": {part: [_iso(int(times.min())), _iso(int(times.max()))] for part, times in known.items()}}


def _iso(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None).isoformat(" ")


def _check_splits(description: Description, split: np.ndarray, begins: dict[str, str]) -> None:
    counts = {name: int((split == number).sum()) for name, number in SPLITS.items()}
    empty = [name for name, count in counts.items() if not count]
    if empty:
        rows = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        told = "".join(f"; {part} begins at {time}" for part, time in begins.items())
        raise ValueError(
            f"{description.path}: split: expected rows in train, validation and test, found none for {', '.join(empty)} "
            f"({rows}{told})"
        )
