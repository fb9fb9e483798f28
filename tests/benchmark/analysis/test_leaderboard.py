"""The leaderboard over data sets: every number by hand, from runs whose gains are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from scipy import stats

from benchmark.analysis.bencheval import bencheval_table
from benchmark.analysis.leaderboard import Leaderboard, Standing, weights
from benchmark.records.record import Record
from benchmark.reporting import Report, report
from benchmark.statistics import Verdict
from tests.benchmark.reporting.fabricate import METHODS, record

B = "single_task/equal"
LEARNT = {"click": (0.70, 0.5), "like": (0.80, 0.5), "play_time": (1.5, 2.2)}
"""{task: (the baseline's mean, the constant's value)}; what is headline there is an MSE for play_time."""
LUCK = (-0.1, 0.0, 0.1)
"""Of the seeds, per cent of gain on every task, the baseline's too: its mean gain stays 0."""
Gains = float | tuple[float, float, float]


def run_of(method: str, seed: int, gain: Gains, name: str, **options: Any) -> Record:
    """A run on the data set `name` with these gains on its three tasks."""
    made = record("videos", method, seed, called=name, num_epochs=2, **options)
    parts = (gain,) * 3 if isinstance(gain, float) else gain
    for (task, (mean, constant)), part in zip(LEARNT.items(), parts, strict=True):
        value = mean + (part + LUCK[seed]) / 100 * (mean - constant)
        made.metrics["test"][task]["mse" if task == "play_time" else "auc"] = value
    return made


def runs_of(methods: Mapping[str, Gains], name: str, **options: Any) -> list[Record]:
    return [run_of(m, seed, g, name, **options) for m, g in {B: 0.0, **methods}.items() for seed in range(3)]


def over(gains: Mapping[str, Sequence[Gains]], **options: Any) -> list[Record]:
    """Runs of methods on as many data sets as they have gains: d0, d1, ..."""
    number = max(map(len, gains.values()))
    return [
        r for d in range(number) for r in runs_of({m: g[d] for m, g in gains.items() if d < len(g)}, f"d{d}", **options)
    ]


def boards(runs: Sequence[Record], **options: Any) -> tuple[Leaderboard, ...]:
    return report(runs, **options).leaderboards


def standing(board: Leaderboard, method: str) -> Standing:
    return next(s for s in board.standings if s.method == method)


EIGHT = [1.0, 2.0, -1.0, 3.0, 0.05, 4.0, -2.0, 1.0]


@pytest.fixture(scope="module")
def made() -> Report:
    low = [(-1.0, -2.0, 1.0), *[-3.0] * 6, (-1.0, -9.0, 1.0)]
    return report(over({"mmoe/equal": EIGHT, "ple/pcgrad": low}))


@pytest.fixture(scope="module")
def board(made: Report) -> Leaderboard:
    (found,) = made.leaderboards
    return found


def test_the_mean_has_data_sets_as_the_random_effect(board: Leaderboard) -> None:
    found = standing(board, "mmoe/equal")
    assert found.mean is not None
    assert found.mean.mean == pytest.approx(sum(EIGHT) / 8)
    expected = stats.ttest_1samp(EIGHT, 0).confidence_interval(0.95)
    assert (found.mean.low, found.mean.high) == pytest.approx((expected.low, expected.high))
    assert found.degrees == 7


def test_the_interquartile_mean_on_demand(made: Report) -> None:
    from benchmark.analysis.leaderboard import leaderboards

    found = standing(leaderboards(made.results, iqm=True)[0], "mmoe/equal")
    assert found.mean is not None
    assert found.mean.mean == pytest.approx((0.05 + 1.0 + 1.0 + 2.0) / 4)
    assert found.degrees == 3


def test_the_probability_of_improvement_over_data_sets(board: Leaderboard) -> None:
    # a run gains more than all of the baseline's where the gain is 1 and more; at .05 in 6 of 9 pairs, by the seeds' luck
    found = standing(board, "mmoe/equal").probability
    assert found is not None
    assert found.mean == pytest.approx((5 + 6 / 9) / 8)
    assert found.n == 8


