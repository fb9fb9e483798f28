"""From a user's files to a `Table`: columns by their kinds, labels, and which rows belong to which split; R rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
    OwnColumn,
)
from benchmark.datasets._own_columns import FEATURE, LABEL, SPLIT
from benchmark.datasets._own_files import PIECE, File, read_files
from benchmark.datasets._own_times import parse_time
from benchmark.datasets.calendar import expressions
from benchmark.datasets.table import SPLITS, TEST, TRAIN, VALIDATION, Table, random_split
from benchmark.lists import MultiValuedField, SequenceField
from benchmark.pieces import on_disk
from benchmark.schema import OtherField

_WHOLE = r"^(0|-?[1-9]\d{0,17})$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_table(description: Description, files: list[File], split_seed: int, folder: Path) -> Table:
    """The parsed table, as expressions over a frame on disk.

    Args:
        description: What the YAML says.
        files: The files.
        split_seed: Draws the split.
        folder: Where the frame is written; it must stay until the table is prepared.

    Raises:
        ValueError: with file, line, column, what was expected and what was found; and for an empty split.
    """
    frame, sizes = read_files(description, files, folder)
    frame = _with_whole_numbers(frame)
    split, begins = split_rows(description, frame, files, sizes, split_seed, folder)
    _check_splits(description, split, begins)
    codes = {column.name: _feature(column) for column in description.of_kind(USER, ITEM, CATEGORICAL)}
    return Table(
        categorical={**codes, **_calendar(description)},
        numeric={column.name: _feature(column) for column in description.of_kind(NUMERIC)},
        labels={task.name: pl.col(f"{LABEL}{task.name}") for task in description.tasks},
        split=split,
        user_fields=tuple(column.name for column in description.columns.values() if column.about == USER),
        item_fields=tuple(column.name for column in description.columns.values() if column.about == ITEM),
        titles=_titles(description, frame),
        others=_lists(description),
        weights=_weights(description),
        facts={
            "protocol": "files" if description.rule == FILES else f"by {description.rule}",
            **_dates(description, frame, split),
            "files": sorted({file.path.name for file in files}),
            "left_out": [column.name for column in description.of_kind(IGNORE)],
        },
        frame=frame,
    )


def _feature(column: OwnColumn) -> pl.Expr:
    return pl.col(f"{FEATURE}{column.name}")


def _with_whole_numbers(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Integers where every text of a column is one, as 42 is and 042 is not: text files and Parquet give the same."""
    kinds = {name: dtype for name, dtype in frame.collect_schema().items() if dtype in (pl.String, pl.List(pl.String))}
    checks = {
        name: pl.col(name).str.contains(_WHOLE).all()
        if dtype == pl.String
        else pl.col(name).list.eval(pl.element().str.contains(_WHOLE).all()).list.first().all()
        for name, dtype in kinds.items()
    }
    found = frame.select(**checks).collect(engine="streaming").row(0, named=True) if checks else {}
    whole = {name: pl.Int64 if kinds[name] == pl.String else pl.List(pl.Int64) for name in found if found[name]}
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in whole.items())


def _lists(description: Description) -> dict[OtherField, pl.Expr]:
    found: dict[OtherField, pl.Expr] = {MultiValuedField(c.name): _feature(c) for c in description.of_kind(MULTI)}
    for column in description.of_kind(SEQUENCE):
        of, length = column.options["of"], column.options["max_length"]
        found[SequenceField(column.name, of=of, max_length=length)] = _feature(column)
    return found


def _calendar(description: Description) -> dict[str, pl.Expr]:
    """The calendar parts that are asked for, as categories: `<time>_hour`."""
    found: dict[str, pl.Expr] = {}
    for column in description.of_kind(TIME):
        if parts := column.options["parts"]:
            made = expressions(
                f"{FEATURE}{column.name}", pl.Int64(), parts, unit="us", time_zone=column.options.get("time_zone")
            )
            found |= {name.removeprefix(FEATURE): part for name, part in made.items()}
    return found


def _titles(description: Description, frame: pl.LazyFrame) -> dict[str, str]:
    """Item id to title, the last that is known."""
    title, item = description.of_kind(TITLE), description.of_kind(ITEM)
    if not title or not item:
        return {}
    pairs = frame.select(item=_feature(item[0]).cast(pl.String), title=_feature(title[0]).cast(pl.String)).drop_nulls()
    last = pairs.group_by("item").agg(pl.col("title").last())
    return dict(last.collect(engine="streaming").iter_rows())


