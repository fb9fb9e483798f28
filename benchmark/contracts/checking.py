"""All contracts of one entry, tried one after the other: what `mtlbench check` prints."""

from __future__ import annotations

import inspect
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from benchmark.contracts import Case, NotApplicable, cases
from benchmark.contracts.expectation import Broken
from benchmark.settings.registry import REGISTRIES


@dataclass(frozen=True, slots=True)
class Checked:
    """How an entry did in one contract.

    Args:
        title: The contract.
        status: Whether it holds in every setting.
        reason: What is broken and where, or why the contract does not apply; empty if it holds.
    """

    title: str
    status: Literal["holds", "broken", "skipped"]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.status:<7}  {self.title}" + (f": {self.reason}" if self.reason else "")


def check(group: str, name: str) -> Iterator[Checked]:
    """Tries the contracts of one entry, each in all its settings until it breaks in one.

    Args:
        group: architecture, weighting or dataset.
        name: As it is registered.

    Raises:
        ValueError: for an unknown group or name.
    """
    all_cases = list(cases(group, name))
    file = inspect.getsourcefile(REGISTRIES[group].get(name)) or ""
    for title, settings in groupby(all_cases, key=lambda case: case.title):
        yield _outcome(title, settings, file)


def tally(outcomes: Iterable[Checked]) -> str:
    """How many contracts hold, how many are broken, and how many do not apply: `14 hold, 1 broken, 1 skipped`."""
    numbers = Counter(outcome.status for outcome in outcomes)
    others = [f", {numbers[status]} {status}" for status in ("broken", "skipped") if numbers[status]]
    return f"{numbers['holds']} hold{''.join(others)}"


def _outcome(title: str, settings: Iterator[Case], file: str) -> Checked:
    skipped = ""
    for case in settings:
        where = f"on {case.setting}, " if case.setting else ""
        try:
            case.check()
        except NotApplicable as reason:
            skipped = str(reason)
        except Broken as error:
            return Checked(title, "broken", f"{where}{error}")
        except Exception as error:  # noqa: BLE001  what the entry itself raises may be anything
            return Checked(title, "broken", f"{where}{type(error).__name__}{_line(error, file)}: {error}")
    return Checked(title, "skipped", skipped) if skipped else Checked(title, "holds")


def _line(error: Exception, file: str) -> str:
    """Where in the file of the entry an error comes from; nothing if it comes from elsewhere."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" in {Path(file).name}, line {lines[-1]}" if lines else ""
