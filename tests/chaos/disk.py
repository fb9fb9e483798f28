"""Full disks: results or cache on a disk of memory that is too small, and the same command once it is larger."""

from __future__ import annotations

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias

from tests.chaos.sweeps import NO_SPACE, PAIR, Reference, command, environment, is_told, last_line
from tests.chaos.table import Row
from tests.disks import mounted

On: TypeAlias = Literal["results", "cache"]
PAGE = 4096  # what a disk of memory counts in
LARGE = "64m"
ENDS_WITHIN = 300.0


def needs(folder: Path) -> int:
    """Bytes that the files of a folder take, in whole pages."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


def start(reference: Reference, results: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The sweep in a process of its own; one that does not end is killed."""
    words = command("run", *reference.arguments, f"results_dir={results}")
    try:
        return subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, -9, "", f"did not end within {ENDS_WITHIN:.0f} s")


def is_explained(done: subprocess.CompletedProcess[str], disk: Path, on: On) -> bool:
    """Did it fail with a line that says which path is full, and for the cache which variable chooses another?"""
    lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if NO_SPACE.search(line)]
    words = (str(disk), "MTLBENCH_CACHE") if on == "cache" else (str(disk),)
    return done.returncode > 0 and any(is_told(subprocess.CompletedProcess([], 0, line, ""), *words) for line in lines)


def fill(row: Row, reference: Reference, folder: Path, on: On, size: int) -> None:
    """Runs the sweep on a disk of `size` bytes, and again after it is enlarged.

    Raises:
        PermissionError: where mounting is refused.
    """
    name, places = f"{on} on {size} bytes", {key: folder / key for key in ("results", "cache")}
    variables, disk = environment(places["cache"], folder / "tmp"), folder / on
    with mounted(disk, size):
        done = start(reference, places["results"], variables)
        row.injected += 1
        if "Traceback" in done.stderr or not is_explained(done, disk, on):
            row.blame("silent", name, last_line(done))
        for path in disk.rglob(".*"):
            row.blame("leftovers", name, f"{path.relative_to(disk)} before the disk was enlarged")
        subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(disk)], check=True)
        again = start(reference, places["results"], variables)
        if again.returncode:
            row.blame("silent", name, f"with more space: {last_line(again)}")
        reference.check(row, name, places["results"])
        reference.leftovers(row, name, results=places["results"], cache=places["cache"], scratch=folder / "tmp")


def disk(folder: Path, seed: int, count: int = 10) -> Row:
    """Disks of `count` sizes below what is needed, each with the results on it and with the cache.

    Args:
        folder: An empty folder.
        seed: Draws the sizes.
        count: How many sizes.
    """
    row, draw = Row("full disk"), random.Random(seed)
    reference = Reference.of(PAIR, folder / "reference")
    need = {"results": needs(reference.results), "cache": needs(reference.cache)}
    shares = [(number + draw.random()) / count for number in range(count)]
    places: list[tuple[On, float]] = [(on, share) for share in shares for on in ("results", "cache")]

    def one(number: int) -> None:
        on, share = places[number]
        size = max(1, int(share * (need[on] - PAGE) / PAGE)) * PAGE
        try:
            fill(row, reference, folder / str(number), on, size)
        except PermissionError as error:
            row.not_run = f"mounting is refused: {error}"

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(one, range(len(places))))
    return row
