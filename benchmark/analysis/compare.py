"""`mtlbench compare`: two methods of one folder of records, or two folders of records. Imports no torch.

The first is compared with the second: `compare mmoe/equal single_task/equal`, `compare results/after results/before`.
Methods of one folder are compared as in its report. A method in two folders is compared by its runs with the same data
and seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from benchmark import metrics
from benchmark.analysis import estimates, families, gain
from benchmark.analysis.answer import Answer
from benchmark.analysis.estimates import Rows, Terms
from benchmark.analysis.families import endpoints, replicates
from benchmark.analysis.gain import TASKS
from benchmark.analysis.lookup import find_method, require
from benchmark.analysis.question import Question
from benchmark.analysis.results import label
from benchmark.analysis.study import Group, Run, Study, short_name, tuned_name
from benchmark.analysis.values import Values, values_on_test
from benchmark.kinds import check_headlines
from benchmark.records.record import GAIN, RESULTS_DIR, TUNED, Record, SelectionName, no_records, settled
from benchmark.statistics import (
    FIRM,
    Comparison,
    Contrast,
    Endpoint,
    Family,
    Margin,
    Verdict,
    judge,
    sentence,
    unranked,
)
from benchmark.statistics.wording import WORDS, bracketed, p_number, places
from benchmark.text import ABSENT, LONGEST_CELL, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

COLUMNS: dict[str, type[pl.DataType]] = {
    "dataset": pl.String, "task": pl.String, "metric": pl.String, "method": pl.String, "baseline": pl.String,
    "pairs": pl.Int64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "low_adjusted": pl.Float64,
    "high_adjusted": pl.Float64, "p": pl.Float64, "p_adjusted": pl.Float64, "p_equivalence_adjusted": pl.Float64,
    "p_paired": pl.Float64, "p_sign_flip": pl.Float64,
    "margin": pl.Float64, "tests": pl.Int64, "verdict": pl.String, "reason": pl.String, "seeds_to_decide": pl.Int64,
}  # fmt: skip
SHOWN: dict[Verdict | None, str] = dict([*WORDS.items(), (None, "not compared")])
STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "red", None: "dim"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The result on one data set.

    Args:
        dataset: Its name.
        sides: What was compared: two methods, or two folders.
        names: {method as the comparisons name it: its name}; between folders, comparisons name the folder too.
        families: The comparisons: the gain over tasks, if there is one, and the tasks.
        labels: {task: metric with its unit}.
        notes: Which runs have no partner.
        lost: Whether the second has a run that the first lacks.
    """

    dataset: str
    sides: tuple[str, str]
    names: dict[str, str]
    families: tuple[Family, ...]
    labels: dict[str, str]
    notes: tuple[str, ...] = ()
    lost: bool = False

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons of all families."""
        return tuple(c for family in self.families for c in family.comparisons)

    @property
    def methods(self) -> dict[str, list[Comparison]]:
        """The comparisons of each method, in order."""
        found: dict[str, list[Comparison]] = {}
        for comparison in self.comparisons:
            found.setdefault(comparison.method, []).append(comparison)
        return found

    @property
    def answer(self) -> str:
        """All verdicts in one sentence."""
        comparisons, one = self.comparisons, len(self.methods) == 1
        parts = []
        for verdict, word in SHOWN.items():
            of = [c for c in comparisons if c.verdict is verdict]
            if of and (one or verdict in FIRM):
                where = [c.task if one else f"{c.task} ({self.names[c.method]})" for c in of]
                parts.append(f"{word} on {', '.join(where)}")
            elif of:
                parts.append(f"{word} in {len(of)} of {len(comparisons)} comparisons")
        return f"{self.sides[0]} against {self.sides[1]}, {self.dataset}: {'; '.join(parts)}."

    def sentences(self) -> Iterator[str]:
        """One sentence per comparison; with several methods, only for comparisons with a difference or without a verdict."""
        for of in self.methods.values():
            reasons = {c.reason for c in of if c.verdict is None}
            if len(reasons) == 1 and all(c.verdict is None for c in of):
                yield f"{of[0].method} is not compared with {of[0].baseline}: {reasons.pop()}."
                continue
            for c in of:
                if len(self.methods) == 1 or c.verdict is None or c.verdict in FIRM:
                    yield sentence(c, self.labels[c.task])


@dataclass(frozen=True)
class HeadToHead(Answer):
    """The result of `compare`. It prints itself, the answer first.

    Args:
        judged: One per data set, in order of name.
        notes: What is not compared.
        lost: Between folders, whether the second has a method or a run that the first lacks.
    """

    judged: tuple[Judged, ...]
    notes: tuple[str, ...] = ()
    lost: bool = False

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons of all data sets."""
        return tuple(c for judged in self.judged for c in judged.comparisons)

    @property
    def worse(self) -> bool:
        """Whether the first is worse than the second on any task of any data set."""
        return any(c.verdict is Verdict.WORSE for c in self.comparisons)

    @property
    def incomplete(self) -> bool:
        """Whether the first might be worse without notice: something was lost, or a comparison has no verdict or no test."""
        return self.lost or any(c.verdict is None or c.reason is not None for c in self.comparisons)

    @property
    def table(self) -> pl.DataFrame:
        """One row per comparison, with all its numbers; differences are first minus second, in the metric's unit."""
        rows = []
        for judged in self.judged:
            for c in judged.comparisons:
                d, a = c.difference, c.difference_adjusted
                rows.append((
                    judged.dataset, c.task, c.metric, c.method, c.baseline, c.n,
                    *((d.mean, d.low, d.high) if d else (None,) * 3), *((a.low, a.high) if a else (None,) * 2),
                    c.p, c.p_adjusted, c.p_equivalence_adjusted, c.p_paired, c.sign_flip.p, c.margin if c.n else None, c.tests, c.verdict,
                    c.reason, c.seeds_to_decide,
                ))  # fmt: skip
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for judged in self.judged:
            yield Text(judged.answer, style="bold")
            identical = [judged.names[of[0].method] for of in judged.methods.values() if _identical(of)]
            if len(judged.methods) == 1 or len(identical) < len(judged.methods):
                yield _table(judged)
            if len(judged.methods) > 1 and identical:
                yield Text(f"Identical on every task: {', '.join(identical)}.")
            for line in (*judged.sentences(), *judged.notes, *_reading(judged)):
                yield Text(line)
            yield Text()
        for note in self.notes:
            yield Text(note)


