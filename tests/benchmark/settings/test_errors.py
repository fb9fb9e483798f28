"""What is wrong with a command line is one line: what was meant, what was expected, the known names."""

from __future__ import annotations

import re

import pytest

from benchmark.settings.composition import compose_run
from benchmark.settings.errors import LauncherError, check_options, explain
from benchmark.settings.registry import architectures

CASES = {
    "architecture=mmoee": r"unknown architecture 'mmoee'; did you mean mmoe\? known: "
    + ", ".join(architectures.names()),
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
    "trainer.batch_size=1e3": r"trainer.batch_size: expected int, found 1000.0 \(float\); write 1000$",
    "match_parameters=1e5": r"match_parameters: expected int or str or null, found 100000.0 \(float\); write 100000$",
    "seed=null": r"seed: expected int, found null",
    "trainer.clip_norm=none": r"trainer.clip_norm: expected float or null, found 'none' \(str\)",
    "save_checkpoint=maybe": r"save_checkpoint: expected true or false, found 'maybe' \(str\)",
    "trainer=3": r"trainer: expected its own keys \(max_epochs, .*\), found 3 \(int\)",
    "hydra.mode=FOO": r"hydra.mode: expected one of RUN, MULTIRUN or null, found 'FOO' \(str\)",
    "tracker=null": r"tracker: expected a name, found null; known: none, wandb",
    "architecture=null": r"architecture: expected a name, found null; known: .*mmoe.*",
    "~architecture": r"architecture has no value; known: .*mmoe.*",
    "seed": r"cannot read 'seed': expected key=value",
    "=3": r"cannot read '=3': expected key=value",
    "seed=1 2{": r"cannot read 'seed=1 2\{': expected int",
    "seed=1,2": r"seed=1,2: commas make a sweep, and one run is expected here; .*",
    "seed=range(0,3": r"cannot read 'seed=range\(0,3': a bracket is not closed; write seed='range\(0,3\)'",
    "seed=[0,1]": r"seed: expected int, found \[0, 1\] \(list\); to sweep over several values, write seed=0,1",
    "seed=0-4": r"seed: expected int, found '0-4' \(str\); from 0 to 4 is seed='range\(0,5\)'",
    "architecture.expert_dims=64 32": r"architecture.expert_dims: .*; a list is architecture.expert_dims='\[64,32\]'",
    "learning_rate=.01": r"unknown key 'learning_rate'; did you mean trainer.learning_rate or weighting.learning_rate\? .*",
    "+learning_rate=.01": r"unknown key 'learning_rate'; did you mean trainer.learning_rate or weighting.learning_rate\? .*",
    "lr=.01": r"unknown key 'lr'; did you mean trainer.learning_rate\? known: .*",
    "trainer.lr=.01": r"unknown parameter of trainer 'lr'; did you mean trainer.learning_rate\? known: .*",
    "lerning_rate=.01": r"unknown key 'lerning_rate'; did you mean trainer.learning_rate or .*",
    "num_experts=4": r"unknown key 'num_experts'; did you mean architecture.num_experts\? known: .*",
    "seeds=5": r"unknown key 'seeds'; did you mean seed\? known: .*",
    "dataset.seed=5": r"unknown parameter of dataset shop 'seed'; did you mean seed \(without dataset.\)\? known: .*",
    "architecture.batch_size=5": r"unknown parameter of architecture mmoe 'batch_size'; did you mean trainer.batch_size\?.*",
    "architecture.level_dims=[3]": r"unknown parameter of architecture mmoe 'level_dims'; (\w+, )*ple, (\w+, )*\w+ have it; known: .*",
    "weighting.weights=[1,2]": r"unknown parameter of weighting equal 'weights'; weighting=fixed has it; known: none",
    "hydra.sweeper.space.trainer.dropout=1": r"hydra.sweeper.space.trainer: only a search has a space; add hydra/sweeper=tuning",
    "hydra.launcher.n_jobs=4": r"hydra.launcher.n_jobs: the launcher in use has no .*, such as hydra/launcher=joblib",
    "architecture=MMoE": r"unknown architecture 'MMoE'; did you mean mmoe\? known: .*",
    "architecture=": r"architecture: expected a name, found nothing; known: .*mmoe.*",
    "architecture=[mmoe,ple]": r".*: a run has one architecture; to sweep over several, write architecture=mmoe,ple",
    "architecture=mmoe+ple": r".*: expected one name; to sweep over several, write architecture=mmoe,ple",
    "architecture=mmoe/uncertainty": r".*: a method is chosen by two words: architecture=mmoe weighting=uncertainty",
    "dataset=./my.csv": r"dataset: expected a name, found the path './my.csv'; a table of your own is dataset=table "
    r"dataset.file=FILE, with a YAML that `mtlbench data describe` writes; other data of your own need "
    r"a small Python file that registers a name: `mtlbench new dataset NAME` writes one .*",
    "architecture=./net.py": r"architecture: .*; your own architecture needs a name: `mtlbench new architecture NAME` .*",
    "trainer.learning_rate=interval(1e-4,1e-2)": r".*: only tuning draws from an interval: hydra/sweeper=tuning "
    r"\+\+hydra.sweeper.space.trainer.learning_rate='\"interval\(1e-4,1e-2\)\"'; a sweep lists its values: .*=0.0001,0.01",
    "+architecture=ple": r"\+architecture=ple: architecture exists already, .*; write architecture=ple",
    "+trainer.patience=1": r"\+trainer.patience=1: trainer.patience exists already, .*; write trainer.patience=1",
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


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("weighting.weights=[1,2]", r"expected a mapping to float, as in '\{a: 1, b: 2\}', found \[1,2\]"),
        ("architecture.expert_dims={a: 1}", r"expected a list of int, as in \[1,2\], found \{a: 1\}"),
        ("trainer=[1]", r"expected its own keys \(max_epochs, .*\), found \[1\]"),
    ],
)
def test_a_list_for_a_mapping_and_a_mapping_for_a_list(override: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{override.partition('=')[0]}: {expected}$"):
        compose_run(["weighting=fixed", override])


def test_a_plain_error_is_its_own_text_on_one_line() -> None:
    assert explain(ValueError("first\n  second")) == "first second"
    assert explain(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--muptirun"], r"^unknown option '--muptirun'; did you mean --multirun\? known: .*--cfg"),
        (["seed=1", "--seed=3"], r"^unknown option '--seed=3'; a parameter is written without dashes: seed=3$"),
        (["--architecture", "mmoe"], r"^unknown option '--architecture'; .* without dashes: architecture=mmoe$"),
        (["--arch", "mmoe", "seed=1"], r"without dashes: architecture=mmoe$"),
        (["--learning-rate", ".01"], r"without dashes: trainer.learning_rate=.01$"),
        (["--lr=.01"], r"^unknown option '--lr=.01'; .*: trainer.learning_rate=.01$"),
        (["--trainer.lr=.01"], r": trainer.learning_rate=.01$"),
        (["--save_checkpoint", "seed=1"], r": save_checkpoint=true$"),
        (["--results-dir", "my results"], r": results_dir='my results'$"),
        (["-architecture", "mmoe"], r": architecture=mmoe$"),
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
