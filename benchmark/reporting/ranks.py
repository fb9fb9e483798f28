"""Mean ranks of the methods over all tasks of all data sets, and a test of them only where there are blocks enough."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import metrics
from benchmark.analysis.results import Results, direction
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.schema import Task
from benchmark.statistics import Ranking, rank


def ranking(all_results: Sequence[Results]) -> Ranking | None:
    """The ranks of the methods that are ranked on every data set; a block is a task of a data set."""
    results = [r for r in all_results if r.group.tasks]
    if not results:
        return None
    blocks = [(r, task) for r in results for task in r.group.tasks]
    methods = sorted(m for m in results[0].group.by_method if all(_is_ranked(r, task, m) for r, task in blocks))
    if len(methods) < 2:
        return None
    scores = []
    for r, task in blocks:
        sign = direction(metrics.headline_name(task))
        means = [r.headline(task, method).mean for method in methods]
        scores.append([sign * mean.mean for mean in means if mean is not None])
    return rank(scores, methods)


def _is_ranked(results: Results, task: Task, method: str) -> bool:
    """Whether the method is the best on the task, or was judged by it."""
    if results.best.get((task.name, metrics.headline_name(task))) == method:
        return True
    found = results.to_best(task, method)
    return found is not None and found.verdict is not None


def rank_table(found: Ranking) -> TextTable:
    """The mean ranks, with Nemenyi's groups where the statistics allow them."""
    order = sorted(zip(found.mean_ranks, found.methods, strict=True))
    groups = found.groups
    columns = [Column("method", numeric=False), Column("rank", "mean rank")]
    if found.critical_difference is not None:
        columns.append(Column("close", "not told from", numeric=False))
    rows = []
    for value, method in order:
        cells = [Cell(method, method=method), Cell(f"{value:.2f}", best=value == order[0][0])]
        if found.critical_difference is not None:
            others = dict.fromkeys(other for group in groups if method in group for other in group if other != method)
            cells.append(Cell(", ".join(others)))
        rows.append(Row(tuple(cells)))
    notes = [_note(found), "Adding or removing a method changes the ranks of the others; a gain does not."]
    return TextTable(
        "ranks", "Mean ranks", tuple(columns), tuple(rows), f"1 is best; over {found.blocks} tasks of all data sets",
        tuple(notes), detail=True,
    )  # fmt: skip


def _note(found: Ranking) -> str:
    if found.critical_difference is None:
        return f"No test of ranks: {found.reason}."
    return (
        f"Friedman p = {found.p:.3g}, Iman-Davenport p = {found.p_f:.3g}; mean ranks that are at least "
        f"{found.critical_difference:.2f} apart differ (Nemenyi, all pairs together, 5 %). Tasks of one data set are not "
        "independent, and the test takes them for such."
    )
