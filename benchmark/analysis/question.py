"""What an experiment asks, declared in its runs in advance: the primary endpoint, contrasts, and looks.

The primary question is one test for each method, in a family of its own. The tasks are a second family, contrasts a third.
A contrast is a pair of methods, `mmoe/equal - shared_bottom/equal`; a pair of architectures or weightings,
`mmoe - shared_bottom`, each the mean over what both were crossed with; or all pairs of a factor, `architecture`.

An architecture whose tasks share no parameter is left out of the factors. Under a gradient weighting its runs would repeat
the runs of the plain weighting. Such copies would count the same seeds several times, and pull every effect of a weighting
towards zero. In a pair of architectures it is compared under the weightings that it was trained with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import TypeAlias

from benchmark import metrics
from benchmark.analysis import gain
from benchmark.analysis.estimates import Rows, Terms, contrast
from benchmark.analysis.families import compared, endpoints, not_ranked, terms
from benchmark.analysis.gain import Scores
from benchmark.analysis.lookup import find_baseline
from benchmark.analysis.study import Group, Study
from benchmark.analysis.values import Values, values_on_test
from benchmark.records.record import GAIN, Record
from benchmark.statistics import (
    FIRM,
    Comparison,
    Endpoint,
    Family,
    Looks,
    Margin,
    against_baseline,
    all_pairs,
    judge,
    over_looks,
    tiers,
    unranked,
)
from benchmark.statistics.looks import first as first_of
from benchmark.text import unknown

FACTORS = ("architecture", "weighting")
BETWEEN = " - "


@dataclass(frozen=True, slots=True)
class Question:
    """The questions that the runs of one data set should answer.

    Args:
        primary: `gain`, or a task's headline metric.
        contrasts: The contrasts as declared.
        looks: The numbers of seeds at which methods were judged; None: once, with all runs.
        margin: The margin of the primary endpoint, as declared with the looks.
        notes: Where the declarations of runs disagree.
    """

    primary: str = GAIN
    contrasts: tuple[str, ...] = ()
    looks: Looks | None = None
    margin: Margin | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, group: Group) -> Question:
        """What the group's records declare. If they disagree, the gain is primary and a note says so."""
        configs = [run.record.config for run in group.runs]
        primaries = list(dict.fromkeys(str(config.get("primary", GAIN)) for config in configs))
        known = {GAIN, *(f"{task.name}.{metrics.headline_name(task)}" for task in group.tasks)}
        notes = []
        if len(primaries) > 1:
            notes.append(f"Runs declare different primary endpoints ({', '.join(primaries)}); {GAIN} is used.")
        elif primaries[0] not in known:
            notes.append(f"The declared primary endpoint {primaries[0]} is not one of {', '.join(sorted(known))}.")
        primary = primaries[0] if len(primaries) == 1 and primaries[0] in known else GAIN
        if primary == GAIN and len(group.tasks) == 1:
            primary = f"{group.tasks[0].name}.{metrics.headline_name(group.tasks[0])}"
        contrasts = tuple(dict.fromkeys(text for config in configs for text in config.get("contrasts") or ()))
        plans = [config["looks"] for config in configs if config.get("looks")]
        seeds = {tuple(plan.get("seeds", ())) for plan in plans}
        margins = sorted({str(plan["margin"]) for plan in plans if plan.get("margin")}, key=_size)
        looks, margin = Looks(group.looks) if group.looks else None, Margin.parse(margins[0]) if margins else None
        if len(seeds) > 1:
            notes.append(f"Runs declare different looks; those at {', '.join(map(str, group.looks))} seeds are taken.")
        if len(margins) > 1:
            notes.append(f"Runs declare different margins ({', '.join(margins)}); {margins[0]} is taken.")
        return cls(primary, contrasts, looks, margin, tuple(notes))

    def endpoint(self, group: Group, margins: Mapping[str, Margin]) -> Endpoint:
        """The primary endpoint of comparisons."""
        if self.primary == GAIN:
            return self.gain(margins)
        found = next(e for e in endpoints(group, margins) if f"{e.task}.{e.metric}" == self.primary)
        return found if self.margin is None or found.metric in margins else replace(found, margin=self.margin)

    def gain(self, margins: Mapping[str, Margin]) -> Endpoint:
        """The gain as an endpoint, with its declared margin unless another is given."""
        declared = {GAIN: self.margin} if self.margin is not None and self.primary == GAIN else {}
        return gain.endpoint(declared | dict(margins))

    def rows(self, found: Values, scores: Scores) -> Rows:
        """Every run's value of the primary endpoint."""
        if self.primary == GAIN:
            return scores.totals
        task, _, metric = self.primary.rpartition(".")
        return found.get((task, metric), {})


