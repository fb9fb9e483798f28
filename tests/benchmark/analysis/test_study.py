from __future__ import annotations

from typing import Any

import pytest

from benchmark.analysis.families import endpoints, terms
from benchmark.analysis.lookup import find_baseline, find_method, require
from benchmark.analysis.naming import weighting_of
from benchmark.analysis.study import Study
from benchmark.analysis.values import long_table, size, values_on_test
from benchmark.records.record import Record
from benchmark.statistics import against_baseline
from tests.benchmark.reporting.fabricate import record, records, searched, searches


def test_names_are_short_where_they_differ_already() -> None:
    study = Study.of(records(seeds=1))
    assert [group.name for group in study.groups] == ["shop", "videos"]
    assert "mmoe/equal" in study.methods


def test_methods_of_one_name_show_only_the_keys_that_differ() -> None:
    made = [record(seed=s, trainer={"learning_rate": lr}) for s in range(2) for lr in (1e-3, 1e-4)]
    assert Study.of([*made, record(method="ple/pcgrad")]).methods == [
        "mmoe/equal [trainer.learning_rate=0.0001]",
        "mmoe/equal [trainer.learning_rate=0.001]",
        "ple/pcgrad",
    ]


def test_a_parameter_that_older_records_lack_is_named_absent() -> None:
    study = Study.of([record(), record(architecture={"depth": 3})])
    assert study.methods == ["mmoe/equal [architecture.depth=3]", "mmoe/equal [architecture.depth=absent]"]


def test_a_weighting_shows_its_parameters_in_parentheses() -> None:
    made = [record(method="mmoe/fixed", weights={"click": 1.0, "play_time": weight}) for weight in (0.1, 3.0)]
    plain = record(method="mmoe/fixed", weights={})
    assert Study.of(made).methods == ["mmoe/fixed(play_time=0.1)", "mmoe/fixed(play_time=3)"]
    study = Study.of([*made, plain])
    assert study.methods == [
        "mmoe/fixed(click=1, play_time=0.1)", "mmoe/fixed(click=1, play_time=3)", "mmoe/fixed(weights={})",
    ]  # fmt: skip
    assert weighting_of(study.methods[2]) == "fixed(weights={})"
    slow = record(method="mmoe/fixed", weights={"click": 1.0}, trainer={"learning_rate": 1e-4})
    named = Study.of([slow, made[0]]).methods
    assert named == [
        "mmoe/fixed [trainer.learning_rate=0.0001]",
        "mmoe/fixed(play_time=0.1) [trainer.learning_rate=0.001]",
    ]
    assert [weighting_of(method) for method in named] == ["fixed", "fixed(play_time=0.1)"]
    with pytest.raises(ValueError, match=r"of fixed there are mmoe/fixed\(play_time=0.1\), mmoe/fixed\(play_time=3\)"):
        require(Study.of(made), "fixed")


def test_two_configurations_of_a_data_set_are_two_groups() -> None:
    study = Study.of([record(options={"numeric": n}) for n in ("bins", "standardise")])
    names = [group.name for group in study.groups]
    assert len(names) == 2 and all("numeric=" in name for name in names)


def test_other_data_under_the_same_configuration_are_another_group() -> None:
    other = record(seed=1)
    other.dataset["fingerprint"] = "0123456789abcdef"
    names = [group.name for group in Study.of([record(seed=0), other]).groups]
    assert len(names) == 2 and "videos [fingerprint=01234567]" in names


def test_a_run_that_failed_before_its_data_stays_with_the_others() -> None:
    study = Study.of([record(seed=0), record(seed=1, status="failed")])
    assert len(study.groups) == 1
    assert study.groups[0].seeds == [0, 1]
    assert not study.groups[0].complete


def test_purposes_are_kept_apart() -> None:
    study = Study.of([record(), record(purpose="trial"), record(purpose="trial", seed=1)])
    assert len(study.runs) == 1 and study.left_out == {}  # the ledger has the trials
    assert len(study.groups[0].trials) == 2
    assert Study.of([record(), record(purpose="trial")], "default").left_out == {"trial": 1}
    with pytest.raises(ValueError, match=r"no records of purpose tuned to report.*1 of purpose default"):
        Study.of([record()], "tuned")
    with pytest.raises(ValueError, match=r"purpose must be one of all, default, tuned, found 'trial'"):
        Study.of([record()], "trial")  # type: ignore[arg-type]


