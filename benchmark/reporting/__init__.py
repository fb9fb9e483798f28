"""Reports: a pure function of records, to the terminal, HTML, Markdown, LaTeX, CSV and Parquet. Imports no torch.

records -> Study (names, groups) -> long table -> Results (estimates, verdicts) -> Document (text in cells) -> output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import polars as pl

from benchmark.analysis import families, gain
from benchmark.analysis import values as tables
from benchmark.analysis.answer import Answer
from benchmark.analysis.estimates import estimates
from benchmark.analysis.lines import reference_lines
from benchmark.analysis.question import Question, answered
from benchmark.analysis.results import Results
from benchmark.analysis.rows import row_errors
from benchmark.analysis.study import Study, find_baseline
from benchmark.analysis.summary import summary
from benchmark.files import no_garbage_collection, written_whole
from benchmark.kinds import check_headlines
from benchmark.records.packed import SUFFIX as SUFFIX_OF_PACKED
from benchmark.records.predictions import SUFFIX
from benchmark.records.record import BASELINE, GAIN, RESULTS_DIR, Purpose, Record, SelectionName, load_records
from benchmark.records.reference import ReferenceRecord, load_references
from benchmark.reporting.chapters import document as chapters
from benchmark.reporting.layout import Document
from benchmark.reporting.ranks import ranking
from benchmark.statistics import Margin, Ranking

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Margin", "Report", "report"]

OTHER: dict[SelectionName, SelectionName] = {"joint": "per_task", "per_task": "joint"}


@dataclass(frozen=True, slots=True, repr=False)
class Report(Answer):
    """A comparison of methods. Prints itself; in a notebook, `Report.html()` is the whole page.

    Args:
        summary: One row a data set, task, metric and method, on test under `selection`: the mean with its 95 % t
            interval, the difference to the baseline with its own, and of headline metrics the verdict with its
            adjusted p; null below three seeds. References follow the methods, as `reference/gbdt`; the gain over tasks and
            the declared contrasts are the last rows.
        selection: joint or per_task.
        document: The same as text in cells, which every output draws.
        study: The records behind it.
        results: The numbers, one a data set.
        ranking: Of the methods over all tasks, if they can be ranked.
        files: What was written, and where.
    """

    summary: pl.DataFrame
    selection: SelectionName
    document: Document
    study: Study
    results: tuple[Results, ...]
    ranking: Ranking | None = None
    files: tuple[Path, ...] = ()

    @property
    def table(self) -> pl.DataFrame:
        """The long table: one row a run, selection, split, task and metric."""
        return tables.long_table(self.study)

    def html(self) -> str:
        """One self-contained page: tables, figures, and how it was made."""
        from benchmark.reporting.outputs.html import render

        return render(self.document, self.results, self.ranking, self.summary, self.study.methods)

    def markdown(self) -> str:
        """The tables as Markdown."""
        from benchmark.reporting.outputs.markdown import render

        return render(self.document)

    def latex(self) -> dict[str, str]:
        """The tables as LaTeX for booktabs, by file name."""
        from benchmark.reporting.outputs.latex import render

        return render(self.document)

    def csv(self) -> str:
        """`summary` as CSV; text that a spreadsheet would take for a formula begins with an apostrophe."""
        formula = pl.col(pl.String).str.contains(r"^[=+\-@\t\r]")
        text = pl.col(pl.String)
        return self.summary.with_columns(pl.when(formula).then("'" + text).otherwise(text).name.keep()).write_csv()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from benchmark.reporting.outputs.terminal import render

        yield from render(self.document, options.max_width)
        for path in self.files:
            yield f"written: {path}"

    def __repr__(self) -> str:
        return f"<Report: {self.document.lines[0]}>"


@no_garbage_collection()
def report(
    records: str | Path | Sequence[Record] = RESULTS_DIR,
    *,
    baseline: str = BASELINE,
    selection: SelectionName = "joint",
    purpose: Purpose = "all",
    margins: Mapping[str, Margin] | None = None,
    references: Sequence[ReferenceRecord] | None = None,
    html: str | Path | None = None,
    markdown: str | Path | None = None,
    latex: str | Path | None = None,
    csv: str | Path | None = None,
    parquet: str | Path | None = None,
) -> Report:
    """Compares the methods of some records, head to head.

    Args:
        records: A folder of records, a packed file of them (`records.jsonl.zst`), or the records themselves.
        baseline: The method that others are compared to, `architecture/weighting` or a full name of the report. Where it
            was tuned too, the tuned one is meant: `purpose` chooses otherwise.
        selection: `joint`, one epoch for all tasks, or `per_task`, each task's own best; for all methods alike.
        purpose: Which runs: `default` parameters, `tuned` ones, or `all`: both, the tuned named `(tuned)`. Trials are
            in the ledger of tuned runs and in nothing else.
        margins: Inside which two methods are equivalent, by headline metric (`auc`, `mse`) and of the gain over tasks
            (`gain`); those left out are as the kinds of task have them, and 0.5 % for the gain.
        references: Lines to compare with; by default those of the folder.
        html: Where to write the page.
        markdown: Where to write the tables as Markdown.
        latex: A folder for the tables as LaTeX, one file each.
        csv: Where to write `Report.summary` as CSV.
        parquet: Where to write the long table, `Report.table`.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if there are no records of this purpose, or an option is unknown.
    """
    if selection not in get_args(SelectionName):
        raise ValueError(f"selection must be one of {', '.join(get_args(SelectionName))}, found {selection!r}")
    margins = margins or {}
    check_headlines(margins.keys() - {GAIN})
    gain.endpoint(margins)  # refuses a wrong margin
    loaded = _load(records)
    if references is None:
        references = _references(records)
    folder = _folder(Path(records)) if isinstance(records, (str, Path)) else None
    made = _make(Study.of(loaded, purpose), baseline, selection, margins, references, folder)
    files = []
    for target, text in ((html, made.html), (markdown, made.markdown), (csv, made.csv)):
        if target is not None:
            files.append(_written(Path(target), partial(_write_text, text())))
    if latex is not None:
        for name, tex in made.latex().items():
            _written(Path(latex, name), partial(_write_text, tex))
        files.append(Path(latex))
    if parquet is not None:
        files.append(_written(Path(parquet), made.table.write_parquet))
    return replace(made, files=tuple(files))


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    """Writes a file whole; a device, a pipe or a link, such as /dev/stdout, is written to and not replaced."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        write(path)
    else:
        with written_whole(path) as file:
            write(file)
    return path


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


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


