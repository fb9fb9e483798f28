"""The card of a data set as a file, which a run writes once for its data, beside its records. Imports no torch.

    results/runs/<dataset>/<key>.card           JSON; the key is that of the data: content, splits, fields and tasks

A record would have a copy of it in each of thousands of runs, and a report of records without the data needs only one.
It holds counts and other aggregates, no row, so it can be published with the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmark.files import digest, known_keys, read_json, write_json
from benchmark.records.faults import converted
from benchmark.records.folder import Contents, has_name, settle
from benchmark.records.packed import files_ending
from benchmark.records.schema import CardFacts, Count, Share

FORMAT = 1
CALLED = "a card of a data set"
SUFFIX = ".card"
REQUIRED = ("format", "name", "key", "splits", "tasks", "fields")
SPLITS = ("train", "validation", "test")
IDENTITY = ("fingerprint", "splits", "schema", "test_rows")

Shares = dict[str, Share]
"""{split: a share of its rows}."""


@dataclass(kw_only=True, slots=True)
class FieldCard:
    """One field.

    Args:
        name: Its name.
        kind: categorical, numeric, or the name of another kind.
        values: How many different values train has, where the field is categorical or its rows are lists of categories.
        missing: The share of rows without a value, or with an empty list; None if preparing the data fills them in.
        unseen: The share of rows (of entries of lists) with a value that train does not have, or only rarely where the data
            set has a minimum frequency; None if the field has no vocabulary.
        alone: {task: AUC or R² on validation} of the field alone, fitted on train; without tasks that cannot be judged.
        order: {task: AUC or R²} on train of the order of the values, for a field with a value of its own on most rows.
        apart: AUC of the value as a sign of test rows against train rows, for a numeric field.
    """

    name: str
    kind: str
    values: Count | None = None
    missing: Shares | None = None
    unseen: Shares | None = None
    alone: dict[str, float] = field(default_factory=dict)
    order: dict[str, float] = field(default_factory=dict)
    apart: float | None = None


@dataclass(kw_only=True, slots=True)
class TaskCard:
    """One task.

    Args:
        name, kind, unit, given: As in `benchmark.schema.Task`.
        measure: What `FieldCard.alone` holds for it: an AUC (`ranks`), an R² (`squares`), or nothing (empty) for other kinds of tasks.
        observed: The share of rows with a label.
        mean: {split: the rate of a binary task, else the mean in the unit}; None for a kind without one.
        quantiles: {"0.05": value in the unit, on train}, where the task is a regression.
        classes: {label: share of train}, for other kinds.
        in_order: AUC or R² on train of the number of the row: is train sorted by the label?
    """

    name: str
    kind: str
    unit: str | None = None
    given: str | None = None
    measure: str = ""
    observed: Shares = field(default_factory=dict)
    mean: dict[str, float] | None = None
    quantiles: dict[str, float] = field(default_factory=dict)
    classes: dict[str, float] = field(default_factory=dict)
    in_order: float | None = None


@dataclass(kw_only=True, slots=True)
class Entity:
    """The users, or the items.

    Args:
        role: user or item.
        field: The field of their ids.
        known: How many are in train.
        new: How many are in validation or test only; None if the data do not list them.
        rows: {split: share of rows of new ones}.
    """

    role: str
    field: str
    known: Count
    new: Count | None
    rows: Shares


@dataclass(kw_only=True, slots=True)
class Sign:
    """A warning.

    Args:
        kind: field, rows, time, id or split.
        text: What was found, with its number, and what to do.
        about: The field, or empty.
    """

    kind: str
    text: str
    about: str = ""


@dataclass(kw_only=True, slots=True)
class Card:
    """What is in a data set.

    Args:
        format: Version of this layout.
        name: Name of the data set.
        key: Identifies the data, from `card_key`.
        splits: {split: rows}.
        tasks, fields, entities: Their cards, in the order of the schema.
        correlations: {"click|like": Pearson's correlation of the targets on train}, without pairs that have none.
        facts: Those of the data: the protocol, rows read, dates, test rows in train.
        signs: The warnings.
    """

    format: int = FORMAT
    name: str
    key: str
    splits: dict[str, Count]
    tasks: list[TaskCard]
    fields: list[FieldCard]
    entities: list[Entity] = field(default_factory=list)
    correlations: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    signs: list[Sign] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The card as plain values."""
        return asdict(self)

    def write(self, results_dir: str | Path) -> Path:
        """Writes it whole, by rename.

        Raises:
            ValueError: if a number is NaN or infinite.
        """
        path = card_path(results_dir, self.name, self.key)
        write_json(path, self.to_json())
        return path


_KEYS = frozenset(known.name for known in fields(Card))


def card_key(described: Mapping[str, Any]) -> str:
    """12 hex digits, equal for data of equal content, splits, fields and tasks.

    Args:
        described: A record's `dataset`, or what `benchmark.runs.described.identify` gives.
    """
    return digest({key: described.get(key) for key in IDENTITY})[:12]


def card_path(results_dir: str | Path, name: str, key: str) -> Path:
    """Where the card of a data set is, beside its records."""
    return Path(results_dir, name, f"{key}{SUFFIX}")


def in_words(when: Any) -> str:
    """A time among the facts as people read it.

    >>> in_words(20220504)
    '2022-05-04'
    """
    text = str(when)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if isinstance(when, int) and len(text) == 8 else text


def load_card(path: str | Path) -> Card:
    """Reads a card.

    Raises:
        ValueError: if it is not a card, is broken, or its format is newer than this version reads.
    """
    return _checked(read_json(path, CALLED), Path(path))


def _checked(value: Any, path: Path) -> Card:
    known = known_keys(value, path, CALLED, known=_KEYS, required=REQUIRED, newest=FORMAT)
    try:
        card = converted(known, Card)
        converted(card.facts, CardFacts)
    except ValueError as error:
        raise ValueError(f"{path} is a broken card of a data set: {error}") from error
    if lost := [split for split in SPLITS if not card.splits.get(split)]:
        raise ValueError(f"{path} is a broken card of a data set: splits: expected rows of {lost[0]}, found none")
    if has_name(path) and path.stem != card.key:
        raise ValueError(f"{path} is not the card of its name: its key is {card.key}")
    return card


def read_cards(folder: str | Path) -> Contents[Card]:
    """All cards under a folder, by path, and everything else."""
    found = Contents[Card]()
    for parts in files_ending(folder, SUFFIX):
        found.add(Path(folder, *parts), CALLED, _checked)
    return found


def load_cards(folder: str | Path, *, skip_broken: bool = False) -> dict[str, Card]:
    """{key: card} of all cards under a folder.

    Raises:
        BrokenRecords: if some are broken, with all of them, unless `skip_broken`.
    """
    found = read_cards(folder)
    settle([found], skip_broken=skip_broken)
    return {card.key: card for card in found.values.values()}
