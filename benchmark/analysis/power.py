"""`mtlbench power`: what more seeds would show, from the spread between seeds so far. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_high
from typing import TYPE_CHECKING

import polars as pl
from scipy.special import chdtri

from benchmark.analysis.answer import Answer
from benchmark.analysis.compare import headlines, study_of
from benchmark.analysis.families import compared, terms
from benchmark.analysis.gain import endpoint, scores
from benchmark.analysis.lookup import find_baseline, require
from benchmark.analysis.question import Question, answered
from benchmark.analysis.study import Group
from benchmark.analysis.values import Values, values_on_test
from benchmark.kinds import check_headlines
from benchmark.records.record import BASELINE, GAIN, RESULTS_DIR, Record, SelectionName
from benchmark.statistics import Comparison, Margin
from benchmark.statistics.intervals import FEWEST
from benchmark.statistics.planning import MOST, POWER
from benchmark.statistics.wording import two_digits
from benchmark.text import ABSENT, LONGEST_CELL, number, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

SEEDS = (3, 5, 10, 20)
"""Numbers of seeds for which to show the detectable difference."""


@dataclass(frozen=True, slots=True)
class Spreads:
    """The comparisons of one data set with its baseline, used for their spread.

    Args:
        dataset: Its name.
        baseline: The method that the others are compared to.
        comparisons: By task, judged together, so that each knows the size of the family.
        labels: {task: metric with its unit}.
    """

    dataset: str
    baseline: str
    comparisons: tuple[Comparison, ...]
    labels: dict[str, str]


@dataclass(frozen=True)
class SeedPlan(Answer):
    """The result of `power`. It prints itself.

    Args:
        spreads: One per data set, in order of name.
        notes: What is left out.
    """

    spreads: tuple[Spreads, ...]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> pl.DataFrame:
        """One row per comparison: `detectable_S` with S seeds, and the `seeds` that find `difference`; null if unknown."""
        columns: dict[str, type[pl.DataType]] = {
            "dataset": pl.String, "task": pl.String, "metric": pl.String, "method": pl.String, "baseline": pl.String,
            "seeds_so_far": pl.Int64, "tests": pl.Int64, "sd": pl.Float64,
            **{f"detectable_{seeds}": pl.Float64 for seeds in SEEDS}, "difference": pl.Float64, "seeds": pl.Int64,
        }  # fmt: skip
        rows = [
            (
                spreads.dataset, c.task, c.metric, c.method, c.baseline, c.n, c.tests, c.sd,
                *(c.detectable(seeds) for seeds in SEEDS), c.margin, c.seeds_needed(),
            )
            for spreads in self.spreads
            for c in spreads.comparisons
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=columns, orient="row")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for spreads in self.spreads:
            for task, name in spreads.labels.items():
                of = [c for c in spreads.comparisons if c.task == task]
                if not of:
                    continue
                yield Text(_answer(spreads, task, name), style="bold")
                yield _table(of)
            for line in _reading(spreads):
                yield Text(line)
            yield Text()
        for note in self.notes:
            yield Text(note)


def power(
    results: str | Path | Sequence[Record] = RESULTS_DIR,
    *,
    baseline: str = BASELINE,
    differences: Mapping[str, Margin] | None = None,
    selection: SelectionName = "joint",
    skip_broken: bool = False,
) -> SeedPlan:
    """Which differences from the baseline 3, 5, 10 and 20 seeds find, and how many seeds a given difference needs.

    With 80 % power, by the test used in reports, at the level for the family of all methods and tasks of a data set.

    Args:
        results: Folder of records, or the records.
        baseline: The method that the others are compared to.
        differences: The differences to find, by headline metric (`auc`, `mse`) or for the gain over tasks (`gain`). The
            defaults are the margins.
        selection: The epoch that is compared: one for all tasks, or each task's best.
        skip_broken: Whether to continue without broken records; a note then says which.

    Raises:
        FileNotFoundError: if there is no folder `results`.
        BrokenRecords: if records are broken, with all of them.
        ValueError: for an unknown metric, with the known ones, or if no data set has the baseline and another method in
            three runs.
    """
    differences = differences or {}
    check_headlines(differences.keys() - {GAIN})
    endpoint(differences)  # refuses a wrong margin
    study = study_of(results, skip_broken=skip_broken)
    require(study, baseline, what="baseline")
    values = values_on_test(study, selection)
    spreads, notes = [], []
    for group in study.groups:
        name = find_baseline(group, baseline)
        if name is None:
            notes.append(f"{group.name}: left out, as it has no {baseline}.")
            continue
        found = _spreads(group, name, values.get(group.name, {}), differences)
        if any(c.n >= FEWEST for c in found.comparisons):
            spreads.append(found)
        else:
            notes.append(f"{group.name}: left out, as no method has {FEWEST} runs, as {name} has.")
    if not spreads:
        raise ValueError(f"no spread to plan by: {' '.join(notes)}")
    return SeedPlan(tuple(spreads), (*notes, *study.passed_over))


def _spreads(group: Group, baseline: str, values: Values, differences: Mapping[str, Margin]) -> Spreads:
    averaged = compared(group, values)
    asked = group, Question.of(group), averaged, scores(group, averaged, baseline), baseline, differences
    found = answered(*asked, terms(group, averaged))
    return Spreads(
        group.name,
        baseline,
        tuple(c for family in (found.primary, found.tasks) if family is not None for c in family.comparisons),
        headlines(group),
    )


def _answer(spreads: Spreads, task: str, name: str) -> str:
    of = [c for c in spreads.comparisons if c.task == task and c.n >= FEWEST and c.sd]
    if not of:
        return f"{spreads.dataset}, {task}: no method's difference from {spreads.baseline} varies between three seeds."
    needed = [c.seeds_needed() or math.inf for c in of]
    difference = f"{number(of[0].margin, two_digits(of[0].margin))} {name}"
    if len(of) == 1 or math.isinf(min(needed)):
        many = _seeds(min(needed))
    else:
        many = f"{_seeds(min(needed))} in the steadiest method, {_seeds(median_high(needed))} in the median one and "
        many += f"{_seeds(max(needed))} in the least steady"
    return f"{spreads.dataset}, {task}: to find a difference of {difference} from {spreads.baseline} takes {many}."


def _seeds(number: float) -> str:
    return f"more than {MOST:,} seeds" if math.isinf(number) else f"{number:,.0f} seeds"


def _table(comparisons: Sequence[Comparison]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("method", overflow="fold")
    for title in ("seeds", "sd", *(f"{seeds} seeds\nshow" for seeds in SEEDS), "seeds\nneeded"):
        table.add_column(title, justify="right")
    shown = [c.sd if c.n >= FEWEST else None for c in comparisons]
    known = [size for size in shown if size]
    of = two_digits(median_high(known)) if known else 4
    for c, sd in zip(comparisons, shown, strict=True):
        sizes = [number(size, of) for size in (sd, *map(c.detectable, SEEDS))]
        seeds = c.seeds_needed()
        table.add_row(
            *map(Text, (one_line(c.method, LONGEST_CELL), str(c.n), *sizes, ABSENT if seeds is None else f"{seeds:,}"))
        )
    return table


def _reading(spreads: Spreads) -> tuple[str, str]:
    seeds = [c.n for c in spreads.comparisons if c.n >= FEWEST]
    few, tests, looks = min(seeds), spreads.comparisons[-1].tests, spreads.comparisons[-1].looks
    low, high = (math.sqrt((few - 1) / float(chdtri(few - 1, tail))) for tail in (0.025, 0.975))
    found = (
        "sd is the standard deviation of the difference of two runs. Shown or found means a verdict of better or "
        f"worse with {100 * POWER:.0f} % power, by the test of reports at the level {0.05 / looks:g} / m, for a family of m tests "
        f"(here {tests}). Holm's steps only add power."
    )
    known = (
        f"An sd of {few} runs is itself known to a factor of {low:.1f} to {high:.1f} (95 %), and the number of "
        "seeds to its square: read them as orders of magnitude."
    )
    return found, known
