"""How many experts every gate uses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmark.analysis.results import Results
from benchmark.analysis.study import Run
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.statistics import t_interval


def gate_table(results: Results) -> TextTable | None:
    """Experts in use by method and gate, for methods that record gates: exp of the entropy of a gate's mean weights.

    These are means over seeds. The weights themselves cannot be averaged: experts have no common order over seeds.
    """
    found = {
        method: runs
        for method in results.by_gain
        if (runs := [run for run in results.group.finished[method] if run.record.gates])
    }
    if not found:
        return None
    gates = list(dict.fromkeys(gate for runs in found.values() for gate in runs[0].record.gates))
    rows = [
        Row((Cell(method, method=method), *(Cell(_used(gate, runs)) for gate in gates)))
        for method, runs in found.items()
    ]
    return TextTable(
        "gates", "Experts in use", (Column("method", numeric=False), *map(Column, gates)), tuple(rows),
        "by gate, mean over seeds: exp(entropy) of the gate's mean weights on validation", detail=True,
    )  # fmt: skip


def _used(gate: str, runs: Sequence[Run]) -> str:
    weights = [run.record.gates[gate] for run in runs if gate in run.record.gates]
    found = t_interval(map(_in_use, weights))
    return f"{found.mean:.1f} of {' or '.join(map(str, sorted(set(map(len, weights)))))}" if found else ""


def _in_use(weights: Mapping[str, float]) -> float:
    return math.exp(-sum(w * math.log(w) for w in weights.values() if w > 0))
