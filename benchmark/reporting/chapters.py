"""The document: chapters in a fixed order, each with one part per data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.analysis.fronts import heading
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.results import Results
from benchmark.analysis.study import Study
from benchmark.records.card import Card, card_key
from benchmark.records.record import STATUSES, TUNED, SelectionName
from benchmark.reporting import provenance
from benchmark.reporting.answer import answer
from benchmark.reporting.balance import conflict_table, weight_table
from benchmark.reporting.cards import card_blocks
from benchmark.reporting.costs import cost_table
from benchmark.reporting.fronts import front_table
from benchmark.reporting.gates import gate_table
from benchmark.reporting.glossary import glossary
from benchmark.reporting.layout import (
    Block,
    Chapter,
    Code,
    Document,
    Facts,
    Part,
    Sentence,
    Sentences,
    TextTable,
)
from benchmark.reporting.leaderboard import leaderboard, several
from benchmark.reporting.ledger import ledger
from benchmark.reporting.notes import dataset_notes, no_answer, trouble
from benchmark.reporting.overview import gain_table, grid_table, overview, pair_table
from benchmark.reporting.ranks import rank_table
from benchmark.reporting.scalarization import MEANING, scalarization_tables
from benchmark.reporting.sentences import verdicts
from benchmark.reporting.tasks import selection_table, task_table
from benchmark.statistics import Ranking
from benchmark.text import counted, listed

if TYPE_CHECKING:
    from benchmark.records.reference import ReferenceRecord


MOST_ANSWERS = 2
"""Most data sets with their full answer at the start; beyond this, only the first sentence of each."""


def document(
    study: Study,
    results: Sequence[Results],
    selection: SelectionName,
    ranking: Ranking | None,
    references: Sequence[ReferenceRecord],
    boards: Sequence[Leaderboard] = (),
    cards: Mapping[str, Card] | None = None,
) -> Document:
    """Everything in a report except the figures, in the order in which a reader asks."""
    default = {r.group.dataset: r for r in results if not r.group.is_tuned}
    many = len({r.group.dataset for r in results}) > MOST_ANSWERS
    said = {r.group.name: answer(r) for r in results}
    chapters = [
        Chapter("answer", "Answer", tuple(_short_answers(results, said) if many else _answers(results, said))),
        *([leaderboard(boards)] if several(boards) else []),
        _each("forest", "Gain and tasks", results, _nothing),
        _each("grid", "Architecture by weighting", results, lambda r: ([grid_table(r)], ())),
        _each(
            "overview",
            "All methods",
            results,
            lambda r: ([overview(r, default.get(r.group.dataset) if r.group.is_tuned else None)], ()),
        ),
        _each("cost", "Quality against cost", results, lambda r: ([cost_table(r)], ())),
        _each("selection", "Joint and per-task selection", results, lambda r: ([selection_table(r)], ())),
        _each("tasks", "Task by task", results, lambda r: ([task_table(r, t) for t in r.group.tasks], ())),
        _each("front", heading(r.group.tasks for r in results), results, lambda r: ([front_table(r)], ())),
        _each("scalarization", "Fixed weights against adaptive weightings", results, _scalarization),
        Chapter("ranks", "Ranks over data sets", (Part("", (rank_table(ranking),)),) if ranking is not None else ()),
        _each("curves", "Learning curves", results, _nothing),
        _each("weights", "Effective task weights", results, lambda r: ([weight_table(r)], ())),
        _each("trouble", "Missing, failed and diverged runs", results, lambda r: ([trouble(r.group)], ())),
        *([Chapter("answers", "Answers in full", tuple(_answers(results, said)), folded=True)] if many else []),
        _folded(_each("verdicts", "All comparisons in words", results, _verdicts)),
        _folded(_each("pairs", "Every pair of methods", results, lambda r: ([pair_table(r)], ()))),
        _folded(_each("gains", "Gain of each task", results, lambda r: ([gain_table(r)], ()))),
        _folded(_each("conflicts", "Conflicts between tasks", results, lambda r: ([conflict_table(r)], ()))),
        _folded(_each("experts", "Use of experts", results, lambda r: ([gate_table(r)], ()))),
        _folded(_each("tuning", "Tuning", results, lambda r: (ledger(r.group, references), ()))),
        Chapter("card", "What is in the data", tuple(_cards(results, cards or {})), folded=True),
        Chapter(
            "compared", "What was compared, and how", tuple(_compared(study, results, selection, references)), folded=True
        ),
    ]  # fmt: skip
    return Document("Head-to-head report", _headline(study), tuple(chapters), glossary(results, selection))


def _each(
    anchor: str,
    title: str,
    results: Sequence[Results],
    say: Callable[[Results], tuple[Iterable[Block | None], Iterable[str]]],
) -> Chapter:
    """A chapter with a part for every data set: its blocks (None is left out) and its notes."""
    views = _views(results)
    parts = []
    for one in results:
        blocks, notes = say(one)
        found = tuple(block for block in blocks if block is not None)
        parts.append(Part(one.group.name, found, tuple(notes), views[one.group.name]))
    return Chapter(anchor, title, tuple(parts))


def _folded(chapter: Chapter) -> Chapter:
    return replace(chapter, folded=True)


def _views(results: Sequence[Results]) -> dict[str, str]:
    """{name of a group: `tuned` or `default`}; empty unless its data set has both."""
    sizes = Counter(one.group.dataset for one in results)
    return {
        one.group.name: "" if sizes[one.group.dataset] < 2 else "tuned" if one.group.is_tuned else "default"
        for one in results
    }


def _nothing(_: Results) -> tuple[list[Block], tuple[str, ...]]:
    return [], ()


def _answers(results: Sequence[Results], said: Mapping[str, Sequence[str]]) -> Iterator[Part]:
    """The whole answer of every data set. If it has tuned methods, only the first sentence on default parameters."""
    views, parts = _views(results), dict[str, Part]()
    for one in results:
        found, name = list(said[one.group.name]), one.group.dataset
        if views[one.group.name] == "default":
            short = (
                parts[name].blocks if name in parts else ()
            )  # if the tuned methods have no answer, this is the whole answer
            found = [f"With default parameters, {_inside(sentence)}" for sentence in (found[:1] if short else found)]
        elif views[one.group.name] and found:
            found[0] = f"With tuned parameters, {_inside(found[0])}"
        known = parts.get(name, Part(name))
        blocks = (Sentences(tuple(map(Sentence, found))),) if found else ()
        parts[name] = replace(known, blocks=(*known.blocks, *blocks), notes=(*known.notes, *no_answer(one)))
    yield from parts.values()


def _inside(sentence: str) -> str:
    """A sentence as it reads after a comma: names of methods keep their case."""
    first, space, rest = sentence.partition(" ")
    return f"{first.lower() if first in BEGINNINGS else first}{space}{rest}"


BEGINNINGS = ("All", "Both", "Every", "No", "Use", "Among", "Task", "On", "Declared", "Boosted", "What", "Each")
"""Words that sentences of an answer begin with."""


def _short_answers(results: Sequence[Results], said: Mapping[str, Sequence[str]]) -> Iterator[Part]:
    """The first sentence of every data set, about its tuned methods if there are any."""
    found, told = [], set[str]()
    for one in results:  # if a data set has both, tuned methods come first
        name, parameters = one.group.dataset, "" if one.group.is_tuned else " with default parameters"
        if said[one.group.name] and name not in told:
            both = any(other.group.dataset == name and other is not one for other in results)
            found.append(Sentence(f"{name}{parameters if both else ''}: {said[one.group.name][0]}"))
            told.add(name)
    without = sorted({one.group.dataset for one in results} - told)
    if without:
        found.append(Sentence(f"No comparison with {results[0].wanted} on {listed(without)}."))
    yield Part("", (Sentences(tuple(found)),) if found else ())


def _scalarization(results: Results) -> tuple[list[TextTable], tuple[str, ...]]:
    tables = scalarization_tables(results)
    return tables, (MEANING,) if tables else ()


def _verdicts(results: Results) -> tuple[list[Block | None], tuple[str, ...]]:
    sentences, notes = verdicts(results)
    return [sentences], (*notes, *dataset_notes(results))


def _compared(
    study: Study, results: Sequence[Results], selection: SelectionName, references: Sequence[ReferenceRecord]
) -> list[Part]:
    once = {one.group.dataset: one.group for one in reversed(results)}  # tuned and default runs have the same data
    parts = [Part(name, (Facts("The data", provenance.dataset_facts(once[name])),)) for name in sorted(once)]
    blocks: list[Block] = [Facts("Training and machine", provenance.provenance(study, selection))]
    commands = provenance.commands(study, references)
    if commands:
        blocks.append(Code("Commands", commands))
    return [*parts, Part("", (*blocks, provenance.configurations(study)))]


def _cards(results: Sequence[Results], cards: Mapping[str, Card]) -> Iterator[Part]:
    """The card of every data set, where its runs have left one. If the data were drawn several times, it is that of the first draw."""
    groups = {one.group.dataset: one.group for one in reversed(results)} if cards else {}
    for name, group in sorted(groups.items()):
        data = (run.record.dataset for run in group.runs if run.record.dataset)
        draws = {(of.get("fingerprint"), of.get("test_rows")): of for of in data}  # a schema is slow to hash
        found = next((cards[key] for of in draws.values() if (key := card_key(of)) in cards), None)
        if found is not None:
            yield Part(name, card_blocks(found))


def _headline(study: Study) -> tuple[str, ...]:
    runs = study.runs
    by_status = {s: sum(run.record.status == s for run in runs) for s in STATUSES}
    status = ", ".join(f"{number} {name}" for name, number in by_status.items() if number)
    purposes: Mapping[str, int] = Counter(run.record.purpose for run in runs)
    of = " and ".join(f"{number} {name}" if len(purposes) > 1 else name for name, number in sorted(purposes.items()))
    first = (
        f"{counted(len(runs), 'run')} ({status}) of {counted(len(study.methods), 'method')} on "
        f"{counted(len({group.dataset for group in study.groups}), 'data set')}; parameters: {of}."
    )
    return first, *_left_out(study), *study.passed_over


def _left_out(study: Study) -> Iterator[str]:
    others = [f"{number} of purpose {name}" for name, number in study.left_out.items()]
    if study.overtaken:
        others.append(f"{study.overtaken} of purpose {TUNED}, chosen among fewer trials")
    if others:
        yield f"Left out: {', '.join(others)}."
    if study.repeated:
        records = counted(study.repeated, "record")
        yield f"{records} left out because another has the same data, method and seed; a finished or else the last one is kept."
