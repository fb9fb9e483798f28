"""What a report says of one data set: an overview, a table a task, the two selections, and the runs that are not in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark import metrics
from benchmark.record import Record
from benchmark.reporting.layout import (
    ABSENT,
    TOO_FEW,
    Cell,
    Column,
    Row,
    Section,
    Table,
    count,
    decimals,
    duration,
    number,
    numbers,
    signed_interval,
    with_interval,
)
from benchmark.reporting.statistics import FEWEST, Interval
from benchmark.reporting.study import Group
from benchmark.reporting.tables import Estimate, Gain, Selection, cost, median
from benchmark.schema import Task, TaskKind

Estimates = Mapping[tuple[str, str], Mapping[str, Estimate]]

REFERENCES = {"constant": "constant (mean of train)", "best_reachable": "best reachable"}
LABELS = {
    "auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "calibration": "calibration", "mse": "MSE", "mae": "MAE", "r2": "R²",
}  # fmt: skip
SHOWN = {
    TaskKind.BINARY: ("auc", "gauc", "log_loss", "calibration"),
    TaskKind.REGRESSION: ("mse", "mae", "r2"),
}
"""Metrics that have a column, with their conditional forms; the CSV file has all others."""


@dataclass(frozen=True)
class Results:
    """The numbers of one data set, ready to be laid out.

    Args:
        group: Its runs.
        selection: Which epoch the numbers are of.
        baseline: The method that others are compared to, if it is there.
        wanted: The baseline that was asked for.
        estimates: Of every task, metric and method, under `selection`.
        other: The same under the other selection.
        gains: Of every method but the baseline.
    """

    group: Group
    selection: Selection
    baseline: str | None
    wanted: str
    estimates: Estimates
    other: Estimates
    gains: Mapping[str, Gain]

    def estimate(self, task: str, metric: str, method: str) -> Estimate:
        """What is known of this metric; an estimate without a mean where it is undefined."""
        return self.estimates.get((task, metric), {}).get(method, Estimate(None))

    def places(self, task: str, metric: str) -> int:
        """Decimals of a metric's column."""
        found = self.estimates.get((task, metric), {}).values()
        return decimals(e.mean.mean for e in found if e.mean is not None)

    def ranked(self, task: Task) -> list[str]:
        """Methods by the mean of the task's headline metric, best first; those without one last."""
        metric, sign = metrics.primary(task), _direction(metrics.primary(task))

        def order(method: str) -> tuple[bool, float, str]:
            mean = self.estimate(task.name, metric, method).mean
            return (mean is None, -sign * mean.mean if mean else 0.0, method)

        return sorted(self.group.by_method, key=order)

    def best(self, task: str, metric: str) -> str | None:
        """The method with the best mean, among those that finished every seed; None if neither way is better."""
        means = {
            method: e.mean.mean
            for method, e in self.estimates.get((task, metric), {}).items()
            if e.mean is not None and self.group.complete(method)
        }
        score = _score(metric)
        return max(means, key=lambda method: score(means[method])) if len(means) > 1 and score is not None else None


def section(results: Results) -> Section:
    """Everything a report says of one data set but its figures."""
    group = results.group
    tables = [_task_table(results, task) for task in group.tasks]
    if len(group.tasks) > 1:
        tables.insert(0, _overview(results))
    selections = _selection_table(results)
    if selections is not None:
        tables.append(selections)
    return Section(group.name, tables=tuple(tables), notes=tuple(_notes(results)), trouble=_trouble(group))


def _overview(results: Results) -> Table:
    group = results.group
    columns = [Column("method", numeric=False), Column("seeds")]
    if results.baseline is not None:
        columns += [Column("gain over tasks, % (+ is better)"), Column("task that gains least", detail=True)]
    columns += [Column(f"{task.name} {LABELS[metrics.primary(task)]}") for task in group.tasks]
    columns += [Column("parameters (shared)"), Column("train\u00a0s")]
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
    for key, label in REFERENCES.items():
        values = [group.reference(key).get(task.name, {}).get(metrics.primary(task)) for task in group.tasks]
        if any(value is not None for value in values):
            texts = [
                Cell(number(value, results.places(task.name, metrics.primary(task))))
                for task, value in zip(group.tasks, values, strict=True)
            ]
            before = [Cell("")] * (3 if results.baseline is not None else 1)
            rows.append(Row((Cell(label), *before, *texts, Cell(""), Cell("")), reference=True))
    notes = (_gain_note(results.baseline),) if results.baseline is not None else ()
    headline = ", ".join(f"{task.name} {_label(metrics.primary(task), task)}" for task in group.tasks)
    subtitle = f"test rows; {headline}"
    return Table("All tasks", tuple(columns), tuple(rows), subtitle=subtitle, notes=notes)


