"""Several values where one is expected, and intervals without tuning: each line has the word that works."""

from __future__ import annotations

import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from benchmark.runs.space import Range, parse_space
from benchmark.settings.swept import check_sweep, not_one, sweep_inside, swept_hydra
from tests.benchmark.settings.test_hydra_text import read_back

PARSER = OverridesParser.create()
SPACE = "hydra.sweeper.space"


def test_an_interval_without_tuning_is_told_both_ways_out() -> None:
    with pytest.raises(ValueError, match="only tuning draws") as caught:
        check_sweep(PARSER.parse_override("trainer.learning_rate=tag(log,interval(1e-4,1e-2))"))
    sweeper, space = shlex.split(re.split(r": | ?; ", str(caught.value))[2])
    assert sweeper == "hydra/sweeper=tuning"
    override = PARSER.parse_override(space)
    assert override.key_or_group == f"{SPACE}.trainer.learning_rate"
    (parameter,) = parse_space({"trainer": {"learning_rate": override.value()}})
    assert parameter.tried == Range(1e-4, 1e-2, log=True)
    assert str(caught.value).endswith("; a sweep lists its values: trainer.learning_rate=0.0001,0.01")
    with pytest.raises(ValueError, match=r"interval; a sweep lists its values: seed=0,3$"):
        check_sweep(PARSER.parse_override("seed=interval(0,3)"))
    check_sweep(PARSER.parse_override("seed=range(0,3)"))


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("hydra.launcher.n_jobs=1,2", "hydra.launcher.n_jobs=1"),
        ("hydra/launcher=joblib,basic", "hydra/launcher=joblib"),
        ("hydra.sweeper.trials=range(3,5)", "hydra.sweeper.trials=3"),
    ],
)
def test_a_key_of_hydra_takes_one_value(word: str, right: str) -> None:
    assert swept_hydra(word) == f"{word}: commas make a sweep, and hydra.* takes one value per command: {right}"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (f"{SPACE}.trainer.patience=interval(1,4)", "interval(1,4)"),
        (f"+{SPACE}.trainer.patience=tag(log,interval(1,4))", "tag(log,interval(1,4))"),
        (f"{SPACE}.trainer.patience=1,4", "choice(1,4)"),
        ("hydra.sweeper.params.seed=range(0,3)", "range(0,3)"),
        ("hydra.sweeper.params.seed=0,1", "0,1"),
    ],
)
def test_what_the_sweeper_reads_is_quoted_twice(word: str, text: str) -> None:
    line, _, hint = swept_hydra(word).partition("; write ")
    assert line == f"{word}: the sweeper expects a text here, in quotes inside the shell's"
    (pasted,) = shlex.split(hint)
    assert pasted.partition("=")[0] == word.partition("=")[0]
    assert PARSER.parse_override(pasted).value() == text


def test_an_interval_inside_braces_is_quoted_there() -> None:
    word = f"{SPACE}={{trainer:{{learning_rate:tag(log,interval(1e-4,1e-2)),patience:choice(1,2)}}}}"
    line = sweep_inside(["seed=range(0,3)", word])
    assert line is not None
    (pasted,) = shlex.split(line.partition("; write ")[2])
    space = read_back(pasted.removeprefix(f"{SPACE}="))
    assert space == {"trainer": {"learning_rate": "tag(log,interval(1e-4,1e-2))", "patience": "choice(1,2)"}}
    assert sweep_inside(["seed=range(0,3)"]) is None


def test_a_configuration_is_shown_of_one_run() -> None:
    line = not_one("architecture=mmoe,ple", ["architecture=mmoe,ple", "--cfg", "job"])
    assert line == (
        "architecture=mmoe,ple: several values make a sweep, and --cfg and --info show one run; "
        "choose one value: architecture=mmoe"
    )
    assert "one run is expected here" in not_one("seed=1,2", ["seed=1,2"])
