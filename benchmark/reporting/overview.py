"""The first tables of a data set: all methods by all tasks, in tiers, and architecture by weighting."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from benchmark import metrics
from benchmark.analysis.lines import Line
from benchmark.analysis.naming import weighting_of
from benchmark.analysis.results import Results
from benchmark.kinds import KINDS
from benchmark.records.record import PLAIN_WEIGHTING, combines_gradients
from benchmark.reporting.cells import metric_cell, seconds_cell, seeds_cell, size_cells, size_columns
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.reporting.sentences import verdict_cell
from benchmark.reporting.wording import joined
from benchmark.schema import Task
from benchmark.statistics import Comparison, Interval, Verdict, seesaw
from benchmark.text import ABSENT, TOO_FEW, counted, listed, number, signed_interval, with_interval

MOST_INTERVALS = 2
"""Most tasks whose means have intervals in the table of all methods; beyond this, only the tasks' own tables have them."""
FEWEST_LEVELS = 2
"""Fewest architectures, and fewest weightings, for a table of both."""


def overview(results: Results, default: Results | None = None) -> TextTable:
    """Methods by tasks: the gain over tasks with its verdict, the headline metrics, and what it costs.

    Args:
        results: The numbers of the data set.
        default: For tuned methods, the numbers with default parameters, whose gain gets a column.
    """
    group = results.group
    gains = results.baseline is not None and len(group.tasks) > 1
    columns = [Column("method", numeric=False)]
    if results.tiers:
        columns.append(Column("tier", spare=True))
    if len({len(runs) for runs in group.finished.values()}) > 1 or len(group.complete) < len(group.by_method):
        columns.append(Column("seeds"))
    if gains:
        columns += [Column("gain", "gain, %"), *([Column("verdict", numeric=False)] if results.judges_gain else [])]
        if default is not None:
            columns.append(Column("default", "gain with default parameters", detail=True))
    columns += [*size_columns(group), Column("seconds", "train\u00a0s", spare=True)]
    columns += [Column(_key(task), f"{task.name} {metrics.headline(task).title}", spare=True) for task in group.tasks]
    rows: list[Row] = []
    above = 0
    for method in _in_tiers(results):
        tier = results.tier_of.get(method, 0)
        made = {"method": Cell(method, method=method), "seeds": seeds_cell(group, method)}
        made["tier"] = Cell(str(tier) if tier else ABSENT, value=tier or None)
        if gains:
            made |= _gain_cells(results, method)
        if default is not None:
            beside = _gain_cells(default, method)["gain"] if method in default.group.by_method else Cell("")
            made["default"] = replace(beside, text=beside.narrow, ends=None)
        made |= {_key(task): _metric(results, task, method) for task in group.tasks}
        made |= size_cells(group, method)
        made["seconds"] = seconds_cell(group, method)
        rows.append(Row(tuple(made[column.key] for column in columns), ruled=bool(rows) and tier != above))
        above = tier
    rows += [row for line in results.lines.values() if (row := _line(results, line, columns)) is not None]
    return TextTable(
        "overview", "All methods", tuple(columns), tuple(rows), _about(results), notes=_notes(results, gains=gains)
    )


def _in_tiers(results: Results) -> list[str]:
    """The methods by tier and gain; methods without a tier come last."""
    places = results.tier_of
    return sorted(results.by_gain, key=lambda method: places.get(method, len(places) + 1))


def _about(results: Results) -> str:
    """What the numbers measure, and how rare a rare task is."""
    group = results.group
    parts = [f"test rows; gain over {results.baseline}" if results.gains else "test rows"]
    parts += [f"{task.name}: {rare}" for task in group.tasks if (rare := results.rare(task)) is not None]
    return "; ".join(parts)


