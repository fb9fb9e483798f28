"""Tiny sweeps, how they go undisturbed, and what differs from that after a fault."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

from benchmark.records.record import Record, load_record, record_files
from benchmark.settings.config import RunConfig
from tests.chaos.table import Row
from tests.command import mtlbench

ROOT = Path(__file__).resolve().parents[2]
TINY = ["dataset=shop", "dataset.num_users=40", "dataset.num_items=30", "dataset.num_rows=2000"]
TINY += ["trainer.max_epochs=3", "trainer.batch_size=256", "threads=1", "save_checkpoint=true"]
PAIR = [*TINY, "architecture=shared_bottom,mmoe", "seed=0"]
"""Two runs of half a second."""
SEARCH = ["hydra/sweeper=tuning", "hydra.sweeper.trials=2"]
_one_at_a_time = threading.Lock()  # variables and streams belong to the whole process
TIMES = {"train_seconds", "rows_per_second", "peak_memory_bytes", "cpu_seconds"}
"""Keys of a record's cost that differ from one run to the next."""
OF_THE_COMMAND = {"results_dir", "checkpoint_every", "rerun"}
"""Keys of a record's configuration that say how a run was started, not what it is."""
OF_THE_MOMENT = {"started", "command", "commit"}
"""Keys of a record's environment that may change between two commands: someone may commit meanwhile."""
NO_SPACE = re.compile(r"no space|disk is full|disk full|full disk|too full|free space", re.IGNORECASE)


def here(*arguments: str) -> CompletedProcess[str]:
    """The command in this process; an error that leaves it is the traceback that a user would have seen."""
    try:
        return mtlbench(*arguments)
    except Exception:  # noqa: BLE001  whatever it is, the user would have seen it
        return CompletedProcess(arguments, 1, "", traceback.format_exc())


def clean(results: Path, *, cache: Path, scratch: Path) -> None:
    """`mtlbench clean`, in this process, with the cache and the folder of temporary files of another."""
    with (
        _one_at_a_time,
        patch.dict(os.environ, {"MTLBENCH_CACHE": str(cache)}),
        patch("tempfile.tempdir", str(scratch)),
    ):
        here("clean", str(results))


def command(*arguments: str) -> list[str]:
    """The command for a process of its own."""
    return [sys.executable, "-m", "mtlbench", *arguments]


def environment(cache_folder: Path, scratch: Path) -> dict[str, str]:
    """Variables of a process of its own; what it leaves behind is in these folders."""
    scratch.mkdir(parents=True, exist_ok=True)
    own = {"MTLBENCH_CACHE": str(cache_folder), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT)}


def saves_inside_runs() -> bool:
    """Does this version know `checkpoint_every`?"""
    return any(field.name == "checkpoint_every" for field in fields(RunConfig))


def result(record: Record) -> dict[str, Any]:
    """A record without times and places: what must not depend on who ran it, or when."""
    values = asdict(record)
    for key, names in {"cost": TIMES, "config": OF_THE_COMMAND, "environment": OF_THE_MOMENT}.items():
        values[key] = {name: value for name, value in values[key].items() if name not in names}
    values["epochs"] = [{key: value for key, value in one.items() if key != "seconds"} for one in values["epochs"]]
    return values


def difference(expected: Any, found: Any, place: str = "") -> str | None:
    """Where two values first differ, in words; None if they are equal, NaN being equal to NaN."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping) and expected.keys() == found.keys():
        pairs = [(f"{place}.{key}", expected[key], found[key]) for key in expected]
    elif isinstance(expected, Sequence) and isinstance(found, Sequence) and not isinstance(expected, str):
        if len(expected) != len(found):
            return f"{place.lstrip('.')}: expected {len(expected)} entries, found {len(found)}"
        pairs = [(f"{place}[{number}]", *pair) for number, pair in enumerate(zip(expected, found, strict=True))]
    else:
        same = expected == found or (expected != expected and found != found)
        return None if same else f"{place.lstrip('.')}: expected {expected!r:.80}, found {found!r:.80}"
    return next((words for where, one, other in pairs if (words := difference(one, other, where))), None)


def paths(folder: Path) -> set[str]:
    """All that is under a folder, hidden or not, as paths relative to it; without torch's own cache of compiled code."""
    found = (path.relative_to(folder) for path in folder.rglob("*")) if folder.is_dir() else ()
    return {str(path) for path in found if not path.parts[0].startswith("torchinductor_")}


