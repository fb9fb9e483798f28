"""Cards of data sets: what is in the prepared splits, and signs of a leak. Imports no torch.

- `sums`: sums over rows by the code of a field, block by block, so that a split never has to be in memory.
- `labels`: distributions and correlations of labels.
- `alone`: how well one field alone predicts a label.
- `lists`: the same for fields whose rows are lists.
- `signs`: which of these numbers are a warning, and what to do.

R rows, T tasks, C codes of a field.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.cards import alone, labels, lists
from benchmark.cards.labels import LabelSums, label_sums
from benchmark.cards.signs import NEARLY_ALL, signs
from benchmark.cards.sums import Coded, CodeSums, coded_fields, grouped, sums_by_code
from benchmark.datasets import Data
from benchmark.kinds import KINDS
from benchmark.records.card import Card, Entity, FieldCard, TaskCard
from benchmark.schema import OtherField, Task

__all__ = ["make_card"]

Sums = dict[str, CodeSums]  # of each split
_NO_LABELS = np.empty(0)


def make_card(
    name: str, data: Data, key: str = "", progress: Callable[[int, int], object] = lambda done, total: None
) -> Card:
    """The card of a prepared data set.

    It reads every split block by block, and is exact. Labels of test are counted, but no field is judged on them.

    Args:
        name: Name of the data set.
        data: The prepared data.
        key: From `benchmark.records.card.card_key`.
        progress: Called with the number of rows that are done and of all, counting each pass.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    tasks = data.schema.tasks
    coded = coded_fields(data.schema, data.train.features)
    groups = list(grouped(coded, len(tasks)))
    of_lists = [field for field in data.schema.others if lists.is_list(field)]
    rows = sum(len(split) for split in splits.values())
    done = 0
    total = rows * (1 + len(groups) + len(of_lists)) + len(of_lists) * len(tasks) * len(data.validation)

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    of_labels: dict[str, LabelSums] = {}
    for split, of in splits.items():
        of_labels[split] = label_sums(of, tasks)
        count(len(of))
    centre_T = of_labels["train"].means
    measured: dict[str, FieldCard] = {}
    for group in groups:
        sums = {
            split: sums_by_code(group, of, centre_T if split != "test" else _NO_LABELS, count)
            for split, of in splits.items()
        }
        for number, field in enumerate(group):
            of_field = {split: every[number] for split, every in sums.items()}
            measured[field.name] = _field(data, field, of_field, of_labels)
    for other in of_lists:
        measured[other.name] = _list(data, other, centre_T, count)
    card = Card(
        name=name,
        key=key,
        splits={split: len(of) for split, of in splits.items()},
        tasks=[_task(data, t, task, of_labels) for t, task in enumerate(tasks)],
        fields=[measured.get(field.name, field) for field in _named(data)],
        correlations=_correlations(tasks, of_labels["train"]),
        facts=data.facts,
    )
    card.entities = _entities(data, card)
    card.signs = signs(card)
    return card


def _named(data: Data) -> list[FieldCard]:
    """The fields of the schema with their kinds, nothing else."""
    schema = data.schema
    return [
        *(FieldCard(name=field.name, kind="categorical") for field in schema.categorical),
        *(FieldCard(name=field.name, kind="numeric") for field in schema.numeric),
        *(FieldCard(name=field.name, kind=field.kind) for field in schema.others),
    ]


def measure_of(task: Task) -> str:
    """What tells how well a field alone predicts the task: auc, r2, or empty where there is neither."""
    kind = KINDS[task.kind]
    return "ranks" if kind.is_binary else "squares" if kind.is_standardised else ""


def _centred_squares(sums: LabelSums, centre_T: np.ndarray, t: int) -> float:
    """The sum of the squared labels, minus another centre than they were summed with."""
    n, moved = sums.known[t], sums.centre_T[t] - centre_T[t]
    return float(sums.squares_TT[t, t] + 2 * moved * sums.sums_TT[t, t] + n * moved * moved)


