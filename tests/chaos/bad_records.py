"""Kinds of bad record, each made from a good one, and what else may lie in a folder of records."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

GONE = object()
"""A key that is removed."""


def bad_records(good: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the bytes of the file, for every kind of bad record.

    Args:
        good: The plain values of a record of a finished run with a binary first task, epochs and a trainer.
    """
    text = json.dumps(good, indent=1).encode()
    yield from _texts(text)
    for name, path, value in _changes(good):
        bad = copy.deepcopy(dict(good))
        _set(bad, path, value)
        yield name, json.dumps(bad).encode()


def _texts(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Bytes that are not the JSON of a record."""
    yield "empty", b""
    yield "only blanks", b" \n"
    yield "cut in the middle", text[: len(text) // 2]
    yield "cut by one byte", text.rstrip()[:-1]
    yield "begins in the middle", text[len(text) // 2 :]
    yield "zeros", bytes(len(text))
    yield "zeros at the end", text[:-100] + bytes(100)
    yield "random bytes", bytes((n * 197 + 31) % 256 for n in range(999))
    yield "UTF-16", text.decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + text
    yield "twice the same", text + text
    yield "text after it", text + b"end"
    yield "null", b"null"
    yield "a number", b"7"
    yield "a text", b'"record"'
    yield "a list", b"[" + text + b"]"
    yield "an empty object", b"{}"
    yield "another program's JSON", b'{"name": "package", "version": "1.0"}'
    yield "brackets without end", b"[" * 100_000
    yield "nested without end", b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    yield "a conflict of git", b"<<<<<<< HEAD\n" + text + b"=======\n" + text + b">>>>>>> other\n"
    yield "single quotes", text.replace(b'"', b"'")


def _changes(good: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    """(name, place, other value): records in which one value is wrong."""
    task = good["dataset"]["tasks"][0]
    test, own = ("metrics", "test", task), ("metrics_per_task", "test", task)
    for key in ("format", "id", "status", "method", "purpose", "seed", "config"):
        yield f"no {key}", (key,), GONE
    yield "format as text", ("format",), "1"
    yield "format of the future", ("format",), 999
    yield "format true", ("format",), True
    yield "format 0", ("format",), 0
    yield "id of another run", ("id",), "0" * 12
    yield "id too short", ("id",), good["id"][:5]
    yield "id a number", ("id",), 123456789012
    yield "id a path", ("id",), "../../../etc"
    yield "status finnished", ("status",), "finnished"
    yield "status null", ("status",), None
    yield "seed -3", ("seed",), -3
    yield "seed 1.5", ("seed",), 1.5
    yield "seed as text", ("seed",), str(good["seed"])
    yield "seed of another run", ("seed",), good["seed"] + 1
    yield "seed without end", ("seed",), 10**40
    yield "method of another run", ("method",), "other/equal"
    yield "method null", ("method",), None
    yield "purpose of another run", ("purpose",), "tuned" if good["purpose"] != "tuned" else "default"
    yield "config a list", ("config",), []
    yield "config without data set", ("config", "dataset"), GONE
    yield "config without trainer", ("config", "trainer"), GONE
    yield "architecture without name", ("config", "architecture", "name"), GONE
    yield "architecture a text", ("config", "architecture"), "mmoe"
    yield "name of the data set a path", ("config", "dataset", "name"), "../../x"
    yield "epochs of the trainer a text", ("config", "trainer", "max_epochs"), "many"
    yield "dataset null", ("dataset",), None
    yield "splits negative", ("dataset", "splits", "test"), -1
    yield "splits as text", ("dataset", "splits", "train"), "all"
    yield "tasks a text", ("dataset", "tasks"), task
    yield "schema a list", ("dataset", "schema"), []
    yield "kind of task unknown", ("dataset", "schema", "tasks", 0, "kind"), "binry"
    yield "a task without name", ("dataset", "schema", "tasks", 0, "name"), GONE
    yield "constant a list", ("dataset", "constant"), [1]
    yield "AUC 7", (*test, "auc"), 7.0
    yield "AUC -0.1", (*test, "auc"), -0.1
    yield "AUC NaN", (*test, "auc"), float("nan")
    yield "AUC Infinity", (*test, "auc"), float("inf")
    yield "AUC as text", (*test, "auc"), "0.9"
    yield "AUC true", (*test, "auc"), True
    yield "AUC a list", (*test, "auc"), [0.9]
    yield "AUC beyond floats", (*test, "auc"), 10**400
    yield "log loss negative", (*test, "log_loss"), -2.0
    yield "AUC of the other selection 1.5", (*own, "auc"), 1.5
    yield "AUC of an epoch 3", ("epochs", 0, "validation", task, "auc"), 3.0
    yield "metrics null", ("metrics",), None
    yield "metrics of test a list", ("metrics", "test"), []
    yield "metrics without test", ("metrics", "test"), GONE
    yield "metrics without validation", ("metrics", "validation"), GONE
    yield "metrics without a task", test, GONE
    yield "metrics of a task a number", test, 0.9
    yield "metrics per task empty", ("metrics_per_task",), {}
    yield "best epoch elsewhere", ("best_epoch",), 999
    yield "best epoch null", ("best_epoch",), None
    yield "best epoch as text", ("best_epoch",), "3"
    yield "best epoch of a task elsewhere", ("best_epoch_per_task", task), 999
    yield "epochs a number", ("epochs",), 12
    yield "an epoch a number", ("epochs", 0), 1
    yield "an epoch without its number", ("epochs", 0, "epoch"), GONE
    yield "criterion as text", ("epochs", 0, "criterion"), "good"
    yield "train loss NaN", ("epochs", 0, "train_losses", task), float("nan")
    yield "seconds negative", ("cost", "train_seconds"), -5.0
    yield "parameters 1.5", ("cost", "parameters"), 1.5
    yield "cost a list", ("cost",), []
    yield "shared parameters negative", ("shared_parameters",), -1
    yield "gates a list", ("gates",), ["a"]
    yield "environment a text", ("environment",), "Linux"
    yield "command a list", ("environment", "command"), ["mtlbench"]
    yield "files a list", ("files",), [".safetensors"]
    yield "files null", ("files",), None
    yield "sha256 of a file a number", ("files",), {".safetensors": 5}
    yield "sha256 of a file too short", ("files",), {".safetensors": "0" * 63}
    yield "sha256 of a file in capitals", ("files",), {".safetensors": "A" * 64}
    yield "error a text", ("error",), "out of memory"
    yield "undefined a list", ("undefined",), ["test.click.auc"]
    yield "tuning a list", ("config", "tuning"), [1]
    yield "looks out of order", ("config", "looks"), {"seeds": [5, 3]}
    yield "contrasts a number", ("config", "contrasts"), 3


def _set(value: Any, path: tuple[str | int, ...], new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    if new is GONE:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def make_strangers(folder: Path) -> int:
    """Puts into a folder what is no record of ours, though some of it has such a name, and says how much it was."""
    (folder / "package.json").write_text('{"name": "package"}')
    (folder / "half.json").write_text('{"name": ')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (folder / "0000000000aa.json").mkdir()
    (folder / "0000000000ab.json").symlink_to(folder / "nowhere.json")
    (folder / "0000000000ac.json").symlink_to(folder / "0000000000ac.json")
    os.mkfifo(folder / "0000000000ad.json")
    return 8