def test_a_repeated_run_counts_once_and_the_finished_one_wins() -> None:
    study = Study.of([record(status="failed"), record(), record(), record(status="diverged")])
    assert [run.record.status for run in study.runs] == ["finished"]
    assert study.repeated == 3


def test_missing_seeds_are_those_that_others_have() -> None:
    study = Study.of([record(seed=0), record(seed=1), record(method="ple/pcgrad", seed=4)])
    missing = {method: [seed for _, seed in found] for method, found in study.groups[0].missing.items()}
    assert missing == {"mmoe/equal": [4], "ple/pcgrad": [0, 1]}


def test_baseline_is_found_by_its_short_name_only_where_that_is_one_method() -> None:
    slow, fast = record(trainer={"learning_rate": 1e-4}), record(trainer={"learning_rate": 1e-3})
    ambiguous = Study.of([slow, fast]).groups[0]
    assert find_baseline(ambiguous, "mmoe/equal") is None
    assert find_baseline(ambiguous, "mmoe/equal [trainer.learning_rate=0.001]") is not None
    elsewhere = record("shop", trainer={"learning_rate": 1e-3})
    apart = Study.of([slow, elsewhere]).groups
    assert all(find_baseline(group, "mmoe/equal") == group.runs[0].method for group in apart)


def test_tuned_and_default_runs_of_one_data_set_are_two_groups() -> None:
    study = Study.of([record(), *searched(), *searched("shop")])
    assert study.methods == ["mmoe/equal"]  # though it has other parameters on shop
    assert [(group.name, len(group.trials)) for group in study.groups] == [
        ("shop", 4), ("videos (tuned)", 4), ("videos", 0),
    ]  # fmt: skip
    assert [list(group.by_method) for group in study.groups] == [
        ["mmoe/equal"], ["mmoe/equal"], ["mmoe/equal"],
    ]  # fmt: skip
    assert [(group.dataset, group.is_tuned) for group in study.groups] == [
        ("shop", True), ("videos", True), ("videos", False),
    ]  # fmt: skip
    assert all(run.dataset == group.name for group in study.groups for run in group.runs)
    together = Study.of([record(), *searched(), *searched("shop")], apart=False)
    assert [(group.name, list(group.by_method)) for group in together.groups] == [
        ("shop", ["mmoe/equal (tuned)"]), ("videos", ["mmoe/equal", "mmoe/equal (tuned)"]),
    ]  # fmt: skip
    assert Study.of([record(), *searched()], "tuned").methods == ["mmoe/equal"]


def test_other_parameters_on_other_data_make_no_other_method() -> None:
    faster = {"learning_rate": 1e-2}
    assert Study.of([record("videos"), record("shop", trainer=faster)]).methods == ["mmoe/equal"]
    rivals = Study.of([record("videos"), record("shop"), record("shop", trainer=faster)])
    names = {group.name: sorted(group.by_method) for group in rivals.groups}
    assert names["shop"] == [f"mmoe/equal [trainer.learning_rate={rate}]" for rate in ("0.001", "0.01")]
    assert names["videos"] == names["shop"][:1]  # the same one on both


def test_a_short_name_is_the_method_that_was_not_tuned() -> None:
    # so that no method has the short name alone
    elsewhere = [record("shop"), record("shop", trainer={"learning_rate": 1e-2})]
    runs = [record(), *searched(), *elsewhere]
    (group,) = (group for group in Study.of(runs, apart=False).groups if group.trials)
    found = find_method(group.by_method, "mmoe/equal")
    assert found is not None and found.startswith("mmoe/equal [")
    assert find_method(group.by_method, "mmoe/equal (tuned)") == "mmoe/equal (tuned)"
    assert find_method(Study.of(searched(), apart=False).groups[0].by_method, "mmoe/equal") == "mmoe/equal (tuned)"
    (alone,) = Study.of(searched()).groups
    assert find_baseline(alone, "mmoe/equal (tuned)") == find_baseline(alone, "mmoe/equal") == "mmoe/equal"
    slow = record(trainer={"learning_rate": 1e-4}, status="failed")
    two = Study.of([record(trainer={"learning_rate": 1e-3}), slow, *searched()], apart=False).groups[0]
    assert find_method(two.by_method, "mmoe/equal") == "mmoe/equal [trainer.learning_rate=0.001]"


