"""The search space: which methods have a parameter, what it is tried over, and what is wrong with it in one line."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmark import RunConfig
from benchmark.runs.space import parse_space


def one(key: str, text: Any) -> Any:
    (parameter,) = parse_space({key: text})
    return parameter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(0.1, 1)", FloatDistribution(0.1, 1.0)),
        ("tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("range(4, 17, 4)", IntDistribution(4, 16, step=4)),
        ("int(interval(4, 16))", IntDistribution(4, 16)),
        ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("choice(4, 8, 16)", CategoricalDistribution(range(3))),
        ("4, 8", CategoricalDistribution(range(2))),
    ],
)
def test_hydras_own_sweeps_are_the_forms(text: str, expected: object) -> None:
    assert one("architecture.num_experts", text).distribution == expected


def test_a_choice_may_be_of_lists_and_texts() -> None:
    dims = one("architecture.bottom_dims", "choice([512,64],[256,64])")
    assert [dims.value(place) for place in (0, 1)] == [[512, 64], [256, 64]]
    assert dims.drawn([256, 64]) == 1
    assert one("trainer.optimizer", "choice(adam, 'adamw')").tried == ("adam", "adamw")


def test_numbers_are_short_and_stay_inside() -> None:
    rate = one("trainer.learning_rate", "interval(0.123456, 0.2)")
    assert rate.value(0.15678912) == 0.1568
    assert rate.value(0.12346) == 0.1235
    assert one("trainer.learning_rate", "interval(0.12346, 0.2)").value(0.12349) == 0.1235
    assert one("trainer.learning_rate", "interval(0.12346, 0.12349)").value(0.12347) == 0.12349


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("interval(0.1, 0.5)", {0: 0.1, 0.25: 0.2, 0.5: 0.3, 0.999999: 0.5}),
        ("tag(log, interval(1e-4, 1e-2))", {0: 1e-4, 0.25: 3.162e-4, 0.5: 1e-3, 0.75: 3.162e-3}),
        ("range(4, 17, 4)", {0: 4, 0.1: 4, 0.2: 4, 0.49: 8, 0.51: 12, 0.99: 16}),
        ("tag(log, int(interval(1, 64)))", {0: 1, 0.5: 8, 0.99: 61}),
        ("choice(4, 8, 16, 32)", {0: 4, 0.2499: 4, 0.25: 8, 0.5: 16, 0.75: 32, 0.9999: 32}),
        ("choice([64], [32, 16])", {0.49: [64], 0.5: [32, 16]}),
    ],
)
def test_a_share_of_the_range_is_a_value(text: str, values: dict[float, Any]) -> None:
    parameter = one("architecture.num_experts", text)
    assert {share: parameter.at(share) for share in values} == values


@pytest.mark.parametrize(
    ("text", "value", "tried", "expected"),
    [
        ("interval(0, 1)", 0.2, [0.2, 0.4, 0.3], "lowest"),
        ("interval(0, 1)", 0.4, [0.2, 0.4, 0.3], "highest"),
        ("interval(0, 1)", 0.3, [0.2, 0.4, 0.3], None),
        ("range(1, 9)", 3, [3, 3], None),
        ("choice(1, 2)", 1, [1, 2], "lowest"),
        ("choice([64], [32, 16])", [64], [[64], [32, 16]], None),
    ],
)
def test_an_end_is_one_of_what_was_tried(text: str, value: Any, tried: list[Any], expected: str | None) -> None:
    assert one("architecture.num_experts", text).end(value, tried) == expected


def test_what_belongs_to_the_trainer_every_method_has() -> None:
    keys = ("architecture.dropout", "trainer.weight_decay", "weighting.learning_rate")
    assert [one(key, "interval(0, 1)").is_shared for key in keys] == [False, True, False]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (("mmoe", "equal"), ["architecture.dropout", "architecture.num_experts", "trainer.learning_rate"]),
        (("shared_bottom", "equal"), ["architecture.dropout", "trainer.learning_rate"]),
        (("embedding_sum", "uncertainty"), ["trainer.learning_rate", "weighting.learning_rate"]),
    ],
)
def test_a_parameter_is_tried_where_the_method_has_it(method: tuple[str, str], expected: list[str]) -> None:
    space = {
        "weighting": {"learning_rate": "interval(0.01, 0.1)"},
        "trainer": {"learning_rate": "interval(0.01, 0.1)"},
        "architecture": {"num_experts": "choice(4, 8)", "dropout": "choice(0, 0.1)"},
    }
    config = RunConfig(dataset="shop", architecture=method[0], weighting=method[1])  # type: ignore[arg-type]
    assert [parameter.key for parameter in parse_space(space) if parameter.suits(config)] == expected


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        (
            "architecture.num_expert",
            "choice(4)",
            "unknown parameter of architecture 'num_expert'; did you mean num_experts",
        ),
        (
            "weighting.learning_rte",
            "choice(4)",
            "unknown parameter of weighting 'learning_rte'; did you mean learning_rate",
        ),
        (
            "trainer.learningrate",
            "choice(4)",
            "unknown parameter of trainer 'learningrate'; did you mean learning_rate",
        ),
        ("trainer.monitor", "choice(mean)", "unknown parameter of trainer 'monitor'"),
        ("dataset.split_seed", "choice(1)", "unknown part 'dataset'; known: architecture, trainer, weighting"),
        ("learning_rate", "choice(1)", "unknown part 'learning_rate'"),
        ("trainer.learning_rate", "0.1", "expected choice(4, 8), range(4, 17, 4) or interval(1e-4, 1e-2)"),
        ("trainer.learning_rate", 0.1, "expected choice(4, 8)"),
        ("trainer.learning_rate", "intervall(1, 2)", "cannot read 'intervall(1, 2)'"),
        ("trainer.learning_rate", "interval(1, 2", "cannot read 'interval(1, 2'"),
        ("trainer.learning_rate", "tag(log, interval(0, 1))", "tag(log, ...) is for numbers above 0, found 0"),
        ("trainer.learning_rate", "interval(2, 1)", "expected the smaller number first, found 2.0 and 1.0"),
        ("trainer.learning_rate", "tag(lg, interval(1, 2))", "unknown tag 'lg'"),
        ("trainer.learning_rate", "range(0.1, 0.5, 0.1)", "a range is of whole numbers"),
        ("architecture.num_experts", "range(4, 2)", "the range is empty"),
    ],
)
def test_what_is_wrong_is_one_line(key: str, text: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=r"hydra\.sweeper\.space") as caught:
        parse_space({key: text})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
