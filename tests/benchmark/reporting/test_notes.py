"""Notes under a task's table: what its metrics say of themselves; and whether intervals have the luck of a search in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmark.metrics import METRICS
from benchmark.records.record import Record
from benchmark.reporting import Report, report
from tests.benchmark.reporting.fabricate import record, records, searched, searches

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


# the luck of the search -----------------------------------------------------------------------------------------------

OWN = "cover search and seed together: each seed has its own search."
ONE = "do not cover the search: all seeds share one search (hydra.sweeper.replicate=search repeats it too)."
SOME = "cover the search only in part: several seeds share one search (hydra.sweeper.replicate=search repeats it too)."
BASE = "single_task/equal"


def luck(*runs: Record) -> list[str]:
    (verdicts,) = [chapter for chapter in report(runs).document.chapters if chapter.anchor == "verdicts"]
    return [note for part in verdicts.parts for note in part.notes if "search" in note]


@pytest.mark.parametrize(("make", "expected"), [(searches, OWN), (searched, ONE)])
def test_what_intervals_of_tuned_methods_are_of_is_said(make: Any, expected: str) -> None:
    tuned = [*make(method=BASE), *make(method="mmoe/equal")]
    assert luck(*tuned) == [f"These intervals {expected}"]
    untuned = [record(method=BASE, seed=seed) for seed in range(3)]
    assert luck(*tuned, *untuned) == [f"These intervals {expected}"]  # the untuned ones are another part of the report


def test_methods_whose_intervals_are_of_other_things_are_named() -> None:
    both = [*searched(method="ple/pcgrad"), *searches(method="ple/pcgrad")]
    assert luck(*searches(method=BASE), *searched(method="mmoe/equal"), *both) == [
        f"The intervals of mmoe/equal {ONE}",
        f"The intervals of ple/pcgrad {SOME}",
        f"The intervals of {BASE} {OWN}",
    ]


def test_of_one_seed_or_of_no_search_nothing_is_said() -> None:
    assert luck(*records(("videos",), seeds=3)) == []
    assert luck(*searches(method=BASE, seeds=1), *searched(method="mmoe/equal", seeds=1)) == []