def test_a_search_that_was_extended_has_one_choice() -> None:
    small, large = searched(trials=4), searched(trials=6, diverged=0)
    study = Study.of([*small, *large])
    assert study.methods == ["mmoe/equal"]
    assert study.overtaken == 3 and study.left_out == {}


TUNED = "mmoe/equal (tuned)"


def rates(runs: list[Record]) -> set[float]:
    return {run.config["trainer"]["learning_rate"] for run in runs if run.purpose == "tuned"}


def test_a_tuned_method_is_one_whatever_each_of_its_searches_chose() -> None:
    made = [*searches(seeds=3, best=2), *searches("shop", seeds=2, best=2)]
    assert len(rates(made)) == 3
    study = Study.of([*made, record()], apart=False)
    assert study.methods == ["mmoe/equal", TUNED]
    found = {group.name: [run.record.seed for run in group.by_method[TUNED]] for group in study.groups}
    assert found == {"shop": [0, 1], "videos": [0, 1, 2]}
    assert (study.overtaken, study.repeated) == (0, 0)


def changed(runs: list[Record], **trainer: Any) -> list[Record]:
    """The same search with something else in the trainer that is not searched, and so of another study."""
    for run in runs:
        run.config["trainer"] = {**run.config["trainer"], **trainer}
        run.config["tuning"] = {**run.config["tuning"], "study": f"{run.study} {trainer}"}
        run.id += "b"
    return runs


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (searches(sampler="random"), ["sampler=halton", "sampler=random"]),
        (
            searches(space={"trainer.learning_rate": "interval(1, 2)", "architecture.num_experts": "choice(4, 8)"}),
            ["space.trainer.learning_rate=interval(1, 2)", "space.trainer.learning_rate=tag(log, interval(1e-4, 1e-2))"],
        ),
        (changed(searches(), batch_size=512), ["trainer.batch_size=1024", "trainer.batch_size=512"]),
    ],
    ids=["sampler", "space", "fixed"],
)  # fmt: skip
def test_two_studies_of_one_method_are_told_apart_by_what_they_differ_in(other: list[Record], names: list[str]) -> None:
    study = Study.of([*searches(), *other, *searches("shop")])
    groups = {group.name: list(group.by_method) for group in study.groups}
    assert groups["videos"] == [f"mmoe/equal [{name}]" for name in names]
    assert groups["shop"] == ["mmoe/equal"]  # there is one only
    assert all(len(runs) == 3 for group in study.groups for runs in group.by_method.values())


def test_tuned_runs_without_a_study_are_told_apart_by_their_configuration() -> None:
    made = searches(seeds=2, best=2)
    for run in made:
        del run.config["tuning"]["study"]
    assert [name.partition(" [")[2] for name in Study.of(made).methods] == [
        f"trainer.learning_rate={rate}]" for rate in sorted(map(str, rates(made)))
    ]


def test_searches_on_draws_of_the_data_are_one_method() -> None:
    made = []
    for seed in range(3):
        one = searched(search_seed=seed, seeds=1)
        for run in one:  # a search's study has the data in it
            run.config["dataset"] = {**run.config["dataset"], "split_seed": seed}
            run.config["tuning"] = {**run.config["tuning"], "study": f"on {seed}"}
        made += one
    (group,) = Study.of(made).groups
    assert {method: len(runs) for method, runs in group.by_method.items()} == {"mmoe/equal": 3}


def test_a_run_of_each_search_pairs_by_its_seed_with_runs_of_none() -> None:
    (group,) = Study.of([*searches(), *(record(seed=seed) for seed in range(3))], apart=False).groups
    default, tuned = ([run.pair for run in group.by_method[method]] for method in ("mmoe/equal", TUNED))
    assert default == tuned
    assert [(pair[3], pair[4]) for pair in tuned] == [(0, 0), (1, 0), (2, 0)]


def test_several_searches_on_one_seed_are_runs_of_their_own() -> None:
    untuned = [record(seed=seed) for seed in range(3)]
    others = [*searches(method="single_task/equal"), *searched(method="single_task/equal")]
    study = Study.of([*searches(), *searched(seeds=3), *untuned, *others], apart=False)
    (group,) = study.groups
    assert study.repeated == 2  # seed 0 of search 0 is of both, of both methods
    pairs = {method: [run.pair[3:] for run in runs] for method, runs in group.by_method.items()}
    assert pairs[TUNED] == pairs["single_task/equal (tuned)"] == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 2)]
    assert pairs["mmoe/equal"] == [(0, 0), (1, 0), (2, 0)]
    values = values_on_test(study, "joint")["videos"]
    assert {len(row) for row in values["click", "auc"].values()} == {5, 3}
    found = against_baseline(values, endpoints(group, {}), "single_task/equal (tuned)", **terms(group, values))
    assert {(c.method, c.n, c.reason) for c in found.comparisons} == {(TUNED, 5, None), ("mmoe/equal", 3, None)}


