"""The command line composes what Python would write, and nothing that has no meaning."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from benchmark import RunConfig, TrainerConfig
from benchmark.settings.composition import compose_run, typed
from benchmark.settings.help import EXAMPLES, experiments
from benchmark.settings.registry import REGISTRIES, architectures, datasets, weightings


def test_the_composed_config_equals_the_python_one() -> None:
    composed = compose_run(["dataset=shop", "architecture=mmoe", "architecture.num_experts=4"])
    assert composed == RunConfig(dataset="shop", architecture=architectures.config("mmoe", num_experts=4))


def test_defaults_are_written_once() -> None:
    """A value in the body of conf/config.yaml would be a second place for a default."""
    assert compose_run([]) == RunConfig(dataset="shop", architecture="mmoe")


def test_every_kind_of_value_arrives_as_its_type() -> None:
    composed = compose_run(
        [
            "architecture.expert_dims=[64,32]",
            "weighting=fixed",
            "weighting.weights={click: 1, purchase: 5, duration: 0.1}",
            "trainer.clip_norm=2",
            "save_checkpoint=true",
            "seed=3",
        ]
    )
    assert composed == RunConfig(
        dataset="shop",
        architecture=architectures.config("mmoe", expert_dims=(64, 32)),
        weighting=weightings.config("fixed", weights={"click": 1.0, "purchase": 5.0, "duration": 0.1}),
        trainer=TrainerConfig(clip_norm=2.0),
        save_checkpoint=True,
        seed=3,
    )


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_registered_entry_composes_to_its_defaults(group: str) -> None:
    for name in REGISTRIES[group].names():
        assert getattr(compose_run([f"{group}={name}"]), group) == REGISTRIES[group].config(name)


@pytest.mark.parametrize("name", [name for name, _ in experiments()])
def test_every_experiment_composes(name: str) -> None:
    assert compose_run([f"experiment={name}"]).dataset.name in datasets.names()


def test_the_command_line_beats_the_experiment() -> None:
    assert compose_run(["experiment=demo", "results_dir=mine"]).results_dir == "mine"


@pytest.mark.parametrize("command", [command for command, _ in EXAMPLES])
def test_every_example_of_the_help_composes(command: str) -> None:
    words = [word.replace("'", "") for word in command.split()[2:] if "=" in word]
    for word in words:  # one run of the sweep
        assert compose_run([word if word.startswith("experiment") else first_of(word)])


def first_of(word: str) -> str:
    key, _, value = word.partition("=")
    return f"{key}={value.removeprefix('range(').rstrip(')').split(',')[0]}"


def test_typed_takes_a_run_config_as_it_is() -> None:
    config = RunConfig(dataset="shop", architecture=architectures.config("mmoe", num_experts=4))
    assert typed(config) == config
    assert typed(config) is not config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+architecture.foo=3", "unknown parameter of architecture mmoe 'foo'; known: "),
        ("++trainer.lerning_rate=3", "unknown parameter of trainer 'lerning_rate'; did you mean learning_rate"),
        ("+sed=3", "unknown key 'sed'; did you mean seed"),
        ("architecture.name=ple", "architecture.name is 'ple', its parameters those of mmoe"),
        ("trainer.batch_size=0", "trainer.batch_size must be at least 1, found 0"),
        ("device=gpu", "device must be one of auto, cpu, cuda, found 'gpu'"),
    ],
)
def test_typed_refuses_what_hydra_accepts(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose_run([override])


def test_a_notebook_gets_the_same_checks() -> None:
    config = RunConfig(dataset="shop", architecture="mmoe")
    config.trainer.batch_size = "big"  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"^batch_size: expected int, found 'big' \(str\)$"):
        typed(config)


def test_a_part_of_another_kind_is_refused() -> None:
    node = OmegaConf.structured(RunConfig(dataset="shop", architecture="mmoe"))
    with pytest.raises(ValueError, match="architecture"):
        node.architecture = weightings.config("equal")
