"""The table of a paper: methods by data sets and tasks, as numbers and marks for an output to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from benchmark import metrics
from benchmark.analysis.results import Results, direction, label
from benchmark.analysis.study import tuned_name
from benchmark.analysis.values import cost
from benchmark.records.record import GAIN
from benchmark.reporting.names import print_names
from benchmark.schema import Task
from benchmark.statistics import Interval, Verdict
from benchmark.text import count, in_seconds, listed, unknown

PARAMETERS, SECONDS = "parameters", "seconds"
_TUNED = tuned_name("")
_ARROWS = {1: " ↑", -1: " ↓", 0: ""}


@dataclass(frozen=True, slots=True)
class Paper:
    """How tables are made for a paper.

    Args:
        columns: The columns of the table over data sets, in order: tasks, metrics, one metric of one task
            (`click.log_loss`), `gain`, `parameters`, `seconds`. By default, the gain and the headline metric of every
            task.
        names: Print names of methods, architectures, weightings, data sets and tasks, as `print_names` takes them.
        notes: Whether to print notes and legends below the tables.
    """

    columns: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    notes: bool = True


@dataclass(frozen=True, slots=True)
class PaperCell:
    """A mean with the half-width of its interval; empty if there is no mean.

    Args:
        mean: As text.
        half_width: As text.
        best: Whether it is the best mean of its column.
        verdict: Better or worse than the baseline, by the adjusted p; else None.
    """

    mean: str = ""
    half_width: str = ""
    best: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class PaperColumn:
    """A column under its data set and its task; `head` is the metric, with an arrow to its better side, and its unit."""

    dataset: str
    task: str
    head: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A method or, if `reference`, a reference."""

    name: str
    cells: tuple[PaperCell, ...]
    reference: bool = False