def _weights(description: Description) -> Any:
    """As `Table.weights` has them. A task's own weight counts in place of that of all tasks."""
    found = {column.options["task"]: _feature(column) for column in description.of_kind(WEIGHT)}
    of_all = found.pop(None, None)
    if of_all is None or not found:
        return found or of_all
    return {task.name: found.get(task.name, of_all) for task in description.tasks}


def split_rows(
    description: Description, frame: pl.LazyFrame, files: list[File], sizes: list[int], split_seed: int, folder: Path
) -> tuple[np.ndarray, dict[str, str]]:
    """(R,) int8 of TRAIN, VALIDATION, TEST; and when validation and test begin, if that is the rule.

    Args:
        description: Its `rule` says how.
        frame: What `read_files` returned.
        files: They may be splits.
        sizes: The number of rows of each.
        split_seed: Draws what is drawn.
        folder: Where the times are written meanwhile, for a split by time.
    """
    keys, rows = description.split, sum(sizes)
    if description.rule == RANDOM:
        return random_split(rows, split_seed, **keys), {}
    if description.rule == USER:
        return _by_user(frame, f"{FEATURE}{description.only(USER)}", rows, split_seed, keys), {}
    if description.rule == TIME:
        return _by_time(description, frame, rows, folder)
    split = np.empty(rows, np.int8)
    if description.rule == BY_COLUMN:
        for part, values in _pieces(frame, SPLIT):
            split[part] = values
        return split, {}
    ends = np.cumsum(sizes)
    for file, size, end in zip(files, sizes, ends, strict=True):
        split[end - size : end] = SPLITS[file.split]
    if "validation" in keys:
        drawn = random_split(int((split == TRAIN).sum()), split_seed, validation=keys["validation"], test=0)
        split[split == TRAIN] = drawn
    return split, {}


def _pieces(frame: pl.LazyFrame, name: str) -> Iterator[tuple[slice, pl.Series]]:
    """One column, a piece of rows at a time, in their order."""
    start = 0
    for piece in frame.select(name).collect_batches(chunk_size=PIECE, maintain_order=True, engine="streaming"):
        yield slice(start, start + len(piece)), piece[name]
        start += len(piece)


def _by_user(frame: pl.LazyFrame, name: str, rows: int, split_seed: int, shares: Mapping[str, float]) -> np.ndarray:
    """Rows of one user are in one split."""
    known = frame.select(pl.col(name).unique()).collect(engine="streaming")[name].sort(nulls_last=True)
    of_users = pl.LazyFrame({name: known, SPLIT: random_split(len(known), split_seed, **shares)})
    joined = frame.select(name).join(of_users, on=name, how="left", nulls_equal=True, maintain_order="left")
    split = np.empty(rows, np.int8)
    for part, values in _pieces(joined, SPLIT):
        split[part] = values
    return split


def _by_time(
    description: Description, frame: pl.LazyFrame, rows: int, folder: Path
) -> tuple[np.ndarray, dict[str, str]]:
    """Rows of one time are in one split."""
    keys, (column,) = description.split, description.of_kind(TIME)
    name = f"{FEATURE}{column.name}"
    if all(isinstance(keys[part], float) and 0 < keys[part] < 1 for part in keys):
        times = on_disk((rows,), np.int64, folder)
        for part, values in _pieces(frame, name):
            times[part] = values
        held_out = keys["validation"] + keys["test"]
        places = [min(int((1 - share) * rows), rows - 1) for share in (held_out, keys["test"])]
        times.partition(places)
        begins = [int(times[place]) for place in places]
    else:
        form = column.options["unit"], column.options["format"]
        begins = [parse_time(keys[part], *form) for part in ("validation", "test")]
    split = np.full(rows, TRAIN, np.int8)
    for part, values in _pieces(frame, name):
        time = values.to_numpy()
        split[part][time >= begins[0]] = VALIDATION
        split[part][time >= begins[1]] = TEST
    return split, dict(zip(("validation", "test"), map(_iso, begins), strict=True))


def _dates(description: Description, frame: pl.LazyFrame, split: np.ndarray) -> dict[str, Any]:
    """{dates: {split: [first, last]}}, of a table with times."""
    name = description.only(TIME)
    if name is None:
        return {}
    ends: dict[str, list[int]] = {}
    for part, times in _pieces(frame, f"{FEATURE}{name}"):
        for known, number in SPLITS.items():
            found = times.filter(pl.Series(split[part] == number)).drop_nulls()
            if len(found):
                seen = pl.Series([*ends.get(known, []), found.min(), found.max()])
                ends[known] = [int(seen.min()), int(seen.max())]  # type: ignore[arg-type]
    return {"dates": {known: [_iso(time) for time in ends[known]] for known in SPLITS if known in ends}}


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