def _field(data: Data, field: Coded, sums: Sums, of_labels: dict[str, LabelSums]) -> FieldCard:
    is_numeric = field.edges is not None
    found = FieldCard(name=field.name, kind="numeric" if is_numeric else "categorical")
    train, validation, centre_T = sums["train"], sums["validation"], of_labels["train"].means
    if is_numeric:
        found.apart = alone.auc_apart(train, sums["test"])
    else:
        missing = data.missing.get(field.name)
        found.values = field.size - 1 - (missing is not None)
        found.unseen = {split: _share(of, 0) for split, of in sums.items()}
        found.missing = {split: 0.0 if missing is None else _share(of, missing) for split, of in sums.items()}
    is_id = not is_numeric and field.size > NEARLY_ALL * len(data.train)
    for t, task in enumerate(data.schema.tasks):
        measure, value, ordered = measure_of(task), None, None
        if measure == "ranks":
            value = alone.auc_alone(train, validation, t, centre_T[t])
            ordered = alone.auc_in_order(train, t, centre_T[t]) if is_id else None
        elif measure == "squares":
            value = alone.r2_alone(train, validation, t, _centred_squares(of_labels["validation"], centre_T, t))
            squares = _centred_squares(of_labels["train"], centre_T, t)
            ordered = alone.correlation_in_order(train, t, squares) if is_id else None
        if value is not None:
            found.alone[task.name] = value
        if ordered is not None:
            found.order[task.name] = ordered
    return found


def _list(data: Data, field: OtherField, centre_T: np.ndarray, count: Callable[[int], None]) -> FieldCard:
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    found = FieldCard(name=field.name, kind=field.kind, missing={}, unseen={})
    assert found.missing is not None
    assert found.unseen is not None
    train = CodeSums.zeros(0, 0)
    for split, of in splits.items():
        sums, empty = lists.entries_by_code(field, of, centre_T if split == "train" else _NO_LABELS, count)
        found.missing[split], found.unseen[split] = empty / max(len(of), 1), _share(sums, 0)
        train = sums if split == "train" else train
    found.values = len(train.rows_C) - 1
    for t, task in enumerate(data.schema.tasks):
        measure = measure_of(task)
        if measure:
            predictions_R = lists.predicted(field, train, t, data.validation, count)
            label_R, centre = np.asarray(data.validation.labels[:, t]), float(centre_T[t])
            value = lists.measured(predictions_R, label_R, centre, is_binary=measure == "ranks")
            if value is not None:
                found.alone[task.name] = value
        else:
            count(len(data.validation))
    return found


def _share(sums: CodeSums, code: int) -> float:
    return float(sums.rows_C[code] / max(sums.rows_C.sum(), 1))


def _task(data: Data, t: int, task: Task, of_labels: dict[str, LabelSums]) -> TaskCard:
    measure = measure_of(task)
    found = TaskCard(name=task.name, kind=task.kind, unit=task.unit, given=task.given, measure=measure)
    found.observed = {split: float(sums.known[t] / max(sums.rows, 1)) for split, sums in of_labels.items()}
    if measure:
        means = {split: float(sums.unit_means[t]) for split, sums in of_labels.items()}
        found.mean = {split: mean for split, mean in means.items() if np.isfinite(mean)}
        found.in_order = _in_order(of_labels["train"], t, is_binary=measure == "ranks")
        found.quantiles = labels.quantiles(data.train, t, task)
    else:
        found.classes = labels.classes(data.train, t)
    return found


def _in_order(train: LabelSums, t: int, *, is_binary: bool) -> float | None:
    rows = train.known[t]
    rarest = rows * min(train.means[t], 1 - train.means[t]) if is_binary else rows
    return labels.order(train, t, is_binary=is_binary) if rarest >= alone.FEWEST else None


def _correlations(tasks: tuple[Task, ...], train: LabelSums) -> dict[str, float]:
    pairs = [(i, j) for i in range(len(tasks)) for j in range(i + 1, len(tasks))]
    found = {f"{tasks[i].name}|{tasks[j].name}": labels.correlation(train, i, j) for i, j in pairs}
    return {pair: value for pair, value in found.items() if value is not None}


def _entities(data: Data, card: Card) -> list[Entity]:
    found = []
    for role, name in (("user", data.schema.user), ("item", data.schema.item)):
        if name is None:
            continue
        (field,) = (field for field in card.fields if field.name == name)
        of = None if data.catalogue is None else data.catalogue.users if role == "user" else data.catalogue.items
        new = None if of is None else int((np.asarray(of.codes) == 0).sum())
        found.append(Entity(role=role, field=name, known=field.values or 0, new=new, rows=field.unseen or {}))
    return found
