"""What a reader hands over, before anything is fitted to it; R rows, T tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import polars as pl

from benchmark.kinds import KINDS
from benchmark.pieces import Moments, moments, on_disk, pieces
from benchmark.schema import OtherField, Task
from benchmark.seeding import derive

TRAIN, VALIDATION, TEST = 0, 1, 2
LEFT_OUT = -1  # a row of no split
ALL = ""  # names the weights that all tasks share
SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
DRAWN_AT_ONCE = 1 << 25  # rows of a random split, whose numbers take 268 MB


@dataclass(slots=True)
class Table:
    """The parsed columns of R rows: numpy arrays, polars series or lists, or polars expressions over `frame`.

    `prepare` takes what is plainly meant: booleans, dates and polars' categories as text, whole floats as integers, None
    as missing. It refuses the rest by the column's name.

    A log that does not fit in memory is a `frame`, such as `text.scan_text` and joins give, and expressions:

        Table(categorical={"user": pl.col("user_id")}, ..., split=pl.lit(TRAIN, pl.Int8), frame=scan_text(path, types))

    `prepare` writes what they give to the disk in one streaming pass, and reads it in pieces.

    Args:
        categorical: Field name to (R,) text or integers; null: missing, a category of its own.
        numeric: Field name to (R,) numbers; NaN: missing.
        labels: Every task that the files offer, chosen or not, to (R,) targets (after the transform); NaN: not observed.
            A binary child that is not observed where its parent is 0 counts as 0.
        split: (R,) of TRAIN, VALIDATION, TEST, and LEFT_OUT.
        user_fields: Columns that belong to the user, the id itself included.
        item_fields: The same for the item. Columns that belong to neither are context.
        titles: Item id to title, for people to read; no part of the fingerprint.
        facts: Plain values for the record: rows read, duplicates dropped, the protocol.
        best_reachable: {task: {metric: value}} on the test rows, where the model that drew the data is known.
        others: Columns of other kinds, as not yet fitted fields, to the values of R rows that their `fit` takes. Lists are
            read in pieces; of another kind, all rows of one column are in memory at a time, unless it says otherwise.
        latest: (R,) values of columns that grow with the log, by name, as known after all of train: a user's history before a row
            lacks the row itself and later ones. The catalogue has these, so that recommendations know all that a user did in
            train. An array of rows gives their values.
        frame: What expressions are about.
        weights: (R,) numbers of at least 0, how much a row counts in the loss of every task, or {task: (R,)} of these; a task
            that is not named has weight 1. None: all count alike. Metrics do not use them.
    """

    categorical: dict[str, Any]
    numeric: dict[str, Any]
    labels: dict[str, Any]
    split: Any
    user_fields: tuple[str, ...] = ()
    item_fields: tuple[str, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    best_reachable: dict[str, dict[str, float]] | None = None
    others: dict[OtherField, Any] = field(default_factory=dict)
    latest: dict[str, Any] = field(default_factory=dict)
    frame: pl.LazyFrame | None = None
    weights: Any = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that become features."""
        return (*self.categorical, *self.numeric, *(other.name for other in self.others))

    def series(self, name: str, part: slice = slice(None)) -> pl.Series:
        """A categorical column, or a piece of it, as strings or integers."""
        values = self.categorical[name][part]
        column = values if isinstance(values, pl.Series) else pl.Series(values)
        assert column.dtype == pl.String or column.dtype.is_integer(), f"{name} is neither text nor integer"
        return column

    def values(self, name: str) -> pl.Series:
        """The different values of a categorical column, and null if it has that, in no order."""
        found: pl.Series | None = None
        for part in pieces(len(self.categorical[name])):
            new = self.series(name, part).unique()
            found = new if found is None else pl.concat([found, new]).unique()
        assert found is not None, "there is always a piece"
        return found

    def fingerprint(self, stop: Event | None = None) -> str:
        """The sha256 of all parsed columns and labels, by name. It depends neither on the parser nor on how they are used.

        Strings and integers that read alike are alike. The split, the titles and the facts do not count.

        Args:
            stop: Another thread sets it when nobody needs the result any more.

        Raises:
            InterruptedError: soon after that.
        """
        whole = hashlib.sha256()
        for content in self._hashed():
            if stop is not None and stop.is_set():
                raise InterruptedError("nobody needs the fingerprint any more")
            whole.update(content)
        return whole.hexdigest()

    def _hashed(self) -> Iterator[bytes]:
        """What is hashed, in pieces."""
        for name in sorted(self.categorical):
            values = self.values(name).drop_nulls()
            text = values.cast(pl.String)
            yield f"categorical\x1f{name}\x1f{len(self.categorical[name])}\x1f".encode()
            yield "\x1f".join(text.sort()).encode()
            values = values.gather(text.arg_sort())
            for part in pieces(len(self.categorical[name])):
                yield number_categories(self.series(name, part), values).astype("<i4").tobytes()
        for kind, columns in (("numeric", self.numeric), ("label", self.labels)):
            for name in sorted(columns):
                yield f"{kind}\x1f{name}\x1f{len(columns[name])}\x1f".encode()
                yield from label_bytes(columns[name]) if kind == "label" else _bytes(columns[name], "<f8")
        for other in sorted(self.others, key=lambda known: known.name):
            yield f"{other.kind}\x1f{other.name}\x1f{len(self.split)}\x1f".encode()
            yield from other.contents(self.others[other])
        for name, values in sorted((self.weights or {}).items()):
            yield f"weight\x1f{name}\x1f{len(values)}\x1f".encode()
            yield from _bytes(values, "<f8")


