"""Bad records among good ones: readers name or count them, never with a traceback; a sweep runs its own again."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from tests.chaos.bad_records import bad_records, make_strangers
from tests.chaos.sweeps import TINY, Reference, here, last_line
from tests.chaos.table import Row

SWEEP = [*(word for word in TINY if "checkpoint" not in word), "architecture=shared_bottom,mmoe", "seed=range(0,4)"]
BASELINE = "shared_bottom/equal"
PASSED_OVER = re.compile(r"(\d+) files? (?:is no record and was|are no records and were) passed over")


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
    words = f"{done.stdout}\n{done.stderr}".split()  # a terminal wraps lines, within long paths too
    is_told = path.name in "".join(words) or PASSED_OVER.search(" ".join(words)) is not None
    return "Traceback" not in words and is_told


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
    kinds = list(bad_records(json.loads(good)))
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
        if count is None:
            row.injected += make_strangers(path.parent)
            for verb, read in reading.items():
                done, lines = read()
                if done.returncode or not is_accounted(done, path):
                    row.blame("silent", "strangers", f"{verb}: {last_line(done)}")
                elif not set(whole[verb]) <= set(lines):
                    row.blame("changed", "strangers", f"{verb} has other numbers")
    return row
