"""A value of one task that is missing or no number changes nothing on another task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from benchmark.analysis.compare import compare
from benchmark.analysis.power import power
from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.statistics import Comparison, Verdict
from tests.benchmark.reporting.fabricate import records

SPOILT = "mmoe/equal"


def of_tasks(made: Sequence[Record]) -> dict[tuple[str, str], Comparison]:
    """{(task, method): comparison with the baseline}."""
    answers = report(made).results[0].answers
    assert answers is not None
    return {(c.task, c.method): c for c in answers.tasks.comparisons}


def spoilt(value: float | None, method: str = SPOILT) -> list[Record]:
    made = records(("videos",))
    chosen = next(record for record in made if record.method == method and record.seed == 0)
    chosen.metrics["test"]["play_time"]["mse"] = value
    return made


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 1e300, 1e77])
def test_the_verdicts_of_other_tasks_stand(value: float | None) -> None:
    before, after = of_tasks(records(("videos",))), of_tasks(spoilt(value))
    assert {before["click", method].verdict for method in (SPOILT, "ple/pcgrad")} == {Verdict.BETTER}
    assert before.keys() == after.keys()
    for key, comparison in before.items():
        if key != ("play_time", SPOILT):
            assert after[key].verdict is comparison.verdict
            assert after[key].difference == comparison.difference or key[0] == "play_time"
            assert after[key].tests == comparison.tests  # a lost value makes no p smaller
    lost = after["play_time", SPOILT]
    assert lost.verdict is None
    assert lost.reason == "no mse in 1 of 5 runs where another method has one"


def test_a_baseline_without_a_value_takes_the_verdicts_of_its_task_alone() -> None:
    before, after = of_tasks(records(("videos",))), of_tasks(spoilt(math.nan, "single_task/equal"))
    assert {c.verdict for (task, _), c in after.items() if task == "play_time"} == {None}
    assert all(
        after[key].verdict is c.verdict and after[key].p == c.p for key, c in before.items() if key[0] != "play_time"
    )


def test_it_is_told() -> None:
    made = report(spoilt(1e77))
    assert "1e+77 is not a number to compare" in made.markdown().replace("\\", "")
    assert "nan" not in str(made).lower().split()


def test_compare_and_power_do_not_mind() -> None:
    before, after = (compare(SPOILT, "single_task/equal", made) for made in (records(("videos",)), spoilt(math.nan)))
    found = {c.task: c for c in after.comparisons}
    for comparison in before.comparisons:
        if comparison.task in ("click", "like"):
            assert found[comparison.task].verdict is comparison.verdict
            assert found[comparison.task].p_adjusted == pytest.approx(comparison.p_adjusted, rel=1e-9)
    assert found["play_time"].verdict is None
    planned = {
        (row["task"], row["method"]): row["seeds"] for row in power(spoilt(math.nan)).table.iter_rows(named=True)
    }
    expected = {
        (row["task"], row["method"]): row["seeds"] for row in power(records(("videos",))).table.iter_rows(named=True)
    }
    assert all(planned[key] == expected[key] for key in planned if key[0] in ("click", "like"))
