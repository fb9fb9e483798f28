"""The card of a data set in tables: a page of its own, and a folded chapter of a report. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.analysis.answer import Answer
from benchmark.files import written_whole
from benchmark.records.card import SPLITS, Card, FieldCard, TaskCard, in_words
from benchmark.reporting.layout import (
    Block,
    Cell,
    Chapter,
    Column,
    Document,
    Part,
    Row,
    Sentence,
    Sentences,
    TextTable,
)
from benchmark.text import ABSENT, counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

NO_SIGN = "No sign of a leak was found. This does not prove that there is none."
MEASURES = {"ranks": "AUC", "squares": "R²"}
ALONE = (
    "how well the field alone predicts the task, fitted on train and measured on validation: AUC for binary tasks, R² for "
    "regressions. A very good field may be a leak."
)
TERMS = {
    "alone": ALONE,
    "missing": "the share of rows without a value, or with an empty list. It is unknown where preparing the data fills it in.",
    "new": "the share of rows (of entries, in lists) whose value is not in train, or rarely. A model sees all such values as one.",
    "correlation": "Pearson's, on the rows of train where both labels are known.",
}


@dataclass(frozen=True, slots=True)
class CardPage(Answer):
    """A card to print, or to write as one self-contained page.

    Args:
        card: The card.
    """

    card: Card

    @property
    def document(self) -> Document:
        """The card as chapters."""
        sizes = ", ".join(f"{rows:,} of {split}" for split, rows in self.card.splits.items())
        fields, tasks = counted(len(self.card.fields), "field"), counted(len(self.card.tasks), "task")
        chapters = (
            Chapter("signs", "Signs of a leak", (Part("", (_signs(self.card),)),)),
            Chapter("rows", "Rows", (Part("", tuple(_rows(self.card))),)),
            Chapter("tasks", "Tasks", (Part("", tuple(_tasks(self.card))),)),
            Chapter("fields", "Fields", (Part("", (_fields(self.card),)),)),
        )
        return Document("Data set", (f"{sizes}; {fields}; {tasks}.",), chapters, TERMS)

    def html(self) -> str:
        """One self-contained page."""
        from benchmark.reporting.outputs.html import render_alone

        return render_alone(self.document, self.card.name)

    def write(self, path: str | Path) -> None:
        """Writes the page, whole."""
        with written_whole(Path(path)) as file:
            file.write_text(self.html(), encoding="utf-8")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from benchmark.reporting.outputs.terminal import render

        yield from render(self.document, options.max_width)


def card_blocks(card: Card) -> tuple[Block, ...]:
    """The card as the blocks of a folded chapter."""
    return (_signs(card), *_rows(card), *_tasks(card), _fields(card))


def _signs(card: Card) -> Sentences:
    return Sentences(tuple(Sentence(sign.text) for sign in card.signs) or (Sentence(NO_SIGN),))


def _rows(card: Card) -> Iterator[Block]:
    total, dates = sum(card.splits.values()), card.facts.get("dates") or {}
    columns = [Column("split", numeric=False), Column("rows"), Column("share")]
    columns += [Column("first", "from"), Column("last", "to")] if dates else []
    rows = []
    for split, number in card.splits.items():
        cells = [Cell(split), Cell(f"{number:,}"), Cell(_percent(number / total))]
        if dates:
            cells += [Cell(in_words(when)) for when in dates.get(split, (ABSENT, ABSENT))]
        rows.append(Row(tuple(cells)))
    yield TextTable("card_rows", "Rows of each split", tuple(columns), tuple(rows), str(card.facts.get("protocol", "")))
    if notes := tuple(map(Sentence, _notes(card))):
        yield Sentences(notes)
    if card.entities:
        columns = [
            Column("who", "", numeric=False),
            Column("field", numeric=False),
            Column("known", "in train"),
            Column("new", "not in train"),
        ]
        columns += [Column(split, f"their share of {split}") for split in SPLITS[1:]]
        rows = [
            Row((Cell(f"{of.role}s"), Cell(of.field), Cell(f"{of.known:,}"), Cell(ABSENT if of.new is None else f"{of.new:,}"),
                 *(Cell(_percent(of.rows.get(split))) for split in SPLITS[1:])))
            for of in card.entities
        ]  # fmt: skip
        yield TextTable("card_entities", "Users and items that are not in train", tuple(columns), tuple(rows))


def _notes(card: Card) -> Iterator[str]:
    counts = card.facts.get("test_rows_in_train")
    if counts:
        yield (
            f"{counts['same_features']:,} of {card.splits['test']:,} test rows are in train with the same features, "
            f"{counts['same_features_and_labels']:,} with the same labels too."
        )
    dropped = card.facts.get("duplicates_dropped")
    if dropped:
        yield f"{dropped:,} duplicate rows were dropped before the split."
    for whose, (least, mean, greatest) in (card.facts.get("weights") or {}).items():
        yield (
            f"Rows of train have weights in the loss of {whose}: from {least:.4g} to {greatest:.4g}, on average {mean:.4g}."
        )


def _tasks(card: Card) -> Iterator[TextTable]:
    columns = [Column("task", numeric=False), Column("kind", numeric=False)]
    columns += [Column(f"observed_{split}", f"observed, {split}", spare=split != "train") for split in SPLITS]
    columns += [Column(f"mean_{split}", f"rate or mean, {split}") for split in SPLITS]
    rows = [
        Row((Cell(task.name), Cell(_kind(task)), *(Cell(_percent(task.observed.get(split))) for split in SPLITS),
             *(Cell(_mean(task, split)) for split in SPLITS)))
        for task in card.tasks
    ]  # fmt: skip
    yield TextTable("card_tasks", "Labels", tuple(columns), tuple(rows))
    yield from _distributions(card.tasks)
    if card.correlations:
        yield _correlations(card)


def _kind(task: TaskCard) -> str:
    return f"{task.kind}, given {task.given}" if task.given else task.kind


def _mean(task: TaskCard, split: str) -> str:
    if task.mean is None or split not in task.mean:
        return ABSENT
    return _percent(task.mean[split]) if task.measure == "ranks" else _quantity(task.mean[split], task.unit)


def _distributions(tasks: Iterable[TaskCard]) -> Iterator[TextTable]:
    found = [task for task in tasks if task.quantiles]
    if found:
        levels = list(found[0].quantiles)
        names = {"0": "least", "0.5": "median", "1": "greatest"}
        columns = (
            Column("task", numeric=False),
            *(
                Column(level, names.get(level, f"{float(level):.0%}"), spare=level in ("0.01", "0.99"))
                for level in levels
            ),
        )
        rows = tuple(
            Row((Cell(f"{task.name} ({task.unit})" if task.unit else task.name),
                 *(Cell(_quantity(task.quantiles[level])) for level in levels)))
            for task in found
        )  # fmt: skip
        yield TextTable("card_quantiles", "Quantiles of regressions on train", columns, rows)
    for task in tasks:
        if task.classes:
            rows = tuple(Row((Cell(label), Cell(_percent(share)))) for label, share in task.classes.items())
            columns = (Column("label", numeric=False), Column("share"))
            yield TextTable(f"card_classes_{task.name}", f"Labels of {task.name} on train", columns, rows)


def _correlations(card: Card) -> TextTable:
    names = [task.name for task in card.tasks]

    def cell(first: str, second: str) -> Cell:
        value = card.correlations.get(f"{first}|{second}", card.correlations.get(f"{second}|{first}"))
        if first == second:
            return Cell("")
        return Cell(ABSENT) if value is None else Cell(f"{value:+.2f}", heat=value, value=value)

    rows = tuple(Row((Cell(first), *(cell(first, second) for second in names))) for first in names)
    columns = (Column("task", numeric=False), *(Column(name) for name in names))
    return TextTable("card_correlations", "Correlations of labels", columns, rows, "on train")


def _fields(card: Card) -> TextTable:
    judged = [task for task in card.tasks if any(task.name in field.alone for field in card.fields)]
    columns = (
        Column("field", numeric=False), Column("kind", numeric=False), Column("values", "values in train"),
        Column("missing_train", "missing, train"), Column("missing_test", "missing, test", spare=True),
        Column("new", "new, test"),
        *(Column(f"alone_{task.name}", f"{task.name} alone, {MEASURES[task.measure]}") for task in judged),
    )  # fmt: skip
    suspects = {sign.about for sign in card.signs if sign.kind == "field"}
    rows = tuple(_field(field, judged, suspects) for field in card.fields)
    return TextTable(
        "card_fields", "Fields", columns, rows, "new: not in train; alone: fitted on train, measured on validation",
        whole=True,
    )  # fmt: skip


def _field(field: FieldCard, judged: Iterable[TaskCard], suspects: set[str]) -> Row:
    def share(of: Mapping[str, Any] | None, split: str) -> Cell:
        return Cell(_percent(None if of is None else of.get(split)))

    alone = [
        Cell(ABSENT) if task.name not in field.alone else Cell(f"{field.alone[task.name]:z.3f}", value=field.alone[task.name])
        for task in judged
    ]  # fmt: skip
    mark = " (!)" if field.name in suspects else ""
    return Row((
        Cell(f"{field.name}{mark}"), Cell(field.kind), Cell(ABSENT if field.values is None else f"{field.values:,}"),
        share(field.missing, "train"), share(field.missing, "test"), share(field.unseen, "test"), *alone,
    ))  # fmt: skip


def _percent(share: float | None) -> str:
    """`12.3 %`, and more digits below 1 %."""
    if share is None:
        return ABSENT
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{100 * share:.3g} %" if share < 0.01 else f"{100 * share:.1f} %"


def _quantity(value: float, unit: str | None = None) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{text} {unit}" if unit else text
