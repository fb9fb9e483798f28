"""Results of a verb that print themselves: to a terminal with rich, as plain text elsewhere."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from benchmark.console import terminal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

WIDTH = 100
"""Columns of the plain text."""


class Answer(ABC):
    """The answer to a question about records."""

    @abstractmethod
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The parts, from top to bottom."""

    def print(self, console: Console | None = None) -> None:
        """Prints to the terminal; to a file or a pipe, prints `str`."""
        console = console or terminal()
        if console.is_terminal or console.record:
            console.print(self)
        else:
            console.file.write(f"{self}\n")

    def __str__(self) -> str:
        console = terminal(file=io.StringIO(), width=WIDTH, no_color=True, force_terminal=False, _environ={})
        with console.capture() as capture:
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())
