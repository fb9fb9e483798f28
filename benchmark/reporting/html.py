"""A report as one self-contained HTML page: no network, no script that runs, every name escaped by the template."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmark.reporting.figures import Figure, figures
from benchmark.reporting.layout import Cell, Column, Row, Section, Table
from benchmark.reporting.statistics import t_interval
from benchmark.reporting.study import Group, Run
from benchmark.reporting.styles import DARK, LIGHT, styles

if TYPE_CHECKING:
    from benchmark.reporting import Report

_HEADLINE = ("auc", "mse")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A data set's section with its figures, and the anchor that the table of contents leads to."""

    anchor: str
    section: Section
    figures: Sequence[Figure]
    gates: Sequence[Table]


def render(report: Report) -> str:
    """The page."""
    study = report.study
    keys = styles(study.methods)
    chapters = [
        Chapter(f"data-{number}", section, figures(group, keys, report.selection), gate_tables(group))
        for number, (section, group) in enumerate(zip(report.document.sections, study.groups, strict=True), start=1)
    ]
    environment = Environment(
        loader=PackageLoader("benchmark.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg"] = Markup  # made by `figures`, which escapes the text in it
    return environment.get_template("report.html").render(
        document=report.document,
        chapters=chapters,
        keys=keys,
        palettes={"light": LIGHT, "dark": DARK},
        slash=Markup("/<wbr>"),  # where a name may be broken
        data=_data(report),
    )


def gate_tables(group: Group) -> list[Table]:
    """For every method that records gates: the weight of each expert, and how many experts a gate uses.

    Weights are of one seed: experts that start alike have no common order over seeds, and a mean over them would show
    equal use whatever each run does. The number in use, exp of the entropy, has no order and is a mean over seeds.
    """
    tables = []
    for method, runs in group.finished.items():
        with_gates = [run for run in runs if run.record.gates]
        if with_gates:
            tables.append(_gate_table(method, with_gates))
    return tables


def _gate_table(method: str, runs: Sequence[Run]) -> Table:
    first = runs[0].record
    experts = list(dict.fromkeys(expert for weights in first.gates.values() for expert in weights))
    rows = []
    for gate, weights in first.gates.items():
        used = t_interval(_in_use(run.record.gates[gate]) for run in runs if gate in run.record.gates)
        cells = [Cell(f"{weights[e]:.2f}", heat=round(weights[e], 3)) if e in weights else Cell("") for e in experts]
        rows.append(Row((Cell(gate), *cells, Cell(f"{used.mean:.1f} of {len(weights)}" if used else ""))))
    columns = (Column("gate", numeric=False), *map(Column, experts), Column("experts in use"))
    subtitle = f"mean gate weight on validation, seed {first.seed}; experts in use: exp(entropy), mean over seeds"
    return Table(f"Gates of {method}", columns, tuple(rows), subtitle=subtitle)


def _in_use(weights: Mapping[str, float]) -> float:
    return math.exp(-sum(w * math.log(w) for w in weights.values() if w > 0))


def _data(report: Report) -> dict[str, Any]:
    """The headline numbers, for programs that read the page."""
    summary = report.summary.filter(report.summary["metric"].is_in(_HEADLINE))
    rows = [[float(f"{v:.7g}") if isinstance(v, float) else v for v in row] for row in summary.iter_rows()]
    return {"selection": report.selection, "columns": summary.columns, "rows": rows}
