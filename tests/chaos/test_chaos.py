"""A small share of the faults of `make chaos`, and its table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.chaos import __main__ as command
from tests.chaos.cache import DAMAGES, cache
from tests.chaos.checkpoints import checkpoints
from tests.chaos.kill import Way, kill, ways
from tests.chaos.records import records
from tests.chaos.sweeps import PAIR, difference, tensors
from tests.chaos.table import Row, table


def found(row: Row) -> tuple[int, list[tuple[str, int, str]]]:
    return row.injected, list(row.found)


def test_a_sweep_that_is_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    saved = [word for way in ways() for word in way.extra if word.startswith("checkpoint_every")]
    assert found(kill(tmp_path, 1, 1, [Way("basic", PAIR, tuple(saved[:1]))])) == (1, [])


def test_bad_records_are_told(tmp_path: Path) -> None:
    assert found(records(tmp_path, 1, 2)) == (2, [])


def test_damaged_caches_are_told_and_change_no_number(tmp_path: Path) -> None:
    assert found(cache(tmp_path, 1, 2)) == (2, [])


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    assert found(checkpoints(tmp_path, 1, 8)) == (8, [])


def test_every_damage_changes_what_is_in_the_cache(tmp_path: Path) -> None:
    """Or else it would show nothing. Those of data.json need a real one."""
    import random
    import shutil

    good = tmp_path / "good"
    good.mkdir()
    for split, rows in {"train": 400, "validation": 40, "test": 40}.items():
        np.save(good / f"{split}_labels.npy", np.arange(rows * 2, dtype=np.float64).reshape(rows, 2) / 7)
        np.save(good / f"{split}_categorical.npy", np.arange(rows * 2, dtype=np.int32).reshape(rows, 2) + len(split))
        np.save(good / f"{split}_numeric.npy", np.arange(rows, dtype=np.float32).reshape(rows, 1) + 1)
    about = '{"schema": {"categorical": [{"cardinality": 41}], "tasks": [1, 2]}, "fingerprint": "a", "facts": {}, '
    (good / "data.json").write_text(
        about + '"best_reachable": {"click": {"auc": 0.5}}, "more": ' + '"' + "x" * 99 + '"}'
    )
    before = contents(good)
    for name, damage in DAMAGES.items():
        folder = tmp_path / name
        shutil.copytree(good, folder)
        damage(folder, random.Random(0))
        assert contents(folder) != before, name


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"a": [1, 2.0]}, {"a": [1, 2.0]}, None),
        ({"a": float("nan")}, {"a": float("nan")}, None),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1]: expected 2, found 3"),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, "a.b: expected 'x', found 'y'"),
        ({"a": 1}, {"b": 1}, ": expected {'a': 1}, found {'b': 1}"),
        ([1], [1, 2], ": expected 1 entries, found 2"),
    ],
)
def test_the_first_difference_is_named(one: Any, other: Any, words: str | None) -> None:
    assert difference(one, other) == words


def test_tensors_are_the_same_whatever_the_order_of_their_header(tmp_path: Path) -> None:
    for name, header in {
        "one": b'{"a": 1, "b": 2}',
        "other": b'{"b": 2, "a": 1}',
        "third": b'{"b": 2, "a": 3}',
    }.items():
        (tmp_path / name).write_bytes(len(header).to_bytes(8, "little") + header + b"data")
    assert tensors(tmp_path / "one") == tensors(tmp_path / "other") != tensors(tmp_path / "third")


def test_the_table_counts_what_went_wrong_and_not_what_was_not_run() -> None:
    bad, refused = Row("bad", 3), Row("disk", not_run="mounting is refused")
    bad.blame("lost", "one", "gone", 2)
    bad.blame("silent", "two", "nothing said")
    console = Console(file=io.StringIO(), width=120)
    console.print(table([bad, refused]))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert next(line for line in lines if "bad" in line).split()[1::2] == ["bad", "3", "2", "0", "1", "0"]
    assert "not run" in next(line for line in lines if "disk" in line)
    assert (bad.is_clean, refused.is_clean) == (False, True)
    assert bad.line == "bad: 3 injected, 2 runs lost, 0 numbers changed, 1 silent, 0 leftovers"


@pytest.mark.parametrize(("wrong", "status"), [(0, 0), (1, 1)])
def test_the_exit_status_is_1_if_anything_went_wrong(
    wrong: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def block(folder: Path, seed: int) -> Row:
        row = Row("damaged cache", seed)
        for _ in range(wrong):
            row.blame("silent", "labels", "nothing said")
        return row

    monkeypatch.setattr("tests.chaos.cache.cache", block)
    with pytest.raises(SystemExit) as stopped:
        command.main(["--only", "cache", "--seed", "7"])
    assert stopped.value.code == status
    out = capsys.readouterr().out
    assert f"damaged cache: 7 injected, 0 runs lost, 0 numbers changed, {wrong} silent, 0 leftovers" in out
    assert ("damaged cache: silent 1: labels: nothing said" in out) == bool(wrong)


def test_unknown_blocks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "cach"])
    assert "unknown cach; known: kill, disk, records, cache, checkpoints" in capsys.readouterr().err
