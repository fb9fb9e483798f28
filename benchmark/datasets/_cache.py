"""The cache of downloads and prepared arrays: one folder, written atomically, never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pooch


def cache_folder() -> Path:
    """`MTLBENCH_CACHE` if it is set, else the user's cache folder."""
    return Path(os.environ.get("MTLBENCH_CACHE") or pooch.os_cache("mtlbench")).expanduser()


def folder_made_once(target: Path, fill: Callable[[Path], None]) -> Path:
    """`target`, filled by `fill` if it is not there yet.

    `fill` writes into a temporary folder beside it, which is then renamed: a folder that exists is complete. Where two
    processes fill the same target at once, both work, and the second to end finds the first one's and keeps that.

    Raises:
        OSError: if the cache cannot be written, naming the folder and how to choose another.
    """
    if target.is_dir():
        return target
    with _scratch(target) as folder:
        fill(folder)
        folder.chmod(0o755)  # mkdtemp makes it private, and a cache may be shared
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise type(error)(
            f"the cache folder {target.parent} cannot be written ({error}); set MTLBENCH_CACHE to one that can"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_digest(path: Path) -> str:
    """The sha256 of a file, computed once per (path, size, time of change): a memo in the cache spares the rest."""
    path = path.resolve()
    stat = path.stat()
    state = [str(path), stat.st_size, stat.st_mtime_ns]
    memo = cache_folder() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
    try:
        known = json.loads(memo.read_text(encoding="utf8"))
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no memo yet, or one of another format: compute it anew
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    write_json(memo, {"state": state, "sha256": found})
    return found


def write_json(path: Path, value: Any) -> None:
    """Writes plain values whole, by rename, so that no reader sees a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf8") as stream:
        json.dump(value, stream, ensure_ascii=False)
    Path(temporary).replace(path)