def compare(
    first: str | Path,
    second: str | Path,
    results: str | Path | Sequence[Record] | None = None,
    *,
    margins: Mapping[str, Margin] | None = None,
    selection: SelectionName = "joint",
    skip_broken: bool = False,
) -> HeadToHead:
    """Compares one method with another, or the records of one folder with those of another, paired by data and seed.

    All tasks of a data set, and between folders all methods, are one family. The gain of two methods over the tasks is
    a separate test. If runs are paired, seeds that only one side has are left out. A seed that failed or diverged on
    either side leaves the method without a verdict.

    Args:
        first: A method as the report names it, or a folder of records.
        second: What it is compared to, of the same kind.
        results: Folder of records, or records, that contain both methods; by default `results/runs`, unless both names
            are folders.
        margins: Differences up to this size count as equivalent, by headline metric (`auc`, `mse`). The defaults are
            those of the kinds of task.
        selection: The epoch that is compared: one for all tasks, or each task's best.
        skip_broken: Whether to continue without broken records; a note then says which.

    Raises:
        FileNotFoundError: if there is no folder `results`.
        BrokenRecords: if records are broken, with all of them.
        ValueError: if a method or a metric is unknown, with the known names, or the two have nothing in common.
    """
    margins = margins or {}
    check_headlines(margins.keys() - {GAIN})
    gain.endpoint(margins)  # refuses a wrong margin
    if are_folders(first, second, results):
        return _folders(_studies(first, second, skip_broken=skip_broken), (first, second), margins, selection)
    study = study_of(RESULTS_DIR if results is None else results, skip_broken=skip_broken)
    return _methods(str(first), str(second), study, margins, selection)