def test_wins_ties_and_losses_are_verdicts_by_data_set(board: Leaderboard) -> None:
    found = standing(board, "mmoe/equal")
    assert found.count(Verdict.BETTER) == 5
    assert found.count(Verdict.EQUIVALENT, Verdict.IDENTICAL) == 1
    assert found.count(Verdict.WORSE) == 2
    assert found.count(Verdict.UNDECIDED) == 0


def test_what_is_not_decided_is_open() -> None:
    runs = over({"mmoe/equal": [0.3, 0.3]})
    for run in runs:  # the luck of the seeds twenty times as large
        for task, (mean, constant) in LEARNT.items():
            run.metrics["test"][task]["mse" if task == "play_time" else "auc"] += (
                19 * LUCK[run.seed] / 100 * (mean - constant)
            )
    (found,) = boards(runs)
    assert standing(found, "mmoe/equal").count(Verdict.UNDECIDED) == 2


def test_the_worst_task_anywhere(board: Leaderboard) -> None:
    dataset, task, gain = standing(board, "ple/pcgrad").worst
    assert (dataset, task) == ("d7", "like")
    assert gain == pytest.approx(-9.0)


def test_costs_are_geometric_means_of_ratios(board: Leaderboard) -> None:
    found, (_, parameters, _, seconds), base = standing(board, "mmoe/equal"), METHODS["mmoe/equal"], METHODS[B]
    assert found.parameters == pytest.approx(parameters / base[1])
    assert found.seconds == pytest.approx((seconds + 1) / (base[3] + 1))  # medians over seeds 0, 1, 2: a second more
    runs = over({"mmoe/equal": [1.0, 1.0]})
    for run in runs:
        if run.method == "mmoe/equal":
            run.cost["parameters"] = 4 * METHODS[B][1] if run.dataset["name"] == "d0" else METHODS[B][1]
    (other,) = boards(runs)
    assert standing(other, "mmoe/equal").parameters == pytest.approx(math.sqrt(4 * 1))


def test_ranks_are_by_mean_gain_with_the_baseline_among_them(board: Leaderboard) -> None:
    assert [(s.method, s.rank) for s in board.standings] == [("mmoe/equal", 1), ("ple/pcgrad", 3)]
    assert board.baseline_rank == 2


@pytest.mark.parametrize(
    ("number", "means", "ranks"), [(3, False, False), (4, True, False), (5, True, False), (6, True, True)]
)
def test_there_is_a_mean_from_four_data_sets_and_a_rank_from_six(number: int, means: bool, ranks: bool) -> None:
    (found,) = boards(over({"mmoe/equal": EIGHT[:number]}))
    (row,) = found.standings
    assert (row.mean is not None, row.probability is not None, row.rank is not None) == (means, means, ranks)
    assert list(row.entries) == [f"d{d}" for d in range(number)]


def test_a_method_that_lacks_a_data_set_has_no_rank_and_stands_last() -> None:
    runs = over({"mmoe/equal": EIGHT[:6], "ple/equal": [9.0] * 5})
    (found,) = boards(runs)
    assert [(s.method, s.rank, s.num_datasets) for s in found.standings] == [
        ("mmoe/equal", 1, 6),
        ("ple/equal", None, 5),
    ]
    last = found.standings[1]
    assert last.mean is not None
    assert last.mean.mean == pytest.approx(9.0)
    assert last.degrees == 4


def test_a_method_that_diverged_is_in_no_mean_there() -> None:
    runs = over({"mmoe/equal": EIGHT[:6], "ple/equal": [1.0] * 6})
    at = next(n for n, r in enumerate(runs) if (r.method, r.dataset["name"], r.seed) == ("ple/equal", "d2", 1))
    runs[at] = record("videos", "ple/equal", 1, called="d2", num_epochs=2, status="diverged")
    (found,) = boards(runs)
    row = standing(found, "ple/equal")
    assert (row.rank, row.num_datasets, row.entries["d2"].verdict) == (None, 5, None)
    assert row.entries["d2"].reason == "diverged on seed 1"