def _bytes(column: Any, dtype: str) -> Iterator[bytes]:
    for part in pieces(len(column)):
        yield (column[part] + 0.0).astype(dtype).tobytes()  # -0.0 is 0.0


def label_bytes(label: Any) -> Iterator[bytes]:
    """What is hashed of a label, in pieces: float32, as ever, and `exact_bytes`."""
    yield from _bytes(label, "<f4")
    yield from exact_bytes(label)


def exact_bytes(label: Any) -> Iterator[bytes]:
    """The label as float64, in pieces, where float32 would tell too few of its values apart, else nothing."""
    if label[:0].dtype == np.float64 and is_coarse(moments(lambda: _finite(label))):
        yield from _bytes(label, "<f8")


def _finite(label: Any) -> Iterator[np.ndarray]:
    for part in pieces(len(label)):
        column = label[part]
        yield column[np.isfinite(column)]


def is_coarse(seen: Moments) -> bool:
    """Are float32's steps more than a tenth of the values' standard deviation? Such steps cost .001 of R²."""
    return 0 < seen.std < 10 * float(np.spacing(np.float32(seen.furthest)))


def number_categories(column: pl.Series, values: pl.Series, *, missing: int = 0) -> np.ndarray:
    """(R,) int32: 1 + the place in `values`; `missing` for null, 0 for what is not among them."""
    numbers = pl.Series(range(1, len(values) + 1), dtype=pl.Int32)
    codes = column.replace_strict(values, numbers, default=0, return_dtype=pl.Int32).to_numpy()
    return np.where(column.is_null().to_numpy(), np.int32(missing), codes)


def random_split(num_rows: int, split_seed: int, *, validation: float = 0.1, test: float = 0.1) -> np.ndarray:
    """(R,) int8: a tenth of the rows test, a tenth validation, or other shares, the rest train, at random by `split_seed` alone.

    Above `DRAWN_AT_ONCE` rows it is drawn in pieces: first how many rows of a piece are test and validation, then which.
    So every split of these sizes is as probable as before.
    """
    for_test, for_validation = int(test * num_rows), int(validation * num_rows)
    split = np.full(num_rows, TRAIN, np.int8)
    rng = np.random.default_rng(derive(split_seed, "split"))
    if num_rows > DRAWN_AT_ONCE:
        left = np.array([for_test, for_validation, num_rows - for_test - for_validation])
        for part in pieces(num_rows, DRAWN_AT_ONCE >> 5):
            drawn = rng.multivariate_hypergeometric(left, part.stop - part.start, method="marginals")
            split[part] = rng.permutation(np.repeat(np.array([TEST, VALIDATION, TRAIN], np.int8), drawn))
            left -= drawn
        return split
    order = rng.permutation(num_rows)
    split[order[:for_test]] = TEST
    split[order[for_test : for_test + for_validation]] = VALIDATION
    return split