def are_folders(first: str | Path, second: str | Path, results: object) -> bool:
    """Does `compare` read the two names as folders of records, not as methods?"""
    return results is None and Path(first).exists() and Path(second).exists()


@dataclass(frozen=True)
class _Side:
    """One side of a comparison: a method's runs, and the test values of its data set."""

    name: str
    runs: Sequence[Run]
    values: Mapping[str, Values]

    def of(self, endpoint: Endpoint) -> Mapping[Any, float]:
        values = self.values.get(self.runs[0].dataset, {})
        return values.get((endpoint.task, endpoint.metric), {}).get(self.runs[0].method, {})

    @property
    def finished(self) -> set[Any]:
        return {run.pair for run in self.runs if run.finished}

    @property
    def stopped(self) -> str | None:
        seeds = [f"seed {run.record.seed} {run.record.status}" for run in self.runs if not run.finished]
        return f"{self.name}: {', '.join(seeds)}" if seeds else None


def _methods(
    first: str,
    second: str,
    study: Study,
    margins: Mapping[str, Margin],
    selection: SelectionName,
) -> HeadToHead:
    values = values_on_test(study, selection)
    require(study, first, second)
    judged, notes = [], []
    for group in study.groups:
        mine, other = find_method(group.by_method, first), find_method(group.by_method, second)
        if mine is None or other is None:
            notes.append(f"{group.name} has no {first if mine is None else second}: nothing to compare.")
        else:
            one, two = (
                _Side(_as_asked(method, wanted, group), group.by_method[method], values)
                for method, wanted in ((mine, first), (other, second))
            )
            alike = _alike(group, mine, other)
            known = {key: _of(alike, rows) for key, rows in values.get(group.name, {}).items()}
            terms = families.terms(alike, known)
            found = _judge([alike], (one.name, two.name), [(one, two)], margins, (known, terms))
            overall = _gain(alike, known, one, two, margins, terms, found)
            judged.append(replace(found, families=(*overall, *found.families)))
            notes += _tuned_too(group, mine, other)
    if not judged:
        raise ValueError(f"no data set has both {first} and {second}")
    return HeadToHead(tuple(judged), (*notes, *study.passed_over))


def _alike(group: Group, *compared: str) -> Group:
    """The report's group with the compared runs, tuned or default, so that spreads are those of the report."""
    purposes = {run.record.purpose for method in compared for run in group.by_method[method]}
    return replace(group, runs=tuple(run for run in group.runs if run.record.purpose in purposes))


def _of(group: Group, rows: Mapping[str, Mapping[Any, float]]) -> dict[str, Any]:
    return {method: row for method, row in rows.items() if method in group.by_method}


def _unpaired(one: _Side, two: _Side, metric: str, rows: Rows, terms: Terms) -> Contrast | None:
    """The difference of two methods in a folder, with the spreads of all its methods; None if runs are paired."""
    mine, other = one.runs[0].method, two.runs[0].method
    alone = terms["paired"] or mine == other
    return None if alone else estimates.contrast({mine: 1, other: -1}, metric, rows, terms)


def _gain(
    group: Group,
    values: Values,
    one: _Side,
    two: _Side,
    margins: Mapping[str, Margin],
    terms: Terms,
    tasks: Judged,
) -> list[Family]:
    """The first's gain over the second, over all tasks; none if a task has no comparison."""
    mine, other = one.runs[0].method, two.runs[0].method
    scores = gain.scores(group, families.compared(group, values), other)
    if any(c.verdict is None for c in tasks.comparisons) or not {mine, other} <= scores.totals.keys():
        return []
    rows = scores.totals
    asked = Comparison.of(
        Question.of(group).gain(margins), one.name, rows[mine], two.name, rows[other],
        contrast=_unpaired(one, two, GAIN, rows, terms),
        test_train_ratio=terms["test_train_ratio"],
    )  # fmt: skip
    return [judge([asked], looks=terms["looks"])]


