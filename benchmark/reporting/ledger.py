"""The ledger of tuning: it counts every trial of every method, including failed trials."""

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
    """One search of one method on one data set.

    Args:
        seed: The number of the search among those of its method.
        trials: The records of its trials that exist.
        asked: How many trials there should be; None while the search runs.
        tuning: What a record says about the search: sampler, space, and number and parameters of the chosen trial.
    """

    seed: int
    trials: tuple[Record, ...]
    asked: int | None
    tuning: Mapping[str, Any]

    @property
    def best(self) -> Record | None:
        """The best trial; the first of several equal ones."""
        known = [(value, -place) for place, trial in enumerate(self.trials) if (value := trial.criterion) is not None]
        return self.trials[-max(known)[1]] if known else None


@dataclass(frozen=True, slots=True)
class Tuned:
    """All searches of one method on one data set: a row of the ledger.

    Args:
        name: The method that they chose, or whose searches have not ended, for print. Two rows may have the same name.
        searches: In order of their seeds; either all have ended, or none has.
    """

    name: str
    searches: tuple[Search, ...]

    @property
    def trials(self) -> tuple[Record, ...]:
        """The trials of all searches."""
        return tuple(trial for search in self.searches for trial in search.trials)

    @property
    def asked(self) -> int | None:
        """How many trials there should be; None while the searches run."""
        sizes = [search.asked for search in self.searches if search.asked is not None]
        return sum(sizes) if len(sizes) == len(self.searches) else None

    @property
    def tuning(self) -> Mapping[str, Any]:
        """The sampler and the space that the searches share."""
        return self.searches[0].tuning

    def name_of(self, search: Search) -> str:
        """The method, with the number of the search if there are several."""
        return f"{self.name}, search {search.seed}" if len(self.searches) > 1 else self.name


def ledger(group: Group, references: Sequence[ReferenceRecord]) -> list[Block]:
    """Trials by method: how many, how they ended, and what was chosen; and the searched spaces."""
    methods = _tuned(group)
    lines: dict[str, list[ReferenceRecord]] = defaultdict(list)
    for record in fitting(group, references):
        if record.purpose == TRIAL:
            lines[record.name].append(record)
    if not methods and not lines:
        return []
    chosen = {record.name: record for record in trained(group, references)}
    rows = [_row(tuned) for tuned in methods]
    rows += [_reference_row(records, chosen.get(name)) for name, records in sorted(lines.items())]
    columns = (
        Column("method", numeric=False), *map(Column, ("searches", "trials", *STATUSES)),
        Column("best", "best on validation"), Column("total_seconds", "seconds of all"),
        Column("chosen", "chosen, by search" if any(len(t.searches) > 1 for t in methods) else "", numeric=False, detail=True),
    )  # fmt: skip
    table = TextTable("trials", "Trials", columns, tuple(rows), _subtitle(group), notes=tuple(_notes(methods, lines)))
    return [table, *_spaces(methods)]


def _tuned(group: Group) -> list[Tuned]:
    trials = {trial.id: trial for trial in group.trials}
    methods: list[Tuned] = []
    used: set[str] = set()
    for method, runs in group.by_method.items():
        tuned = [run.record for run in runs if run.record.purpose == TUNED and run.record.config.get("tuning")]
        # each draw of the data has its own study
        by_search = {(r.search_seed, r.study): r.config["tuning"] for r in reversed(tuned)}
        searches = []
        for (seed, _), tuning in sorted(by_search.items(), key=lambda one: one[0]):
            ids = tuning.get("ids") or []
            used.update(ids)
            found = tuple(trials[id_] for id_ in ids if id_ in trials)
            searches.append(Search(seed, found, tuning.get("trials", len(ids)), tuning))
        if searches:
            methods.append(Tuned(method, tuple(searches)))
    return [*methods, *_open([trial for trial in group.trials if trial.id not in used])]


