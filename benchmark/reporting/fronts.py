"""The fronts of two tasks, AUC against MSE: what would be lost of the dominated area without each method."""

from __future__ import annotations

from benchmark import metrics
from benchmark.analysis.fronts import Front, fronts
from benchmark.analysis.results import Results
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.statistics.wording import two_digits
from benchmark.text import listed, number


def front_table(results: Results) -> TextTable | None:
    """What would be lost of the dominated area without each method on a front."""
    shown = [front for front in fronts(results) if len(front.methods) > 1 and front.area() is not None]
    if not shown:
        return None
    columns = (Column("method", numeric=False), *(Column(front.key, f"{front.title}, %") for front in shown))
    rows = []
    for method in results.by_gain:
        if any(method in front.methods for front in shown):
            lost = [_percent(front.loss(method)) if method in front.methods else "" for front in shown]
            rows.append(Row((Cell(method, method=method), *map(Cell, lost))))
    together = [Cell(_percent(front.area())) for front in shown]
    rows.append(Row((Cell("all methods together"), *together), reference=True))
    return TextTable(
        "front", "Methods on the front", columns, tuple(rows), "what the dominated area would lose without the method",
        notes=(_note(shown),), detail=True,
    )  # fmt: skip


def _note(shown: list[Front]) -> str:
    constants, best = {}, {}
    for front in shown:
        assert front.constant is not None
        for task, mean in zip((front.task, front.against), reversed(front.constant), strict=True):
            metric = metrics.headline(task)
            constants[task.name] = f"{task.name} {metric.title} {number(mean)}"
            best[metric.name] = f"{metric.title} {metric.best:g}"
    return (
        "On the front are the methods that no other matches on one task and beats on the other, by their means alone: "
        "whether a difference is more than chance is for the verdicts to say. The area (hypervolume) is measured from the "
        f"constant predictor ({listed(constants.values())}), in percent of what a perfect model would dominate "
        f"({listed(best.values())}). Methods that are not ranked have no part in it."
    )


def _percent(share: float | None) -> str:
    assert share is not None
    return number(100 * share, max(2, two_digits(100 * share)))