@dataclass(frozen=True, slots=True)
class Answered:
    """The families of one data set against its baseline.

    Args:
        primary: The family on the primary endpoint, one comparison per method; None if the endpoint has no values.
        tasks: The family on the headline metrics of the tasks, without the primary endpoint.
        contrasts: The declared contrasts, on the primary endpoint.
        notes: Notes on contrasts that cannot be made.
        tiers: The ranked methods in groups that cannot be told apart on the primary endpoint, the best first; none
            below three seeds.
        pairs: Every ranked method except the baseline against every other on the primary endpoint, as the basis of
            tiers.
    """

    primary: Family | None
    tasks: Family
    contrasts: Family | None = None
    notes: tuple[str, ...] = ()
    tiers: tuple[tuple[str, ...], ...] = ()
    pairs: Family | None = None


def _size(margin: str) -> float:
    return Margin.parse(margin).size


def answered(
    group: Group,
    question: Question,
    found: Values,
    scores: Scores,
    baseline: str,
    margins: Mapping[str, Margin],
    terms: Terms,
) -> Answered:
    """Judges the primary question, the tasks and the contrasts, each as a family.

    Args:
        group: The runs.
        question: The questions they should answer.
        found: The values that methods are compared by.
        scores: Their gains.
        baseline: The method that others are compared to.
        margins: As for `report`.
        terms: The terms of all comparisons.
    """
    first, rows = question.endpoint(group, margins), question.rows(found, scores)
    rest = [e for e in endpoints(group, margins) if (e.task, e.metric) != (first.task, first.metric)]
    primary = None
    if baseline in rows and len(rows) > 1:
        if question.looks is None:
            primary = against_baseline({(first.task, first.metric): rows}, [first], baseline, **terms)
        else:
            primary = _over_looks(group, question, question.looks, found, first, baseline, terms)
    tasks = against_baseline(found, rest, baseline, **terms)
    if question.contrasts and not rows:
        why = scores.reason or f"no run has {question.primary}"
        return Answered(primary, tasks, None, (f"No contrasts: {why}.",))
    contrasts, notes = _contrasts(group, question, first, rows, terms)
    if primary is None or not primary.tests:
        return Answered(primary, tasks, contrasts, notes)
    pairs = all_pairs({method: row for method, row in rows.items() if method != baseline}, first, **terms)
    return Answered(primary, tasks, contrasts, notes, _tiers(primary, pairs, first, rows, baseline), pairs)


def _tiers(
    primary: Family, others: Family, endpoint: Endpoint, rows: Rows, baseline: str
) -> tuple[tuple[str, ...], ...]:
    """The primary question distinguishes methods from the baseline; the family of all pairs distinguishes them from each other."""
    judged = [c for c in (*primary.comparisons, *others.comparisons) if c.verdict is not None]
    ranked = {baseline, *(c.method for c in primary.comparisons if c.verdict is not None)}
    means = {method: fmean(rows[method].values()) for method in ranked}
    ordered = sorted(ranked, key=lambda method: (-endpoint.direction * means[method], method))
    return tiers(ordered, {frozenset((c.method, c.baseline)) for c in judged if c.verdict in FIRM})


