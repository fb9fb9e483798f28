"""What is written for the command line is what Hydra reads back."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from benchmark import RunConfig, configure
from benchmark.settings.composition import compose_run
from benchmark.settings.config import TrainerConfig
from benchmark.settings.hydra_text import command_text, type_text, value_text
from benchmark.settings.registry import Neutral, plain

# strings of the signs that mean something to a shell, to Hydra or to omegaconf, and of what looks like another type
PIECES = [*"\\'\"}[(,:=~#@ \n-/.aé1", "${", "${a}", "1e4", ".5", "_0", "inf"]
ODD = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
LOOKS = st.sampled_from(["true", "False", "NULL", "1", "-7", "1_0", "1e4", ".5", "inf", "-Inf", "nan", "${a}", "???"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | LOOKS | ODD | st.text(max_size=8)
KEYS = st.from_regex(r"[A-Za-z_]([A-Za-z0-9_.|$%@?*+/ (){}\[\],:=\\-]*[A-Za-z0-9_])?", fullmatch=True).filter(
    lambda key: key.lower() not in {"true", "false", "null", "inf", "nan"}
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def read_back(text: str) -> Any:
    """As a composition has it: parsed by Hydra, then resolved by omegaconf."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(plain, value))
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value.text if isinstance(value, QuotedString) else value

    override = OverridesParser.create().parse_override(f"key={text}")
    assert not override.is_sweep_override()
    node = OmegaConf.create({"key": plain(override.value())}, flags={"allow_objects": True})
    return OmegaConf.to_container(node, resolve=True)["key"]  # type: ignore[index, call-overload]


def same(one: Any, two: Any) -> bool:
    """Equal and of one type, throughout: 1, 1.0 and True are three values."""
    if type(one) is not type(two):
        return False
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return list(one) == list(two) and all(map(same, one.values(), two.values()))
    return bool(one == two)


@given(VALUES)
def test_hydra_reads_back_an_equal_value_of_the_same_type(value: Any) -> None:
    assert same(read_back(value_text(value)), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1e-05"),
        ("adam", "adam"),
        ("results/runs", "results/runs"),
        ("../my-runs", "../my-runs"),
        ("-a", "'-a'"),
        ("true", "'true'"),
        ("", "''"),
        ("it's", r"'it\'s'"),
        ("a, b", "'a, b'"),
        ((64, 32), "[64,32]"),
        ([], "[]"),
        ({}, "{}"),
        ({"click|x": 1.0, "a b": None}, r"{click|x:1.0,a\ b:null}"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_it_is_short(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_composition_reads_it_too() -> None:
    tuning = {
        "space": {"trainer.learning_rate": "tag(log, interval(1e-4, 1e-2))"},
        "ids": ["1e4", "0123"],
        "none": None,
    }
    assert compose_run([f"++tuning={value_text(tuning)}", "results_dir='a ${b}'".replace("$", "\\$")]).tuning == tuning
    folder = "it's a {folder}, for $5 or ${5}"
    assert compose_run([f"results_dir={value_text(folder)}"]).results_dir == folder


def test_the_command_of_a_run_composes_the_run() -> None:
    config = RunConfig(
        dataset=configure("dataset", "shop", tasks=("click", "purchase")),
        architecture=configure("architecture", "mmoe", expert_dims=(8, 4), dropout=1e-5),
        weighting=configure("weighting", "fixed", weights={"click": 2}),
        trainer=TrainerConfig(clip_norm=1, monitor="click.auc"),
        seed=3,
        results_dir="my results/it's",
    )
    mtlbench, run, *overrides = shlex.split(command_text(plain(config)))
    assert (mtlbench, run) == ("mtlbench", "run")
    assert compose_run(overrides) == config
    defaults = plain(RunConfig(dataset="shop", architecture="mmoe"))  # type: ignore[arg-type]
    assert command_text(defaults) == "mtlbench run dataset=shop architecture=mmoe weighting=equal"


def test_a_key_that_the_record_of_a_run_lacks_is_written_where_the_default_is_no_longer_what_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass(kw_only=True, slots=True)
    class LaterTrainer(TrainerConfig):
        toy: Annotated[float, Neutral(1.0)] = 4.0

    before = plain(RunConfig(dataset="shop", architecture="mmoe"))  # type: ignore[arg-type]
    monkeypatch.setattr("benchmark.settings.hydra_text.TrainerConfig", LaterTrainer)
    assert command_text(before).endswith(" trainer.toy=1.0")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "int"),
        (bool, "true or false"),
        (float | None, "float or null"),
        (Optional[int], "int or null"),  # noqa: UP045  as omegaconf gives it
        (Literal["bins", "raw"], "one of bins, raw"),
        (Enum("Mode", ["RUN", "MULTIRUN"]), "one of RUN, MULTIRUN"),
        (tuple[int, ...], "a list of int, as in [1,2]"),
        (tuple[str, ...] | None, "a list of str, as in [a,b] or null"),
        (dict[str, float], "a mapping to float, as in '{a: 1, b: 2}'"),
        (TrainerConfig, "its own keys (max_epochs, batch_size,"),
    ],
)
def test_a_type_is_said_in_words(kind: Any, text: str) -> None:
    assert type_text(kind).startswith(text)
