"""The cache of downloads and prepared arrays: one folder, written atomically, never unpickled."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    with scratch_beside(target) as folder:
        fill(folder)
        folder.chmod(0o755)  # mkdtemp makes it private, and a cache may be shared
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, removed afterwards.

    Raises:
        OSError: if the cache cannot be written.
    """
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