def test_each_search_is_extended_on_its_own() -> None:
    small, large = searched(trials=4), searched(trials=6, diverged=0)
    study = Study.of([*small, *large, *searched(trials=4, search_seed=1), *searched("shop", trials=4)])
    assert study.overtaken == 3
    assert [len(group.by_method["mmoe/equal"]) for group in study.groups] == [
        3,
        4,
    ]  # of search 1 the run of seed 1 stays
    videos = study.groups[1]
    assert [(run.record.search_seed, run.record.num_trials) for run in videos.by_method["mmoe/equal"]] == [
        (0, 6), (0, 6), (1, 4), (0, 6),
    ]  # fmt: skip


def test_a_failed_run_of_one_search_stays_beside_the_finished_one_of_another() -> None:
    one, two = searched(seeds=2), searched(search_seed=1)
    failed = record(seed=1, purpose="tuned", search_seed=1, status="failed", trainer={"learning_rate": 1.0})
    failed.config["tuning"] = two[-1].config["tuning"]
    (group,) = Study.of([*one, *two[:-1], failed]).groups
    assert [(run.search, run.record.status) for run in group.by_method["mmoe/equal"]] == [
        (0, "finished"), (0, "finished"), (1, "failed"),
    ]  # fmt: skip
    assert not group.complete


def test_draws_of_the_data_are_replicates_of_one_data_set() -> None:
    made = [
        record("shop", method, seed, options={"data_seed": seed, "noise": noise})
        for method in ("mmoe/equal", "single_task/equal") for seed in range(3) for noise in (0.1, 0.2)
    ]  # fmt: skip
    study = Study.of(made)
    assert [group.name for group in study.groups] == ["shop [noise=0.1]", "shop [noise=0.2]"]
    assert len(study.groups[0].replicates) == 3 and study.groups[0].complete == {"mmoe/equal", "single_task/equal"}
    assert len(Study.of(made[2:]).groups[0].missing["mmoe/equal"]) == 1


def test_more_seeds_of_one_method_make_no_other_incomplete() -> None:
    methods = {"mmoe/equal": 10, "ple/equal": 5, "single_task/equal": 5}
    group = Study.of([record(method=m, seed=s) for m, seeds in methods.items() for s in range(seeds)]).groups[0]
    assert group.complete == set(methods)


def looked(method: str, seeds: int) -> list[Record]:
    runs = [record(method=method, seed=seed) for seed in range(seeds)]
    for run in runs:
        run.config["looks"] = {"seeds": [3, 5, 8], "margin": "0.5%"}
    return runs


def test_a_method_that_stopped_at_a_look_lacks_no_run() -> None:
    early, late = looked("ple/equal", 3), [*looked("mmoe/equal", 8), *looked("single_task/equal", 8)]
    group = Study.of([*early, *late]).groups[0]
    assert group.looks == (3, 5, 8) and group.seeds == list(range(8))
    assert not any(group.missing.values()) and group.complete == {"mmoe/equal", "ple/equal", "single_task/equal"}
    short = Study.of([*early, *late, *looked("omoe/equal", 4)]).groups[0]  # between two looks: one is missing
    assert {method: [seed for _, seed in found] for method, found in short.missing.items() if found} == {
        "omoe/equal": [4]
    }


def test_the_long_table_has_sizes_and_nulls_where_a_record_lacks_them() -> None:
    new, old = record(seed=0), record(seed=1)
    del old.cost["multiply_adds"]  # as in records from before it was counted
    study = Study.of([new, old])
    table = long_table(study).select("seed", "embedding_parameters", "multiply_adds").unique().sort("seed")
    embedding_parameters = new.cost["embedding_parameters"]
    assert table.rows() == [(0, embedding_parameters, new.cost["multiply_adds"]), (1, embedding_parameters, None)]
    (runs,) = study.groups[0].by_method.values()
    assert size(runs, "multiply_adds") == size(runs[:1], "multiply_adds") == new.cost["multiply_adds"]
    assert size(runs[1:], "multiply_adds") is None