@dataclass(frozen=True, slots=True)
class PaperTable:
    """The table, with one cell per row in each column."""

    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    caption: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of one data set, with functions that give the cell of a method and of a reference by key."""

    task: str
    head: str
    of: Callable[[str], PaperCell]
    of_line: Callable[[str], PaperCell] = lambda _: PaperCell()
    unit: str = ""


def paper_table(results: Sequence[Results], paper: Paper) -> PaperTable:
    """One table over all data sets: first the baseline, then the other methods by their mean gain, then references.

    Raises:
        ValueError: if a column or a name is unknown.
    """
    names = print_names(results, paper.names)
    by_word = [_words(one) for one in results]
    wanted = tuple(paper.columns)
    known = {word for words in by_word for word in words}
    for word in wanted:
        if word not in known:
            plain = [word for word in known if "." not in word]
            raise ValueError(f"{unknown('column', word, plain)}; or TASK.METRIC, such as {_example(results)}")
    chosen = []
    for one, words in zip(results, by_word, strict=True):
        default = (GAIN, *(task.name for task in one.group.tasks))
        columns = dict.fromkeys(c for word in wanted or default for c in words.get(word, ()))
        chosen.append((one, list(columns)))
    heads = tuple(
        PaperColumn(
            names.get(one.group.name, one.group.name), names.get(column.task, column.task), column.head, column.unit
        )
        for one, columns in chosen
        for column in columns
    )
    rows = []
    for row, methods in _order(results).items():
        known_here = [(cs, methods.get(number)) for number, (_, cs) in enumerate(chosen)]
        cells = [PaperCell() if method is None else c.of(method) for cs, method in known_here for c in cs]
        rows.append(PaperRow(_printed(row, methods.values(), names), tuple(cells)))
    lines = {key: line for one in results for key, line in one.lines.items()}
    for key, line in lines.items():
        cells = [c.of_line(key) if key in one.lines else PaperCell() for one, cs in chosen for c in cs]
        if any(cell.mean for cell in cells):
            rows.append(PaperRow(names.get(line.name, line.name), tuple(cells), reference=True))
    return PaperTable(heads, tuple(rows), _caption(results, rows, names), _notes(results, heads, rows, names))


def _example(results: Sequence[Results]) -> str:
    task = results[0].group.tasks[0]
    return f"{task.name}.{metrics.headline_name(task)}"


def _words(results: Results) -> dict[str, list[_Column]]:
    """The columns that each word stands for on a data set."""
    group = results.group
    words = {
        PARAMETERS: [_Column(PARAMETERS, "", lambda m: PaperCell(count(cost(group.finished[m])[0])))],
        SECONDS: [_Column("training", "seconds", lambda m: PaperCell(in_seconds(cost(group.finished[m])[2])))],
        GAIN: [_gain(results)] if results.gains else [],
    }
    for task in group.tasks:
        headline = metrics.headline_name(task)
        own = dict.fromkeys((headline, *(metric for name, metric in results.estimates if name == task.name)))
        for metric in own:
            column = _metric(results, task, metric)
            words[f"{task.name}.{metric}"] = [column]
            words.setdefault(metric, []).append(column)
            if metric == headline:
                words.setdefault(task.name, []).append(column)
    return words


def _metric(results: Results, task: Task, metric: str) -> _Column:
    places = results.places[task.name, metric]

    def of(method: str) -> PaperCell:
        is_headline = metric == metrics.headline_name(task)
        return _cell(
            results.estimate(task.name, metric, method).mean,
            lambda mean: f"{mean:z.{places}f}",
            places,
            best=results.best.get((task.name, metric)) == method,
            verdict=results.verdict(task, method) if is_headline else None,
        )

    def of_line(key: str) -> PaperCell:
        return _cell(results.lines[key].get(task.name, metric), lambda mean: f"{mean:z.{places}f}", places)

    title, bracket, unit = label(metric, task).partition(" [")
    return _Column(task.name, f"{title}{_ARROWS[direction(metric)]}", of, of_line, f"{bracket}{unit}".strip())


def _gain(results: Results) -> _Column:
    totals = {method: gain.total for method, gain in results.gains.items() if gain.total is not None}
    ranked = {method: total.mean for method, total in totals.items() if method in results.eligible}
    if results.baseline in results.eligible:
        ranked[results.baseline] = 0.0
    best = max(sorted(ranked), key=ranked.__getitem__) if len(ranked) > 1 else None

    def of(method: str) -> PaperCell:
        if method == results.baseline:
            return PaperCell("0", best=method == best)
        found = results.of_gain(method)
        return _cell(
            totals.get(method), lambda mean: f"{mean:+z.2f}", 2, best=method == best,
            verdict=found.verdict if found is not None else None,
        )  # fmt: skip

    def of_line(key: str) -> PaperCell:
        gain = None if results.lines[key].trivial else results.line_gain(results.lines[key])
        return PaperCell("" if gain is None else f"{gain:+z.2f}")

    return _Column("gain", "% ↑", of, of_line)


def _cell(
    mean: Interval | None,
    text: Callable[[float], str],
    places: int,
    *,
    best: bool = False,
    verdict: Verdict | None = None,
) -> PaperCell:
    if mean is None:
        return PaperCell()
    half = "" if mean.half_width is None else f"{mean.half_width:.{places}f}"
    firm = verdict if verdict in (Verdict.BETTER, Verdict.WORSE) else None
    return PaperCell(text(mean.mean), half, best, firm)


def _order(results: Sequence[Results]) -> dict[str, dict[int, str]]:
    """By row, the method of each data set by its number: baselines first, then the others by their mean gain.

    Tuned and default runs of one data set are treated as two data sets, one of them called tuned, so a method has one
    row.
    """
    rows: dict[str, dict[int, str]] = {}
    gains: dict[str, list[float]] = {}
    for number, one in enumerate(results):
        for method in one.by_gain:
            row = method.removesuffix(_TUNED) if one.group.name.endswith(_TUNED) else method
            rows.setdefault(row, {})[number] = method
            gain = one.gains.get(method)
            known = [gain.total.mean] if gain is not None and gain.total is not None else []
            gains.setdefault(row, []).extend([float("inf")] if method == one.baseline else known)
    return {row: rows[row] for row in sorted(rows, key=lambda row: -fmean(gains[row] or [-float("inf")]))}


def _printed(row: str, methods: Iterable[str], names: Mapping[str, str]) -> str:
    """The name of a row: its own, or else the name of its tuned method."""
    known = (names[method].removesuffix(_TUNED) for method in (row, *methods) if method in names)
    return next(known, row)


def _caption(results: Sequence[Results], rows: Sequence[PaperRow], names: Mapping[str, str]) -> str:
    numbers = sorted({len(runs) for one in results for runs in one.group.finished.values() if runs})
    seeds = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0] if numbers else 0}"
    of = listed(names.get(one.group.name, one.group.name) for one in results)
    has_intervals = any(cell.half_width for row in rows for cell in row.cells)
    what = " with the half-width of its 95 % interval" if has_intervals else ""
    return f"Test results on {of}: the mean over {seeds} {'seed' if seeds == '1' else 'seeds'}{what}."


def _notes(
    results: Sequence[Results], heads: Sequence[PaperColumn], rows: Sequence[PaperRow], names: Mapping[str, str]
) -> tuple[str, ...]:
    """What the marks of this table mean, and how its numbers were computed."""
    cells = [cell for row in rows for cell in row.cells]
    baselines = listed(
        name
        for row, methods in _order(results).items()
        if any(results[number].baseline == method for number, method in methods.items())
        for name in [_printed(row, methods.values(), names)]
    )
    notes = []
    if any(cell.best for cell in cells):
        notes.append("Bold: the best mean of a column among methods that finished every seed.")
    if any(cell.verdict is not None for cell in cells):
        notes.append(f"† better, ‡ worse than {baselines}: p < 0.05, adjusted by Holm within a family of tests.")
    if any(cell.half_width for cell in cells):
        notes.append("Intervals are not adjusted.")
    if any(head.task == "gain" for head in heads):
        notes.append(
            f"Gain: mean over tasks of the improvement over {baselines}, in per cent of the baseline's own improvement over a constant."
        )
    if any(head.head == "seconds" for head in heads):
        notes.append("Seconds of training are medians over seeds.")
    selected = {"joint": "one epoch for all tasks", "per_task": "each task's own epoch"}[results[0].selection]
    return (*notes, f"Selected on validation: {selected}.")
