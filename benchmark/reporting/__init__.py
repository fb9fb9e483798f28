"""Reports: a pure function of records, to the terminal, HTML, Markdown, LaTeX, CSV and Parquet. Imports no torch.

records -> Study (names, groups) -> long table -> Results (estimates, verdicts) -> Document (text in cells) -> output.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import polars as pl

from benchmark.analysis import families, gain
from benchmark.analysis import values as tables
from benchmark.analysis.answer import Answer
from benchmark.analysis.bencheval import bencheval_table
from benchmark.analysis.estimates import estimates
from benchmark.analysis.leaderboard import Leaderboard, leaderboards
from benchmark.analysis.lines import reference_lines
from benchmark.analysis.lookup import find_baseline, require_baseline
from benchmark.analysis.question import Question, answered
from benchmark.analysis.results import Results
from benchmark.analysis.rows import row_errors
from benchmark.analysis.study import Study
from benchmark.analysis.summary import summary
from benchmark.files import no_garbage_collection, written_whole
from benchmark.kinds import check_headlines
from benchmark.records.card import Card, read_cards
from benchmark.records.folder import Contents, settle
from benchmark.records.packed import SUFFIX as SUFFIX_OF_PACKED
from benchmark.records.predictions import SUFFIX
from benchmark.records.record import (
    BASELINE,
    GAIN,
    RESULTS_DIR,
    TRIAL,
    Purpose,
    Record,
    SelectionName,
    is_one,
    load_record,
    no_records,
    read_records,
)
from benchmark.records.reference import ReferenceRecord, read_references
from benchmark.reporting.chapters import document as chapters
from benchmark.reporting.layout import Document, Sentences
from benchmark.reporting.leaderboard import leaderboard as board_chapter
from benchmark.reporting.names import print_names
from benchmark.reporting.paper import Paper, paper_table
from benchmark.reporting.ranks import ranking
from benchmark.statistics import Margin, Ranking

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from benchmark.reporting.figures import Figure
    from benchmark.reporting.figures.paper import Width

__all__ = ["Margin", "Paper", "Report", "report"]

Records: TypeAlias = str | Path | Sequence[str | Path] | Sequence[Record]
"""Where the records are: a folder, or several; or the records themselves."""

OTHER: dict[SelectionName, SelectionName] = {"joint": "per_task", "per_task": "joint"}


@dataclass(frozen=True, slots=True, repr=False)
class Report(Answer):
    """A comparison of methods. It prints itself; in a notebook, `Report.html()` is the whole page.

    Args:
        summary: One row per data set, task, metric and method, on test under `selection`: the mean and the difference
            to the baseline, with 95 % t intervals. Headline metrics also have the verdict and its adjusted p. Values
            are null below three seeds. References follow the methods, as `reference/gbdt`; the gain over tasks and the
            declared contrasts are the last rows.
        selection: joint or per_task.
        document: The same as text in cells, for the outputs to draw.
        study: The records behind it.
        results: The numbers, one object per data set.
        ranking: The ranking of methods over all tasks, if they can be ranked.
        leaderboards: The leaderboards over all data sets: tuned methods, and methods with default parameters.
        profiles: Whether the page has their performance profiles.
        files: The files written, by kind.
        folder: The records' folder, for the commands that the page copies.
    """

    summary: pl.DataFrame
    selection: SelectionName
    document: Document
    study: Study
    results: tuple[Results, ...]
    ranking: Ranking | None = None
    leaderboards: tuple[Leaderboard, ...] = ()
    profiles: bool = False
    files: tuple[Path, ...] = ()
    folder: str = RESULTS_DIR

    @property
    def table(self) -> pl.DataFrame:
        """The long table: one row per run, selection, split, task and metric."""
        return tables.long_table(self.study)

    def html(self) -> str:
        """One self-contained page: tables, figures, and how it was made."""
        from benchmark.reporting.outputs.html import render

        boards = self.leaderboards if self.profiles else ()
        return render(
            self.document, self.results, self.ranking, self.summary, self.study.methods, boards, folder=self.folder
        )

    @property
    def answer(self) -> str:
        """The answer in words, one sentence per line; with several data sets, under the name of each."""
        parts = [part for chapter in self.document.chapters if chapter.anchor == "answer" for part in chapter.parts]
        lines = []
        for part in parts:
            lines += [f"{part.name}:"] if self.document.has_parts and part.name else []
            lines += [s.text for block in part.blocks if isinstance(block, Sentences) for s in block.items]
        return "\n".join(lines)

    def markdown(self) -> str:
        """The tables as Markdown."""
        from benchmark.reporting.outputs.markdown import render

        return render(self.document)

    def latex(self, paper: Paper | None = None) -> dict[str, str]:
        """The tables as LaTeX for booktabs, by file name: every table of the report, and `paper.tex`, one over all data sets.

        Raises:
            ValueError: if `paper` has a column or a name that is not in these records.
        """
        from benchmark.reporting.outputs import latex, latex_paper

        paper = paper or Paper()
        names = print_names(self.results, paper.names)
        tables = latex.render(self.document, names, notes=paper.notes)
        one = latex_paper.render(paper_table(self.results, paper), notes=paper.notes)
        return {**tables, latex_paper.FILE: one}

    def figure(
        self,
        name: str,
        out: str | Path,
        *,
        dataset: str | None = None,
        width: Width = "page",
        names: Mapping[str, str] | None = None,
    ) -> Figure:
        """Writes a figure for a paper, and returns it, with its caption.

        Args:
            name: `forest`, or the anchor of another chapter of the page that has a figure.
            out: Where to write it; .pdf, .svg or .png.
            dataset: The data set to draw; needed if there are several.
            width: `page`, 6.9 inches, or `column`, 3.3.
            names: Print names of methods, architectures, weightings and tasks, as `print_names` takes them.

        Raises:
            ValueError: if an argument is unknown, or the records do not allow the figure.
        """
        from benchmark.reporting.figures import paper

        suffix = paper.check_format(out)
        printed = print_names(self.results, names or {})
        figure = paper.paper_figure(
            name, self.results, self.ranking, self.study.methods, dataset=dataset, width=width, names=printed
        )
        _written(Path(out), lambda file: paper.write(figure, file, suffix))
        return figure

    def csv(self) -> str:
        """`summary` as CSV. Text that a spreadsheet would read as a formula begins with an apostrophe."""
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
    records: Records = RESULTS_DIR,
    *,
    baseline: str = BASELINE,
    selection: SelectionName = "joint",
    purpose: Purpose = "all",
    margins: Mapping[str, Margin] | None = None,
    references: Sequence[ReferenceRecord] | None = None,
    leaderboard: bool = False,
    profiles: bool = False,
    iqm: bool = False,
    skip_broken: bool = False,
    html: str | Path | None = None,
    markdown: str | Path | None = None,
    latex: str | Path | None = None,
    paper: Paper | None = None,
    csv: str | Path | None = None,
    parquet: str | Path | None = None,
) -> Report:
    """Compares the methods of some records, head to head.

    Args:
        records: A folder of records or a packed file of them (`records.jsonl.zst`), several of those, or the records
            themselves.
        baseline: The method that others are compared to, `architecture/weighting` or a full name from the report. If it
            was also tuned, this means the tuned one; `purpose` can choose otherwise.
        selection: `joint`, one epoch for all tasks, or `per_task`, each task's own best; the same for all methods.
        purpose: Which runs: `default` parameters, `tuned` parameters, or `all`: both, each compared among themselves.
            Trials appear only in the ledger of tuned runs.
        margins: Differences up to this size count as equivalent, by headline metric (`auc`, `mse`) or for the gain over
            tasks (`gain`). The defaults are those of the kinds of task, and 0.5 % for the gain.
        references: References to compare with; by default those in the folders.
        leaderboard: Whether to show only the leaderboard over data sets; Parquet is then in bencheval's layout.
        profiles: Whether the page has performance profiles: the share of data sets and runs with a gain above each value.
        iqm: Whether leaderboards use the interquartile mean over data sets instead of the mean.
        skip_broken: Whether to continue without broken records; the report then says which.
        html: Where to write the page.
        markdown: Where to write the tables as Markdown.
        latex: A folder for the tables as LaTeX, one file each, and `paper.tex`, one table over all data sets.
        paper: How the LaTeX tables are made: columns, names, notes.
        csv: Where to write `Report.summary` as CSV.
        parquet: Where to write the long table, `Report.table`; with `leaderboard`, the table of
            `benchmark.analysis.bencheval`.

    Raises:
        FileNotFoundError: if a folder does not exist.
        BrokenRecords: if records are broken, with all of them.
        ValueError: if there are no records of this purpose, no data set has the baseline, or an option is unknown.
    """
    if selection not in get_args(SelectionName):
        raise ValueError(f"selection must be one of {', '.join(get_args(SelectionName))}, found {selection!r}")
    if paper is not None and latex is None:
        raise ValueError("paper is about LaTeX tables: expected latex, the folder to write them to, found None")
    margins = margins or {}
    check_headlines(margins.keys() - {GAIN})
    gain.endpoint(margins)  # refuses a wrong margin
    places, given = _places(records)
    folders = [folder for place in places if (folder := _folder(place)) is not None]
    found = _Read.of(places, folders, with_references=references is None)
    passed_over = settle(found.every, skip_broken=skip_broken)
    loaded = found.records() if places else given
    if not loaded:
        raise ValueError("records is empty: a report needs at least one record")
    if references is None:
        references = found.references()
    study = replace(Study.of(loaded, purpose), passed_over=passed_over)
    if baseline != BASELINE:  # without the usual one, a report is a list of values
        require_baseline(study, baseline)
    made = _make(study, baseline, selection, margins, references, folders, found.cards(), iqm=iqm)
    made = replace(made, profiles=profiles, folder=_common(places))
    if leaderboard:
        made = replace(made, document=replace(made.document, chapters=(board_chapter(made.leaderboards),)))
    files = []
    for target, text in ((html, made.html), (markdown, made.markdown), (csv, made.csv)):
        if target is not None:
            files.append(_written(Path(target), partial(_write_text, text())))
    if latex is not None:
        for name, tex in made.latex(paper).items():
            _written(Path(latex, name), partial(_write_text, tex))
        files.append(Path(latex))
    if parquet is not None:
        table = bencheval_table(made.results) if leaderboard else made.table
        files.append(_written(Path(parquet), table.write_parquet))
    return replace(made, files=tuple(files))


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    with written_whole(path) as file:
        write(file)
    return path


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _places(records: Records) -> tuple[list[Path], Sequence[Record]]:
    """The folders or files given, or else the records."""
    if isinstance(records, (str, Path)):
        return [Path(records)], ()
    places = [Path(one) for one in records if not isinstance(one, Record)]
    found = [one for one in records if isinstance(one, Record)]
    if places and found:
        raise ValueError(f"records must be folders or records, found both: {places[0]} and the record {found[0].id}")
    return places, found


@dataclass(frozen=True, slots=True)
class _Read:
    """All that was read for a report, by place, and for cards by folder."""

    runs: Mapping[Path, Contents[Record]]
    lines: Sequence[Contents[ReferenceRecord]]
    of_data: Sequence[Contents[Card]]

    @classmethod
    def of(cls, places: Sequence[Path], folders: Sequence[Path], *, with_references: bool) -> _Read:
        runs = {
            place: Contents({place: load_record(place)}) if is_one(place) else read_records(place) for place in places
        }
        lines = [read_references(place) for place in places if with_references]
        return cls(runs, lines, [read_cards(folder) for folder in folders])

    @property
    def every(self) -> list[Contents[Any]]:
        return [*self.runs.values(), *self.lines, *self.of_data]

    def records(self) -> list[Record]:
        """The records of all places. A trial that is in several places counts once; `Study` removes other duplicates."""
        loaded: list[Record] = []
        trials: set[str] = set()
        for place, found in self.runs.items():
            own = list(found.values.values())
            if not own:
                raise ValueError(no_records(place))
            loaded += [record for record in own if record.purpose != TRIAL or record.id not in trials]
            trials |= {record.id for record in own if record.purpose == TRIAL}
        return loaded

    def references(self) -> list[ReferenceRecord]:
        """The reference lines of all places, each once."""
        return list({record.id: record for found in self.lines for record in found.values.values()}.values())

    def cards(self) -> dict[str, Card]:
        """{key: card}."""
        return {card.key: card for found in self.of_data for card in found.values.values()}


def _common(places: Sequence[Path]) -> str:
    """The folder that contains all of them, as `mtlbench show` takes it."""
    if len(places) < 2:
        return str(places[0]) if places else RESULTS_DIR
    return os.path.relpath(os.path.commonpath([place.absolute() for place in places]))


def _folder(records: Path) -> Path | None:
    """Where to look for predictions, if this is a folder of records or a packed file."""
    if records.is_dir():
        return records
    return records.parent if records.name.endswith(SUFFIX_OF_PACKED) else None


def _make(
    study: Study,
    wanted: str,
    selection: SelectionName,
    margins: Mapping[str, Margin],
    references: Sequence[ReferenceRecord],
    folders: Sequence[Path],
    cards: Mapping[str, Card],
    *,
    iqm: bool = False,
) -> Report:
    chosen = tables.values_on_test(study, selection)
    other = tables.values_on_test(study, OTHER[selection])
    results = []
    has_predictions = any(next(folder.rglob(f"*{SUFFIX}"), None) is not None for folder in folders)
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
                scores=scores,
                question=question,
                answers=judged,
                rows=row_errors(group, folders, baseline, selection, scores.scales) if has_predictions and baseline else {},
                lines=lines,
                against_lines={
                    key: families.against_line(group, values, key, line, margins)
                    for key, line in lines.items()
                    if line.values
                },
                values=found,
            )
        )  # fmt: skip
    ranks = ranking(results)
    boards = leaderboards(results, iqm=iqm)
    return Report(
        summary(results),
        selection,
        chapters(study, results, selection, ranks, references, boards, cards),
        study,
        tuple(results),
        ranks,
        boards,
    )
