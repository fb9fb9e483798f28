"""A prepared data set that was altered is told in one line and prepared again; one that was not is read once."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, NoReturn

import numpy as np
import pytest
from filelock import FileLock

from benchmark import disk
from benchmark.datasets import Data, _cache, _sums
from benchmark.datasets.prepare import Table, prepare
from benchmark.files import sha256_of, write_memo
from tests.benchmark.datasets.toy import Toy, table


def weighted() -> Table:
    return table(weights=np.array([1.0, 2, 3, 4, 1, 1, 1, 1]))


def refuse() -> NoReturn:
    raise AssertionError("read although whole")


def built(read: Callable[[], Table] = weighted) -> Data:
    return prepare(Toy(), read=read, source={"of": "sums"})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one prepared data set."""
    cache = tmp_path_factory.mktemp("original") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLBENCH_CACHE", str(cache))
        built()
    return cache


@pytest.fixture
def folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the files are known to be right."""
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "_TICK", 0)
    shutil.copytree(original, tmp_path / "cache")
    built(refuse)
    (prepared,) = (tmp_path / "cache" / "prepared").iterdir()
    return prepared


def array(path: Path) -> np.ndarray:
    return np.load(path)


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, change(array(folder / name)))


def edited(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def swapped(one: str, two: str) -> Callable[[Path], None]:
    def swap(folder: Path) -> None:
        (folder / one).rename(folder / "aside")
        (folder / two).rename(folder / one)
        (folder / "aside").rename(folder / two)

    return swap


def in_json(name: str, *keys: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        whole = json.loads((folder / name).read_text())
        part = whole
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        (folder / name).write_text(json.dumps(whole, indent=1) + "\n")

    return change


def at_the_same_time(change: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    """A change after which size and time are what they were."""

    def change_it(folder: Path) -> None:
        stat = (folder / name).stat()
        change(folder)
        os.utime(folder / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return change_it


def another_set(folder: Path) -> None:
    """All files, and what is written down of them, are those of another data set."""
    other = prepare(Toy(("click",)), read=table, source={"of": "another"})
    assert other.schema.task_names == ("click",)
    (place,) = (path for path in folder.parent.iterdir() if path != folder)
    shutil.rmtree(folder)
    place.rename(folder)


def in_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


LABELS, CODES, NUMBERS = "train_labels.npy", "train_categorical.npy", "train_numeric.npy"
ALTERATIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "labels inverted": (changed(LABELS, lambda labels: 1 - labels), f"{LABELS} is as long as it was, but"),
    "labels inverted, time put back": (at_the_same_time(changed(LABELS, lambda labels: 1 - labels), LABELS), "as long"),
    "labels of nobody": (changed(LABELS, lambda labels: np.full_like(labels, np.nan)), "as long as it was, but"),
    "codes zeroed": (changed(CODES, np.zeros_like), f"{CODES} is as long as it was, but"),
    "columns exchanged": (changed(CODES, lambda codes: codes[:, ::-1].copy()), "as long as it was, but"),
    "rows reversed": (changed(NUMBERS, lambda numbers: numbers[::-1].copy()), "as long as it was, but"),
    "one bit": (edited(NUMBERS, lambda text: text[:-1] + bytes([text[-1] ^ 1])), "as long as it was, but"),
    "rows cut": (changed(LABELS, lambda labels: labels[:2]), f"{LABELS} has .* bytes, and was written with"),
    "a row more": (changed("test_labels.npy", lambda labels: np.vstack([labels, labels[:1]])), "bytes, and was"),
    "truncated": (edited(CODES, lambda text: text[:-4]), "bytes, and was written with"),
    "empty": (edited(CODES, lambda _: b""), "has 0 bytes"),
    "extended": (edited(CODES, lambda text: text + b"\0"), "bytes, and was written with"),
    "another type, as long": (changed(NUMBERS, lambda numbers: numbers.astype(np.int32)), "the type of .* is <i4"),
    "another shape, as long": (changed(LABELS, lambda labels: labels.reshape(2, 4)), r"the shape of .* is \[2, 4\]"),
    "header destroyed": (edited(LABELS, lambda text: b"\xff" * 100 + text[100:]), "unreadable"),
    "header of another program": (edited(LABELS, lambda text: b"PK\3\4" + text[4:]), "unreadable"),
    "array missing": (lambda folder: (folder / LABELS).unlink(), f"{LABELS} is missing"),
    "weights missing": (lambda folder: (folder / "train_weights.npy").unlink(), "train_weights.npy is missing"),
    "array that is a folder": (lambda folder: ((folder / LABELS).unlink(), (folder / LABELS).mkdir()), LABELS),  # type: ignore[dict-item, return-value]
    "array of nobody": (
        lambda folder: np.save(folder / "users_titles.npy", np.zeros(3)),
        "users_titles.npy is not one",
    ),
    "arrays swapped": (swapped("test_labels.npy", "validation_labels.npy"), "as long as it was, but"),
    "arrays of other lengths swapped": (swapped(LABELS, "test_labels.npy"), "bytes, and was written with"),
    "fingerprint edited": (in_json("data.json", "fingerprint", value="0" * 64), "data.json is as long as it was, but"),
    "tasks exchanged": (in_json("data.json", "schema", "user", value="item"), "data.json is as long as it was, but"),
    "data.json damaged": (edited("data.json", lambda text: text[: len(text) // 2]), "data.json has"),
    "data.json missing": (lambda folder: (folder / "data.json").unlink(), "data.json is missing"),
    "vocabulary edited": (
        edited("vocabulary.json", lambda text: text.replace(b'"s"', b'"z"')),
        "vocabulary.json is as",
    ),
    "sums damaged": (edited("sums.json", lambda text: text[:-9]), "sums.json is damaged"),
    "sums edited": (in_json("sums.json", "value", "files", value={}), "sums.json is damaged"),
    "of an older version": (lambda folder: (folder / "sums.json").unlink(), "it has no sums.json"),
    "all of another data set": (another_set, "it holds toy-"),
    "a file in its place": (in_place, "it has no sums.json"),
    "empty folder": (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "it has no sums.json"),  # type: ignore[dict-item, return-value]
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_every_alteration_is_told_and_mended(folder: Path, capfd: pytest.CaptureFixture[str], alteration: str) -> None:
    alter, told = ALTERATIONS[alteration]
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "checked.json"}
    alter(folder)
    again = built()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"mtlbench: {folder} is damaged and is made again: ")
    assert re.search(told, lines[0])
    np.testing.assert_array_equal(again.train.labels, [[0, 0], [1, 1], [1, 0], [np.nan, np.nan]])
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "checked.json"}
    assert after == before
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == [folder.name]
    built(refuse)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kept", ["damaged", "missing", "of other sums", "of states that are none"])
def test_a_damaged_memo_is_ignored(folder: Path, capfd: pytest.CaptureFixture[str], kept: str) -> None:
    memo = folder / "checked.json"
    states = json.loads(memo.read_text())["value"]
    assert states["states"].keys() == {path.name for path in folder.iterdir()} - {"sums.json", "checked.json"}
    memo.unlink()
    if kept == "damaged":
        memo.write_text("{")
    elif kept != "missing":
        write_memo(memo, {**states, "of": "0" * 64} if kept == "of other sums" else {**states, "states": [1]})
    _sums._checked.clear()
    changed(LABELS, lambda labels: 1 - labels)(folder)
    built()
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_what_has_not_changed_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(_sums, "sha256_of", lambda path: hashed.append(path.name) or sha256_of(path))
    built(refuse)
    _sums._checked.clear()  # as another process of the same sweep
    built(refuse)
    assert hashed == []
    os.utime(folder / LABELS)
    built(refuse)
    built(refuse)
    assert hashed == [LABELS]
    # a cache that nobody can write to is read once by each process
    monkeypatch.setattr(_sums, "write_memo", lambda *_: None)
    (folder / "checked.json").unlink()
    _sums._checked.clear()
    built(refuse)
    assert sorted(hashed[1:]) == sorted(path.name for path in folder.iterdir() if path.name != "sums.json")
    del hashed[:]
    built(refuse)
    assert hashed == []


def test_what_the_disk_changed_is_found_by_the_next_sweep_and_the_next_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(_sums, "sha256_of", lambda path: hashed.append(path.name) or sha256_of(path))
    number = len(list(folder.iterdir())) - 2  # all but sums.json and checked.json
    for sweep in ("one", "two"):
        monkeypatch.setenv("MTLBENCH_SWEEP", sweep)
        for _ in range(2):
            _sums._checked.clear()  # each is another process of the sweep
            built(refuse)
        assert len(hashed) == number
        del hashed[:]
    monkeypatch.delenv("MTLBENCH_SWEEP")
    monkeypatch.setattr(_sums, "_PROCESS", "another")
    built(refuse)
    built(refuse)
    assert len(hashed) == number


@pytest.mark.parametrize("sweep", ["", "one"])
def test_what_was_just_written_counts_as_checked_in_its_sweep_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: str
) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(disk, "_TICK", 0)
    if sweep:
        monkeypatch.setenv("MTLBENCH_SWEEP", sweep)
    built()
    assert any(tmp_path.glob("prepared/*/checked.json")) is bool(sweep)


def test_of_two_that_find_it_damaged_one_makes_it_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    both, found, reads = Barrier(2, timeout=60), _cache.FileLock, list[int]()

    def lock(path: Path) -> FileLock:
        both.wait()  # both have found the damage
        return found(path, thread_local=False)

    def read() -> Table:
        reads.append(1)
        return weighted()

    monkeypatch.setattr(_cache, "FileLock", lock)
    changed(LABELS, lambda labels: 1 - labels)(folder)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(built, read) for _ in range(2)]
        for run in runs:
            np.testing.assert_array_equal(run.result(timeout=60).train.labels[0], [0, 0])
    assert reads == [1]
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_what_is_damaged_stays_until_the_new_one_is_whole(folder: Path) -> None:
    changed(LABELS, lambda labels: 1 - labels)(folder)

    def fail() -> NoReturn:
        assert folder.is_dir()
        raise ValueError("the files are gone")

    with pytest.raises(ValueError, match="the files are gone"):
        built(fail)
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == [folder.name]