def tensors(file: Path) -> tuple[Any, bytes]:
    """Header and data of a safetensors file. The order of keys in the header is not the same twice."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:start]), content[start:]


@dataclass(frozen=True)
class Reference:
    """How a sweep goes undisturbed.

    Args:
        arguments: The sweep, without `results_dir`.
        results: Its folder of records.
        cache: The folder of its prepared data.
        records: {path: result} of its records.
    """

    arguments: list[str]
    results: Path
    cache: Path
    records: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, arguments: Sequence[str], folder: Path, prepared: Path | None = None) -> Reference:
        """Runs the sweep, in this process.

        Args:
            arguments: The sweep.
            folder: Where to.
            prepared: The cache; None: one in `folder`.
        """
        results, stored = folder / "results", prepared or folder / "cache"
        with patch.dict(os.environ, {"MTLBENCH_CACHE": str(stored)}):
            done = here("run", *arguments, f"results_dir={results}")
        if done.returncode:
            raise RuntimeError(f"the undisturbed sweep failed: {done.stderr}")
        found = {str(path.relative_to(results)): result(load_record(path)) for path in record_files(results)}
        return cls(list(arguments), results, stored, found)

    def check(self, row: Row, name: str, results: Path) -> None:
        """Blames every run that is not there, and every number that is not the same."""
        for path, expected in self.records.items():
            try:
                found = load_record(results / path)
            except (OSError, ValueError) as error:
                row.blame("lost", name, f"{path}: {error}")
                continue
            if found.status != expected["status"]:
                row.blame("lost", name, f"{path}: {found.status}, {(found.error or {}).get('message')}")
            elif words := difference(expected, result(found)):
                row.blame("changed", name, f"{path}: {words}")
            for file in self._beside(path):
                if not (results / file).is_file():
                    row.blame("lost", name, f"{file} is missing")
                elif tensors(results / file) != tensors(self.results / file):
                    row.blame("changed", name, f"{file} has other tensors")

    @cache  # noqa: B019  a reference lives as long as its block
    def _beside(self, path: str) -> list[str]:
        stem = (self.results / path).with_suffix("")
        return [str(file.relative_to(self.results)) for file in stem.parent.glob(f"{stem.name}.*safetensors")]

    def leftovers(self, row: Row, name: str, *, results: Path, cache: Path, scratch: Path) -> None:
        """Blames all that the undisturbed sweep does not leave."""
        kept = paths(self.cache) | {"modules.json"}  # what the modules register, written once a process
        places = [(results, paths(self.results)), (cache, kept), (scratch, set())]
        for folder, expected in places:
            for path in sorted(paths(folder) - expected):
                row.blame("leftovers", name, f"{folder.name}/{path}")

    def __hash__(self) -> int:
        return hash(self.results)


def is_told(done: CompletedProcess[str], *words: str) -> bool:
    """Does one line have all the words, without a traceback and without a death by a signal?"""
    text = f"{done.stdout}\n{done.stderr}"
    if done.returncode < 0 or "Traceback (most recent call last)" in text:
        return False
    return any(all(word in line for word in words) for line in text.splitlines())


def last_line(done: CompletedProcess[str]) -> str:
    """What a command said last, and its exit status."""
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines() or ["nothing said"]
    return f"exit status {done.returncode}, {lines[-1]:.200}"


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
