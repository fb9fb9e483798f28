"""Damaged caches of prepared data: the next run is told, and its numbers stay what they were."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np

from tests.chaos.sweeps import TINY, Reference, fresh, here, is_told, last_line
from tests.chaos.table import Row

Damage: TypeAlias = Callable[[Path, random.Random], None]
RUN = [*TINY, "architecture=shared_bottom", "seed=0"]


def rewritten(name: str, change: Callable[[np.ndarray], np.ndarray], *, quiet: bool = False) -> Damage:
    """Loads an array, changes it and saves it.

    Args:
        name: The file, without .npy.
        change: What is saved.
        quiet: Put the file's modification time back.
    """

    def damage(folder: Path, random: random.Random) -> None:
        path = folder / f"{name}.npy"
        with untouched(path, quiet=quiet):
            np.save(path, change(np.load(path)))

    return damage


@contextmanager
def untouched(path: Path, *, quiet: bool = True) -> Iterator[None]:
    """Puts a file's modification time back: a disk that rots changes none."""
    before = path.stat()
    yield
    if quiet:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flipped(name: str, start: int = 128) -> Damage:
    """Flips one bit behind the first `start` bytes, which are an array's header."""

    def damage(folder: Path, random: random.Random) -> None:
        path = folder / name
        content = bytearray(path.read_bytes())
        content[random.randrange(start, len(content))] ^= 1 << random.randrange(8)
        with untouched(path):
            path.write_bytes(content)

    return damage


def resized(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Changes the bytes of a file."""

    def damage(folder: Path, random: random.Random) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def described(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Changes the values of data.json."""

    def damage(folder: Path, random: random.Random) -> None:
        path = folder / "data.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values, indent=1))

    return damage


def swapped(one: str, other: str) -> Damage:
    """Exchanges two files."""

    def damage(folder: Path, random: random.Random) -> None:
        for source, target in ((one, "aside"), (other, one), ("aside", other)):
            (folder / source).rename(folder / target)

    return damage


def fewer_rows(folder: Path, random: random.Random) -> None:
    """Cuts the same rows off every array of train: they still fit together."""
    for path in folder.glob("train_*.npy"):
        np.save(path, np.load(path)[:-100])


def a_folder(folder: Path, random: random.Random) -> None:
    """Puts a folder in the place of an array."""
    (folder / "train_labels.npy").unlink()
    (folder / "train_labels.npy").mkdir()


def dangling(folder: Path, random: random.Random) -> None:
    """Puts a link that leads nowhere in the place of an array."""
    (folder / "train_numeric.npy").unlink()
    (folder / "train_numeric.npy").symlink_to(folder / "nowhere.npy")


def pickled(folder: Path, random: random.Random) -> None:
    """Saves an array of objects, which would have to be unpickled."""
    np.save(folder / "train_labels.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


DAMAGES: dict[str, Damage] = {
    "labels inverted": rewritten("train_labels", lambda labels: (1 - labels).astype(labels.dtype)),
    "labels inverted, same time": rewritten(
        "train_labels", lambda labels: (1 - labels).astype(labels.dtype), quiet=True
    ),
    "test labels inverted": rewritten("test_labels", lambda labels: (1 - labels).astype(labels.dtype)),
    "labels shuffled": rewritten("validation_labels", lambda labels: labels[::-1].copy()),
    "labels NaN": rewritten("train_labels", lambda labels: np.full_like(labels, np.nan)),
    "codes zeroed": rewritten("train_categorical", np.zeros_like),
    "codes of validation zeroed": rewritten("validation_categorical", np.zeros_like),
    "codes out of range": rewritten("train_categorical", lambda codes: codes + 100),
    "numbers scaled": rewritten("train_numeric", lambda numbers: 3 * numbers),
    "one row of labels cut": rewritten("train_labels", lambda labels: labels[:-1]),
    "rows of every array cut": fewer_rows,
    "dtype of codes": rewritten("train_categorical", lambda codes: codes.astype(np.int64)),
    "dtype of labels": rewritten("train_labels", lambda labels: labels.astype(np.float32)),
    "order of bytes": rewritten("train_labels", lambda labels: labels.astype(labels.dtype.newbyteorder())),
    "a bit of the labels": flipped("train_labels.npy"),
    "a bit of the codes": flipped("test_categorical.npy"),
    "a bit of the header": flipped("train_numeric.npy", start=0),
    "a bit of the description": flipped("data.json", start=0),
    "array truncated": resized("train_categorical.npy", lambda content: content[: len(content) // 2]),
    "array extended": resized("train_labels.npy", lambda content: content + bytes(4096)),
    "array empty": resized("test_labels.npy", lambda content: b""),
    "array missing": lambda folder, random: (folder / "validation_numeric.npy").unlink(),
    "arrays swapped": swapped("train_labels.npy", "test_labels.npy"),
    "arrays of one shape swapped": swapped("test_categorical.npy", "validation_categorical.npy"),
    "folder for an array": a_folder,
    "dangling link for an array": dangling,
    "pickled array": pickled,
    "description truncated": resized("data.json", lambda content: content[:200]),
    "description empty": resized("data.json", lambda content: b""),
    "description missing": lambda folder, random: (folder / "data.json").unlink(),
    "fingerprint changed": described(lambda values: values.update(fingerprint="0" * 64)),
    "cardinality changed": described(lambda values: values["schema"]["categorical"][0].update(cardinality=400)),
    "tasks reversed": described(lambda values: values["schema"]["tasks"].reverse()),
    "best reachable changed": described(lambda values: values["best_reachable"]["click"].update(auc=0.99)),
    "description's key missing": described(lambda values: values.pop("facts")),
}
"""By name. All leave the cache's key as it is, so that the next run finds the folder."""


def cache(folder: Path, seed: int, count: int = len(DAMAGES)) -> Row:
    """Damages one cache in many ways, one after the other.

    Args:
        folder: An empty folder.
        seed: Draws the order, and which bits.
        count: How many damages.
    """
    row, draw = Row("damaged cache"), random.Random(seed)
    reference = Reference.of(RUN, folder / "reference")
    (prepared,) = (reference.cache / "prepared").iterdir()
    good, expected = folder / "good", fresh(folder / "prepared")
    shutil.copytree(prepared, good)
    expected.rmdir()
    for name in draw.sample(sorted(DAMAGES), min(count, len(DAMAGES))):
        shutil.rmtree(prepared, ignore_errors=True)
        shutil.copytree(good, prepared)
        with patch.dict(os.environ, {"MTLBENCH_CACHE": str(reference.cache)}):
            here("run", *RUN, f"results_dir={folder / 'warm'}")  # whatever is remembered about files is about these
            DAMAGES[name](prepared, draw)
            results = fresh(folder / "results")
            done = here("run", *RUN, f"results_dir={results}")
        row.injected += 1
        if done.returncode or not is_told(done, prepared.name, "damaged"):
            row.blame("silent", name, last_line(done))
        reference.check(row, name, results)
    return row
