"""The table of `make chaos`: what was injected, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rich.table import Table

Wrong: TypeAlias = Literal["lost", "changed", "silent", "leftovers"]
COLUMNS: dict[Wrong, str] = {
    "lost": "runs lost",
    "changed": "numbers changed",
    "silent": "silent",
    "leftovers": "leftovers",
}
"""What may go wrong, and its heading. Silent: not told in a line; so a traceback and a death by a signal count as silent."""


@dataclass
class Row:
    """One kind of fault.

    Args:
        fault: What people call it.
        injected: How often it was injected.
        not_run: Why it could not be injected at all; then it counts as nothing.
        found: Every single thing that went wrong: (what, how many, words).
    """

    fault: str
    injected: int = 0
    not_run: str = ""
    found: list[tuple[Wrong, int, str]] = field(default_factory=list)

    def blame(self, wrong: Wrong, name: str, words: str, number: int = 1) -> None:
        """Counts what went wrong with the fault of this name."""
        self.found.append((wrong, number, f"{name}: {words}"))

    def count(self, wrong: Wrong) -> int:
        """How often this went wrong."""
        return sum(number for what, number, _ in self.found if what == wrong)

    @property
    def is_clean(self) -> bool:
        """Did nothing go wrong?"""
        return not self.found

    @property
    def line(self) -> str:
        """Of progress."""
        if self.not_run:
            return f"{self.fault}: not run ({self.not_run})"
        wrong = ", ".join(f"{self.count(key)} {words}" for key, words in COLUMNS.items())
        return f"{self.fault}: {self.injected} injected, {wrong}"


def table(rows: Sequence[Row]) -> Table:
    """The rows side by side."""
    made = Table(title="faults injected, and what went wrong", title_justify="left")
    made.add_column("fault")
    for heading in ("injected", *COLUMNS.values()):
        made.add_column(heading, justify="right")
    for row in rows:
        numbers = ["not run"] if row.not_run else [str(row.injected), *(str(row.count(key)) for key in COLUMNS)]
        made.add_row(row.fault, *numbers)
    return made
