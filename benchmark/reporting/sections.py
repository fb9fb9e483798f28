"""The tables of one data set: an overview, one a task, the two selections, and the runs that are in no mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark import metrics
from benchmark.reporting.layout import (
    ABSENT,
    TOO_FEW,
    Cell,
    Column,
    Row,
    Section,
    Table,
    count,
    duration,
    number,
    signed_interval,
    with_interval,
)
from benchmark.reporting.notes import dataset_notes, task_notes, trouble
from benchmark.reporting.results import LABELS, REFERENCES, SHOWN, Results, direction, label
from benchmark.reporting.statistics import FEWEST, Interval
from benchmark.reporting.study import Group
from benchmark.reporting.tables import Estimate, cost, median
from benchmark.schema import Task, TaskKind


def section(results: Results) -> Section:
    """Everything a report says of one data set but its figures."""
    group = results.group
    tables = [_task_table(results, task) for task in group.tasks]
    if len(group.tasks) > 1:
        tables.insert(0, _overview(results))
    selections = _selection_table(results)
    if selections is not None:
        tables.append(selections)
    return Section(group.name, tables=tuple(tables), notes=tuple(dataset_notes(results)), trouble=trouble(group))


def _overview(results: Results) -> Table:
    group = results.group
    columns = [Column("method", numeric=False), Column("seeds")]
    if results.baseline is not None:
        columns += [Column("gain over tasks, % (+ is better)"), Column("task that gains least", detail=True)]
    columns += [Column(f"{task.name} {LABELS[metrics.primary(task)]}") for task in group.tasks]
    columns += [Column("parameters (shared)", cost=True), Column("train\u00a0s", cost=True)]
    ranks = {method: rank for rank, method in enumerate(results.ranked(group.tasks[0]))}

    def order(method: str) -> tuple[float, int]:
        gain = results.gains.get(method)
        known = 0.0 if method == results.baseline else gain.total.mean if gain and gain.total else -float("inf")
        return (-known if results.baseline is not None else 0.0, ranks[method])

    rows = []
    for method in sorted(group.by_method, key=order):
        cells = [Cell(method, method=method), _seeds(group, method)]
        if results.baseline is not None:
            cells += _gain_cells(results, method)
        cells += [_overview_cell(results, task, method) for task in group.tasks]
        rows.append(Row((*cells, *_cost_cells(group, method))))
    for key, name in REFERENCES.items():
        values = [group.reference(key).get(task.name, {}).get(metrics.primary(task)) for task in group.tasks]
        if any(value is not None for value in values):
            texts = [
                Cell(number(value, results.places[task.name, metrics.primary(task)]))
                for task, value in zip(group.tasks, values, strict=True)
            ]
            before = [Cell("")] * (3 if results.baseline is not None else 1)
            rows.append(Row((Cell(name), *before, *texts, Cell(""), Cell("")), reference=True))
    notes = (_gain_note(results.baseline),) if results.baseline is not None else ()
    headline = ", ".join(f"{task.name} {label(metrics.primary(task), task)}" for task in group.tasks)
    subtitle = f"test rows; {headline}"
    return Table("All tasks", tuple(columns), tuple(rows), subtitle=subtitle, notes=notes)


def _gain_note(baseline: str) -> str:
    return (
        f"Gain over tasks: mean over tasks of 100 (AUC − B) / (B − 0.5) for binary tasks and 100 (B − MSE) / B for "
        f"regressions, with B the value of {baseline} with the same seed; then mean and 95 % t interval over seeds. "
        "A positive gain is an improvement; there is none where an AUC of the baseline is not above 0.5."
    )


def _gain_cells(results: Results, method: str) -> list[Cell]:
    if method == results.baseline:
        return [Cell("baseline"), Cell("")]
    gain = results.gains.get(method)
    if gain is None or gain.total is None:
        return [Cell(ABSENT), Cell(ABSENT)]
    worst = gain.worst
    return [
        Cell(signed_interval(gain.total, 2), short=_short_interval(gain.total)),
        Cell(f"{worst[0]} {worst[1].mean:+z.2f} %" if worst else ABSENT),
    ]


def _short_interval(interval: Interval) -> str:
    if interval.half_width is None:
        return f"{interval.mean:+z.2f}, {TOO_FEW}"
    return f"{interval.mean:+z.2f} ± {interval.half_width:.2f}"


def _task_table(results: Results, task: Task) -> Table:
    group, primary = results.group, metrics.primary(task)
    shown = _shown_metrics(results, task)
    columns = [Column("method", numeric=False), Column("seeds"), Column(label(primary, task))]
    if results.baseline is not None:
        better = "higher" if direction(primary) > 0 else "lower"
        columns.append(Column(f"Δ {LABELS[primary]} to {results.baseline} ({better} is better)"))
    columns += [Column(label(metric, task), detail=True) for metric in shown]
    columns += [Column("parameters (shared)", cost=True), Column("train\u00a0s", cost=True)]
    rows = []
    for method in results.ranked(task):
        cells = [Cell(method, method=method), _seeds(group, method), _metric_cell(results, task.name, primary, method)]
        if results.baseline is not None:
            difference = results.estimate(task.name, primary, method).difference
            is_baseline = method == results.baseline
            cells.append(
                Cell("baseline" if is_baseline else signed_interval(difference, results.places[task.name, primary]))
            )
        cells += [_metric_cell(results, task.name, metric, method, few="") for metric in shown]
        rows.append(Row((*cells, *_cost_cells(group, method))))
    rows += _reference_rows(results, task, shown)
    return Table(
        task.name, tuple(columns), tuple(rows), subtitle=_describe(task), notes=tuple(task_notes(results, task, shown))
    )


def _shown_metrics(results: Results, task: Task) -> list[str]:
    """The metrics beside the headline metric that have a column: its conditional form first, then the others."""
    primary, order = metrics.primary(task), SHOWN[task.kind]
    known = {metric for name, metric in (*results.estimates, *results.undefined) if name == task.name} - {primary}
    conditional = sorted(metric for metric in known if "|" in metric and metric.startswith(f"{primary}["))
    plain = (metric for metric in known if "|" not in metric and metric.partition("[")[0] in order)
    return conditional + sorted(plain, key=lambda metric: (order.index(metric.partition("[")[0]), metric))


def _reference_rows(results: Results, task: Task, shown: Sequence[str]) -> list[Row]:
    primary = metrics.primary(task)
    rows = []
    for key, name in REFERENCES.items():
        values = results.group.reference(key).get(task.name)
        if not values:
            continue
        cells = [Cell(name), Cell(""), Cell(number(values.get(primary), results.places[task.name, primary]))]
        if results.baseline is not None:
            cells.append(Cell(""))
        texts = [number(values[m], results.places[task.name, m]) if m in values else "" for m in shown]
        rows.append(Row((*cells, *map(Cell, texts), Cell(""), Cell("")), reference=True))
    return rows


def _overview_cell(results: Results, task: Task, method: str) -> Cell:
    metric = metrics.primary(task)
    cell, mean = _metric_cell(results, task.name, metric, method), results.estimate(task.name, metric, method).mean
    return replace(cell, short=number(mean.mean if mean else None, results.places[task.name, metric]))


def _metric_cell(results: Results, task: str, metric: str, method: str, few: str = TOO_FEW) -> Cell:
    mean = results.estimate(task, metric, method).mean
    places = results.places[task, metric]
    text = with_interval(mean, places)
    if mean is not None and mean.n < FEWEST and few:
        text = f"{text}, {few}"
    return Cell(text, best=results.best.get((task, metric)) == method)


def _seeds(group: Group, method: str) -> Cell:
    done, all_ = len(group.finished[method]), len(group.seeds)
    return Cell(str(done) if method in group.complete else f"{done} of {all_}")


def _cost_cells(group: Group, method: str) -> tuple[Cell, Cell]:
    parameters, shared, seconds = cost(group.finished[method])
    size = f"{count(parameters)} ({count(shared)})" if parameters is not None else ABSENT
    return Cell(size, short=count(parameters)), Cell(duration(seconds))


def _describe(task: Task) -> str:
    if task.kind is TaskKind.BINARY:
        given = f", given {task.given}: outputs are the joint probability with it" if task.given else ""
        return f"binary{given}; test rows"
    return f"regression; target in {task.target_unit or 'its own unit'}; test rows"


def _selection_table(results: Results) -> Table | None:
    """The headline metrics at the joint epoch and at each task's own, where any method has the two apart."""
    group = results.group
    joint, own = (
        (results.estimates, results.other) if results.selection == "joint" else (results.other, results.estimates)
    )
    rows, apart = [], False
    for method, runs in group.finished.items():
        if not runs or not own:
            continue
        cells = [Cell(method, method=method), Cell(_epoch([run.record.best_epoch for run in runs]))]
        for task in group.tasks:
            metric = metrics.primary(task)
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
    columns = [Column("method", numeric=False), Column("joint epoch")]
    for task in group.tasks:
        columns += [Column(f"{task.name} epoch"), Column(f"{task.name} {LABELS[metrics.primary(task)]}")]
    return Table(
        "Joint against per-task selection", tuple(columns), tuple(rows), detail=True,
        subtitle="test metric at one epoch for all tasks → at the task's own best epoch; epochs are medians over seeds",
        notes=("Both are selected on validation. One model serves all tasks only under joint selection.",),
    )  # fmt: skip


def _epoch(epochs: Sequence[int | None]) -> str:
    middle = median(epochs)
    return ABSENT if middle is None else f"{middle:g}"
