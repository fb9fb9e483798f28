"""The tables of one data set: one for each task, and one with both selections side by side."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import metrics
from benchmark.analysis.lines import Line
from benchmark.analysis.results import Results, label
from benchmark.analysis.values import Estimate, median
from benchmark.kinds import KINDS
from benchmark.reporting.cells import metric_cell, seeds_cell
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.reporting.notes import task_notes
from benchmark.reporting.sentences import p_cell, verdict_cell
from benchmark.schema import Task
from benchmark.statistics.planning import POWER
from benchmark.statistics.rows import RowError
from benchmark.statistics.wording import two_digits
from benchmark.text import ABSENT, number, signed_interval, with_interval


def task_table(results: Results, task: Task) -> TextTable:
    """Methods by metrics, best first, with the difference to the baseline and its verdict."""
    group, headline = results.group, metrics.headline(task)
    shown, primary = _shown_metrics(results, task), headline.name
    columns = [
        Column("method", numeric=False),
        Column("seeds", spare=True),
        Column(primary, label(primary, task)),
        Column("validation", f"{headline.title} on validation", detail=True),
    ]
    if results.baseline is not None:
        columns.append(Column("difference", f"Δ {headline.title}"))
    has_rows = any(results.with_rows(results.comparison(task, method)) for method in group.by_method)
    if has_rows:
        columns.append(Column("with_rows", "Δ over seeds and test rows", detail=True))
    if results.family is not None:
        columns += [Column("verdict", numeric=False), Column("p", "adjusted p", detail=True)]
    columns += [Column(metric, label(metric, task), detail=True) for metric in shown]
    rows = []
    for method in results.ranked(task):
        cells = [Cell(method, method=method), seeds_cell(group, method), metric_cell(results, task, primary, method)]
        cells.append(Cell(number(results.on_validation(task, method), results.places[task.name, primary])))
        if results.baseline is not None:
            cells.append(_difference_cell(results, task, method))
        if has_rows:
            cells.append(_with_rows_cell(results, task, method))
        if results.family is not None:
            is_baseline = method == results.baseline
            comparison = results.comparison(task, method)
            cells += [Cell("") if is_baseline else verdict_cell(comparison), p_cell(comparison)]
        cells += [_secondary_cell(results, task, metric, method) for metric in shown]
        rows.append(Row(tuple(cells)))
    rows += [
        _line(results, task, key, shown, has_rows=has_rows) for key, line in results.lines.items() if _knows(line, task)
    ]
    notes = (
        *_row_notes(results, task),
        *_line_notes(results, task),
        *task_notes(results, task, shown),
    )
    return TextTable(
        f"task_{task.name}", task.name, tuple(columns), tuple(rows), subtitle=_about(results, task), notes=notes
    )


def _secondary_cell(results: Results, task: Task, metric: str, method: str) -> Cell:
    mean = results.estimate(task.name, metric, method).mean
    text = number(mean.mean if mean else None, results.places[task.name, metric])
    return Cell(text, best=results.best.get((task.name, metric)) == method)


def _difference_cell(results: Results, task: Task, method: str) -> Cell:
    if method == results.baseline:
        return Cell("baseline", value=0.0)
    places = results.places[task.name, metrics.headline_name(task)]
    return Cell(signed_interval(results.headline(task, method).difference, places))


def _with_rows_cell(results: Results, task: Task, method: str) -> Cell:
    found = results.with_rows(results.comparison(task, method))
    return Cell("" if found is None else signed_interval(found, results.places[task.name, metrics.headline_name(task)]))


def _row_notes(results: Results, task: Task) -> list[str]:
    """What the test rows leave open, and why this is unknown for some methods."""
    found = {m: e for m in results.group.by_method if (e := results.rows.get((task.name, m))) is not None}
    known = {method: error for method, error in found.items() if isinstance(error, RowError)}
    notes = []
    comparisons = [c for method in known if (c := results.comparison(task, method)) is not None]
    least = [v for c in comparisons if (v := results.least_visible(c)) is not None]
    if least:
        error = next(iter(known.values()))
        of = f"{error.rows:,} rows" + (f" of {error.clusters:,} users" if error.clusters < error.rows else "")
        size = number(max(least), two_digits(max(least)))
        notes.append(
            f"Least visible difference on these rows ({of}): {size} {label(metrics.headline_name(task), task)}, for the method "
            f"where it is largest. No number of seeds finds a smaller one with {POWER:.0%} power. Δ over seeds and test rows "
            "also covers the choice of test rows."
        )
    reasons = dict.fromkeys(error for error in found.values() if isinstance(error, str))
    return [*notes, *(f"No interval over test rows: {reason}." for reason in reasons)]


def _shown_metrics(results: Results, task: Task) -> list[str]:
    """The metrics besides the headline metric that have a column: first its conditional form, then the others."""
    primary, order = metrics.headline_name(task), metrics.shown(task)
    known = {metric for name, metric in (*results.estimates, *results.undefined) if name == task.name} - {primary}
    conditional = sorted(metric for metric in known if "|" in metric and metric.startswith(f"{primary}["))
    plain = (metric for metric in known if "|" not in metric and metric.partition("[")[0] in order)
    return conditional + sorted(plain, key=lambda metric: (order.index(metric.partition("[")[0]), metric))


def _knows(line: Line, task: Task) -> bool:
    return any(name == task.name for name, _ in line.estimates)


def _line(results: Results, task: Task, key: str, shown: Sequence[str], *, has_rows: bool) -> Row:
    line, primary = results.lines[key], metrics.headline_name(task)
    comparison = results.line_to_baseline(key, task)
    cells = [Cell(line.name), Cell("" if line.seeds is None else str(line.seeds))]
    cells += [_mean_cell(results, task, primary, line), Cell("")]
    if results.baseline is not None:
        difference = comparison.difference if comparison is not None else None
        places = results.places[task.name, primary]
        cells.append(Cell(signed_interval(difference, places) if difference is not None else ""))
    if has_rows:
        cells.append(Cell(""))
    if results.family is not None:
        cells += [verdict_cell(comparison) if comparison is not None else Cell(""), p_cell(comparison)]
    for metric in shown:
        mean = line.get(task.name, metric)
        cells.append(Cell("" if mean is None else number(mean.mean, results.places[task.name, metric])))
    return Row(tuple(cells), reference=True)


def _mean_cell(results: Results, task: Task, metric: str, line: Line) -> Cell:
    mean = line.get(task.name, metric)
    return Cell("" if mean is None else with_interval(mean, results.places[task.name, metric]))


def _line_notes(results: Results, task: Task) -> list[str]:
    return [
        f"The verdict of {results.lines[key].name} belongs to the family of all methods against it, and p is adjusted in that family."
        for key in results.lines
        if (found := results.line_to_baseline(key, task)) is not None and found.verdict is not None
    ]


def _about(results: Results, task: Task) -> str:
    rare, headline = results.rare(task), metrics.headline(task)
    better = f"{'higher' if headline.direction > 0 else 'lower'} {headline.title} is better"
    return "; ".join(part for part in (KINDS[task.kind].describe(task), rare, better, "test rows") if part)


def selection_table(results: Results) -> TextTable | None:
    """The headline metrics at the joint epoch and at each task's own, if the two differ for any method."""
    group = results.group
    joint, own = (
        (results.estimates, results.other) if results.selection == "joint" else (results.other, results.estimates)
    )
    rows, apart = [], False
    for method in results.by_gain:
        runs = group.finished[method]
        if not runs or not own:
            continue
        cells = [Cell(method, method=method), Cell(_epoch([run.record.best_epoch for run in runs]))]
        for task in group.tasks:
            metric = metrics.headline_name(task)
            pair = [side.get((task.name, metric), {}).get(method, Estimate(None)).mean for side in (joint, own)]
            apart = apart or any(run.record.best_epoch_per_task.get(task.name) != run.record.best_epoch for run in runs)
            places = results.places[task.name, metric]
            values = [number(mean.mean if mean else None, places) for mean in pair]
            cells += [
                Cell(_epoch([run.record.best_epoch_per_task.get(task.name) for run in runs])),
                Cell(f"{values[0]} → {values[1]}"),
            ]
        rows.append(Row(tuple(cells)))
    if not apart:
        return None
    columns = [Column("method", numeric=False), Column("epoch", "joint epoch", detail=True)]
    for task in group.tasks:
        columns.append(Column(f"epoch:{task.name}", f"{task.name} epoch", detail=True))
        columns.append(Column(f"task:{task.name}", f"{task.name} {metrics.headline(task).title}"))
    return TextTable(
        "selection", "Joint and per-task selection", tuple(columns), tuple(rows),
        subtitle="test metric at one epoch for all tasks → at the task's own best epoch; epochs are medians over seeds",
    )  # fmt: skip


def _epoch(epochs: Sequence[float | None]) -> str:
    middle = median(epochs)
    return ABSENT if middle is None else f"{middle:g}"
