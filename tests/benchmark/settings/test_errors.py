"""What is wrong with a command line is one line: what was meant, what was expected, the known names."""

from __future__ import annotations

import re

import pytest

from benchmark.settings.composition import compose_run
from benchmark.settings.errors import LauncherError, check_options, explain

CASES = {
    "architecture=mmoee": r"unknown architecture 'mmoee'; did you mean mmoe\? known: .*mmoe, omoe, ple.*",
    "dataset=mmoe": r"unknown dataset 'mmoe'; known: .*shop.*",
    "tracker=wandbb": r"unknown tracker 'wandbb'; did you mean wandb\? known: none, wandb",
    "experiment=deno": r"unknown experiment 'deno'; did you mean demo\? known: .*demo.*",
    "hydra/launcher=basik": r"unknown hydra/launcher 'basik'; did you mean basic\? known: .*basic.*",
    "architecure=mmoe": r"unknown key 'architecure'; did you mean architecture\? known: .*experiment.*weighting",
    "trainer.lerning_rate=1": r"unknown parameter of trainer 'lerning_rate'; did you mean learning_rate\? known: .*",
    "architecture.num_expert=4": r"unknown parameter of architecture mmoe 'num_expert'; did you mean num_experts\? .*",
    "dataset={a: 1}": r"unknown parameter of dataset shop 'a'; known: .*",
    "trainer.batch_size=big": r"trainer.batch_size: expected int, found 'big' \(str\)",
    "architecture.num_experts=4.5": r"architecture.num_experts: expected int, found 4.5 \(float\)",
    "architecture.expert_dims=64": r"architecture.expert_dims: expected a list of int, as in \[1,2\], found 64 \(int\)",
    "seed=null": r"seed: expected int, found null",
    "trainer.clip_norm=none": r"trainer.clip_norm: expected float or null, found 'none' \(str\)",
    "save_checkpoint=maybe": r"save_checkpoint: expected true or false, found 'maybe' \(str\)",
    "trainer=3": r"trainer: expected its own keys \(max_epochs, .*\), found 3 \(int\)",
    "hydra.mode=FOO": r"hydra.mode: expected one of RUN, MULTIRUN or null, found 'FOO' \(str\)",
    "tracker=null": r"tracker: expected a name, found null; known: none, wandb",
    "architecture=null": r"architecture: expected a name, found null; known: .*mmoe.*",
    "~architecture": r"architecture has no value; known: .*mmoe.*",
    "seed": r"cannot read 'seed': expected key=value",
    "=3": r".*expected a name.*",
    "seed=1 2{": r"cannot read 'seed=1 2\{': a value with spaces, braces or commas is written key='\"a b\"'",
    "seed=1,2": r"seed=1,2: commas make a sweep, and one run is expected here; .*",
    "results_dir=${nowhere}": r"results_dir: Interpolation key 'nowhere' not found",
}


@pytest.mark.parametrize("override", CASES)
def test_a_mistake_is_one_line(override: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        compose_run([override])
    assert re.fullmatch(CASES[override], str(caught.value))


def test_the_known_elements_of_a_mapping_have_a_type() -> None:
    with pytest.raises(ValueError, match=r"^weighting.weights.click: expected float, found 'a' \(str\)$"):
        compose_run(["weighting=fixed", "weighting.weights={click: a}"])


def test_a_plain_error_is_its_own_text_on_one_line() -> None:
    assert explain(ValueError("first\n  second")) == "first second"
    assert explain(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--muptirun"], r"^unknown option '--muptirun'; did you mean --multirun\? known: .*--cfg"),
        (["seed=1", "--seed=3"], r"^unknown option '--seed=3'; a parameter is written without dashes: seed=3$"),
        (["--cfg", "jb"], r"invalid choice: 'jb'"),
        (["seed=1", "--cfg", "job", "seed=2"], r"^seed=2: options stand before all parameters or after them"),
    ],
)
def test_a_misspelt_option_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_options(arguments)


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=1,2"], ["seed=1", "--cfg", "job"], ["--help"]])
def test_known_options_pass(arguments: list[str]) -> None:
    check_options(arguments)


def test_a_launcher_that_gave_up_is_one_short_line() -> None:
    class UncompletedJobError(Exception):
        """submitit's: the whole stderr of the worker."""

    long = LauncherError(UncompletedJobError("Job 1 has not produced any output.\n----\n" + "stderr " * 1000))
    assert str(long).startswith(
        "the launcher gave up: UncompletedJobError: Job 1 has not produced any output. ---- stderr"
    )
    assert len(str(long)) < 450 and "\n" not in str(long)
    assert explain(long) == str(long)
    assert str(LauncherError(MemoryError())) == "the launcher gave up: MemoryError (HYDRA_FULL_ERROR=1 shows all of it)"