def grid_table(results: Results) -> TextTable | None:
    """The gain of every architecture under every weighting, where there are two of both.

    Where tasks share no parameter, a weighting that combines gradients is the plain one, trained or not, and its cell says
    that it is equal.
    """
    cells: dict[tuple[str, str], list[str]] = {}
    of_gradients: set[str] = set()
    for method, runs in results.group.by_method.items():
        architecture, weighting = runs[0].record.method.partition("/")[0], weighting_of(method)
        cells.setdefault((architecture, weighting), []).append(method)
        if combines_gradients(runs[0].record.config["weighting"]):
            of_gradients.add(weighting)
    once = {cell: methods[0] for cell, methods in cells.items() if len(methods) == 1}
    means = {cell: mean for cell, method in once.items() if (mean := results.mean_gain(method)) is not None}
    architectures, weightings = (sorted({cell[axis] for cell in means}) for axis in (0, 1))
    if len(architectures) < FEWEST_LEVELS or len(weightings) < FEWEST_LEVELS:
        return None
    strongest = _strongest(results, means.values())
    by_mean = sorted(architectures, key=lambda a: -max(mean for cell, mean in means.items() if cell[0] == a))
    plain = {a for a in architectures if once.get((a, PLAIN_WEIGHTING)) in results.group.unshared}

    def cell(a: str, w: str) -> Cell:
        if (a, w) in cells:
            return _grid_cell(results, once.get((a, w)), means.get((a, w)), strongest)
        if a in plain and w in of_gradients:
            mean = means.get((a, PLAIN_WEIGHTING), 0.0)
            return Cell(f"= {PLAIN_WEIGHTING}", heat=round(mean / strongest, 3), value=mean)
        return Cell(NOT_RUN)

    rows = [Row((Cell(a), *(cell(a, w) for w in weightings))) for a in by_mean]
    columns = (Column("architecture", numeric=False), *map(Column, weightings))
    notes = _grid_notes(
        {cell.text for row in rows for cell in row.cells}, has_plain=any(a in plain for a in architectures)
    )
    return TextTable(
        "grid", "Architecture by weighting", columns, tuple(rows), f"gain over {results.baseline}, %; ↑ better, ↓ worse, ≈ equivalent",
        notes, detail=True,
    )  # fmt: skip


NOT_RUN = "not run"
"""The cell of an architecture and a weighting that no run has together."""


def _grid_notes(texts: Collection[str], *, has_plain: bool) -> tuple[str, ...]:
    notes = []
    if f"= {PLAIN_WEIGHTING}" in texts:
        notes.append(
            f"= {PLAIN_WEIGHTING}: no parameter is shared between tasks, so a weighting of gradients is the {PLAIN_WEIGHTING} "
            "weighting there, and is not trained or shown again."
        )
    if NOT_RUN in texts and has_plain:
        notes.append(
            "not run: these records have no such run. Where no parameter is shared there is nothing to balance, and a "
            "weighting of losses only rescales each task's own gradient."
        )
    return tuple(notes)


MARKS = {Verdict.BETTER: " ↑", Verdict.WORSE: " ↓", Verdict.EQUIVALENT: " ≈", Verdict.IDENTICAL: " ="}
"""The sign of the verdict, to follow a number."""


def _grid_cell(results: Results, method: str | None, mean: float | None, strongest: float) -> Cell:
    if method is None or mean is None:
        return Cell("" if method is None else ABSENT)
    if method == results.baseline:
        return Cell("baseline", heat=0.0, value=0.0)
    return _heat_cell(mean, results.of_gain(method), strongest)


def _heat_cell(mean: float, comparison: Comparison | None, strongest: float) -> Cell:
    """A gain with the mark of its verdict, shaded by its size."""
    verdict = comparison.verdict if comparison is not None else None
    mark = MARKS.get(verdict, "") if verdict is not None else ""
    return Cell(f"{mean:+z.2f}{mark}", heat=round(mean / strongest, 3), value=mean)


def _strongest(results: Results, gains: Iterable[float]) -> float:
    """The gain with the strongest shade: the largest, or the margin if no gain is outside it."""
    margins = (
        [c.margin for c in results.primary.comparisons] if results.primary is not None and results.judges_gain else []
    )
    return max(map(abs, (*gains, *margins))) or 1.0


def pair_table(results: Results) -> TextTable | None:
    """Every ranked method against every other on the gain, for questions about pairs that were not declared."""
    pairs = results.answers.pairs if results.answers is not None else None
    methods = [method for method in results.by_gain if method in results.tier_of]
    if pairs is None or results.primary is None or not results.judges_gain or not 2 < len(methods) <= MOST_PAIRED:
        return None
    known = {(c.method, c.baseline): c for c in (*pairs.comparisons, *results.primary.comparisons)}
    found = known | {(c.baseline, c.method): c.turned() for c in known.values()}
    strongest = _strongest(results, (c.improvement.mean for c in found.values() if c.improvement is not None))

    def cell(one: str, other: str) -> Cell:
        c = found.get((one, other))
        if c is None or c.improvement is None:
            return Cell("")
        return _heat_cell(c.improvement.mean, c, strongest)

    rows = [Row((Cell(one, method=one), *(cell(one, other) for other in methods))) for one in methods]
    note = (
        f"Pairs with {results.baseline} belong to the primary question. The other pairs are a separate family of "
        f"{counted(pairs.tests, 'test')}, adjusted by Holm."
    )
    return TextTable(
        "pairs", "Every pair of methods", (Column("method", numeric=False), *map(Column, methods)), tuple(rows),
        "gain of the row minus gain of the column, %; ↑ better, ↓ worse, ≈ equivalent", (note,), detail=True,
    )  # fmt: skip