def _over_looks(
    group: Group, question: Question, looks: Looks, found: Values, endpoint: Endpoint, baseline: str, terms: Terms
) -> Family | None:
    def at(look: int) -> tuple[Rows, dict[str, str]]:
        """What was known at a look: gains over the baseline's mean at that look, and which methods were ranked."""
        cut = {key: first_of(rows, look) for key, rows in found.items()}
        return question.rows(cut, gain.scores(group, cut, baseline)), not_ranked(group, look)

    family = over_looks(
        at, endpoint, baseline, looks, paired=terms["paired"], test_train_ratio=terms["test_train_ratio"]
    )
    return family if family.comparisons else None


def _contrasts(
    group: Group, question: Question, endpoint: Endpoint, rows: Rows, terms: Terms
) -> tuple[Family | None, tuple[str, ...]]:
    if not question.contrasts:
        return None, ()
    out = unranked(endpoint.metric, rows, terms["excluded"], terms["expected"])
    ranked = {method: row for method, row in rows.items() if row and method not in out}
    named: dict[tuple[str, ...], list[str]] = {}
    for method, runs in group.by_method.items():
        named.setdefault(tuple(runs[0].record.method.split("/")), []).append(method)
    several = sorted("/".join(cell) for cell, methods in named.items() if len(methods) > 1)
    everyone = {cell: methods[0] for cell, methods in named.items()}
    # an architecture that shares nothing between tasks is not a level of the crossed factors
    factorial = {cell: method for cell, method in everyone.items() if method not in group.unshared}
    asked, notes = [], []
    for text in question.contrasts:
        among = factorial if text in FACTORS else everyone
        cells = {cell: method for cell, method in among.items() if method in ranked}
        try:
            wanted = _pairs(text, among)
        except ValueError as error:
            notes.append(f"No contrast {text!r}: {error}.")
            continue
        needed = {method for *_, sides in wanted for side in sides for method in side}
        lost = sorted(needed - ranked.keys())
        if same := [name for name in several if everyone[tuple(name.split("/"))] in needed]:
            notes.append(f"No contrast {text!r}: {', '.join(same)} names several methods.")
            continue
        pairs = _without(text, cells) if lost else wanted
        if lost:
            what = "The contrast {!r} leaves out {}" if pairs else "No contrast {!r}: it needs {}"
            notes.append(f"{what.format(text, ', '.join(lost))}, not ranked.")
        asked += [_comparison(endpoint, one, other, methods, ranked, terms) for one, other, methods in pairs]
    once = {(c.method, c.baseline): c for c in asked}
    return (judge(list(once.values()), looks=terms["looks"]) if once else None), tuple(notes)


Cells: TypeAlias = Mapping[tuple[str, ...], str]
"""{(architecture, weighting): method}."""
Sides: TypeAlias = tuple[list[str], list[str]]
"""The methods of both sides."""


def check_contrast(text: str, architectures: Collection[str], weightings: Collection[str]) -> None:
    """Refuses a contrast that is malformed, or names something that is not registered.

    Raises:
        ValueError: with the known names.
    """
    one, between, other = (part.strip() for part in text.partition(BETWEEN))
    if text in FACTORS:
        return
    if not between:
        raise ValueError(
            f"expected {' or '.join(FACTORS)}, or a pair such as 'mmoe{BETWEEN}shared_bottom', found {text!r}"
        )
    kinds = []
    for name in (one, other):
        architecture, is_method, weighting = name.partition("/")
        if is_method and weighting not in weightings:
            raise ValueError(unknown("weighting", weighting, weightings))
        known = architectures if is_method or name not in weightings else weightings
        if architecture not in known:
            raise ValueError(unknown("architecture", architecture, known))
        kinds.append("method" if is_method else "weighting" if known is weightings else "architecture")
    if kinds[0] != kinds[1]:
        raise ValueError(f"{text!r}: {one} is one {kinds[0]}, {other} one {kinds[1]}; expected two of one kind")
    if one == other:
        raise ValueError(f"{text!r}: {one} is on both sides")


