"""The fronts of two tasks, AUC against MSE: how much of the dominated area would be lost without each method."""

from __future__ import annotations

from benchmark import metrics
from benchmark.analysis.fronts import Front, fronts
from benchmark.analysis.results import Results
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.statistics.wording import two_digits
from benchmark.text import listed, number


def front_table(results: Results) -> TextTable | None:
    """How much of the dominated area would be lost without each method on a front."""
    shown = [front for front in fronts(results) if len(front.methods) > 1 and front.area() is not None]
    if not shown:
        return None
    columns = (Column("method", numeric=False), *(Column(front.key, f"{front.title}, %") for front in shown))
    rows = []
    for method in results.by_gain:
        if any(method in front.methods for front in shown):
            lost = [_lost(front, method) if method in front.methods else "" for front in shown]
            rows.append(Row((Cell(method, method=method), *map(Cell, lost))))
    together = [Cell(percent(front.area() or 0.0)) for front in shown]
    rows.append(Row((Cell("all methods together"), *together), reference=True))
    return TextTable(
        "front", "Methods on the front", columns, tuple(rows), "share of the dominated area lost without the method",
        notes=(_note(shown),), detail=True,
    )  # fmt: skip


def _note(shown: list[Front]) -> str:
    constants, best = {}, {}
    for front in shown:
        assert front.corner is not None
        for task, mean in zip((front.task, front.against), reversed(front.corner), strict=True):
            metric = metrics.headline(task)
            constants[task.name] = f"{task.name} {metric.title} {number(mean)}"
            best[metric.name] = f"{metric.title} {metric.best:g}"
    return (
        "A method is on the front if no other method matches it on one task and beats it on the other. The front uses means "
        "only; the verdicts say whether a difference is more than chance. The area (hypervolume) is measured from the "
        f"constant predictor ({listed(constants.values())}), in per cent of the area of a perfect model "
        f"({listed(best.values())}). Methods that are not ranked are left out."
    )


def _lost(front: Front, method: str) -> str:
    share = front.loss(method)
    assert share is not None
    return percent(share)


def percent(share: float) -> str:
    """A share of an area in per cent, with at least two digits."""
    return number(100 * share, max(2, two_digits(100 * share))) if share > 1e-12 else "0"
