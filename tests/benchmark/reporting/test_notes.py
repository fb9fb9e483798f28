"""Notes under a task's table: what its metrics say of themselves, with values of the records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.metrics import METRICS
from benchmark.reporting import Report, report
from tests.benchmark.reporting.fabricate import records

USERS = "GAUC is over the 804 users with both classes, who have 91.3% of the rows."
ROWS = "Conditional metrics, [purchase|click], are over the 2,104 test rows where click is 1."


def notes(made: Report, task: str) -> tuple[str, ...]:
    return next(table for _, _, table in made.document.tables() if table.key == f"task_{task}").notes


def test_they_say_what_gauc_and_conditional_metrics_are_over() -> None:
    made = report(records(("shop",), seeds=2))
    assert [note for note in notes(made, "purchase") if note in (USERS, ROWS)] == [USERS, ROWS]
    assert USERS in notes(made, "click") and not any("Conditional" in note for note in notes(made, "click"))
    assert not any("GAUC" in note or "Conditional" in note for note in notes(made, "duration"))


def test_any_metric_may_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    note = "The first method's mean is {mae:.3f} on {task.name}."
    monkeypatch.setitem(METRICS, "mae", replace(METRICS["mae"], note=note))
    made = report(records(("shop",), seeds=2))
    (results,) = made.results
    mean = results.estimate("duration", "mae", next(iter(results.group.by_method))).mean
    assert mean is not None and f"The first method's mean is {mean.mean:.3f} on duration." in notes(made, "duration")