def test_variants_of_one_data_set_are_one_data_set() -> None:
    runs = over({"mmoe/equal": [1.0, 2.0, 3.0]})
    for width, gain in ((1, 4.0), (2, 6.0)):
        runs += runs_of({"mmoe/equal": gain}, "drawn", options={"width": width})
    (found,) = boards(runs)
    assert found.num_datasets == 4
    assert found.variants == {"drawn": ["drawn [width=1]", "drawn [width=2]"]}
    row = standing(found, "mmoe/equal")
    assert row.weights == [1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8]
    assert row.mean is not None
    expected = stats.ttest_1samp([1.0, 2.0, 3.0, 5.0], 0).confidence_interval(0.95)
    assert row.mean.mean == pytest.approx(11 / 4)
    assert row.mean.high == pytest.approx(expected.high)
    assert row.degrees == 3
    assert row.count(Verdict.BETTER) == 5
    assert row.profile([3.5]) == pytest.approx([1 / 4])


def test_weights_are_alike_between_data_sets_and_within() -> None:
    assert weights(["a", "b", "b"]) == [0.5, 0.25, 0.25]


def test_tuned_methods_are_against_tuned_single_task() -> None:
    runs = over({"mmoe/equal": [1.0, 1.0]})
    runs += [run_of(m, s, g, "d0", purpose="tuned") for m, g in ((B, 0.5), ("mmoe/equal", 0.5)) for s in range(3)]
    tuned, default = boards(runs)
    assert (tuned.kind, tuned.baseline, list(tuned.families)) == ("tuned", B, ["d0"])
    assert (default.kind, default.baseline, list(default.families)) == ("default", B, ["d0", "d1"])
    assert standing(tuned, "mmoe/equal").entries["d0"].gain.mean == pytest.approx(0.0, abs=1e-9)
    assert standing(default, "mmoe/equal").entries["d0"].gain.mean == pytest.approx(1.0)


def test_data_sets_without_gains_are_left_out_with_the_reason() -> None:
    runs = over({"mmoe/equal": [1.0, 1.0]})
    runs += [run_of("mmoe/equal", s, 1.0, "lonely") for s in range(3)]
    (found,) = boards(runs)
    assert found.left_out == {"lonely": f"no run of {B} finished"}


def test_the_verdict_is_of_the_declared_primary_endpoint() -> None:
    runs = over({"mmoe/equal": [(2.0, -3.0, 2.0), 1.0]})
    for run in runs:
        if run.dataset["name"] == "d0":
            run.config["primary"] = "like.auc"
    (found,) = boards(runs)
    assert found.other_primary == {"d0": "like.auc"}
    entry = standing(found, "mmoe/equal").entries["d0"]
    assert entry.verdict is Verdict.WORSE
    assert entry.gain.mean == pytest.approx(1 / 3)


def test_the_table_of_bencheval_has_an_error_a_run(made: Report) -> None:
    table = bencheval_table(made.results)
    assert table.columns == ["method", "task", "seed", "metric_error", "time_train_s", "purpose"]
    assert table.height == 3 * 3 * 8
    assert table.n_unique(["method", "task", "seed"]) == table.height
    (row,) = table.filter(method="ple/pcgrad", task="d7", seed=2).rows(named=True)
    click, like, play_time = (
        mean + (gain + 0.1) / 100 * (mean - constant)
        for gain, (mean, constant) in zip((-1.0, -9.0, 1.0), LEARNT.values(), strict=True)
    )
    assert row["metric_error"] == pytest.approx(((1 - click) / 0.5 + (1 - like) / 0.5 + play_time / 2.2) / 3)
    assert row["time_train_s"] == METHODS["ple/pcgrad"][3] + 2
    assert row["purpose"] == "default"


def test_its_seeds_number_runs_that_differ_in_more_than_the_seed() -> None:
    runs = [r for split in (0, 1) for r in runs_of({"mmoe/equal": 1.0}, "d0", options={"split_seed": split})]
    table = bencheval_table(report(runs).results)
    assert sorted(table.filter(method="mmoe/equal")["seed"]) == [0, 1, 2, 3, 4, 5]
