"""A word that Hydra refuses gets its own cause, and a word that works: pasted into a shell, it has the value that was meant."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmark.settings.malformed import malformed, reads
from tests.benchmark.settings.test_hydra_text import read_back


def told(*words: str) -> tuple[str, str]:
    """The cause of the first word that Hydra refuses, and the words that are proposed."""
    refused = next(word for word in words if not reads(word))
    line = malformed(refused, words)
    assert "\n" not in line
    cause, _, hint = line.removeprefix(f"cannot read {refused!r}: ").partition("; write ")
    return cause, hint


def pasted(hint: str) -> tuple[str, Any]:
    """Key and value of a hint, as a shell and Hydra read it."""
    (word,) = shlex.split(hint)
    override = OverridesParser.create().parse_override(word)
    value = override.value()
    if isinstance(value, RangeSweep):
        value = list(value.range())
    elif isinstance(value, ChoiceSweep):
        value = tuple(value.list)
    return override.key_or_group, value


# what was typed, as a shell hands it over; the cause; the key and the value that were meant
CASES: list[tuple[tuple[str, ...], str, str, Any]] = [
    (("seed=range(0,3",), "a bracket is not closed", "seed", [0, 1, 2]),
    (("seed=range(0,3))",), "a closing bracket has no matching opening bracket", "seed", [0, 1, 2]),
    (("seed=range(0;3)",), "values have commas between them", "seed", [0, 1, 2]),
    (("seed=(0,1)",), "a sweep has commas and no brackets", "seed", (0, 1)),
    (("seed={0,1}",), "a sweep has commas and no brackets", "seed", (0, 1)),
    (("seed=0,1,",), "a value is missing beside a comma", "seed", (0, 1)),
    (("seed=,0,1",), "a value is missing beside a comma", "seed", (0, 1)),
    (("seed=0,,1",), "a value is missing beside a comma", "seed", (0, 1)),
    (("seed==3",), "one equals sign is enough", "seed", 3),
    (("seed", "=", "3"), "expected key=value, without a space", "seed", 3),
    (("seed", "=3"), "expected key=value, without a space", "seed", 3),
    (("seed=", "3"), "no space is allowed after the equals sign", "seed", 3),
    (("seed=1,", "2"), "no space is allowed beside a comma", "seed", (1, 2)),
    (("architecture=mmoe,", "ple"), "no space is allowed beside a comma", "architecture", ("mmoe", "ple")),
    (("architecture=mmoe", ",ple"), "no space is allowed beside a comma", "architecture", ("mmoe", "ple")),
    (("architecture=mmoe", ",", "ple"), "no space is allowed beside a comma", "architecture", ("mmoe", "ple")),
    (("architecture=mmoe", "ple"), "expected key=value, and a sweep has commas", "architecture", ("mmoe", "ple")),
    (("architecture=mmoe;ple",), "values have commas between them", "architecture", ("mmoe", "ple")),
    (("seed=0", "architecture", "mmoe"), "expected key=value, without a space", "architecture", "mmoe"),
    (("architecture:mmoe",), "expected key=value", "architecture", "mmoe"),
    (("architecture:", "mmoe"), "expected key=value", "architecture", "mmoe"),
    (("mmoe",), "expected key=value", "architecture", "mmoe"),
    (("lr", ".5"), "expected key=value, without a space", "trainer.learning_rate", 0.5),
    (("rerun",), "expected key=value", "rerun", True),
    (("architécture=mmoe",), "a key has only letters, digits, dots and underscores", "architecture", "mmoe"),
    (("architecture.expert_dims=[64,32",), "a bracket is not closed", "architecture.expert_dims", [64, 32]),
    (("architecture.expert_dims=(64,32)",), "a list has square brackets", "architecture.expert_dims", [64, 32]),
    (("architecture.expert_dims={64,32}",), "a list has square brackets", "architecture.expert_dims", [64, 32]),
    (
        ("architecture.expert_dims=64;32",),
        "a list has square brackets and commas",
        "architecture.expert_dims",
        [64, 32],
    ),
    (
        ("architecture.expert_dims=[64,32)",),
        "a closing bracket has no matching opening bracket",
        "architecture.expert_dims",
        [64, 32],
    ),
    (("architecture.expert_dims=[64,", "32]"), "a shell splits words at spaces", "architecture.expert_dims", [64, 32]),
    (("architecture.expert_dims=[64", "32]"), "a shell splits words at spaces", "architecture.expert_dims", [64, 32]),
    (
        ("weighting.weights={click:", "1,", "like:", "2}", "seed=1"),
        "a shell splits words at spaces",
        "weighting.weights",
        {"click": 1, "like": 2},
    ),
    (
        ("weighting.weights={click=1}",),
        "a mapping has a colon between key and value",
        "weighting.weights",
        {"click": 1},
    ),
    (("hydra.launcher.n_jobs=range(1,2",), "a bracket is not closed", "hydra.launcher.n_jobs", [1]),
    (("results_dir=my", "results"), "a shell splits words at spaces", "results_dir", "my results"),
    (
        ("results_dir=~/x",),
        "~ is the home folder only where a shell replaces it",
        "results_dir",
        str(Path("~/x").expanduser()),
    ),
]


@pytest.mark.parametrize(("words", "cause", "key", "value"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_the_remedy_is_that_of_the_cause(words: tuple[str, ...], cause: str, key: str, value: Any) -> None:
    found, hint = told(*words)
    assert (found, pasted(hint)) == (cause, (key, value))


@pytest.mark.parametrize("sign", [*"~;#&!<>^'\"`(){}[]=", "ü", "日"])
def test_a_folder_with_a_sign_of_the_grammar_is_told_that_sign(sign: str) -> None:
    cause, hint = told(f"results_dir=a {sign}b")
    assert cause == f"Hydra reads {sign} only in a text with quotes of its own"
    assert pasted(hint) == ("results_dir", f"a {sign}b")


def test_the_quotes_are_the_simplest() -> None:
    assert told("results_dir=für mich")[1] == "results_dir='\"für mich\"'"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=1!"], "cannot read 'seed=1!': expected int"),
        (["weighting.weights=(1,2)"], "cannot read .*: expected a mapping to float, as in '{a: 1, b: 2}'"),
        (
            ["dataset=~/my.csv"],
            "cannot read .*: dataset: expected a name, found the path '~/my.csv'; a table of your own is .*",
        ),
        (["tracker=wändb"], "cannot read .*: expected a name, without ä; known: none, wandb"),
        (["what"], "cannot read 'what': expected key=value"),
    ],
)
def test_where_no_word_would_be_right_the_line_says_what_is_expected(words: list[str], line: str) -> None:
    assert re.fullmatch(line, malformed(words[0], words))


SIGNS = st.sampled_from([*"ab/.~;#&!'\"`(){}[]=,:$\\ ü-", "${", "${a}"])


@given(st.lists(SIGNS, min_size=1, max_size=8).map("".join))
def test_every_folder_can_be_pasted(folder: str) -> None:
    assume(not reads(f"results_dir={folder}") and not folder.startswith("~/"))
    (word,) = shlex.split(told(f"results_dir={folder}")[1])
    assert read_back(word.removeprefix("results_dir=")) == folder
