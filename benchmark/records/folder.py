"""Folders of records that have other files too, or broken records: what is read, what is wrong, what is passed over. Imports no torch.

A file is one of ours if its name is that of a record (12 hex digits and `.json`) or of packed records, or if it is JSON
with the keys `OURS`. Ours that cannot be read, or hold what no run writes, are broken: all are named at once, and readers
continue without them only if they are told to. Everything else is a stranger: passed over and counted.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmark.files import read_json
from benchmark.records.packed import LONGEST
from benchmark.text import counted, listed, one_line

OURS = frozenset({"format", "id", "config"})
"""The keys that records of runs and of references have, and hardly any other JSON."""
STRANGER = object()
"""What `read_file` gives for everything but a record."""
_NAME = re.compile(r"[0-9a-f]{12}\.(json|card)")
_LONGEST = 1000  # characters of what is said of one
T = TypeVar("T")


class BrokenRecords(ValueError):
    """All broken records of a folder, each with what is wrong in it. Its text has a line for each."""

    def __init__(self, broken: Iterable[str]) -> None:
        self.broken = tuple(broken)
        lines = "".join(f"\n  {one_line(one, _LONGEST)}" for one in self.broken)
        super().__init__(
            f"{counted(len(self.broken), 'broken record')}:{lines}\n"
            "Run the command that made them again, which replaces them, or delete them; --skip-broken "
            "(skip_broken=True in Python) continues without them."
        )


@dataclass(slots=True)
class Contents(Generic[T]):
    """What is in a folder.

    Args:
        values: {path: what was read}, in order.
        broken: The errors of broken records.
        strangers: Everything but records.
    """

    values: dict[Path, T] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)

    def add(self, path: Path, kind: str, checked: Callable[[Any, Path], T]) -> None:
        """Reads a file, and puts it where it belongs.

        Args:
            path: A file, or anything else with the name of one.
            kind: What it should be, for errors: "a record".
            checked: Makes the value of the plain values, or raises a ValueError.
        """
        try:
            value = read_file(path, kind)
            if value is STRANGER:
                self.strangers.append(path)
            else:
                self.values[path] = checked(value, path)
        except ValueError as error:
            self.broken.append(str(error))


def read_file(path: Path, kind: str) -> Any:
    """The plain values of a file of ours; `STRANGER` for another file.

    Raises:
        ValueError: if it is one of ours by its name, and broken.
    """
    is_named = has_name(path)
    try:
        status = path.stat()
    except OSError:  # a link to nothing or to itself, or removed since the folder was listed
        return STRANGER
    if not stat.S_ISREG(status.st_mode):  # a pipe must not be opened: that would wait for its writer
        return STRANGER
    try:
        if status.st_size > LONGEST:
            raise ValueError(f"{path} is not {kind}: expected at most {LONGEST:,} bytes, found {status.st_size:,}")
        value = read_json(path, kind)
    except OSError as error:
        if is_named:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        return STRANGER
    except ValueError:
        if is_named:
            raise
        return STRANGER
    return value if is_named or (isinstance(value, dict) and value.keys() >= OURS) else STRANGER


def has_name(path: Path) -> bool:
    """Is the name that of a record?"""
    return _NAME.fullmatch(path.name) is not None


def settle(found: Iterable[Contents[Any]], *, skip_broken: bool) -> tuple[str, ...]:
    """What was left out of all that was read, in a sentence each for broken records and strangers; none if nothing was.

    Raises:
        BrokenRecords: if there are broken records, unless they are to be skipped.
    """
    every = list(found)
    broken = list(dict.fromkeys(text for one in every for text in one.broken))
    strangers = list(dict.fromkeys(path for one in every for path in one.strangers))
    if broken and not skip_broken:
        raise BrokenRecords(broken)
    said = []
    if broken:
        were = "was" if len(broken) == 1 else "were"
        said.append(
            f"{counted(len(broken), 'broken record')} {were} left out: {'; '.join(one_line(one, _LONGEST) for one in broken)}."
        )
    if strangers:
        one = len(strangers) == 1
        what = "1 file is not a record and was" if one else f"{len(strangers):,} files are not records and were"
        said.append(f"{what} passed over: {listed(map(str, strangers), 2)}.")
    return tuple(said)
