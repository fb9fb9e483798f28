"""Recommendations: the best items for a user, from a checkpoint, with every task's prediction and the score.

A candidate's row has the user's fields, the item's fields as last seen in train, and every other (context) field at its
usual value in train. I items.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import sys
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.table import Table
from rich.text import Text

from benchmark.console import echo, terminal
from benchmark.records.record import Record
from benchmark.rows import Features
from benchmark.schema import Task
from benchmark.text import LONGEST_CELL, one_line, printable
from benchmark.trained.checkpoint import Predictor, data_of, load, locate, schema_of
from benchmark.trained.score import Score, default, parse
from benchmark.training.prediction import BATCH_SIZE, in_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmark.datasets import Catalogue, Data, Entities

FORMATS = ("table", "json", "csv")
ITEM_BLOCK = 64 * BATCH_SIZE  # whole batches, so that blocks do not change the last bit
_COLUMNS = ("user", "rank", "item", "title", "score")


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Recommended items, one row for each user and rank.

    Args:
        rows: {user, rank (from 1), item, title (if the data has titles), score, and every task's prediction}. Ids are
            the data set's own. A score or prediction that is not finite is None.
        tasks: The tasks, whose names are the last columns (`<name>_prediction` if another column has the name).
        score: The expression that items are ranked by.
        notes: Notes for the reader, one line each: what was left out, what was assumed.
    """

    rows: list[dict[str, Any]]
    tasks: tuple[Task, ...]
    score: str
    notes: tuple[str, ...] = ()

    def print(self, form: Literal["table", "json", "csv"] = "table") -> None:
        """Writes the rows to stdout, and the notes to stderr.

        Raises:
            ValueError: for an unknown format.
        """
        if form not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, found {form!r}")
        if form == "table":
            terminal().print(self.to_table())
        else:
            text = self.to_json() if form == "json" else self.to_csv()
            sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        for note in self.notes:
            echo(note, file=sys.stderr)

    def to_table(self) -> Table:
        """A table for the terminal, with a line between users."""
        table = Table(caption=Text(f"ranked by {self.score}"), caption_justify="left")
        headings = {_column(task): f"{task.name}\n({task.unit})" if task.unit else task.name for task in self.tasks}
        for name in self.rows[0] if self.rows else _COLUMNS:
            justify: Literal["left", "right"] = "left" if name in ("user", "item", "title") else "right"
            # on a narrow terminal, the title is cut: a number cut short would be another number
            table.add_column(Text(headings.get(name, name)), justify=justify, no_wrap=name != "title")
        for row, following in pairwise([*self.rows, None]):
            assert row is not None
            last_of_user = following is not None and following["user"] != row["user"]
            # Text, because rich could read a title as markup
            table.add_row(
                *(Text(one_line(_shown(value), LONGEST_CELL)) for value in row.values()), end_section=last_of_user
            )
        return table

    def to_json(self) -> str:
        """A JSON array of the rows."""
        return json.dumps(self.rows, indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The rows with a heading. Text that a spreadsheet would read as a formula begins with an apostrophe."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        if self.rows:
            writer.writerow(self.rows[0])
        writer.writerows([_not_a_formula(value) for value in row.values()] for row in self.rows)
        return file.getvalue()


def recommend(
    record: Record | str | Path,
    users: str | int | Sequence[str | int],
    *,
    k: int = 10,
    score: str | None = None,
    include_seen: bool = False,
    skip_broken: bool = False,
) -> Recommendations:
    """The K best items for each user.

    Items are ranked by score, ties by their order in the data set; scores that are not finite come last. A user's rows
    do not depend on the other users. A user with fewer than `k` candidates gets fewer rows.

    Args:
        record: The path of a record, or a Record, of a run with `save_checkpoint=true`; or a folder of records, of which the
            run that is best on validation recommends.
        users: One id of the data set's own, or several; 42 is "42".
        k: Items for each user.
        score: The formula to rank items by, in the language of `benchmark.trained.score`; None: the last funnel child,
            or the only task.
        include_seen: Keep items that the user has in any row of train, whatever its labels. By default, they are left
            out. (Rows of validation and test do not matter.)
        skip_broken: Whether to continue without the broken records of a folder; a note then says which.

    Raises:
        FileNotFoundError: if the record, the checkpoint or the data set's files are missing.
        ValueError: if `k` is less than 1, a user or a task is unknown, or the score is malformed. Also if the data set
            has no users and items, the run did not finish, or the data has changed since the run.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, found {k}")
    told: list[str] = []
    found, path = locate(record, skip_broken=skip_broken, tell=told.append)
    schema, name = schema_of(found), found.dataset["name"]
    for role in ("item", "user"):
        if getattr(schema, role) is None:
            raise ValueError(f"data set {name} has no {role} field: nothing to recommend")
    ranking = default(schema.tasks) if score is None else parse(score, schema.tasks)
    predictor = load(record if isinstance(record, Record) else path)
    data = data_of(found)
    if data.catalogue is None:
        raise ValueError(f"data set {name} has no catalogue of users and items: nothing to recommend")
    asked = [str(users)] if isinstance(users, str | int | Integral) else users  # numpy's integers too
    indices = _find_users(asked, data.catalogue.users, name)
    ranker = _Ranker(predictor, data, data.catalogue, ranking, include_seen=include_seen)
    rows = [row for index in indices for row in ranker.rows(index, k)]
    notes = (*ranker.notes(indices, rows, k), *told)
    if not isinstance(record, Record) and path != Path(record):
        notes = (
            f"from the run that is best on validation: {found.method}, seed {found.seed}, {path}",
            *notes,
        )
    return Recommendations(rows, schema.tasks, str(ranking), notes)


class _Ranker:
    """Ranks all items for one user at a time, in blocks of items."""

    def __init__(
        self, predictor: Predictor, data: Data, catalogue: Catalogue, score: Score, *, include_seen: bool
    ) -> None:
        self.predictor, self.catalogue, self.score = predictor, catalogue, score
        self.schema, self.include_seen = predictor.schema, include_seen
        assert self.schema.user is not None
        assert self.schema.item is not None
        # one pass over train and contiguous columns, for any number of users
        roles = self.schema.user, self.schema.item
        self._train_users, self._train_items = (np.array(data.train.features.column(role)) for role in roles)

    def rows(self, user: int, k: int) -> Iterator[dict[str, Any]]:
        """The user's K best items, as rows of `Recommendations`."""
        users, items, tasks = self.catalogue.users, self.catalogue.items, self.schema.tasks
        order, scores, predictions = self._best(user, k)
        for rank, item in enumerate(order):
            row: dict[str, Any] = {"user": str(users.ids[user]), "rank": rank + 1, "item": str(items.ids[item])}
            if items.titles is not None:
                row["title"] = str(items.titles[item])
            row["score"] = _finite(scores[rank])
            yield row | {_column(task): _finite(predictions[task.name][rank]) for task in tasks}

    def notes(self, users: list[int], rows: list[dict[str, Any]], k: int) -> Iterator[str]:
        """Notes on these rows for the reader."""
        if not self.include_seen:
            yield "items that the user has a row with in train are left out; --include-seen keeps them"
        context = [field.name for field in self.catalogue.context.fields]
        if context:
            yield f"context fields at their usual value in train: {', '.join(context)}"
        counts = {str(self.catalogue.users.ids[user]): 0 for user in users}
        for row in rows:
            counts[row["user"]] += 1
        for user, (name, count) in zip(users, counts.items(), strict=True):
            if self.catalogue.users.codes[user] == 0:
                yield f"user {name} has no row in train: the model knows only the user's other fields"
            if count < k:
                yield f"user {name} has {count} candidates, fewer than {k}"

    def _best(self, user: int, k: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Indices, scores and predictions of the user's K best items, best first."""
        seen = self._seen(user)
        best = np.empty(0, dtype=np.intp)
        scores = np.empty(0)
        predictions = {task.name: np.empty(0) for task in self.schema.tasks}
        for start in range(0, len(seen), ITEM_BLOCK):
            items = np.arange(start, min(start + ITEM_BLOCK, len(seen)))
            outputs = self.predictor.predict(self._candidates(user, items))
            values = {task.name: in_unit(task, outputs[task.name]) for task in self.schema.tasks}
            unseen = ~seen[items]
            best = np.concatenate([best, items[unseen]])
            scores = np.concatenate([scores, self.score.evaluate(values)[unseen]])
            predictions = {name: np.concatenate([old, values[name][unseen]]) for name, old in predictions.items()}
            # stable, and candidates are in the order of the items, so ties go to the earlier item; later blocks hold
            # later items
            order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")[:k]
            best, scores = best[order], scores[order]
            predictions = {name: value[order] for name, value in predictions.items()}
        return best, scores, predictions

    def _seen(self, user: int) -> np.ndarray:
        """(I,) bool: the items left out for the user. Code 0 means everything not in train."""
        codes, user_code = self.catalogue.items.codes, self.catalogue.users.codes[user]
        if self.include_seen or user_code == 0:
            return np.zeros(len(codes), dtype=bool)
        seen: np.ndarray = np.isin(codes, self._train_items[self._train_users == user_code]) & (codes != 0)
        return seen

    def _candidates(self, user: int, chosen: np.ndarray) -> Features:
        """Rows of the user with each of the chosen items, in the usual context."""
        catalogue, nth = self.catalogue, partial(np.full, len(chosen))
        parts = [
            catalogue.context.take(nth(0)),
            catalogue.users.features.take(nth(user)),
            catalogue.items.features.take(chosen),
        ]
        return Features.join(self.schema.fields, parts)


def _find_users(wanted: Sequence[str | int], users: Entities, dataset: str) -> list[int]:
    """Indices of the ids, each once, in the order asked for."""
    if len(wanted) == 0:
        raise ValueError("users: expected at least one id, found none")
    index = {str(user): position for position, user in enumerate(users.ids)}
    for user in map(str, wanted):
        if user not in index:
            near = difflib.get_close_matches(user, index, n=3, cutoff=0.5) or list(index)[:3]
            raise ValueError(f"unknown user {user!r}: {dataset} has {len(index)} users; nearest: {', '.join(near)}")
    return list(dict.fromkeys(index[str(user)] for user in wanted))


def _column(task: Task) -> str:
    return f"{task.name}_prediction" if task.name in _COLUMNS else task.name


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:#.4g}" if isinstance(value, float) else str(value)


def _not_a_formula(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)  # an id such as -5
    except ValueError:
        return f"'{value}"
    return value
