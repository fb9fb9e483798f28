"""The outcome of a reproduction, from two records alone."""

from __future__ import annotations

from copy import deepcopy

import pytest

from benchmark import Record
from benchmark.analysis.reproduction import Reproduction, same_method
from tests.benchmark.reporting import fabricate

AROUND = {
    "mtlbench": "0.1.0",
    "commit": "0a1b",
    "torch": "2.13",
    "numpy": "2.4",
    "python": "3.11",
    "processor": "X (AVX2)",
}


def run(seed: int = 0, **options: object) -> Record:
    record = fabricate.record(seed=seed, **options)  # type: ignore[arg-type]
    record.environment |= AROUND
    record.cost |= {"device": "cpu", "threads": 1}
    return record


def moved(record: Record, by: float, **around: str) -> Record:
    """The same run, with the test AUC of a task moved under the joint selection."""
    again = deepcopy(record)
    again.metrics["test"]["click"]["auc"] += by  # type: ignore[operator]
    again.environment |= around
    return again


def test_equal_records_are_the_same_whatever_differs_around_them() -> None:
    found = Reproduction(run(), run(), (run(),))
    assert (found.outcome, found.differing, found.expects_bits) == ("same", 0, True)
    assert "The same to the last bit" in str(found)
    other = Reproduction(run(), moved(run(), 0.0, torch="2.14"), (run(),))
    assert other.is_same and not other.expects_bits
    assert other.sentence.endswith("These differ, or are not known: torch.")


def test_one_bit_is_a_difference_where_everything_around_is_equal() -> None:
    again = run()
    again.epochs[1]["train_losses"]["click"] += 2**-52
    found = Reproduction(run(), again, tuple(map(run, range(5))))
    assert (found.outcome, found.differing) == ("different", 1)
    (group,) = (group for group in found.numbers if group.differing)
    assert group.name == "losses, metrics, weights: later ones" and 0 < group.largest < 1e-15  # type: ignore[operator]


def test_times_and_memory_are_not_compared_and_new_numbers_are_none_of_the_record_s() -> None:
    again = run()
    again.epochs[0]["seconds"] = 99.0
    again.cost |= {"train_seconds": 99.0, "peak_memory_bytes": 1, "rows_per_second": 1.0}
    again.metrics["test"]["click"]["newer"] = 0.5
    assert Reproduction(run(), again, ()).outcome == "same"
    assert Reproduction(again, run(), ()).differing == 1  # a number that is gone is missed


@pytest.mark.parametrize(("tenths", "outcome"), [(0.9, "near"), (1.1, "different")])
def test_elsewhere_a_headline_may_move_by_a_tenth_of_the_seeds_spread(tenths: float, outcome: str) -> None:
    seeds = tuple(map(run, range(5)))
    aucs = [record.metrics["test"]["click"]["auc"] for record in seeds]
    mean = sum(aucs) / 5
    spread = (sum((auc - mean) ** 2 for auc in aucs) / 4) ** 0.5
    found = Reproduction(run(), moved(run(), tenths * spread / 10, torch="2.14"), seeds)
    assert found.outcome == outcome
    (headline,) = (one for one in found.headlines if (one.selection, one.split, one.task) == ("joint", "test", "click"))
    assert headline.spread == pytest.approx(spread) and headline.metric == "auc"
    assert found.differing == 1
    assert ("too far" in str(found)) is (outcome == "different")


def test_with_two_seeds_nothing_is_judged_and_the_difference_is_shown() -> None:
    found = Reproduction(run(), moved(run(), 1e-4, numpy="2.5"), (run(0), run(1)))
    assert found.outcome == "unjudged" and not found.is_same
    assert "found 2" in found.sentence and "+0.0001" in str(found)


@pytest.mark.parametrize("key", ["commit", "processor", "python"])
def test_what_is_not_known_may_differ(key: str) -> None:
    record = run()
    del record.environment[key]
    assert not Reproduction(record, run(), ()).expects_bits


def test_neither_a_dirty_commit_nor_its_equal_promises_bits_and_no_commit_on_both_sides_does() -> None:
    dirty, without = run(), run()
    dirty.environment["commit"] = "0a1b-dirty"
    del without.environment["commit"]
    assert not Reproduction(dirty, dirty, ()).expects_bits
    assert Reproduction(without, without, ()).expects_bits


def test_another_end_is_different_whatever_the_spread() -> None:
    found = Reproduction(run(), run(status="diverged"), tuple(map(run, range(5))))
    assert found.outcome == "different"
    diverged = run(status="diverged")
    assert Reproduction(diverged, diverged, ()).outcome == "same"


def test_the_seeds_of_a_method_are_those_of_its_data_and_parameters() -> None:
    others = [
        *map(run, range(4)),
        run(4, status="diverged"),
        run(5, dataset="shop"),
        run(6, method="ple/pcgrad"),
        run(7, trainer={"learning_rate": 0.1}),
        run(0),
    ]
    assert sorted(record.seed for record in same_method(others[0], others)) == [0, 1, 2, 3]
    assert same_method(run(9), ()) == (run(9),)
    draws = [run(seed, options={"data_seed": seed}) for seed in range(3)]
    assert len(same_method(draws[0], draws)) == 3


def test_the_seeds_of_a_tuned_method_are_its_searches() -> None:
    records = fabricate.searches(seeds=3)
    tuned = [record for record in records if record.purpose == "tuned"]
    assert len({str(record.config["architecture"]) for record in tuned}) > 1
    assert same_method(tuned[0], records) == tuple(tuned)
    trial = next(record for record in records if record.purpose == "trial")
    assert same_method(trial, records) == (trial,)
