"""Bad records among good ones: readers name or count them, never with a traceback; a sweep runs its own again."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from tests.chaos.bad_records import bad_records

from tests.chaos.sweeps import TINY, Reference, here, last_line
from tests.chaos.table import Row

SWEEP = [*(word for word in TINY if "checkpoint" not in word), "architecture=shared_bottom,mmoe", "seed=range(0,3)"]
BASELINE = "shared_bottom/equal"
COUNTED = re.compile(r"no records? of|not records|passed over|strangers?", re.IGNORECASE)


def a_folder(path: Path) -> None:
    """A folder of that name."""
    path.mkdir()


def dangling(path: Path) -> None:
    """A link that leads nowhere."""
    path.symlink_to(path.with_name("nowhere.json"))


def looping(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


def pipe(path: Path) -> None:
    """A pipe that nobody writes to: whoever opens it waits."""
    os.mkfifo(path)


PLACED: dict[str, Callable[[Path], None]] = {
    "folder": a_folder,
    "dangling link": dangling,
    "link to itself": looping,
    "pipe": pipe,
}
"""What is no file, and lies beside the records under the name of one."""


@dataclass(frozen=True)
class Reader:
    """A command that reads a folder of records.

    Args:
        words: Its arguments.
        table: The file with its numbers; None: what it prints.
    """

    words: tuple[str, ...]
    table: Path | None = None

    def __call__(self, *options: str) -> tuple[CompletedProcess[str], list[str]]:
        """How it ended, and the lines with its numbers."""
        if self.table is not None:
            self.table.unlink(missing_ok=True)
        done = here(*self.words, *options)
        if self.table is None or not self.table.is_file():
            return done, done.stdout.splitlines()
        return done, self.table.read_text().splitlines()


def readers(results: Path, folder: Path) -> dict[str, Reader]:
    """By their verbs."""
    table = folder / "report.csv"
    return {
        "report": Reader(("report", str(results), "--baseline", BASELINE, "--csv", str(table)), table),
        "compare": Reader(("compare", "mmoe/equal", BASELINE, str(results))),
        "power": Reader(("power", str(results), "--baseline", BASELINE)),
    }


def is_accounted(done: CompletedProcess[str], path: Path) -> bool:
    """Does a line name the file, or count those that are no records? A traceback tells nothing."""
    text = f"{done.stdout}\n{done.stderr}"
    return "Traceback" not in text and (path.name in text or COUNTED.search(text) is not None)


def judge(row: Row, name: str, path: Path, reading: dict[str, Reader], without: dict[str, list[str]]) -> None:
    """Reads the folder with what is bad in it; with `--skip-broken`, the numbers are those of the folder without it."""
    for verb, read in reading.items():
        done, lines = read()
        if done.returncode not in (0, 1) or not is_accounted(done, path):
            row.blame("silent", name, f"{verb}: {last_line(done)}")
        elif done.returncode == 0 and not set(without[verb]) <= set(lines):
            row.blame("changed", name, f"{verb} goes on with other numbers")
        done, lines = read("--skip-broken")
        if done.returncode or not is_accounted(done, path):
            row.blame("silent", name, f"{verb} --skip-broken: {last_line(done)}")
        elif not set(without[verb]) <= set(lines):
            row.blame("changed", name, f"{verb} --skip-broken has other numbers")


@contextmanager
def placed(path: Path, place: Callable[[Path], None]) -> Iterator[None]:
    """Something under a record's name, taken away afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place(path)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def records(folder: Path, seed: int, count: int | None = None) -> Row:
    """Puts bad records in the place of a good one, one after the other.

    Args:
        folder: An empty folder.
        seed: Draws which, if `count` is smaller than their number.
        count: How many; None: all.
    """
    row, draw = Row("bad record"), random.Random(seed)
    reference = Reference.of(SWEEP, folder / "reference")
    results = folder / "mixed"
    shutil.copytree(reference.results, results)
    path = results / next(name for name in sorted(reference.records) if "mmoe" in name)
    good = path.read_bytes()
    reading = readers(results, folder)
    kinds = list(bad_records(good))
    with patch.dict(os.environ, {"MTLBENCH_CACHE": str(reference.cache)}):
        path.unlink()
        without = {verb: read()[1] for verb, read in reading.items()}
        for name, content in kinds if count is None else draw.sample(kinds, count):
            path.write_bytes(content)
            row.injected += 1
            judge(row, name, path, reading, without)
            done = here("run", *SWEEP, f"results_dir={results}")
            if done.returncode or "Traceback" in done.stderr:
                row.blame("silent", name, f"run: {last_line(done)}")
            reference.check(row, f"{name}, run", results)
        path.write_bytes(good)
        whole = {verb: read()[1] for verb, read in reading.items()}
        for name, place in PLACED.items() if count is None else ():
            stranger = path.with_name(f"{name.replace(' ', '_')}.json")
            row.injected += 1
            with placed(stranger, place):
                judge(row, name, stranger, reading, whole)
    return row
