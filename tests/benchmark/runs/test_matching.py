"""`match_parameters`: widths that give an architecture a size, in runs, in searches and in records."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from architectures import Architecture
from architectures.mmoe import MMoE
from benchmark import RunConfig, configure, run
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SHARE, build, make_schema
from benchmark.embeddings import embedding_parameters
from benchmark.runs import matching
from benchmark.runs.jobs import compose_all
from benchmark.runs.matching import NARROWEST, TOLERANCE, Widths, matched, scaled_to, size, told, widths_of
from benchmark.runs.search import searches_of
from benchmark.runs.space import parse_space
from benchmark.schema import Schema
from benchmark.settings.config import TrainerConfig
from benchmark.settings.registry import architectures, plain
from tests.benchmark.runs.test_tuning import SHOP, _hydra, compose  # noqa: F401  the fixture is one of this module too
from tests.golden.make import built_in
from tests.toys import C0

FUNNEL = make_schema(CLICK, CART, BUY, cardinalities=(2, 70_000, 5))


def outside(model: Architecture) -> int:
    return sum(p.numel() for p in model.parameters()) - embedding_parameters(model)


def config_of(name: str, **parameters: Any) -> Any:
    return architectures.config(name, **parameters)


@pytest.mark.parametrize("name", built_in())
def test_the_size_is_that_of_the_model(name: str) -> None:
    assert size(config_of(name), FUNNEL) == outside(build(name, FUNNEL))


def test_a_module_that_cannot_be_made_without_values_is_made_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made, init = [], MMoE.__init__

    def with_values(self: MMoE, schema: Schema, **parameters: Any) -> None:
        init(self, schema, **parameters)
        made.append(torch.ones(3).sum().item())

    expected = size(config_of("mmoe"), C0)
    monkeypatch.setattr(MMoE, "__init__", with_values)
    assert size(config_of("mmoe"), C0) == expected
    assert made == [3.0]


def test_the_size_leaves_random_numbers_as_they_are() -> None:
    torch.manual_seed(0)
    size(config_of("mmoe"), C0)
    found = torch.rand(1)
    torch.manual_seed(0)
    assert found == torch.rand(1)


@pytest.mark.parametrize("target", [30_000, 100_000, 1_000_000])
@pytest.mark.parametrize("name", [name for name in built_in() if widths_of(config_of(name))])
def test_large_sizes_are_met_within_the_tolerance_and_the_shape_stays(name: str, target: int) -> None:
    config = config_of(name)
    found, parameters = scaled_to(config, FUNNEL, target)
    assert parameters == size(found, FUNNEL) == pytest.approx(target, rel=TOLERANCE)
    ratios = [
        after / before
        for key, value in widths_of(config).items()
        for before, after in zip(*(np.atleast_1d(w) for w in (value, widths_of(found)[key])), strict=True)
    ]
    assert max(ratios) / min(ratios) < 1.3
    others = {key: value for key, value in plain(found).items() if key not in widths_of(config)}
    assert others.items() <= plain(config).items()


def test_a_size_that_is_near_keeps_the_widths() -> None:
    config, now = config_of("mmoe"), size(config_of("mmoe"), C0)
    assert scaled_to(config, C0, round(now * 1.02)) == (config, now)
    assert scaled_to(config, C0, round(now * 1.1))[0] != config


@pytest.mark.parametrize("name", ["ple", "shared_bottom", "esmm"])
def test_of_small_sizes_the_nearest_is_at_most_half_a_width_away(name: str) -> None:
    parameters = {
        "ple": {"level_dims": (12, 12, 12)},
        "shared_bottom": {"bottom_dims": (24, 24)},
        "esmm": {"tower_dims": (20, 20, 20)},
    }
    config = config_of(name, **parameters[name])
    lowest = size(dataclasses.replace(config, **narrowest(widths_of(config))), FUNNEL)
    for target in range(lowest, 4 * lowest, lowest // 2):
        found, parameters_ = scaled_to(config, FUNNEL, target)
        steps = [size(dataclasses.replace(found, **wider), FUNNEL) - parameters_ for wider in by_one(widths_of(found))]
        assert abs(parameters_ - target) <= max(TOLERANCE * target, max(steps) / 2)


def narrowest(widths: Widths) -> Any:
    return {key: NARROWEST if isinstance(value, int) else (NARROWEST,) * len(value) for key, value in widths.items()}


def test_no_layer_becomes_narrower_than_eight_units_or_than_it_was() -> None:
    for name, parameters, expected in (
        ("shared_bottom", {"bottom_dims": (400, 20), "tower_dims": (10,)}, (8,)),
        ("shared_bottom", {"bottom_dims": (400, 20), "tower_dims": (5,)}, (5,)),
    ):
        config = config_of(name, **parameters)
        found, _ = scaled_to(config, FUNNEL, size(config, FUNNEL) // 4)
        assert found.tower_dims == expected
        assert found.bottom_dims[1] == 8 < found.bottom_dims[0] < 400


def by_one(widths: Widths) -> list[Any]:
    return [
        {**widths, key: (*value[:place], value[place] + 1, *value[place + 1 :])}
        for key, value in widths.items()
        if isinstance(value, tuple)
        for place in range(len(value))
    ]


def test_widths_that_the_class_wants_equal_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = matching.size

    def only_equal(config: Any, schema: Schema) -> int:
        if len(set(config.tower_dims)) > 1:
            raise ValueError("expected equal widths")
        return real(config, schema)

    monkeypatch.setattr(matching, "size", only_equal)
    config = config_of("esmm", tower_dims=(20, 20))
    lowest = size(dataclasses.replace(config, **narrowest(widths_of(config))), FUNNEL)
    for target in (lowest + 100, lowest + 200, lowest + 300):
        assert len(set(scaled_to(config, FUNNEL, target)[0].tower_dims)) == 1


def test_widths_that_a_number_must_divide_stay_multiples(monkeypatch: pytest.MonkeyPatch) -> None:
    real = matching.size

    def only_multiples(config: Any, schema: Schema) -> int:
        if config.bottom_dims[-1] % 3:
            raise ValueError("3 must divide bottom_dims")
        return real(config, schema)

    monkeypatch.setattr(matching, "size", only_multiples)
    config = config_of("shared_bottom", bottom_dims=(96, 48))
    for target in (3_000, 10_000, 100_000):
        found, parameters = scaled_to(config, FUNNEL, target)
        assert [width % 3 for width in (*found.bottom_dims, *found.tower_dims)] == [0, 0, 0]
        assert parameters == pytest.approx(target, rel=2 * TOLERANCE)
    monkeypatch.setattr(matching, "size", lambda config, schema: build("shared_bottom", schema, bottom_dims=()))
    with pytest.raises(ValueError, match="layer widths must be at least one number"):
        scaled_to(config, FUNNEL, 3_000)


def test_what_is_out_of_reach_is_refused_with_the_range() -> None:
    config = config_of("shared_bottom", embedding_dim=8)
    # widths of 8: 8 x (32 + 1), 8 x (8 + 1), two towers of 8 x (8 + 1) and two outputs of 8 + 1
    with pytest.raises(
        ValueError, match=r"shared_bottom can have from 498 to 606,167,042 parameters outside .* by bottom_dims, tower_"
    ):
        scaled_to(config, C0, 300)
    assert scaled_to(config, C0, 490)[1] == 498
    with pytest.raises(ValueError, match="the target is 100,000,000,000,000"):
        scaled_to(config, C0, 10**14)


def test_without_widths_any_other_size_is_refused() -> None:
    now = size(config_of("embedding_sum"), FUNNEL)
    assert scaled_to(config_of("embedding_sum"), FUNNEL, now)[1] == now
    with pytest.raises(ValueError, match=rf"embedding_sum has no layer width to scale: it has {now} parameters"):
        scaled_to(config_of("embedding_sum"), FUNNEL, 10_000)


def test_a_class_that_says_nothing_has_the_widths_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    said = widths_of(config_of("mmoe"))
    assert said == {"expert_dims": (64,), "tower_dims": (32,)}
    monkeypatch.setattr(MMoE, "capacity", None)
    assert widths_of(config_of("mmoe")) == said
    assert widths_of(config_of("mmoe", tower_dims=())) == {"expert_dims": (64,)}
    monkeypatch.setattr(MMoE, "capacity", ("embedding_dim",))
    assert scaled_to(config_of("mmoe"), C0, 200_000)[0].embedding_dim > 16
    monkeypatch.setattr(MMoE, "capacity", ("dropout",))
    with pytest.raises(ValueError, match=r"MMoE.capacity: expected parameters that are a width .* found dropout=0.0"):
        widths_of(config_of("mmoe"))


def test_the_size_of_another_architecture() -> None:
    config = RunConfig(dataset="shop", architecture="ple", match_parameters="mmoe")  # type: ignore[arg-type]
    found = matched(config, FUNNEL)
    target = size(config_of("mmoe"), FUNNEL)
    assert found.matched == {
        "target": target,
        "parameters": size(found.architecture, FUNNEL),
        "before": {"level_dims": [64, 64], "tower_dims": [32]},
    }
    assert matched(found, FUNNEL) is found
    assert told(found).startswith(f"mtlbench: match_parameters=mmoe ({target:,}): ple on shop gets level_dims=[")
    same = matched(dataclasses.replace(config, architecture=config_of("mmoe")), FUNNEL)
    assert same.architecture == config_of("mmoe")
    assert "mmoe on shop keeps expert_dims=[64] tower_dims=[32]" in told(same)


def test_an_architecture_that_does_not_suit_the_data_has_no_size_there() -> None:
    config = RunConfig(dataset="shop", architecture="ple", match_parameters="esmm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="match_parameters=esmm: esmm does not suit dataset shop: needs a funnel"):
        matched(config, make_schema(LIKE, SHARE))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "match_parameters must be at least 1, found 0"),
        ("mmo", "match_parameters: expected a number of parameters or an architecture's name; unknown .* mean mmoe?"),
        (1e5, "match_parameters: expected a whole number, found 100000.0; write 100000$"),
        (4.5, "match_parameters: expected a whole number, found 4.5$"),
        (float("nan"), "match_parameters: expected a whole number, found nan$"),
        (True, "match_parameters: expected a whole number, found True$"),
    ],
)
def test_what_is_neither_a_size_nor_a_name_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunConfig(match_parameters=value)


def test_a_run_is_identified_by_its_widths_and_its_record_has_the_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    trainer = TrainerConfig(max_epochs=1)
    common: dict[str, Any] = {"dataset": shop, "trainer": trainer, "results_dir": str(tmp_path), "threads": 1}
    record = run(RunConfig(**common, architecture="shared_bottom", match_parameters=20_000))
    assert "match_parameters=20000: shared_bottom on shop gets bottom_dims=[" in capsys.readouterr().err
    facts = record.config["matched"]
    assert (record.config["match_parameters"], facts["target"]) == (20_000, 20_000)
    assert facts["before"] == {"bottom_dims": [512, 64], "tower_dims": [32]}
    assert record.cost["parameters"] - record.cost["embedding_parameters"] == facts["parameters"]
    assert facts["parameters"] == pytest.approx(20_000, rel=TOLERANCE)
    widths = {key: tuple(record.config["architecture"][key]) for key in facts["before"]}
    explicit = RunConfig(**common, architecture=config_of("shared_bottom", **widths))
    assert explicit.id == record.id
    restored = RunConfig.restored(record.config)
    assert (restored.id, matched(restored, FUNNEL)) == (record.id, restored)
    again = run(RunConfig(**common, architecture="shared_bottom", match_parameters=20_000))
    assert again.environment == record.environment, "it is not repeated"


def test_every_trial_of_a_search_has_the_size(tmp_path: Path) -> None:
    common = [*SHOP, "architecture=mmoe", f"results_dir={tmp_path}", "seed=0"]
    space = parse_space({"architecture": {"num_experts": "choice(2, 4, 8, 16)"}})
    (search,) = searches_of(compose_all([[*common, "match_parameters=200000"]], compose), space, "halton", compose)
    trials = [search.ask(number).job.config for number in range(4)]
    assert len({trial.architecture.num_experts for trial in trials}) > 1
    assert len({trial.architecture.expert_dims for trial in trials}) > 1
    for trial in trials:
        assert trial.matched["parameters"] == pytest.approx(200_000, rel=TOLERANCE)
    (other,) = searches_of(compose_all([common], compose), space, "halton", compose)
    assert other.id != search.id
    assert other.ask(0).job.config.matched == {}