def _tuned_too(group: Group, *compared: str) -> list[str]:
    """Says that tuned runs exist for methods that were compared with default parameters."""
    asked = [group.by_method[method][0].record for method in compared]
    names = [tuned_name(record.method) for record in asked]
    if any(record.purpose == TUNED for record in asked) or len({*names} & group.by_method.keys()) < len(asked):
        return []
    return [f"{group.name} also has both tuned: {names[0]!r} and {names[1]!r}, a separate comparison."]


def _as_asked(method: str, wanted: str, group: Group) -> str:
    """The name without parameters that distinguish methods only on other data."""
    same = [name for name, runs in group.by_method.items() if short_name(runs[0].record) == wanted]
    return wanted if same == [method] else method


def _studies(*folders: str | Path, skip_broken: bool) -> list[Study]:
    """The records of every folder; what is broken in any of them is told at once."""
    found, told = settled([Path(folder) for folder in folders], skip_broken=skip_broken)
    made = [_study(records, folder) for records, folder in zip(found, folders, strict=True)]
    return [replace(made[0], passed_over=told), *made[1:]]


def _folders(
    studies: Sequence[Study],
    places: tuple[str | Path, str | Path],
    margins: Mapping[str, Margin],
    selection: SelectionName,
) -> HeadToHead:
    first, second = map(Path, places)
    values = [values_on_test(study, selection) for study in studies]
    groups = [{group.name: group for group in study.groups} for study in studies]
    have = [{(name, method) for name, group in of.items() for method in group.by_method} for of in groups]
    common = have[0] & have[1]
    if not common:
        raise ValueError(f"{first} and {second} have no method on one data set in common")
    judged = []
    for dataset in sorted({dataset for dataset, _ in common}):
        pairs = []
        for method in sorted(method for of, method in common if of == dataset):
            one, two = (
                _Side(f"{method} in {path}", of[dataset].by_method[method], known)
                for path, of, known in zip((first, second), groups, values, strict=True)
            )
            pairs.append((one, two))
        judged.append(_judge([of[dataset] for of in groups], (str(first), str(second)), pairs, margins))
    alone = [
        f"Only in {path}: {', '.join(f'{method} on {dataset}' for dataset, method in sorted(own - common))}."
        for path, own in zip((first, second), have, strict=True)
        if own - common
    ]
    lost = bool(have[1] - have[0]) or any(of.lost for of in judged)
    return HeadToHead(tuple(judged), (*alone, *(told for study in studies for told in study.passed_over)), lost)


def _judge(
    groups: Sequence[Group],
    names: tuple[str, str],
    sides: Iterable[tuple[_Side, _Side]],
    margins: Mapping[str, Margin],
    among: tuple[Values, Terms] | None = None,
) -> Judged:
    asked: list[Comparison] = []
    methods: dict[str, str] = {}
    notes, lost = [], False
    looks = max(1, *(len(group.looks) for group in groups))
    paired = among is None or among[1]["paired"]
    for one, two in sides:
        methods[one.name] = one.runs[0].method
        common = one.finished & two.finished
        used, alone = common if paired else one.finished | two.finished, len(one.finished ^ two.finished)
        if common and alone and paired:
            runs = "run has" if alone == 1 else "runs have"
            notes.append(f"{one.name}, {two.name}: {alone} {runs} no counterpart with the same data and seed.")
        stopped = [side.stopped for side in (one, two) if side.stopped is not None]
        for endpoint in endpoints(groups[0], margins):
            key = (endpoint.task, endpoint.metric)
            found = {s.name: {pair: v for pair, v in s.of(endpoint).items() if pair in used} for s in (one, two)}
            undefined = unranked(endpoint.metric, found, {}, common)
            reasons = stopped or [f"{name}: {reason}" for name, reason in undefined.items()]
            rows = replicates({key: found})[key]
            asked.append(
                Comparison.of(
                    endpoint, one.name, rows[one.name], two.name, rows[two.name], excluded="; ".join(reasons) or None,
                    withheld=bool(undefined) and not stopped,
                    contrast=_unpaired(one, two, key[1], among[0].get(key, {}), among[1]) if among is not None else None,
                    test_train_ratio=max(map(families.resampling, groups)),
                )
            )  # fmt: skip
        lost = lost or bool(two.finished - one.finished)
    return Judged(
        groups[0].name, names, methods, (judge(asked, looks=looks),), headlines(groups[0]), tuple(notes), lost
    )


