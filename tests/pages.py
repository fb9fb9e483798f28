"""What is on a page: its code blocks, the commands in them, and the runs that a command stands for."""

from __future__ import annotations

import re
import shlex

import click
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from benchmark.cli import mtlbench

RUN = ("mtlbench run", "python -m benchmark")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """Every command of every bash block, without comments."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def is_run(command: str) -> bool:
    return command.startswith(RUN) and "--help" not in command


def words_of(command: str) -> list[str]:
    """What follows `mtlbench run`, without flags and what only a launcher reads."""
    words = shlex.split(command)[3 if command.startswith("python") else 2 :]
    return [word for word in words if not word.startswith(("-", "hydra"))]


def jobs_of(command: str) -> list[list[str]]:
    """The overrides of every run of the sweep, expanded as Hydra does it."""
    parsed = OverridesParser.create().parse_overrides(words_of(command))
    return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def parse_verb(command: str) -> None:
    """Parses `mtlbench VERB ...` as click does, and runs nothing."""
    verb, *arguments = shlex.split(command)[1:]
    arguments = [argument for argument in arguments if argument != "--help"]
    parent = mtlbench.make_context("mtlbench", [verb])  # a verb keeps the help option that it is first made with
    command_of = mtlbench.commands[verb]
    while isinstance(command_of, click.Group):  # `mtlbench data card`
        parent = command_of.make_context(verb, arguments[:1], parent=parent)
        verb, *arguments = arguments
        command_of = command_of.commands[verb]
    context = command_of.make_context(verb, arguments, parent=parent)
    assert not context.args
