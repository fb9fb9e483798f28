"""The document: its chapters in their fixed order, each with a part for every data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.analysis.fronts import heading
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.results import Results
from benchmark.analysis.study import Study
from benchmark.records.record import STATUSES, TUNED, SelectionName
from benchmark.reporting import provenance
from benchmark.reporting.answer import answer
from benchmark.reporting.costs import cost_table
from benchmark.reporting.fronts import front_table
from benchmark.reporting.gates import NOTE as GATES
from benchmark.reporting.gates import gate_tables
from benchmark.reporting.layout import (
    Block,
    Chapter,
    Code,
    Document,
    Facts,
    Legend,
    Part,
    Sentence,
    Sentences,
    TextTable,
)
from benchmark.reporting.leaderboard import leaderboard, several
from benchmark.reporting.ledger import ledger
from benchmark.reporting.notes import dataset_notes, trouble
from benchmark.reporting.overview import gain_table, overview
from benchmark.reporting.ranks import rank_table
from benchmark.reporting.sentences import verdicts
from benchmark.reporting.tasks import selection_table, task_table
from benchmark.statistics import FEWEST, Ranking
from benchmark.text import counted

if TYPE_CHECKING:
    from benchmark.records.reference import ReferenceRecord


LEGEND = Legend(
    intervals="a ± b is a mean over seeds and the half-width of its 95 % interval; Δ is the difference of two means with its "
    "95 % interval. Intervals are not adjusted for the number of comparisons; p values are, by Holm within their family. A p is "
    f"of equivalence where that is the verdict, else of a difference. Below {FEWEST} seeds there is no interval and no test.",
    marks="Bold is the best mean of a column among methods that finished every seed; {close} is what cannot be told from it.",
    seconds="Seconds of training are medians over seeds.",
)


def document(
    study: Study,
    results: Sequence[Results],
    selection: SelectionName,
    ranking: Ranking | None,
    references: Sequence[ReferenceRecord],
    boards: Sequence[Leaderboard] = (),
) -> Document:
    """Everything a report says but its figures."""
    chapters = [
        _each("answer", "Answer", results, _answer),
        *([leaderboard(boards)] if several(boards) else []),
        _each("overview", "Overview", results, lambda r: ([overview(r)], dataset_notes(r))),
        Chapter(
            "compared",
            "What was compared, and how",
            tuple(_compared(study, results, selection, references)),
            detail=True,
        ),
        _each("verdicts", "What the numbers say", results, _verdicts),
        _each(
            "tasks",
            "Task by task",
            results,
            lambda r: ([*(task_table(r, t) for t in r.group.tasks), selection_table(r)], ()),
        ),
        _each("differences", "Change of each task", results, _nothing),
        _each("front", heading(r.group.tasks for r in results), results, lambda r: ([front_table(r)], ())),
        _each("gains", "Gain of each method", results, lambda r: ([gain_table(r)], ())),
        Chapter("ranks", "Ranks", (Part("", (rank_table(ranking),)),) if ranking is not None else ()),
        _each("curves", "Learning curves", results, _nothing),
        _each("weights", "Effective task weights", results, _nothing),
        replace(_each("experts", "Use of experts", results, _gates), notes=(GATES,)),
        _each("cost", "Cost against quality", results, lambda r: ([cost_table(r)], ())),
        _each("tuning", "Tuning", results, lambda r: (ledger(r.group, references), ())),
        _each("trouble", "Missing, failed and diverged runs", results, lambda r: ([trouble(r.group)], ())),
    ]
    return Document("Head-to-head report", _headline(study, selection), tuple(chapters), LEGEND, _reading(study))


def _each(
    anchor: str,
    title: str,
    results: Sequence[Results],
    say: Callable[[Results], tuple[Iterable[Block | None], Iterable[str]]],
) -> Chapter:
    """A chapter with a part for every data set: of blocks, those that there are, and notes."""
    parts = []
    for one in results:
        blocks, notes = say(one)
        parts.append(Part(one.group.name, tuple(block for block in blocks if block is not None), tuple(notes)))
    return Chapter(anchor, title, tuple(parts))


def _nothing(_: Results) -> tuple[list[Block], tuple[str, ...]]:
    return [], ()


def _answer(results: Results) -> tuple[list[Block | None], tuple[str, ...]]:
    found = answer(results)
    return [Sentences(tuple(map(Sentence, found))) if found else None], ()


def _verdicts(results: Results) -> tuple[list[Block | None], tuple[str, ...]]:
    sentences, notes = verdicts(results)
    return [sentences], notes


def _gates(results: Results) -> tuple[list[TextTable], tuple[str, ...]]:
    tables, left = gate_tables(results)
    return tables, (left,) if left else ()


def _compared(
    study: Study, results: Sequence[Results], selection: SelectionName, references: Sequence[ReferenceRecord]
) -> list[Part]:
    parts = [Part(one.group.name, (Facts("The data", provenance.dataset_facts(one.group)),)) for one in results]
    blocks: list[Block] = [Facts("Training and machine", provenance.provenance(study, selection))]
    commands = provenance.commands(study, references)
    if commands:
        blocks.append(Code("Commands", commands))
    return [*parts, Part("", (*blocks, provenance.configurations(study)))]


def _headline(study: Study, selection: SelectionName) -> tuple[str, ...]:
    runs = study.runs
    by_status = {s: sum(run.record.status == s for run in runs) for s in STATUSES}
    status = ", ".join(f"{number} {name}" for name, number in by_status.items() if number)
    purposes: Mapping[str, int] = {
        p: sum(run.record.purpose == p for run in runs) for p in dict.fromkeys(run.record.purpose for run in runs)
    }
    of = " and ".join(f"{number} {name}" if len(purposes) > 1 else name for name, number in sorted(purposes.items()))
    first = (
        f"{counted(len(runs), 'run')} ({status}) of {counted(len(study.methods), 'method')} on "
        f"{counted(len(study.groups), 'data set')}; purpose {of}"
    )
    return (
        first,
        f"Selection {selection}: {provenance.SELECTIONS[selection]}, chosen on validation; all metrics are on test.",
    )


def _reading(study: Study) -> tuple[str, ...]:
    notes = []
    if any(run.record.purpose == TUNED for run in study.runs):
        notes.append(
            "(tuned): with the parameters that did best on validation in the trials of a search, which the ledger under "
            "Tuning counts; the same method without it has the default parameters."
        )
    others = [f"{number} of purpose {name}" for name, number in study.left_out.items()]
    if study.overtaken:
        others.append(f"{study.overtaken} of purpose {TUNED}, chosen among fewer trials")
    if others:
        notes.append(f"Left out: {', '.join(others)}.")
    if study.repeated:
        records = counted(study.repeated, "record")
        notes.append(
            f"{records} left out because another has the same data, method and seed: a finished one, or the last read."
        )
    return tuple(notes)