def headlines(group: Group) -> dict[str, str]:
    """The headline metric of every task with its unit: `AUC`, `MSE [seconds²]`."""
    return {TASKS: "%", **{task.name: label(metrics.headline_name(task), task) for task in group.tasks}}


def study_of(results: str | Path | Sequence[Record], *, skip_broken: bool = False) -> Study:
    """The records of a folder, or the given ones, grouped and named as in the report.

    Raises:
        FileNotFoundError: if there is no such folder.
        BrokenRecords: if records of the folder are broken, unless `skip_broken`.
        ValueError: if there are no records.
    """
    if isinstance(results, (str, Path)):
        return _studies(results, skip_broken=skip_broken)[0]
    return _study(results, None)


def _study(records: Sequence[Record], folder: str | Path | None) -> Study:
    if not records:
        raise ValueError("records: expected at least one, found none" if folder is None else no_records(folder))
    return Study.of(records, apart=False)


def _table(judged: Judged) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    one = len(judged.methods) == 1
    for title in ("task",) if one else ("method", "task"):
        table.add_column(title, overflow="fold")
    table.add_column("metric")
    for title in ("seeds", "difference [95 %]", "adjusted\np"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for of in judged.methods.values():
        if not one and _identical(of):
            continue
        for number, c in enumerate(of):
            name = [] if one else [judged.names[c.method] if number == 0 else ""]
            within = ", within the margin" if c.verdict in FIRM and c.within_margin else ""
            cells = [
                *name,
                c.task,
                "gain" if c.metric == GAIN else metrics.METRICS[c.metric].title,
                str(c.n),
                _size(c),
                _p(c),
            ]
            verdict = Text(SHOWN[c.verdict] + within, style=STYLES.get(c.verdict, ""))
            table.add_row(*map(_cell, cells), verdict, end_section=not one and c is of[-1])
    return table


def _cell(text: str) -> Text:
    from rich.text import Text

    return Text(one_line(text, LONGEST_CELL))


def _identical(comparisons: Sequence[Comparison]) -> bool:
    return all(c.verdict is Verdict.IDENTICAL for c in comparisons)


def _size(comparison: Comparison) -> str:
    if comparison.difference is None:
        return ABSENT
    return "0" if comparison.is_identical else bracketed(comparison.difference, places(comparison), sign="+")


def _p(comparison: Comparison) -> str:
    p = comparison.p_of_verdict
    return ABSENT if p is None else p_number(p)


def _reading(judged: Judged) -> Iterator[str]:
    paired = all(c.contrast is None for c in judged.comparisons)
    how = (
        "paired by data and seed; intervals are Student's"
        if paired
        else "of means over seeds, not paired; from four methods on, spreads are estimated over all methods together"
    )
    tests = judged.families[-1].tests
    text = f"Differences are first minus second, {how}."
    if not tests:
        yield text
        return
    adjusted = f"adjusted for {tests} tests (Holm)" if tests > 1 else "from the only test, so not adjusted"
    yield (
        f"{text} Intervals are for one comparison and not adjusted; the p of tasks is {adjusted}. Equivalent: two "
        "one-sided tests place the difference inside the margin; their p is adjusted in the same way. This p is for a pair "
        "chosen in advance. If you picked the pair from a report, quote the report's p, which is adjusted for all its methods."
    )
    if len(judged.families) > 1:
        yield (
            f"Gain over tasks: mean improvement of the first over the second, in per cent of what {judged.sides[1]} has learnt "
            "beyond the constant predictor; tested on its own."
        )
