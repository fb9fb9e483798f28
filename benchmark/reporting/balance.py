"""What weightings do to the tasks: effective weights at the start and at the end, conflicting steps, cosines."""

from __future__ import annotations

from benchmark.analysis.balance import SHARE, changes, ends_of_weight, has_conflicts, mean_conflict, pairs_of, scopes
from benchmark.analysis.results import Results
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.text import ABSENT, number


def weight_table(results: Results) -> TextTable | None:
    """The effective weight of every task in the first and the last epoch, for methods that change it."""
    tasks, finished = results.group.tasks, results.group.finished
    rows = []
    for method in results.by_gain:
        if any(changes(run.record) for run in finished[method]):
            ends = [ends_of_weight(task.name, finished[method]) for task in tasks]
            cells = [Cell(ABSENT if e is None else f"{e[0]:.3g} → {e[1]:.3g}") for e in ends]
            rows.append(Row((Cell(method, method=method), *cells)))
    if not rows:
        return None
    columns = (Column("method", numeric=False), *(Column(f"task:{task.name}", task.name) for task in tasks))
    return TextTable(
        "weights", "Effective weights, first and last epoch", columns, tuple(rows), "means over seeds", detail=True, folded=True
    )  # fmt: skip


def conflict_table(results: Results) -> TextTable | None:
    """The share of conflicting steps and the cosine of every pair of tasks, for methods whose records have them."""
    shown = {m: runs for m in results.by_gain if has_conflicts(runs := results.group.finished[m])}
    if not shown:
        return None
    pairs = pairs_of(shown.values())
    rows = []
    for method, runs in shown.items():
        share = mean_conflict(SHARE, runs)
        cosines = [number(mean_conflict(pair, runs), 3) for pair in pairs]
        cells = [Cell(ABSENT if share is None else f"{100 * share:.1f}"), *map(Cell, cosines)]
        rows.append(Row((Cell(method, method=method), Cell(", ".join(scopes([runs]))), *cells)))
    columns = (
        Column("method", numeric=False), Column("scope", numeric=False), Column(SHARE, "conflicting steps, %"),
        *(Column(f"cosine:{pair}", f"cosine of {' and '.join(pair.split('|'))}") for pair in pairs),
    )  # fmt: skip
    note = (
        "In a conflicting step, the gradients of two tasks have a negative inner product. The scope says what"
        " these gradients are taken with respect to: the trunk's parameters, all shared ones with embeddings, or the"
        " embeddings' outputs (representation). Compare numbers of one scope only."
    )
    return TextTable(
        "conflicts", "Conflicts between tasks", columns, tuple(rows), "means over epochs and seeds", notes=(note,), detail=True,
    )  # fmt: skip
