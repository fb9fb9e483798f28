"""What a weighting does to the tasks, epoch by epoch: effective weights, and conflicts of the tasks' gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from benchmark.analysis.study import Run
from benchmark.records.record import Record

SHARE = "share"
"""The key of the share of conflicting steps, beside the pairs of tasks."""


def whole_epochs(record: Record) -> list[dict[str, Any]]:
    """The last entry of every epoch: its means are over the epoch, those before over a part of it."""
    last = {math.ceil(entry["epoch"]): entry for entry in record.epochs}
    return list(last.values())


def conflict(key: str, entry: dict[str, Any]) -> float | None:
    """The share of conflicting steps, or the mean cosine of a pair of tasks; None if the record lacks it.

    Args:
        key: `SHARE`, or a pair as the record names it, `click|stay`.
        entry: One of a record's epochs.
    """
    found = entry.get("conflicts") or {}
    return found.get(SHARE) if key == SHARE else (found.get("cosine") or {}).get(key)


def scope(record: Record) -> str:
    """What the record's gradients are taken with respect to: `trunk`, `all` or `representation`.

    Only conflicts of one scope compare. It is the trunk under a weighting of losses, and under one that works at the inputs
    of the towers.
    """
    found: str = record.config["weighting"].get("scope", "trunk")
    return "trunk" if found == "output" else found


def scopes(runs: Iterable[Sequence[Run]]) -> list[str]:
    """The scopes of these runs' conflicts, each once, in alphabetic order."""
    return sorted({scope(run.record) for own in runs for run in own})


def has_conflicts(runs: Sequence[Run]) -> bool:
    """Has any of them logged conflicts?"""
    return any(entry.get("conflicts") for run in runs for entry in run.record.epochs)


def pairs_of(runs: Iterable[Sequence[Run]]) -> list[str]:
    """The pairs of tasks with a cosine, in the order of the records."""
    entries = (entry for own in runs for run in own for entry in run.record.epochs)
    return list(dict.fromkeys(pair for entry in entries for pair in (entry.get("conflicts") or {}).get("cosine") or {}))


def mean_conflict(key: str, runs: Sequence[Run]) -> float | None:
    """The mean over epochs, then over seeds; arguments as for `conflict`."""
    of_runs = []
    for run in runs:
        known = [value for entry in whole_epochs(run.record) if (value := conflict(key, entry)) is not None]
        if known:
            of_runs.append(fmean(known))
    return fmean(of_runs) if of_runs else None


def ends_of_weight(task: str, runs: Sequence[Run]) -> tuple[float, float] | None:
    """The task's mean effective weight in the first epoch and in the last, over seeds; None if unknown."""
    entries = [epochs for run in runs if (epochs := whole_epochs(run.record))]
    known = [[epochs[place].get("effective_weights", {}).get(task) for epochs in entries] for place in (0, -1)]
    first, last = ([value for value in values if value is not None] for values in known)
    return (fmean(first), fmean(last)) if first and last else None


def changes(record: Record) -> bool:
    """Does any task's effective weight change from epoch to epoch?"""
    weights = [entry.get("effective_weights") or {} for entry in record.epochs]
    return any(
        abs(value - weights[0].get(task, value)) > 1e-9
        for own in weights
        for task, value in own.items()
        if value is not None
    )
