"""The first table of a data set: all methods by all tasks, in the order of their gain."""

from __future__ import annotations

from dataclasses import replace

from benchmark import metrics
from benchmark.analysis.lines import Line
from benchmark.analysis.results import Results, label
from benchmark.kinds import KINDS
from benchmark.reporting.cells import cost_cells, metric_cell, seeds_cell
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.reporting.sentences import verdict_cell
from benchmark.schema import Task
from benchmark.statistics import Interval, Verdict, seesaw
from benchmark.text import ABSENT, TOO_FEW, listed, number, signed_interval, with_interval


def overview(results: Results) -> TextTable:
    """Methods by tasks: the headline metrics, the gain over tasks, and what it costs."""
    group = results.group
    gains = results.baseline is not None and len(group.tasks) > 1
    columns = [Column("method", numeric=False), Column("seeds")]
    if gains:
        columns += [
            Column("gain", "gain over tasks, % (+ is better)", intervals=True),
            *([Column("verdict", numeric=False)] if results.judges_gain else []),
            Column("least", "task that gains least", detail=True),
        ]
    columns += [
        Column(_key(task), f"{task.name} {metrics.headline(task).title}", intervals=True) for task in group.tasks
    ]
    if results.family is not None and len(group.tasks) > 1:
        columns.append(Column("seesaw", "tasks better / worse", detail=True))
    columns += [Column("parameters", "parameters (shared)", spare=True), Column("seconds", "train\u00a0s", spare=True)]
    counted = seesaw(results.family.comparisons) if results.family is not None else {}
    rows = []
    for method in results.by_gain:
        cells = [Cell(method, method=method), seeds_cell(group, method)]
        if gains:
            cells += _gain_cells(results, method)
        cells += [_metric(results, task, method) for task in group.tasks]
        if results.family is not None and len(group.tasks) > 1:
            found = counted.get(method)
            cells.append(Cell(f"{len(found.better)} / {len(found.worse)}" if found else ""))
        rows.append(Row((*cells, *cost_cells(group, method))))
    rows += [row for line in results.lines.values() if (row := _line(results, line, columns)) is not None]
    headline = ", ".join(f"{task.name} {label(metrics.headline_name(task), task)}" for task in group.tasks)
    return TextTable(
        "overview",
        "All tasks",
        tuple(columns),
        tuple(rows),
        f"test rows; {headline}",
        notes=_notes(results, gains=gains),
    )


def gain_table(results: Results) -> TextTable | None:
    """The gain of every method, and of every task of it."""
    if results.baseline is None or not results.gains or len(results.group.tasks) < 2:
        return None
    tasks = results.group.tasks
    has_rows = any(results.with_rows(results.of_gain(method)) for method in results.gains)
    columns = (
        Column("method", numeric=False), Column("gain", "gain over tasks, %", intervals=True),
        *([Column("with_rows", "over seeds and test rows", intervals=True)] if has_rows else []),
        *(Column(_key(task), f"{task.name}, %", intervals=True) for task in tasks),
    )  # fmt: skip
    rows = []
    for method in results.by_gain:
        gain = results.gains.get(method)
        if gain is not None:
            parts = [gain.parts.get(task.name) for task in tasks]
            cells = [Cell(signed_interval(part, 2) if part else ABSENT) for part in (gain.total, *parts)]
            if has_rows:
                beside = results.with_rows(results.of_gain(method))
                cells.insert(1, Cell("" if beside is None else signed_interval(beside, 2)))
            rows.append(Row((Cell(method, method=method), *cells)))
    return TextTable(
        "gains", "Gain of each task", columns, tuple(rows), "+ is better", notes=(_gain_note(results),), detail=True
    )


def _key(task: Task) -> str:
    """Of a task's column; no task is called as another column."""
    return f"task:{task.name}"


def _notes(results: Results, *, gains: bool) -> tuple[str, ...]:
    notes = [_gain_note(results)] if gains else []
    if results.family is not None and len(results.group.tasks) > 1:
        counted = seesaw(results.family.comparisons)
        both = [method for method, found in counted.items() if found.seesaws]
        if any(c.verdict is Verdict.BETTER for c in results.family.comparisons) or both:
            who = f": {listed(both)}" if both else ""
            notes.append(
                f"{len(both)} of {len(counted)} methods pay for a better task with a worse one, by their verdicts{who}."
            )
    return tuple(notes)


def _gain_note(results: Results) -> str:
    if results.no_gains is not None:
        return f"No gain over tasks: {results.no_gains}."
    here = {task.kind for task in results.group.tasks}
    kinds = {kind.plural: metrics.headline_of(kind) for name, kind in KINDS.items() if name in here}
    formulas = [f"{_gain_formula(metric)} for {plural}" for plural, metric in kinds.items()]
    return (
        f"Gain over tasks: mean over tasks of {' and '.join(formulas)}, in per cent of what {results.baseline} has learnt: B is "
        "its mean, C the value of the constant predictor. A positive gain is an improvement."
    )


def _gain_formula(metric: metrics.Metric) -> str:
    """`100 (AUC − B) / (B − 0.5)`, `100 (B − MSE) / (C − B)`."""
    constant = "C" if metric.chance is None else f"{metric.chance:g}"
    better, learnt = (f"{metric.title} − B", f"B − {constant}")
    if metric.direction < 0:
        better, learnt = f"B − {metric.title}", f"{constant} − B"
    return f"100 ({better}) / ({learnt})"


def _gain_cells(results: Results, method: str) -> list[Cell]:
    if method == results.baseline:
        return [Cell("baseline", value=0.0), *([Cell("")] if results.judges_gain else []), Cell("")]
    verdict = [verdict_cell(results.of_gain(method))] if results.judges_gain else []
    gain = results.gains.get(method)
    if gain is None or gain.total is None:
        return [Cell(ABSENT), *verdict, Cell(ABSENT)]
    worst = gain.worst
    least = Cell(f"{worst[0]} {worst[1].mean:+z.2f} %", value=worst[1].mean) if worst else Cell(ABSENT)
    return [Cell(signed_interval(gain.total, 2), short=_short(gain.total)), *verdict, least]


def _short(interval: Interval) -> str:
    if interval.half_width is None:
        return f"{interval.mean:+z.2f}, {TOO_FEW}"
    return f"{interval.mean:+z.2f} ± {interval.half_width:.2f}"


def _metric(results: Results, task: Task, method: str) -> Cell:
    mean = results.headline(task, method).mean
    places = results.places[task.name, metrics.headline_name(task)]
    cell = metric_cell(results, task, metrics.headline_name(task), method)
    return replace(cell, short=number(mean.mean if mean else None, places))


def _line(results: Results, line: Line, columns: list[Column]) -> Row | None:
    tasks = results.group.tasks
    known = {_key(task): (task, line.of(task)) for task in tasks}
    if not any(mean is not None for _, mean in known.values()):
        return None
    cells = [Cell(line.name)]
    for column in columns[1:]:
        task, mean = known.get(column.key, (None, None))
        places = results.places[task.name, metrics.headline_name(task)] if task is not None else 4
        text = "" if task is None else with_interval(mean, places)
        if column.key == "seeds" and line.seeds is not None:
            text = str(line.seeds)
        cells.append(Cell(text, short=number(mean.mean, places) if mean is not None else None))
    return Row(tuple(cells), reference=True)