def _open(trials: Sequence[Record]) -> list[Tuned]:
    """The searches that have not chosen yet."""
    by_study: dict[tuple[str, str], dict[int, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        by_study[trial.method, trial.study][trial.search_seed].append(trial)
    studies = Counter(method for method, _ in by_study)
    found = []
    for (method, study), by_seed in sorted(by_study.items()):
        which = f" (search {study})" if studies[method] > 1 and study else ""
        searches = [
            Search(n, tuple(own), None, own[0].config.get("tuning") or {}) for n, own in sorted(by_seed.items())
        ]
        found.append(Tuned(f"{method}{which}: nothing chosen yet", tuple(searches)))
    return found


def _subtitle(group: Group) -> str:
    monitors = sorted({str(trial.config["trainer"].get("monitor")) for trial in group.trials})
    monitor = f"chosen by {', '.join(monitors)} on validation; " if monitors else ""
    return f"{monitor}no trial reads the test split; diverged and failed trials count as the worst"


def _notes(methods: Sequence[Tuned], lines: Mapping[str, Sequence[ReferenceRecord]]) -> list[str]:
    ended = [tuned for tuned in methods if tuned.asked is not None]
    sizes = sorted({search.asked for tuned in ended for search in tuned.searches if search.asked is not None})
    notes = [_budget(ended, len({trial.id for tuned in methods for trial in tuned.trials}))] if ended else []
    for _, records in sorted(lines.items()):
        draws = _by_draw(records)
        of, size = (f" on each of {len(draws)} draws of the data" if len(draws) > 1 else ""), max(draws.values())
        unlike = f", where methods have {listed(map(str, sizes))}" if sizes and sizes != [size] else ""
        a_search = " a search" if unlike and any(len(tuned.searches) > 1 for tuned in ended) else ""
        notes.append(f"{records[0].label}: {size} trials{of}{unlike}{a_search}, each with one model per task.")
    notes += _at_ends(ended)
    finished = [(tuned.name, [t for t in tuned.trials if t.status == "finished"]) for tuned in methods]
    if at_limit := at_the_limit(finished, "trial"):
        notes.append(at_limit)
    for tuned in ended:
        if len(tuned.trials) < (tuned.asked or 0):
            notes.append(f"{tuned.name}: {len(tuned.trials)} of its {tuned.asked} trials are among these records.")
        for search in tuned.searches:
            chosen = search.tuning.get("trial") if search.asked == len(search.trials) else None
            if search.best is not None and chosen is not None and _number(search.best) != chosen:
                notes.append(
                    f"{tuned.name_of(search)}: trial {chosen} was chosen, but trial {_number(search.best)} did best."
                )
    seen = sorted({trial.method for tuned in methods for trial in tuned.trials if "test" in trial.metrics})
    if seen:
        notes.append(f"Trials of {listed(seen)} hold test metrics: the choice may have seen the test split.")
    return notes


def _budget(ended: Sequence[Tuned], total: int) -> str:
    """How many trials there are, and whether every method had the same number."""
    sizes = {tuned.name: tuned.asked or 0 for tuned in ended}
    least, most = min(sizes.values()), max(sizes.values())
    if least < most:
        few = listed(name for name, size in sizes.items() if size == least)
        return f"{total} trials, but not the same number for every tuned method: {least} for {few}, up to {most} for others."
    numbers = sorted({len(tuned.searches) for tuned in ended})
    among = f" in {' or '.join(map(str, numbers))} searches" if numbers != [1] else ""
    return f"{total} trials: {least}{among} for each of {len(ended)} tuned methods."


def _at_ends(ended: Sequence[Tuned]) -> list[str]:
    """Which searches chose a value at an end of the range they tried: one sentence for each parameter and end."""
    told: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    counts: Counter[tuple[str, str]] = Counter()
    asked: Counter[str] = Counter()  # searches whose records say that they tried the parameter
    for tuned in ended:
        searches = [search for search in tuned.searches if "ends" in search.tuning]
        asked.update(key for search in searches for key in search.tuning["parameters"])
        own = Counter(place for search in searches for place in search.tuning["ends"].items())
        for place, times in own.items():
            counts[place] += times
            told[place][tuned.name] = f" {times} of {len(searches)}" if len(searches) > 1 else ""
    return [
        f"{counts[key, end]} of {asked[key]} {'search' if asked[key] == 1 else 'searches'} chose the {end} {key} of those "
        f"tried, and the best may lie beyond: {listed(name + part for name, part in names.items())}."
        for (key, end), names in sorted(told.items())
    ]


def _row(tuned: Tuned) -> Row:
    found, asked = tuned.trials, tuned.asked
    counts = [sum(trial.status == status for trial in found) for status in STATUSES]
    best = [
        value for search in tuned.searches if search.best is not None and (value := search.best.criterion) is not None
    ]
    ends = sorted({number(value) for value in (min(best), max(best))}, key=float) if best else [ABSENT]
    cells = [
        Cell(str(len(tuned.searches))),
        Cell(str(len(found)) if asked in (None, len(found)) else f"{len(found)} of {asked}"),
        *(Cell(str(count)) for count in counts),
        Cell(" to ".join(ends)),
        Cell(in_seconds(sum(trial.cost.get("train_seconds") or 0.0 for trial in found))),
        Cell(_chosen(tuned)),
    ]
    return Row((Cell(tuned.name, method=tuned.name if asked is not None else None), *cells))


def _reference_row(records: Sequence[ReferenceRecord], tuned: ReferenceRecord | None) -> Row:
    seconds = sum(record.cost.get("train_seconds") or 0.0 for record in records)
    size = str(len(records))
    models = tuned.models.items() if tuned is not None else ()
    what = "; ".join(f"{task}: {_parameters(model['parameters'])}" for task, model in models) or ABSENT
    draws = len(_by_draw(records))
    if draws > 1:
        what = "one for each draw of the data and each task"
    texts = (str(draws), size, size, "0", "0", ABSENT, in_seconds(seconds), what)
    return Row((Cell(records[0].label), *map(Cell, texts)), reference=True)


def _by_draw(records: Sequence[ReferenceRecord]) -> Counter[str]:
    """The number of records for every draw of the data."""
    return Counter(draw_of(record.config["dataset"]) for record in records)


def _number(trial: Record) -> int:
    return int((trial.config.get("tuning") or {}).get("trial", trial.seed))


def _chosen(tuned: Tuned) -> str:
    """Each parameter with the values of all searches in order; with one value if all chose the same."""
    if tuned.asked is None:
        return ABSENT
    chosen: list[Mapping[str, Any]] = [search.tuning.get("parameters") or {} for search in tuned.searches]
    parts = []
    for key in dict.fromkeys(key for values in chosen for key in values):
        texts = [value_text(values[key]) if key in values else ABSENT for values in chosen]
        parts.append(f"{key}={' / '.join(texts if len(set(texts)) > 1 else texts[:1])}")
    return ", ".join(parts) or ABSENT


def _parameters(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value_text(value)}" for key, value in values.items()) or ABSENT


def _spaces(methods: Sequence[Tuned]) -> list[Block]:
    """The spaces as written: first what all methods share, then the own parameters of each method."""
    spaces: list[Mapping[str, Any]] = [tuned.tuning.get("space") or {} for tuned in methods]
    if not any(spaces):
        return []
    shared = {key: text for key, text in spaces[0].items() if all(space.get(key) == text for space in spaces)}
    pairs = [("all methods", _space(shared))] if shared and len(spaces) > 1 else []
    for tuned, space in zip(methods, spaces, strict=True):
        own = {key: text for key, text in space.items() if key not in shared or len(spaces) == 1}
        if own:
            pairs.append((tuned.name, _space(own)))
    samplers = sorted({str(tuned.tuning["sampler"]) for tuned in methods if "sampler" in tuned.tuning})
    return [Facts("Search spaces", (*((("sampler", ", ".join(samplers)),) if samplers else ()), *pairs))]


def _space(space: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {text}" for key, text in space.items())
