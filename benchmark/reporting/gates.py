"""Expert utilisation: the weight that every gate gives to every expert."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmark.analysis.results import Results
from benchmark.analysis.study import Run
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.statistics import t_interval

MOST = 12
"""Methods of a data set whose gates are shown."""
NOTE = (
    "Mean weight of each gate on validation, of one seed: experts that start alike have no common order over seeds. "
    "Experts in use: exp(entropy) of a gate's weights, mean over seeds."
)
_WIDEST = 10


def gate_tables(results: Results) -> tuple[list[TextTable], str]:
    """For the methods that record gates: the weight of each expert, and how many a gate uses; and who is left out.

    Weights are of one seed: experts that start alike have no common order over seeds, and a mean over them would show
    equal use whatever each run does. The number in use, exp of the entropy, has no order and is a mean over seeds.
    """
    found = {}
    for method in results.by_gain:
        with_gates = [run for run in results.group.finished[method] if run.record.gates]
        if with_gates:
            found[method] = with_gates
    tables = [_gate_table(method, runs) for method, runs in list(found.items())[:MOST]]
    left = f"The gates of {MOST} of {len(found)} methods are shown: those that gain most over the tasks."
    return tables, left if len(found) > MOST else ""


def _gate_table(method: str, runs: Sequence[Run]) -> TextTable:
    first = runs[0].record
    experts = list(dict.fromkeys(expert for weights in first.gates.values() for expert in weights))
    used = {gate: _used(gate, runs) for gate in first.gates}
    subtitle = f"seed {first.seed}"
    key, title = f"gates_{method}", f"Gates of {method}"
    if len(experts) > _WIDEST:  # experts of each task's own: most cells are empty, and a line a gate would be wide
        columns = (Column("expert", numeric=False), *map(Column, first.gates))
        rows = [Row((Cell(e), *(_weight(weights, e) for weights in first.gates.values()))) for e in experts]
        rows.append(Row((Cell("experts in use"), *(Cell(used[gate]) for gate in first.gates)), reference=True))
        return TextTable(key, title, columns, tuple(rows), subtitle=subtitle, detail=True)
    columns = (Column("gate", numeric=False), *map(Column, experts), Column("in_use", "experts in use"))
    rows = [
        Row((Cell(gate), *(_weight(weights, expert) for expert in experts), Cell(used[gate])))
        for gate, weights in first.gates.items()
    ]
    return TextTable(key, title, columns, tuple(rows), subtitle=subtitle, detail=True)


def _weight(weights: Mapping[str, float], expert: str) -> Cell:
    return Cell(f"{weights[expert]:.2f}", heat=round(weights[expert], 3)) if expert in weights else Cell("")


def _used(gate: str, runs: Sequence[Run]) -> str:
    weights = [run.record.gates[gate] for run in runs if gate in run.record.gates]
    found = t_interval(map(_in_use, weights))
    return f"{found.mean:.1f} of {' or '.join(map(str, sorted(set(map(len, weights)))))}" if found else ""


def _in_use(weights: Mapping[str, float]) -> float:
    return math.exp(-sum(w * math.log(w) for w in weights.values() if w > 0))