MOST_PAIRED = 13
"""Most methods in a table of pairs."""


def gain_table(results: Results) -> TextTable | None:
    """The gain of every method, over all tasks and on each task."""
    if results.baseline is None or not results.gains or len(results.group.tasks) < 2:
        return None
    tasks = results.group.tasks
    has_rows = any(results.with_rows(results.of_gain(method)) for method in results.gains)
    columns = (
        Column("method", numeric=False), Column("gain", "gain over tasks, %"),
        *([Column("with_rows", "over seeds and test rows")] if has_rows else []),
        *(Column(_key(task), f"{task.name}, %") for task in tasks),
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
        "gains", "Gain of each task", columns, tuple(rows), f"over {results.baseline}; + is better", detail=True
    )


def _key(task: Task) -> str:
    """The key of a task's column, different from the keys of other columns."""
    return f"task:{task.name}"


def _notes(results: Results, *, gains: bool) -> tuple[str, ...]:
    notes = [f"No gain over tasks: {results.no_gains}."] if gains and results.no_gains is not None else []
    if results.family is not None and len(results.group.tasks) > 1:
        both = [method for method, found in seesaw(results.family.comparisons).items() if found.seesaws]
        if both:
            notes.append(f"Better on one task and worse on another, by their verdicts: {listed(both)}.")
    notes += [
        f"{method} is also {listed(others)}: where no parameter is shared, a weighting of gradients changes nothing."
        for method, others in results.group.copies.items()
    ]
    return tuple(notes)


def gain_meaning(all_results: Sequence[Results]) -> str:
    """The meaning of gain, for the glossary."""
    here = {task.kind for results in all_results for task in results.group.tasks}
    kinds = {kind.plural: metrics.headline_of(kind) for name, kind in KINDS.items() if name in here}
    formulas = [f"{_gain_formula(metric)} for {plural}" for plural, metric in kinds.items()]
    constant = ", and C is the value of the constant predictor" if any("C" in formula for formula in formulas) else ""
    return (
        f"the mean over tasks of {joined(formulas)}. B is the baseline's mean{constant}. A gain is a percentage of what the "
        "baseline has learnt; positive is better."
    )


def _gain_formula(metric: metrics.Metric) -> str:
    """`100 (AUC − B) / (B − 0.5)`, `100 (B − MSE) / (C − B)`."""
    constant = "C" if metric.chance is None else f"{metric.chance:g}"
    better, learnt = (f"{metric.title} − B", f"B − {constant}")
    if metric.direction < 0:
        better, learnt = f"B − {metric.title}", f"{constant} − B"
    return f"100 ({better}) / ({learnt})"


def _gain_cells(results: Results, method: str) -> dict[str, Cell]:
    if method == results.baseline:
        return {"gain": Cell("baseline", value=0.0), "verdict": Cell("")}
    verdict, gain = verdict_cell(results.of_gain(method)), results.gains.get(method)
    if gain is None or gain.total is None:
        return {"gain": Cell(ABSENT), "verdict": verdict}
    low, high = gain.total.low, gain.total.high
    ends = (low, high) if low is not None and high is not None else None
    return {
        "gain": Cell(signed_interval(gain.total, 2), short=_short(gain.total), ends=ends, value=gain.total.mean),
        "verdict": verdict,
    }


def _short(interval: Interval) -> str:
    if interval.half_width is None:
        return f"{interval.mean:+z.2f}, {TOO_FEW}"
    return f"{interval.mean:+z.2f} ± {interval.half_width:.2f}"


def _metric(results: Results, task: Task, method: str) -> Cell:
    mean = results.headline(task, method).mean
    places = results.places[task.name, metrics.headline_name(task)]
    cell = metric_cell(results, task, metrics.headline_name(task), method)
    short = number(mean.mean if mean else None, places)
    if len(results.group.tasks) > MOST_INTERVALS:
        return replace(cell, text=short)
    return replace(cell, short=short)


def _line(results: Results, line: Line, columns: list[Column]) -> Row | None:
    tasks = results.group.tasks
    known = {_key(task): (task, line.of(task)) for task in tasks}
    if not any(mean is not None for _, mean in known.values()):
        return None
    cells = [Cell(line.name)]
    for column in columns[1:]:
        task, mean = known.get(column.key, (None, None))
        places = results.places[task.name, metrics.headline_name(task)] if task is not None else 4
        text = "" if task is None or mean is None else with_interval(mean, places)
        if mean is not None and len(tasks) > MOST_INTERVALS:
            text = number(mean.mean, places)
        if column.key == "seeds" and line.seeds is not None:
            text = str(line.seeds)
        cells.append(Cell(text, short=number(mean.mean, places) if mean is not None else None))
    return Row(tuple(cells), reference=True)