def _gain_note(baseline: str) -> str:
    return (
        f"Gain over tasks: mean over tasks of 100 (AUC − B) / (B − 0.5) for binary tasks and 100 (B − MSE) / B for "
        f"regressions, with B the value of {baseline} with the same seed; then mean and 95 % t interval over seeds. "
        "A positive gain is an improvement."
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
    columns = [Column("method", numeric=False), Column("seeds"), Column(_label(primary, task))]
    if results.baseline is not None:
        better = "higher" if _direction(primary) > 0 else "lower"
        columns.append(Column(f"Δ {LABELS[primary]} to {results.baseline} ({better} is better)"))
    columns += [Column(_label(metric, task), detail=True) for metric in shown]
    columns += [Column("parameters (shared)"), Column("train\u00a0s")]
    rows = []
    for method in results.ranked(task):
        cells = [Cell(method, method=method), _seeds(group, method), _metric_cell(results, task.name, primary, method)]
        if results.baseline is not None:
            difference = results.estimate(task.name, primary, method).difference
            is_baseline = method == results.baseline
            cells.append(Cell("baseline" if is_baseline else signed_interval(difference, results.places(task.name, primary))))
        cells += [_metric_cell(results, task.name, metric, method, few="") for metric in shown]
        rows.append(Row((*cells, *_cost_cells(group, method))))
    rows += _reference_rows(results, task, shown)
    return Table(
        task.name, tuple(columns), tuple(rows), subtitle=_describe(task), notes=tuple(_task_notes(results, task, primary, shown))
    )


def _shown_metrics(results: Results, task: Task) -> list[str]:
    reported = [metric for name, metric in results.estimates if name == task.name]
    undefined = [metric for name, metric in _undefined(results) if name == task.name]
    known = dict.fromkeys([*reported, *undefined])
    primary = metrics.primary(task)
    order = SHOWN[task.kind]
    chosen = [m for m in known if m != primary and m.partition("[")[0] in order]
    return sorted(chosen, key=lambda metric: ("[" not in metric or metric.partition("[")[0] != primary, order.index(metric.partition("[")[0])))


def _reference_rows(results: Results, task: Task, shown: Sequence[str]) -> list[Row]:
    primary = metrics.primary(task)
    rows = []
    for key, label in REFERENCES.items():
        values = results.group.reference(key).get(task.name)
        if not values:
            continue
        cells = [Cell(label), Cell(""), Cell(number(values.get(primary), results.places(task.name, primary)))]
        if results.baseline is not None:
            cells.append(Cell(""))
        texts = [number(values[m], results.places(task.name, m)) if m in values else "" for m in shown]
        rows.append(Row((*cells, *map(Cell, texts), Cell(""), Cell("")), reference=True))
    return rows


def _overview_cell(results: Results, task: Task, method: str) -> Cell:
    metric = metrics.primary(task)
    cell, mean = _metric_cell(results, task.name, metric, method), results.estimate(task.name, metric, method).mean
    return replace(cell, short=number(mean.mean if mean else None, results.places(task.name, metric)))


def _metric_cell(results: Results, task: str, metric: str, method: str, few: str = TOO_FEW) -> Cell:
    mean = results.estimate(task, metric, method).mean
    places = results.places(task, metric)
    text = with_interval(mean, places)
    if mean is not None and mean.n < FEWEST and few:
        text = f"{text}, {few}"
    return Cell(text, best=results.best(task, metric) == method)


def _seeds(group: Group, method: str) -> Cell:
    done, all_ = len(group.finished[method]), len(group.seeds)
    return Cell(str(done) if group.complete(method) else f"{done} of {all_}")


def _cost_cells(group: Group, method: str) -> tuple[Cell, Cell]:
    parameters, shared, seconds = cost(group.finished[method])
    size = f"{count(parameters)} ({count(shared)})" if parameters is not None else ABSENT
    return Cell(size, short=count(parameters)), Cell(duration(seconds))


def _label(metric: str, task: Task) -> str:
    name, bracket, view = metric.partition("[")
    label = LABELS.get(name, name)
    if bracket:
        return f"{label}[{view}" if "|" in view else f"{label} [{view}"
    if name in ("mse", "mae") and task.target_unit is not None:
        return f"{label} [{task.target_unit}²]" if name == "mse" else f"{label} [{task.target_unit}]"
    return label


def _describe(task: Task) -> str:
    if task.kind is TaskKind.BINARY:
        given = f", given {task.given}: outputs are the joint probability with it" if task.given else ""
        return f"binary{given}; test rows"
    return f"regression; target in {task.target_unit or 'its own unit'}; test rows"


def _task_notes(results: Results, task: Task, primary: str, shown: Sequence[str]) -> list[str]:
    notes = []
    for metric in (primary, *shown):
        reasons = _undefined(results).get((task.name, metric))
        if reasons:
            which = "; ".join(f"{why} ({', '.join(sorted(set(names)))})" for why, names in reasons.items())
            notes.append(f"{_label(metric, task)} is undefined where it shows {ABSENT} or has fewer seeds: {which}.")
    users = [results.estimate(task.name, "gauc_users", m).mean for m in results.group.by_method]
    rows = [results.estimate(task.name, "gauc_rows", m).mean for m in results.group.by_method]
    used, share = next((u for u in users if u), None), next((r for r in rows if r), None)
    if used is not None and share is not None:
        notes.append(f"GAUC is over the {used.mean:,.0f} users with both classes, who have {share.mean:.1%} of the rows.")
    reached = results.estimates.get((task.name, f"rows[{task.name}|{task.given}]"), {})
    mean = next((e.mean for e in reached.values() if e.mean), None)
    if mean is not None:
        notes.append(f"Conditional metrics, [{task.name}|{task.given}], are over the {mean.mean:,.0f} test rows where {task.given} is 1.")
    return notes


def _undefined(results: Results) -> dict[tuple[str, str], dict[str, list[str]]]:
    """{(task, metric): {reason: methods}} of the test metrics under the chosen selection that have no value."""
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for method, runs in results.group.finished.items():
        for run in runs:
            chosen = _metrics_of(run.record, results.selection)
            for task, row in chosen.items():
                for metric, value in row.items():
                    if value is None:
                        reason = run.record.undefined.get(f"test.{task}.{metric}", "the record gives no reason")
                        found[task, metric][reason].append(method)
    return {key: dict(reasons) for key, reasons in found.items()}


def _metrics_of(record: Record, selection: Selection) -> dict[str, dict[str, float | None]]:
    return (record.metrics if selection == "joint" else record.metrics_per_task).get("test", {})


def _selection_table(results: Results) -> Table | None:
    """The headline metrics at the joint epoch and at each task's own, where any method has the two apart."""
    group = results.group
    joint, own = (results.estimates, results.other) if results.selection == "joint" else (results.other, results.estimates)
    rows, apart = [], False
    for method, runs in group.finished.items():
        if not runs or not own:
            continue
        cells = [Cell(method, method=method), Cell(_epoch([run.record.best_epoch for run in runs]))]
        for task in group.tasks:
            metric = metrics.primary(task)
            pair = [side.get((task.name, metric), {}).get(method, Estimate(None)).mean for side in (joint, own)]
            apart = apart or any(run.record.best_epoch_per_task.get(task.name) != run.record.best_epoch for run in runs)
            places = results.places(task.name, metric)
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


def _trouble(group: Group) -> Table | None:
    """The runs that are in no mean: diverged, failed and missing ones."""
    seeds: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for method, runs in group.by_method.items():
        for run in runs:
            if not run.finished:
                seeds[method, run.record.status, _what_happened(run.record)].append(run.record.seed)
        for seed in group.missing(method):
            seeds[method, "missing", "no record; other methods have this seed"].append(seed)
    if not seeds:
        return None
    rows = tuple(
        Row((Cell(method, method=method), Cell(status), Cell(numbers(which)), Cell(what)))
        for (method, status, what), which in seeds.items()
    )
    columns = tuple(Column(title, numeric=False) for title in ("method", "status", "seeds", "what happened"))
    return Table("Runs that are in no mean", columns, rows, subtitle="a method with a diverged seed is not marked best")


def _what_happened(record: Record) -> str:
    error = record.error or {}
    where = ", ".join(f"{key} {error[key]}" for key in ("task", "epoch", "step") if error.get(key) is not None)
    message = f"{error.get('type', 'unknown')}: {error.get('message', 'the record has no error')}"
    return f"{message} ({where})" if where else message


def _notes(results: Results) -> list[str]:
    group = results.group
    notes = []
    if results.baseline is None:
        named = [run.record.method for runs in group.finished.values() for run in runs]
        why = "names several methods" if results.wanted in named else "has no finished run"
        could = ", ".join(sorted(method for method, runs in group.finished.items() if runs)) or "none has finished a run"
        notes.append(f"No differences: the baseline {results.wanted} {why} on {group.name}; it could be: {could}.")
    rows = {run.pair[2] for runs in group.finished.values() for run in runs}
    if len(rows) == 1:
        notes.append(
            "All runs are judged on the same test rows: intervals cover the seeds of training, not the choice of test rows."
        )
    elif rows:
        notes.append(f"Runs are judged on {len(rows)} different sets of test rows; differences pair runs on the same rows only.")
    unshared = sorted(m for m, runs in group.finished.items() if runs and all(r.record.shared_parameters == 0 for r in runs))
    if unshared:
        notes.append(
            f"{', '.join(unshared)}: no parameter is shared between tasks, so there is nothing for a weighting of gradients"
            " to balance; it is exactly the equal weighting."
        )
    return notes


def _direction(metric: str) -> int:
    try:
        return metrics.direction(metric)
    except ValueError:  # a metric of another version: shown, not ranked
        return 0


def _score(metric: str) -> Callable[[float], float] | None:
    if metric.partition("[")[0] == "calibration":
        return lambda value: -abs(value - 1)
    sign = _direction(metric)
    return (lambda value: sign * value) if sign else None
