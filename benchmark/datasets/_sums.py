"""What the files of a prepared data set are, written down beside them, so that damage is told before anyone trains on it.

`sums.json` has the size and the sha256 of every file, and the type and shape of every array. Sizes, types and shapes are
checked whenever the data set is loaded. The sha256 is checked once a sweep, and outside a sweep once a process, since a disk
that rots leaves size and times as they are. `checked.json` remembers who checked, and in which state each file was right: while
size, times and inode are the same, no process of the sweep reads it again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.disk import is_settled, state_of
from benchmark.files import digest, read_memo, sha256_of, write_json, write_memo
from benchmark.temporaries import SWEEP

_SUMS, _CHECKED = "sums.json", "checked.json"
_PROCESS = secrets.token_hex(8)
_checked: dict[str, Any] = {}  # by folder, for a cache that this process cannot write


def write_sums(folder: Path, name: str) -> None:
    """Writes down what the files are.

    Args:
        folder: They are in it, complete.
        name: What the folder will be called, which names all that the arrays depend on.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    states = {path.name: state_of(path) for path in paths}
    sums = dict(zip([path.name for path in paths], _sha256_of(paths), strict=True))
    files = {path.name: {"size": path.stat().st_size, **_array(path), "sha256": sums[path.name]} for path in paths}
    value = {"of": name, "files": files}
    write_json(folder / _SUMS, {"sha256": digest(value), "value": value})
    if SWEEP in os.environ:  # else the first to read it checks what the disk kept
        _remember(folder, value, states)


def damage(folder: Path) -> str | None:
    """What is wrong with a prepared data set, or None."""
    value = read_memo(folder / _SUMS)
    if value is None:
        older = f"it has no {_SUMS}, which says what was written; older versions made none"
        return f"{_SUMS} is damaged" if (folder / _SUMS).exists() else older
    if value["of"] != folder.name:
        return f"it holds {value['of']}"
    if foreign := sorted(path.name for path in folder.glob("*.npy") if path.name not in value["files"]):
        return f"{foreign[0]} is not one of its arrays"
    try:
        return _damage_of_files(folder, value)
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read ({error.strerror})"


def _damage_of_files(folder: Path, value: dict[str, Any]) -> str | None:
    written: dict[str, dict[str, Any]] = value["files"]
    states = {name: state_of(folder / name) for name in written}
    for name, expected in written.items():
        if states[name][0] != expected["size"]:
            return f"{name} has {states[name][0]:,} bytes, and was written with {expected['size']:,}"
        for key, found in _array(folder / name).items():
            if found != expected[key]:
                return f"the {key} of {name} is {found}, and was written as {expected[key]}"
    known = _remembered(folder, value)
    new = [name for name, state in states.items() if known.get(name) != state]
    for name, sha256 in zip(new, _sha256_of(folder / name for name in new), strict=True):
        if sha256 != written[name]["sha256"]:
            return f"{name} is as long as it was, but holds something else"
    if new:
        _remember(folder, value, states)
    return None


def _array(path: Path) -> dict[str, Any]:
    """The type and shape that an array's file says it has."""
    if path.suffix != ".npy":
        return {}
    try:
        array = np.lib.format.open_memmap(path, mode="r")
        return {"type": array.dtype.str, "shape": list(array.shape)}
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged header may raise whatever Python's parser does
        return {"type": f"unreadable ({type(error).__name__})", "shape": []}


def _sha256_of(paths: Iterable[Path]) -> list[str]:
    """Hashes of files, on all cores: a core without instructions for it hashes 0.3 GB in a second."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(sha256_of, paths))


def _whose(value: Any) -> dict[str, str]:
    """Whom a memo serves: which files, and the sweep or the process."""
    return {"of": digest(value), "by": os.environ.get(SWEEP) or _PROCESS}


def _remembered(folder: Path, value: Any) -> dict[str, Any]:
    """The states in which this sweep, or this process, found files right."""
    whose = _whose(value)
    for kept in (_checked.get(str(folder)), read_memo(folder / _CHECKED)):
        if isinstance(kept, dict) and isinstance(kept.get("states"), dict) and whose.items() <= kept.items():
            states: dict[str, Any] = kept["states"]
            return states
    return {}


def _remember(folder: Path, value: Any, states: dict[str, list[int]]) -> None:
    kept = {**_whose(value), "states": {name: state for name, state in states.items() if is_settled(state)}}
    _checked[str(folder)] = kept
    write_memo(folder / _CHECKED, kept)
