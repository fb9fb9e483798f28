"""Fixed weights on a grid against adaptive weightings: a table for each pair of tasks, and a sentence of the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmark import metrics
from benchmark.analysis.naming import weighting_of
from benchmark.analysis.results import Results, label
from benchmark.analysis.scalarization import FrontStanding, Scalarization, scalarizations
from benchmark.reporting.cells import metric_cell
from benchmark.reporting.fronts import percent
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.reporting.wording import joined
from benchmark.statistics.wording import p_number
from benchmark.text import counted, number

MOST_PAIRS = 2
"""Most pairs of tasks in the sentence; the tables have all."""
MOST_NAMES = 4
"""Most weightings that the sentence names together; beyond this it gives the number."""


def scalarization_tables(results: Results) -> list[TextTable]:
    """The fixed settings and the adaptive methods by their places, for every architecture and pair of tasks."""
    found = scalarizations(results)
    several = len({one.architecture for one in found}) > 1
    return [_table(results, one, several=several) for one in found]


def _table(results: Results, one: Scalarization, *, several: bool) -> TextTable:
    front = one.front
    tasks = front.task, front.against
    whole = front.area()
    columns = (
        Column("weighting", numeric=False),
        *(Column(f"task:{t.name}", f"{t.name} {label(metrics.headline_name(t), t)}") for t in tasks),
        Column("place", numeric=False), Column("p", "adjusted p"),
        *([Column("area", "hypervolume, %")] if whole is not None else []),
    )  # fmt: skip

    def row(method: str, place: str, p: float | None, area: float | None, *, has_key: bool) -> Row:
        means = [metric_cell(results, task, metrics.headline_name(task), method) for task in tasks]
        cells = [Cell(weighting_of(method), method=method if has_key else None), *means, Cell(place)]
        cells.append(Cell(p_number(p) if p is not None else "", value=p))
        return Row((*cells, *([Cell(percent(area) if area is not None else "")] if whole is not None else [])))

    rows = [
        row(
            method,
            "on the front" if method in front.methods else "behind the front",
            None,
            front.loss(method) if method in front.methods else None,
            has_key=False,
        )
        for method in sorted(front.means, key=lambda method: front.means[method])
    ]
    rows += [row(a.method, _place(a.standing, a.dominated_by), a.p, one.added(a), has_key=True) for a in one.adaptive]
    for text, area in (("fixed weights together", whole), ("with the adaptive ones", one.together())):
        if area is not None:
            rows.append(Row((*(Cell(text if not n else "") for n in range(5)), Cell(percent(area))), reference=True))
    title = f"{one.architecture}: {front.title}" if several else front.title[:1].upper() + front.title[1:]
    return TextTable(
        f"scalarization {one.architecture} {front.key}", title, columns, tuple(rows),
        f"{counted(len(front.means), 'fixed setting')} of {one.architecture}; means on test", notes=_note(one), detail=True,
    )  # fmt: skip


def _place(standing: FrontStanding, by: Sequence[str]) -> str:
    return standing if not by else f"{standing} (by {_some([weighting_of(method) for method in by])})"


MEANING = (
    "A fixed setting dominates a method if it is as good on both tasks and better on one. A method is beyond the front if no "
    "setting dominates it. p is for the claim that the means suggest. It is adjusted for the number of settings, and by Holm for "
    "the number of methods and pairs of tasks. If it is 0.05 or more, these seeds do not settle the claim. Weights between two "
    "settings of the grid may reach what lies between their points."
)
"""What the words of the tables mean."""


def _note(one: Scalarization) -> tuple[str, ...]:
    front = one.front
    if front.area() is None or front.corner is None:
        return ()
    corner = joined(
        [
            f"{task.name} {metrics.headline(task).title} {number(mean)}"
            for task, mean in zip((front.task, front.against), reversed(front.corner), strict=True)
        ]
    )
    whence = (
        "the constant predictor"
        if one.has_constant
        else "the worst means here, as the records have no constant predictor"
    )
    text = (
        f"The hypervolume is the dominated area, measured from {whence} ({corner}), in per cent of the area of a perfect model. "
        "A fixed setting has what would be lost without it, and an adaptive method has what it adds."
    )
    return (text,)


def against_fixed(results: Results) -> str:
    """Which adaptive methods are beyond the front of fixed weights, and which are dominated; empty without such a front."""
    found = [one for one in scalarizations(results) if one.adaptive]
    if not found:
        return ""
    by_architecture: dict[str, list[str]] = defaultdict(list)
    for one in found[:MOST_PAIRS]:
        by_architecture[one.architecture].append(f"on {one.front.title}, {_standings(one)}")
    said = []
    for architecture, parts in by_architecture.items():
        settings = max(len(one.front.means) for one in found if one.architecture == architecture)
        said.append(f"against the front of {settings} fixed weightings of {architecture}: {'; '.join(parts)}")
    if len(found) > MOST_PAIRS:
        said.append(f"{counted(len(found) - MOST_PAIRS, 'more pair')} of tasks in the tables")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _standings(one: Scalarization) -> str:
    """`dwa is beyond it, pcgrad is dominated (by the means alone, famo is beyond it)`; what is shown, then what is not."""
    beyond, dominated = one.of(FrontStanding.BEYOND), one.of(FrontStanding.DOMINATED)
    shown = [*_said(beyond, "beyond it"), *_said(dominated, "dominated")]
    if not beyond:
        shown.insert(0, f"none is shown to be beyond it{'' if dominated else ' or dominated'}")
    alone = [
        *_said(one.of(FrontStanding.MEAN_BEYOND), "beyond it"),
        *_said(one.of(FrontStanding.MEAN_DOMINATED), "dominated"),
    ]
    return f"{', '.join(shown)}{f' (by the means alone, {joined(alone)})' if alone else ''}"


def _said(names: Sequence[str], what: str) -> list[str]:
    return [f"{_some(names)} {'is' if len(names) == 1 else 'are'} {what}"] if names else []


def _some(names: Sequence[str]) -> str:
    return joined(names) if len(names) <= MOST_NAMES else f"{len(names)} weightings"
