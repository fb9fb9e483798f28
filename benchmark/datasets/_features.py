"""Writes features and labels of splits, users, items and context, piece by piece; R rows of the table."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import Dataset
from benchmark.datasets._catalogue import CONTEXT, ITEMS, USERS, write_context, write_entities
from benchmark.datasets._fit import FittedColumn, Numbers, Treatment, Vocabulary, fit_other, fitted
from benchmark.datasets.table import SPLITS, TRAIN, Table
from benchmark.files import write_json
from benchmark.pieces import mapped, pieces
from benchmark.rows import Features, FeatureWriter, joined
from benchmark.schema import Arrays, CategoricalField, NumericField, OtherField, Schema


@dataclass(slots=True)
class _Part:
    """Some rows of the table, and the features that are written of them: a split, or all users or items.

    Args:
        columns: The columns of the table that it has.
        writer: Writes their features.
        split: The number of the split.
        rows: (M,) or the numbers of its rows.
        labels: (M, T) of a split, on disk.
        weights: (M, W) of a split whose rows have weights, on disk.
        done: How many rows of the split are written.
    """

    columns: Container[str]
    writer: FeatureWriter
    split: int | None = None
    rows: np.ndarray | None = None
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    done: int = 0

    def choose(self, table: Table, piece: slice) -> tuple[np.ndarray, Any]:
        """Its rows in a piece of the table, counted from the start of that, and their places among its rows."""
        if self.rows is not None:
            places = np.flatnonzero((self.rows >= piece.start) & (self.rows < piece.stop))
            return self.rows[places] - piece.start, places
        rows = np.flatnonzero(table.split[piece] == self.split)
        self.done += len(rows)
        return rows, slice(self.done - len(rows), self.done)


def write_features(
    folder: Path,
    dataset: Dataset,
    table: Table,
    treatment: Treatment,
    labels_RT: np.ndarray,
    weights_RW: np.ndarray | None,
    scratch: Path,
) -> tuple[Schema, dict[str, list[str]] | None, dict[str, int]]:
    """Fits the columns, and writes features, labels, and what the codes mean.

    Args:
        folder: Where to.
        dataset: Names tasks, user and item.
        table: The parsed columns.
        treatment: How they become fields.
        labels_RT: (R, T) the checked labels.
        weights_RW: (R, 1) or (R, T) the checked weights, if rows have weights.
        scratch: For files that are gone at the end.

    Returns:
        The schema; the names of the fields of users, items and context, where there are users and items; and the codes of
        missing values, of the fields that have one.
    """
    # refuses names and roles before anything is fitted
    codes, numbers = (CategoricalField(name, 1) for name in table.categorical), map(NumericField, table.numeric)
    Schema(tuple(codes), tuple(numbers), dataset.tasks, dataset.user, dataset.item, tuple(table.others))
    fits = list(fitted(table, treatment, user=dataset.user, folder=scratch))
    widths = len(dataset.tasks), None if weights_RW is None else weights_RW.shape[1]
    splits = {name: _split(folder, name, table, fits, *widths) for name in SPLITS}
    entities: dict[str, _Part] = {}
    if dataset.user is not None and dataset.item is not None:
        for role, id_field, its in ((USERS, dataset.user, table.user_fields), (ITEMS, dataset.item, table.item_fields)):
            assert id_field in its, f"{id_field} is one of the columns that belong to it"
            rows = write_entities(folder, table, role, id_field)
            entities[role] = _Part(its, FeatureWriter(folder, role, len(rows), _fields(fits, its)), rows=rows)
    _write_pieces(table, fits, [*splits.values(), *entities.values()], labels_RT, weights_RW)

    train, writers = splits["train"].writer, [part.writer for part in entities.values()]
    if entities:
        context = [name for name in table.columns if name not in {*table.user_fields, *table.item_fields}]
        writers.append(FeatureWriter(folder, CONTEXT, 1, _fields(fits, context)))
        write_context(writers[-1], Features.load(folder, "train", train.fields))
    origins = {fit.field.name: fit.origin for fit in fits} | {other.name: other.name for other in table.others}
    vocabulary = {fit.field.name: fit.vocabulary for fit in fits if fit.vocabulary is not None}
    missing = {name: len(values) for name, values in vocabulary.items() if values and values[-1] is None}
    known = Numbers({fit.origin: fit.of for fit in fits if isinstance(fit.of, Vocabulary)}, treatment)
    for other in table.others:
        made, names = _write_other(other, table, known, [*splits.values()], [*entities.values()])
        if entities and other.name in context:
            arrays = Features.load(folder, "train", train.fields).others[made]
            with writers[-1].add(made) as write:
                write(made.usual(arrays))
        if names is not None:
            vocabulary[other.name] = names
    write_json(folder / "vocabulary.json", vocabulary)

    fields = train.fields
    user_fields = tuple(field.name for field in fields if origins[field.name] in table.user_fields)
    schema = Schema.of(fields, dataset.tasks, user=dataset.user, item=dataset.item, user_fields=user_fields)
    catalogue = {writer.name: [field.name for field in writer.fields] for writer in writers}
    return schema, catalogue or None, missing


def _fields(fits: Sequence[FittedColumn], columns: Container[str]) -> list[CategoricalField | NumericField]:
    return [fit.field for fit in fits if fit.origin in columns]


def _split(
    folder: Path, name: str, table: Table, fits: Sequence[FittedColumn], num_tasks: int, num_weights: int | None
) -> _Part:
    number = SPLITS[name]
    num_rows = int((table.split == number).sum())
    writer = FeatureWriter(folder, name, num_rows, _fields(fits, table.columns))

    def allocate(part: str, width: int) -> np.ndarray:
        return mapped(folder / f"{name}_{part}.npy", (num_rows, width), np.float64)

    weights = None if num_weights is None else allocate("weights", num_weights)
    return _Part(table.columns, writer, split=number, labels=allocate("labels", num_tasks), weights=weights)


def _write_pieces(
    table: Table,
    fits: Sequence[FittedColumn],
    parts: Sequence[_Part],
    labels_RT: np.ndarray,
    weights_RW: np.ndarray | None,
) -> None:
    for piece in pieces(len(table.split)):
        chosen = [part.choose(table, piece) for part in parts]
        for part, (rows, places) in zip(parts, chosen, strict=True):
            if part.labels is not None:
                part.labels[places] = labels_RT[piece][rows]
            if part.weights is not None and weights_RW is not None:
                part.weights[places] = weights_RW[piece][rows]
        for fit in fits:
            column = (
                table.series(fit.origin, piece) if fit.origin in table.categorical else table.numeric[fit.origin][piece]
            )
            values = fit.of(column)
            for part, (rows, places) in zip(parts, chosen, strict=True):
                if fit.origin in part.columns:
                    part.writer.write(fit.field.name, places, values[rows])


def _write_other(
    other: OtherField, table: Table, numbers: Numbers, splits: Sequence[_Part], entities: Sequence[_Part]
) -> tuple[OtherField, list[Any] | None]:
    """Fits and writes a column of another kind; returns its field, and what its codes mean."""
    is_train = table.split == TRAIN
    made, pieces_of_it, names = fit_other(other, table.others[other], is_train, numbers)
    its = [part for part in entities if other.name in part.columns]
    found: list[list[tuple[Any, Arrays]]] = [[] for _ in its]
    with ExitStack() as stack:
        writes = [stack.enter_context(part.writer.add(made)) for part in splits]
        for piece, arrays in pieces_of_it:
            for part, write in zip(splits, writes, strict=True):
                write(made.take(arrays, part.choose(table, piece)[0]))
            for part, kept in zip(its, found, strict=True):
                rows, places = part.choose(table, piece)
                kept.append((places, made.take(arrays, rows)))
    for part, kept in zip(its, found, strict=True):
        assert part.rows is not None, "those of users and items are numbers"
        if other.name in table.latest:
            of_all = made.fit(table.latest[other.name][part.rows], is_train[part.rows], numbers)[1]
        else:
            order = np.argsort(np.concatenate([places for places, _ in kept]))
            of_all = made.take(joined(made, (arrays for _, arrays in kept)), order)
        with part.writer.add(made) as write:
            write(of_all)
    return made, names