def _folder(records: Path) -> Path | None:
    """Where predictions may lie, if these are a folder of records or a packed file."""
    if records.is_dir():
        return records
    return records.parent if records.name.endswith(SUFFIX_OF_PACKED) else None


def _references(records: str | Path | Sequence[Record]) -> Sequence[ReferenceRecord]:
    return load_references(records) if isinstance(records, (str, Path)) else ()


def _make(
    study: Study,
    wanted: str,
    selection: SelectionName,
    margins: Mapping[str, Margin],
    references: Sequence[ReferenceRecord],
    folder: Path | None,
) -> Report:
    chosen = tables.values_on_test(study, selection)
    other = tables.values_on_test(study, OTHER[selection])
    results = []
    has_predictions = folder is not None and next(folder.rglob(f"*{SUFFIX}"), None) is not None
    for group in study.groups:
        baseline, values = find_baseline(group, wanted), chosen.get(group.name, {})
        several = len(group.by_method) > 1
        lines = reference_lines(group, references)
        found, others = (families.compared(group, of) for of in (values, other.get(group.name, {})))
        terms, question = families.terms(group, found), Question.of(group)
        scores, other_scores = (gain.scores(group, of, baseline) for of in (found, others))
        judged = answered(group, question, found, scores, baseline, margins, terms) if baseline and several else None
        results.append(
            Results(
                group, selection, baseline, wanted, margins,
                estimates=estimates(found, baseline, terms),
                other=estimates(others, None, terms),
                gains=gain.gains(scores, baseline, terms, judged.primary if judged is not None else None),
                other_gains=gain.gains(other_scores, baseline, terms),
                no_gains=scores.reason,
                question=question,
                answers=judged,
                rows=row_errors(group, folder, baseline, selection, scores.scales) if folder and has_predictions and baseline else {},
                against_best=families.to_best(group, found, margins) if several else None,
                lines=lines,
                against_lines={
                    key: families.against_line(group, values, key, line, margins)
                    for key, line in lines.items()
                    if line.values
                },
            )
        )  # fmt: skip
    ranks = ranking(results)
    return Report(
        summary(results),
        selection,
        chapters(study, results, selection, ranks, references),
        study,
        tuple(results),
        ranks,
    )