def _without(text: str, ranked: Cells) -> list[tuple[str, str, Sides]]:
    """What is left of a contrast without methods that are not ranked; None if it needs them."""
    try:
        return _pairs(text, ranked)
    except ValueError:
        return []


def _pairs(text: str, cells: Cells) -> list[tuple[str, str, Sides]]:
    """(what, against what, methods of each side) of a declared contrast.

    Raises:
        ValueError: if it names something without runs, or factors that were never crossed.
    """
    if text in FACTORS:
        at = FACTORS.index(text)
        crossed = _crossed(cells)
        levels = list(dict.fromkeys(cell[at] for cell in crossed))
        if len(levels) < 2:
            raise ValueError(f"fewer than two {text}s have every level of the other factor")
        return [(one, other, _sides(one, other, at, crossed)) for other, one in combinations(levels, 2)]
    one, between, other = (part.strip() for part in text.partition(BETWEEN))
    if not between:
        raise ValueError(f"expected {' or '.join(FACTORS)}, or a pair such as 'mmoe{BETWEEN}shared_bottom'")
    if one == other:
        raise ValueError(f"{one} is on both sides")
    if "/" in one or "/" in other:
        known = {"/".join(cell): method for cell, method in cells.items()}
        for name in (one, other):
            if name not in known:
                raise ValueError(unknown("method", name, known))
        return [(one, other, ([known[one]], [known[other]]))]
    for at in range(len(FACTORS)):
        if {one, other} <= {cell[at] for cell in cells}:
            sides = _sides(one, other, at, cells)
            if sides[0]:
                return [(one, other, sides)]
            raise ValueError(f"{one} and {other} have no {FACTORS[1 - at]} in common")
    levels = sorted({level for cell in cells for level in cell})
    if one in levels and other in levels:
        raise ValueError(f"{one} and {other} are neither two architectures nor two weightings")
    raise ValueError(unknown("architecture or weighting", one if one not in levels else other, levels))


def _sides(one: str, other: str, at: int, cells: Cells) -> Sides:
    """The methods of both sides, over the levels of the other factor that both have."""
    by_level = [{cell[1 - at]: method for cell, method in cells.items() if cell[at] == level} for level in (one, other)]
    common = [level for level in by_level[0] if level in by_level[1]]
    return [by_level[0][level] for level in common], [by_level[1][level] for level in common]


def _crossed(cells: Cells) -> Cells:
    """The cells of the full factorial: of architectures with every weighting that any has."""
    weightings = {weighting for _, weighting in cells}
    whole = {a for a, _ in cells if {w for of, w in cells if of == a} == weightings}
    return {cell: method for cell, method in cells.items() if cell[0] in whole}


def _comparison(endpoint: Endpoint, one: str, other: str, sides: Sides, rows: Rows, terms: Terms) -> Comparison:
    weights = {m: 1 / len(sides[0]) for m in sides[0]} | {m: -1 / len(sides[1]) for m in sides[1]}
    means = [fmean(rows[method].values()) for method in sides[1]]
    found = contrast(weights, endpoint.metric, rows, terms)
    return Comparison(endpoint, one, other, (), fmean(means), terms["test_train_ratio"], contrast=found)


def primary_families(records: Sequence[Record], baseline: str) -> Iterator[tuple[Group, Family | str]]:
    """The primary question of every data set in some records, with its group; and the reason if it has no answer."""
    study = Study.of(records)
    values = values_on_test(study, "joint")
    for group in study.groups:
        name, found = find_baseline(group, baseline), compared(group, values.get(group.name, {}))
        if name is not None:
            scores = gain.scores(group, found, name)
            primary = answered(group, Question.of(group), found, scores, name, {}, terms(group, found)).primary
            why = scores.reason or f"{name} has no value of the primary endpoint"
            yield group, primary if primary is not None and primary.comparisons else why
        else:
            yield group, f"no run of {baseline} finished"
