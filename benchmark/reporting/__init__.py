"""Reports: a pure function of records, to the terminal, HTML, Markdown and CSV. Imports no torch.

records -> Study (names, groups) -> long table -> estimates -> Document (text in cells) -> what draws it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import polars as pl

from benchmark.record import Record, load_records
from benchmark.reporting import provenance, tables
from benchmark.reporting.layout import Document, Section
from benchmark.reporting.results import Results
from benchmark.reporting.sections import section
from benchmark.reporting.statistics import FEWEST
from benchmark.reporting.study import Study, find_baseline
from benchmark.reporting.tables import Selection

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Report", "report"]

OTHER: dict[Selection, Selection] = {"joint": "per_task", "per_task": "joint"}


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A comparison of methods. Prints itself; in a notebook, `Report.html()` is the whole page.

    Args:
        table: The long table: one row a run, selection, split, task and metric.
        summary: One row a data set, task, metric and method, on test under `selection`: the mean with its 95 % t
            interval, and the paired difference to the baseline with its own; null below three seeds or pairs.
        selection: joint or per_task.
        document: The same as text in cells, which every output draws.
        study: The records behind it.
        files: What was written, and where.
    """

    table: pl.DataFrame
    summary: pl.DataFrame
    selection: Selection
    document: Document
    study: Study
    files: tuple[Path, ...] = ()

    def print(self, console: Console | None = None) -> None:
        """Prints the tables to the terminal; into a file or a pipe as `str` gives them."""
        from rich.console import Console

        console = console or Console()
        if console.is_terminal or console.record:
            console.print(self)
        else:
            console.file.write(f"{self}\n")

    def html(self) -> str:
        """One self-contained page: tables, figures, and how it was made."""
        from benchmark.reporting.html import render

        return render(self)

    def markdown(self) -> str:
        """The tables as Markdown."""
        from benchmark.reporting.markdown import render

        return render(self.document)

    def csv(self) -> str:
        """`summary` as CSV; text that a spreadsheet would take for a formula begins with an apostrophe."""
        formula = pl.col(pl.String).str.contains(r"^[=+\-@\t\r]")
        text = pl.col(pl.String)
        return self.summary.with_columns(pl.when(formula).then("'" + text).otherwise(text).name.keep()).write_csv()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from benchmark.reporting.terminal import render

        yield from render(self.document, options.max_width)
        for path in self.files:
            yield f"written: {path}"

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=100, no_color=True, force_terminal=False, _environ={})
        with console.capture() as capture:
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    def __repr__(self) -> str:
        return f"<Report: {self.document.lines[0]}>"


def report(
    records: str | Path | Sequence[Record] = "results/runs",
    *,
    baseline: str = "single_task/equal",
    selection: Selection = "joint",
    html: str | Path | None = None,
    markdown: str | Path | None = None,
    csv: str | Path | None = None,
    purpose: str = "default",
) -> Report:
    """Compares the methods of some records, head to head.

    Args:
        records: A folder of records, or the records themselves.
        baseline: The method that others are compared to, `architecture/weighting` or a full name of the report.
        selection: `joint`, one epoch for all tasks, or `per_task`, each task's own best; for all methods alike.
        html: Where to write the page.
        markdown: Where to write the tables as Markdown.
        csv: Where to write `Report.summary` as CSV.
        purpose: Which records: default, trial or tuned. They are never mixed.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if there are no records of this purpose, or the selection is unknown.
    """
    if selection not in get_args(Selection):
        raise ValueError(f"selection must be one of {', '.join(get_args(Selection))}, found {selection!r}")
    made = _make(Study.of(_load(records), purpose), baseline, selection)
    texts = [(html, made.html), (markdown, made.markdown), (csv, made.csv)]
    written = []
    for target, text in texts:
        if target is not None:
            path = Path(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8")
            written.append(path)
    return Report(made.table, made.summary, selection, made.document, made.study, tuple(written))


def _load(records: str | Path | Sequence[Record]) -> Sequence[Record]:
    if not isinstance(records, (str, Path)):
        if not records:
            raise ValueError("records is empty: a report needs at least one record")
        return records
    hint = "; `mtlbench run dataset=shop architecture=single_task,mmoe seed='range(0,5)'` makes some"
    try:
        loaded = load_records(records)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{hint}") from None
    if not loaded:
        raise ValueError(f"no records under {records}{hint}")
    return loaded


def _make(study: Study, wanted: str, selection: Selection) -> Report:
    table = tables.long_table(study)
    chosen = tables.values_on_test(table, selection)
    other = tables.values_on_test(table, OTHER[selection])
    baselines = {group.name: find_baseline(group, wanted) for group in study.groups}
    estimated = {name: tables.estimates(values, baselines[name]) for name, values in chosen.items()}
    sections = []
    for group in study.groups:
        baseline, values = baselines[group.name], chosen.get(group.name, {})
        results = Results(
            group, selection, baseline, wanted,
            estimates=estimated.get(group.name, {}),
            other=tables.estimates(other.get(group.name, {}), None),
            gains=tables.gains(values, group.tasks, baseline),
        )  # fmt: skip
        made = section(results)
        facts = provenance.dataset_facts(group)
        sections.append(Section(made.name, facts, made.tables, made.notes, made.trouble))
    document = Document(
        title="Head-to-head report",
        lines=_headline(study, selection),
        sections=tuple(sections),
        notes=_reading(study),
        provenance=provenance.provenance(study, selection),
        configurations=provenance.configurations(study),
        commands=provenance.commands(study),
    )
    return Report(table, tables.summary_table(study.groups, estimated, baselines), selection, document, study)


def _headline(study: Study, selection: Selection) -> tuple[str, ...]:
    runs = study.runs
    by_status = {s: sum(run.record.status == s for run in runs) for s in ("finished", "diverged", "failed")}
    status = ", ".join(f"{number} {name}" for name, number in by_status.items() if number)
    first = (
        f"{_plural(len(runs), 'run')} ({status}) of {_plural(len(study.methods), 'method')} on "
        f"{_plural(len(study.groups), 'data set')}; purpose {study.purpose}"
    )
    return (
        first,
        f"Selection {selection}: {provenance.SELECTIONS[selection]}, chosen on validation; all metrics are on test.",
    )


def _reading(study: Study) -> tuple[str, ...]:
    notes = [
        (
            "a ± b is a mean over seeds and the half-width of its 95 % t interval; Δ is the mean of paired differences "
            "(same data, same seed) with its 95 % t interval. Intervals are not adjusted for the number of "
            f"comparisons. Below {FEWEST} seeds or pairs no interval is given."
        ),
        (
            "Bold is the best mean of a column among methods that finished every seed; it says nothing about the "
            "others' distance. Seconds of training are medians over seeds."
        ),
    ]
    if study.left_out:
        others = ", ".join(f"{number} of purpose {name}" for name, number in study.left_out.items())
        notes.append(f"Left out: {others}.")
    if study.repeated:
        records = _plural(study.repeated, "record")
        notes.append(
            f"{records} left out because another has the same data, method and seed: a finished one, or the last read."
        )
    return tuple(notes)


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
