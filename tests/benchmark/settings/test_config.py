"""What is the identity of a run, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmark import RunConfig, TrainerConfig
from benchmark.files import digest
from benchmark.settings.composition import compose_run
from benchmark.settings.registry import architectures, datasets, weightings


def config(**parameters: Any) -> RunConfig:
    return RunConfig(dataset="shop", architecture="mmoe", **parameters)


def test_the_identity_has_twelve_hex_digits_and_is_stable() -> None:
    assert len(config().id) == 12
    assert int(config().id, 16) >= 0
    assert config().id == config().id


@pytest.mark.parametrize("value", ["1e-3", ".001", "0.001", "1.0e-03"])
def test_the_spelling_of_a_number_is_no_part_of_it(value: str) -> None:
    assert compose_run([f"trainer.learning_rate={value}"]).id == config().id


def test_an_int_for_a_float_is_the_same_run() -> None:
    assert compose_run(["trainer.clip_norm=1"]).id == config(trainer=TrainerConfig(clip_norm=1.0)).id


def test_the_order_of_keys_is_no_part_of_it() -> None:
    one, other = {"click": 1.0, "purchase": 5.0}, {"purchase": 5.0, "click": 1.0}
    ids = {config(weighting=weightings.config("fixed", weights=weights)).id for weights in (one, other)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"device": "cpu"},
        {"threads": 3},
        {"tracker": "wandb"},
        {"results_dir": "elsewhere"},
        {"save_checkpoint": True},
        {"save_predictions": True},
        {"rerun": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_where_and_how_it_runs_is_no_part_of_it(change: dict[str, Any]) -> None:
    assert config(**change).id == config().id


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"purpose": "tuned"},
        {"weighting": "uncertainty"},
        {"trainer": TrainerConfig(max_epochs=2)},
        {"debug": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_the_result_is_part_of_it(change: dict[str, Any]) -> None:
    assert config(**change).id != config().id


def test_parameters_of_the_parts_are_part_of_it() -> None:
    changed = replace(config(), architecture=architectures.config("mmoe", num_experts=4))
    assert changed.id != config().id


def test_a_name_stands_for_its_defaults() -> None:
    spelt_out = RunConfig(
        dataset=datasets.config("shop"),
        architecture=architectures.config("mmoe"),
        weighting=weightings.config("equal"),
        tracker="none",
    )
    assert config() == spelt_out


def test_nan_has_no_identity() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"learning_rate": float("nan")})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 0}, "trainer.batch_size must be at least 1, found 0"),
        ({"max_epochs": -1}, "trainer.max_epochs must be at least 1, found -1"),
        ({"learning_rate": -0.1}, "trainer.learning_rate must be greater than 0, found -0.1"),
        ({"clip_norm": 0.0}, "trainer.clip_norm must be greater than 0 or null, found 0.0"),
        ({"optimizer": "sgd"}, "trainer.optimizer must be one of adam, adamw, found 'sgd'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_values_out_of_range_name_parameter_and_range(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        TrainerConfig(**parameters)
