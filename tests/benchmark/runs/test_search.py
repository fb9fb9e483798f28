"""What the trials of a search try: the points of two Halton sequences, the same for every method."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, cast

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import qmc

from benchmark import RunConfig, TrainerConfig, configure
from benchmark.records.record import Record
from benchmark.runs.jobs import Job
from benchmark.runs.search import STARTUP_TRIALS, MethodSearch, Trial, halton_point
from benchmark.runs.space import parse_space
from benchmark.seeding import derive

SPACE: dict[str, dict[str, str]] = {
    "trainer": {"learning_rate": "tag(log, interval(1e-4, 1e-2))", "weight_decay": "interval(0, 0.1)"},
    "architecture": {"dropout": "choice(0.0, 0.1, 0.2)", "num_experts": "range(4, 17, 4)"},
    "weighting": {"learning_rate": "interval(0.01, 0.03)"},
}
OWN = ["architecture.dropout", "architecture.num_experts", "weighting.learning_rate"]  # in order of their keys
METHODS = ("embedding_sum/equal", "shared_bottom/equal", "mmoe/equal", "mmoe/uncertainty")


def a_search(
    method: str = "mmoe/uncertainty",
    search_seed: int = 0,
    space: dict[str, Any] = SPACE,
    sampler: str = "halton",
    **config: Any,
) -> MethodSearch:
    architecture, weighting = method.split("/")
    made = RunConfig(dataset="shop", architecture=architecture, weighting=weighting, **config)  # type: ignore[arg-type]
    return MethodSearch([], OmegaConf.create(), made, search_seed, [0], sampler, parse_space(space))


def proposed(search: MethodSearch, trials: int = 8, part: str = "") -> list[dict[str, Any]]:
    """What its first trials try of the parameters whose keys begin so."""
    return [
        {key: value for key, value in search.propose(number).items() if key.startswith(part)}
        for number in range(trials)
    ]


def sequence(search_seed: int, name: str, dimensions: int, trials: int = 8) -> np.ndarray:
    found: np.ndarray = qmc.Halton(dimensions, rng=np.random.default_rng(derive(search_seed, "tuning", name))).random(
        trials
    )
    return found


@pytest.mark.parametrize("search_seed", [0, 1, 7])
def test_trials_stand_at_the_points_of_two_halton_sequences(search_seed: int) -> None:
    def short(value: float) -> float:
        return float(f"{value:.4g}")

    shared, own = sequence(search_seed, "shared", 2), sequence(search_seed, "own", 5)[:, 2:]  # bases of their own
    expected = [
        {
            "architecture.dropout": [0.0, 0.1, 0.2][math.floor(3 * dropout)],
            "architecture.num_experts": 4 + 4 * math.floor(4 * experts),
            "trainer.learning_rate": short(1e-4 * 100**rate),
            "trainer.weight_decay": short(0.1 * decay),
            "weighting.learning_rate": short(0.01 + 0.02 * own_rate),
        }
        for (rate, decay), (dropout, experts, own_rate) in zip(shared, own, strict=True)
    ]
    assert proposed(a_search(search_seed=search_seed)) == expected


@pytest.mark.parametrize("search_seed", [0, 3])
def test_every_method_tries_the_same_values_of_what_it_shares_with_others(search_seed: int) -> None:
    found = {method: proposed(a_search(method, search_seed)) for method in METHODS}
    keys = {method: set(trials[0]) for method, trials in found.items()}
    assert len({len(own) for own in keys.values()}) == 4, "no two methods have as many parameters"
    for one in METHODS:
        for two in METHODS:
            both = keys[one] & keys[two]
            assert [{k: t[k] for k in both} for t in found[one]] == [{k: t[k] for k in both} for t in found[two]]


@pytest.mark.parametrize("method", METHODS)
def test_what_else_is_searched_does_not_move_the_parameters_of_the_trainer(method: str) -> None:
    smaller = {"trainer": SPACE["trainer"], "architecture": {"hidden_dims": "choice([64], [32])"}}
    for other in (smaller, {"trainer": SPACE["trainer"]}):
        assert proposed(a_search(method, 2), part="trainer.") == proposed(a_search(method, 2, other), part="trainer.")


def test_the_order_of_writing_a_space_does_not_matter() -> None:
    backwards = {group: dict(reversed(parameters.items())) for group, parameters in reversed(SPACE.items())}
    assert proposed(a_search(space=backwards)) == proposed(a_search())


def test_another_search_seed_tries_other_values() -> None:
    rates = [{trial["trainer.learning_rate"] for trial in proposed(a_search(search_seed=seed))} for seed in range(3)]
    assert [len(found) for found in rates] == [8, 8, 8]
    assert len(set().union(*rates)) == 24


@pytest.mark.parametrize(("options", "least", "most"), [(2, 32, 32), (4, 16, 16), (3, 21, 22)])
def test_every_value_of_a_choice_gets_an_equal_part(options: int, least: int, most: int) -> None:
    space = {"architecture": {"num_experts": f"choice({','.join(map(str, range(1, options + 1)))})"}}
    counts = Counter(trial["architecture.num_experts"] for trial in proposed(a_search(space=space), 64))
    assert len(counts) == options
    assert min(counts.values()) >= least and max(counts.values()) <= most


def test_tpe_starts_at_the_same_points() -> None:
    plain, modelled = (
        proposed(a_search(search_seed=5, sampler=sampler), STARTUP_TRIALS) for sampler in ("halton", "tpe")
    )
    assert modelled == plain


def test_the_id_is_of_the_procedure_and_one_for_all_its_searches() -> None:
    ids = {a_search(search_seed=seed).id for seed in range(5)}
    ids.add(a_search(trainer=TrainerConfig(learning_rate=0.5)).id)  # it is searched, so its default has no part
    assert len(ids) == 1
    others = [
        a_search("mmoe/equal"),
        a_search(sampler="tpe"),
        a_search(space={**SPACE, "trainer": {"learning_rate": "interval(0.1, 0.2)"}}),
        a_search(trainer=TrainerConfig(batch_size=7)),
    ]
    others.append(a_search())
    others[-1].config.dataset = configure("dataset", "shop", num_rows=500)
    assert len({*ids, *(search.id for search in others)}) == 6


def tried(*trials: tuple[float, dict[str, Any]]) -> MethodSearch:
    """A search with these criteria and values."""
    search = a_search()
    for number, (criterion, parameters) in enumerate(trials):
        record = Record(
            id="", status="finished", method="mmoe/uncertainty", purpose="trial", seed=number, config={},
            best_epoch=0.5, epochs=[{"epoch": 0.5, "criterion": criterion}, {"epoch": 1, "criterion": 99.0}],
        )  # fmt: skip
        search.trials.append(Trial(number, parameters, cast(Job, None), record))
    return search


def test_ends_are_those_of_what_was_tried() -> None:
    def values(rate: float, decay: float, dropout: float, experts: int, own_rate: float = 0.02) -> dict[str, Any]:
        return dict(
            zip(
                ["trainer.learning_rate", "trainer.weight_decay", *OWN],
                (rate, decay, dropout, experts, own_rate),
                strict=True,
            )
        )

    trials = [values(1e-3, 0.05, 0.0, 8), values(3e-3, 0.02, 0.1, 12), values(2e-3, 0.04, 0.2, 4)]

    def chosen(best: int) -> dict[str, str]:
        return tried(*((float(number == best), parameters) for number, parameters in enumerate(trials))).ends

    # a choice of numbers has ends as well, and of a parameter with one value nothing is told
    assert chosen(0) == {
        "trainer.learning_rate": "lowest", "trainer.weight_decay": "highest", "architecture.dropout": "lowest",
    }  # fmt: skip
    assert chosen(1) == {
        "trainer.learning_rate": "highest", "trainer.weight_decay": "lowest", "architecture.num_experts": "highest",
    }  # fmt: skip
    assert chosen(2) == {"architecture.num_experts": "lowest", "architecture.dropout": "highest"}


def test_no_two_parameters_are_tied_to_each_other() -> None:
    """In halves of 8 trials two coordinates agree as often as not, and not in all trials of a search or in none."""
    space = parse_space(SPACE)
    halves = []
    for search_seed in range(60):
        points = [list(halton_point(space, search_seed, number).values()) for number in range(8)]
        halves.append(np.array(points) > np.median(points, axis=0))
    agree = np.array([(of[:, :, None] == of[:, None, :]).mean(axis=0) for of in halves])
    apart = ~np.eye(agree.shape[1], dtype=bool)
    assert np.abs(agree.mean(axis=0)[apart] - 0.5).max() < 0.15
    assert ((agree == 0) | (agree == 1)).mean(axis=0)[apart].max() < 0.15


def test_a_parameter_with_one_value_has_no_end() -> None:
    trials = [
        dict(zip(["trainer.learning_rate", "trainer.weight_decay", *OWN], (1e-3, 0.05, 0.0, 8, 0.02), strict=True))
    ]
    assert tried((1.0, trials[0])).ends == {}
