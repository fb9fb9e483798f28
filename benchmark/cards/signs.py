"""Which numbers of a card are the sign of a leak, and what to do about each.

A threshold is a reason to look, not a proof. Each one is far from what honest fields reach: the docstrings say how far.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmark.records.card import Card, FieldCard, Sign, TaskCard, in_words

TOO_WELL = {"ranks": 0.95, "squares": 0.9}
"""AUC or R² on validation from which on a field alone is a suspect: more than whole models reach on most logs."""
FAR_AHEAD = 0.25
"""A suspect is a sign if `1 - value <= 0.25 * (1 - next best)`; the next best is that of the fields that are not suspects.

Play time left in on KuaiRand leaves 0.04 of it for clicks (AUC 0.985, and 0.662 of the next field), 0.02 for long views and 0.005 for
itself. Labels that several fields know are easy, not leaked: on Census-Income, the household alone reaches 0.978 for `never_married`
and the next field 0.946, so that 0.42 of it is left.
"""
SORTED = 0.2
"""By how much an AUC in the order of ids or rows differs from 0.5; for a correlation, twice this."""
APART = 0.95
"""AUC of a numeric field as a sign of test rows, from which on a model must extrapolate."""
REPEATED = 0.01
"""Share of test rows that are in train with the same features and labels, from which on it is a sign."""
NEARLY_ALL = 0.5
"""A categorical field with more values than this share of the rows of train is an id of rows."""

_CHANCE = {"ranks": 0.5, "squares": 0.0}


def signs(card: Card) -> list[Sign]:
    """All warnings of a card, the leaks first."""
    return [*_fields(card), *_ids(card), *_rows(card), *_time(card), *_apart(card)]


def _fields(card: Card) -> Iterator[Sign]:
    """Fields that alone predict a label too well."""
    for task in card.tasks:
        if task.measure not in TOO_WELL:
            continue
        best = _best_of_columns(card, task)
        suspects = {name: value for name, value in best.items() if value >= TOO_WELL[task.measure]}
        others = {name: value for name, value in best.items() if name not in suspects}
        second = next(iter(others), None)
        known = max(_CHANCE[task.measure], others[second] if second is not None else 0.0)
        beside = (
            f"the best field below {TOO_WELL[task.measure]}, {second}, reaches {known:.3f}"
            if second
            else "no field does worse"
        )
        for name, value in suspects.items():
            if 1 - value <= FAR_AHEAD * (1 - known):
                yield Sign(
                    kind="field",
                    about=name,
                    text=f"{name} alone predicts {task.name} with {_measured(task, value)} on validation; {beside}. Is it made from the "
                    "label, or known only after it? Then leave it out. If it is known before, keep it and say so.",
                )


def _best_of_columns(card: Card, task: TaskCard) -> dict[str, float]:
    """{column: how well it alone predicts the task}, the best first; a number and its bins are one column."""
    names = {field.name for field in card.fields if field.kind == "numeric"}
    best: dict[str, float] = {}
    for field in card.fields:
        if task.name in field.alone:
            column = field.name.removesuffix("_bin")
            column = column if column in names else field.name
            best[column] = max(best.get(column, field.alone[task.name]), field.alone[task.name])
    return dict(sorted(best.items(), key=lambda item: -item[1]))


def _measured(task: TaskCard, value: float) -> str:
    return f"an AUC of {value:.3f}" if task.measure == "ranks" else f"an R² of {value:.3f}"


def _ids(card: Card) -> Iterator[Sign]:
    """Ids of rows, above all those in the order of a label; and rows that are sorted by a label."""
    measures = {task.name: task.measure for task in card.tasks}
    for field in card.fields:
        for name, value in field.order.items():
            if _is_sorted(measures[name], value):
                yield Sign(
                    kind="id",
                    about=field.name,
                    text=f"{field.name} has the order of {name}: {_ordered(measures[name], value)} on train. An id that was given "
                    "out after the label is a leak: leave it out.",
                )
        if _is_row_id(field):
            test = (field.unseen or {}).get("test", 0.0)
            yield Sign(
                kind="id",
                about=field.name,
                text=f"{field.name} is an id of rows: {field.values:,} values on {card.splits['train']:,} rows of train, and "
                f"{test:.0%} of test rows have a value that train does not have. A model learns nothing from it: leave it out.",
            )
    for task in card.tasks:
        if task.in_order is not None and _is_sorted(task.measure, task.in_order):
            yield Sign(
                kind="id",
                text=f"The rows of train are sorted by {task.name}: {_ordered(task.measure, task.in_order)} of the number of the "
                "row. A split by position would give each split other labels: draw it at random, or by time.",
            )


def _is_sorted(measure: str, value: float) -> bool:
    return abs(value - 0.5) >= SORTED if measure == "ranks" else abs(value) >= 2 * SORTED


def _ordered(measure: str, value: float) -> str:
    return f"an AUC of {value:.3f}" if measure == "ranks" else f"a correlation of {value:+.3f}"


def _is_row_id(field: FieldCard) -> bool:
    return bool(field.order) and (field.unseen or {}).get("test", 0.0) >= NEARLY_ALL


def _rows(card: Card) -> Iterator[Sign]:
    counts, test = card.facts.get("test_rows_in_train") or {}, card.splits["test"]
    same = counts.get("same_features_and_labels", 0)
    if same >= REPEATED * test:
        yield Sign(
            kind="rows",
            text=f"{same:,} of {test:,} test rows ({same / test:.1%}) are in train with the same features and labels. A model can "
            "know them by heart. Drop duplicates before the split, unless the owners of the data split it so.",
        )


def _time(card: Card) -> Iterator[Sign]:
    """Splits by time that overlap."""
    dates: dict[str, list[Any]] = card.facts.get("dates") or {}
    protocol = str(card.facts.get("protocol", ""))
    for before, after in (("train", "validation"), ("validation", "test"), ("train", "test")):
        if before not in dates or after not in dates or not _is_by_time(protocol):
            continue
        last, first = dates[before][1], dates[after][0]
        if last > first:
            yield Sign(
                kind="time",
                text=f"The split is {protocol}, but {before} ends {in_words(last)}, after {after} begins, {in_words(first)}. A model sees "
                "the future of the rows that judge it: cut at one time, or call the split random.",
            )


def _is_by_time(protocol: str) -> bool:
    return any(word in protocol for word in ("time", "date"))


def _apart(card: Card) -> Iterator[Sign]:
    for field in card.fields:
        if field.apart is not None and field.apart >= APART:
            yield Sign(
                kind="split",
                about=field.name,
                text=f"{field.name} tells test from train with an AUC of {field.apart:.3f}: it is a time or a number of the row. A "
                "model would have to extrapolate: leave it out, or give it as an age or as parts of the calendar.",
            )