def fill_children(labels_RT: np.ndarray, tasks: tuple[Task, ...]) -> np.ndarray:
    """Writes 0 where a binary child is not observed and its parent is 0: nothing is bought that was not clicked.

    Without these zeros the child, whose output is the joint, would be trained and judged on clicked rows alone.

    Returns:
        (R, T) bool: where it wrote. Along a chain a child that is filled in is a parent of the next.
    """
    names = [task.name for task in tasks]
    filled_RT = np.zeros(labels_RT.shape, dtype=bool)
    for column, task in enumerate(tasks):
        if task.given is not None and KINDS[task.kind].is_binary:
            parent_R = labels_RT[:, names.index(task.given)]
            filled_RT[:, column] = np.isnan(labels_RT[:, column]) & (parent_R == 0)
            labels_RT[filled_RT[:, column], column] = 0
    return filled_RT


def check_labels(
    labels_RT: np.ndarray, split: np.ndarray, tasks: tuple[Task, ...], *, folder: Path | None = None
) -> None:
    """Refuses labels that are not what their tasks say.

    Args:
        labels_RT: (R, T) float64.
        split: (R,) of TRAIN, VALIDATION, TEST, and LEFT_OUT.
        tasks: The tasks.
        folder: Where the labels of train are copied to meanwhile; see `on_disk`.

    Raises:
        ValueError: naming task and count. A label is finite or NaN, and some are observed in train; the rest is for its
            kind to say. In a funnel a child is observed only where its parent is, and a binary one is at most its parent.
    """
    names = [task.name for task in tasks]
    for task, label in zip(tasks, labels_RT.T, strict=True):
        _check_label(task, label, split, folder)
        if task.given is not None:
            _check_child(task, label, labels_RT[:, names.index(task.given)])


def _check_label(task: Task, label: np.ndarray, split: np.ndarray, folder: Path | None) -> None:
    infinite = sum(int(np.isinf(label[part]).sum()) for part in pieces(len(label)))
    if infinite:
        raise ValueError(
            f"task {task.name!r}: labels must be finite, found {infinite} that are not; give NaN where a label is not observed"
        )
    train = _observed(label, split, folder)
    if not len(train):
        raise ValueError(
            f"task {task.name!r}: no label is observed in train; leave the task out of dataset.tasks, or choose another split"
        )
    KINDS[task.kind].check(task, label, train)


def _observed(label: np.ndarray, split: np.ndarray, folder: Path | None) -> np.ndarray:
    """The labels that are observed in train, on disk."""
    train, count = on_disk(label.shape, label.dtype, folder), 0
    for part in pieces(len(label)):
        seen = label[part][(split[part] == TRAIN) & ~np.isnan(label[part])]
        train[count : count + len(seen)] = seen
        count += len(seen)
    return train[:count]


def _check_child(task: Task, label: np.ndarray, parent: np.ndarray) -> None:
    above = alone = 0
    for part in pieces(len(label)):
        own, its = label[part], parent[part]
        above += int((own > its).sum()) if KINDS[task.kind].is_binary else 0  # NaN is not greater
        alone += int((np.isnan(its) & ~np.isnan(own)).sum())
    if above:
        raise ValueError(
            f"task {task.name!r} is given {task.given!r} and cannot be greater, but is on {above} rows; correct these labels, or "
            "declare the task without `given`"
        )
    if alone:
        raise ValueError(
            f"task {task.name!r} is given {task.given!r}, but on {alone} rows it is observed and {task.given!r} is not; give both "
            "labels there, or NaN for both"
        )
