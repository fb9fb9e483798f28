"""The ledger of tuning: every trial is counted, of every method alike, and failed ones with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.analysis.lines import fitting, trained
from benchmark.analysis.study import Group, draw_of
from benchmark.records.record import STATUSES, TRIAL, TUNED, Record
from benchmark.reporting.layout import Block, Cell, Column, Facts, Row, TextTable
from benchmark.reporting.notes import at_the_limit
from benchmark.settings.hydra_text import value_text
from benchmark.text import ABSENT, in_seconds, listed, number

if TYPE_CHECKING:
    from benchmark.records.reference import ReferenceRecord


@dataclass(frozen=True, slots=True)
class Search:
    """The trials of one method on one data set.

    Args:
        name: To print: the method that they chose, or whose search has not ended. Two searches may have the same.
        trials: Their records, as far as they are there.
        asked: How many there should be; None while the search goes on.
        tuning: What a record says of the search: sampler, space, and of the chosen trial its number and parameters.
    """

    name: str
    trials: tuple[Record, ...]
    asked: int | None
    tuning: Mapping[str, Any]


def ledger(group: Group, references: Sequence[ReferenceRecord]) -> list[Block]:
    """Trials by method: how many, how they ended, and what was chosen; and the spaces that were searched."""
    searches = _searches(group)
    lines: dict[str, list[ReferenceRecord]] = defaultdict(list)
    for record in fitting(group, references):
        if record.purpose == TRIAL:
            lines[record.name].append(record)
    if not searches and not lines:
        return []
    chosen = {record.name: record for record in trained(group, references)}
    rows = [_row(search) for search in searches]
    rows += [_reference_row(records, chosen.get(name)) for name, records in sorted(lines.items())]
    columns = (
        Column("method", numeric=False), *map(Column, ("trials", *STATUSES)), Column("best", "best on validation"),
        Column("total_seconds", "seconds of all"), Column("chosen", numeric=False, detail=True),
    )  # fmt: skip
    table = TextTable("trials", "Trials", columns, tuple(rows), _subtitle(group), notes=tuple(_notes(searches, lines)))
    return [table, *_spaces(searches)]


def _searches(group: Group) -> list[Search]:
    trials = {trial.id: trial for trial in group.trials}
    searches: list[Search] = []
    used: set[str] = set()
    for method, runs in group.by_method.items():
        tuning = runs[0].record.config.get("tuning") or {}
        if runs[0].record.purpose == TUNED and tuning:
            ids = tuning.get("ids") or []
            used.update(ids)
            found = tuple(trials[id_] for id_ in ids if id_ in trials)
            searches.append(Search(method, found, tuning.get("trials", len(ids)), tuning))
    open_: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for trial in group.trials:
        if trial.id not in used:
            open_[trial.method, (trial.config.get("tuning") or {}).get("study", "")].append(trial)
    open_of = Counter(method for method, _ in open_)
    for (method, study), found_trials in sorted(open_.items()):
        tuning = found_trials[0].config.get("tuning") or {}
        which = f" (search {study})" if open_of[method] > 1 and study else ""
        searches.append(Search(f"{method}{which}: nothing chosen yet", tuple(found_trials), None, tuning))
    return searches


def _subtitle(group: Group) -> str:
    monitors = sorted({str(trial.config["trainer"].get("monitor")) for trial in group.trials})
    monitor = f"chosen by {', '.join(monitors)} on validation; " if monitors else ""
    return f"{monitor}no trial reads the test split; diverged and failed trials count as the worst"


def _notes(searches: Sequence[Search], lines: Mapping[str, Sequence[ReferenceRecord]]) -> list[str]:
    notes = []
    asked = [(search.name, search.asked) for search in searches if search.asked is not None]
    sizes = sorted({size for _, size in asked})
    total = len({trial.id for search in searches for trial in search.trials})
    if len(sizes) == 1:
        notes.append(f"{total} trials: {sizes[0]} for each of {len(asked)} tuned methods.")
    elif sizes:
        few = listed(name for name, size in asked if size == sizes[0])
        notes.append(
            f"{total} trials, not as many for every tuned method: {sizes[0]} for {few}, up to {sizes[-1]} for others."
        )
    for _, records in sorted(lines.items()):
        draws = _by_draw(records)
        of, size = (f" on each of {len(draws)} draws of the data" if len(draws) > 1 else ""), max(draws.values())
        unlike = f", where methods have {listed(map(str, sizes))}" if sizes and sizes != [size] else ""
        notes.append(f"{records[0].label}: {size} trials{of}{unlike}, each with one model a task.")
    finished = [(search.name, [t for t in search.trials if t.status == "finished"]) for search in searches]
    if at_limit := at_the_limit(finished, "trial"):
        notes.append(at_limit)
    for search in searches:
        if search.asked is not None and len(search.trials) < search.asked:
            notes.append(f"{search.name}: {len(search.trials)} of its {search.asked} trials are among these records.")
        best = _best(search)
        chosen = search.tuning.get("trial") if search.asked == len(search.trials) else None
        if best is not None and chosen is not None and _number(best) != chosen:
            notes.append(f"{search.name}: trial {chosen} was chosen, and trial {_number(best)} did best.")
    seen = sorted({trial.method for search in searches for trial in search.trials if "test" in trial.metrics})
    if seen:
        notes.append(f"Trials of {listed(seen)} hold test metrics: the choice may have seen the test split.")
    return notes


def _row(search: Search) -> Row:
    best = _best(search)
    counts = [sum(t.status == status for t in search.trials) for status in STATUSES]
    seconds = sum(trial.cost.get("train_seconds") or 0.0 for trial in search.trials)
    size = len(search.trials)
    cells = [
        Cell(str(size) if search.asked in (None, size) else f"{size} of {search.asked}"),
        *(Cell(str(count)) for count in counts),
        Cell(number(best.criterion) if best else ABSENT),
        Cell(in_seconds(seconds)),
        Cell(_chosen(search)),
    ]
    return Row((Cell(search.name, method=search.name if search.asked is not None else None), *cells))


def _reference_row(records: Sequence[ReferenceRecord], tuned: ReferenceRecord | None) -> Row:
    seconds = sum(record.cost.get("train_seconds") or 0.0 for record in records)
    size = str(len(records))
    models = tuned.models.items() if tuned is not None else ()
    what = "; ".join(f"{task}: {_parameters(model['parameters'])}" for task, model in models) or ABSENT
    if len(_by_draw(records)) > 1:
        what = "each draw of the data and each task its own"
    texts = (size, size, "0", "0", ABSENT, in_seconds(seconds), what)
    return Row((Cell(records[0].label), *map(Cell, texts)), reference=True)


def _by_draw(records: Sequence[ReferenceRecord]) -> Counter[str]:
    """How many records there are of every draw of the data."""
    return Counter(draw_of(record.config["dataset"]) for record in records)


def _number(trial: Record) -> int:
    return int((trial.config.get("tuning") or {}).get("trial", trial.seed))


def _best(search: Search) -> Record | None:
    """The best trial; of equal ones the first."""
    known = [
        (value, -place, trial) for place, trial in enumerate(search.trials) if (value := trial.criterion) is not None
    ]
    return max(known, key=lambda one: one[:2])[2] if known else None


def _chosen(search: Search) -> str:
    if search.asked is None:
        return ABSENT
    return _parameters(search.tuning.get("parameters") or {})


def _parameters(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value_text(value)}" for key, value in values.items()) or ABSENT


def _spaces(searches: Sequence[Search]) -> list[Block]:
    """The spaces as they were written: what all methods share once, then what each has of its own."""
    spaces: list[Mapping[str, Any]] = [search.tuning.get("space") or {} for search in searches]
    if not any(spaces):
        return []
    shared = {key: text for key, text in spaces[0].items() if all(space.get(key) == text for space in spaces)}
    pairs = [("all methods", _space(shared))] if shared and len(spaces) > 1 else []
    for search, space in zip(searches, spaces, strict=True):
        own = {key: text for key, text in space.items() if key not in shared or len(spaces) == 1}
        if own:
            pairs.append((search.name, _space(own)))
    samplers = sorted({str(search.tuning["sampler"]) for search in searches if "sampler" in search.tuning})
    return [Facts("What was searched", (*((("sampler", ", ".join(samplers)),) if samplers else ()), *pairs))]


def _space(space: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {text}" for key, text in space.items())
