"""The cache of downloads and prepared arrays: one folder, written atomically, never unpickled."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
from filelock import FileLock

from benchmark.console import echo
from benchmark.disk import FULL, cannot_write, flush, flush_below, number_of
from benchmark.temporaries import remove, scratch_folder, temporary_name

CHOOSE = "set MTLBENCH_CACHE to one that can"


def cache_folder() -> Path:
    """`MTLBENCH_CACHE` if it is set, else the user's cache folder."""
    return Path(os.environ.get("MTLBENCH_CACHE") or pooch.os_cache("mtlbench")).expanduser()


def folder_made_once(
    target: Path, fill: Callable[[Path], None], *, damage: Callable[[Path], str | None] = lambda _: None
) -> Path:
    """`target`, filled by `fill` if it is not there yet, or is damaged.

    `fill` writes into a temporary folder beside it, which is then renamed: a folder that exists is complete, and on the disk.
    Where two processes fill the same target at once, both work, and the second to end finds the first one's and keeps that.
    Where two find it damaged, one makes it again and the other waits. What is damaged stays until then.

    Args:
        target: The folder.
        fill: Writes what belongs in it.
        damage: Says what is wrong with the folder as it is, or None.

    Raises:
        OSError: if the cache cannot be written, naming the folder and how to choose another.
    """
    if not os.path.lexists(target):
        _make(target, fill)
    elif damage(target) is not None:
        lock = target.with_name(f".{target.name}.lock")
        with _named(target), FileLock(lock):
            reason = damage(target)
            if reason is not None:  # no other process was faster
                echo(f"mtlbench: {target} is damaged and is made again: {reason}", file=sys.stderr)
                _make(target, fill, replaces=True)
            lock.unlink(missing_ok=True)  # who waits for it finds nothing to do, and a third may look at the same time
    return target


def _make(target: Path, fill: Callable[[Path], None], *, replaces: bool = False) -> None:
    with scratch_beside(target) as folder:
        fill(folder)
        folder.chmod(0o755)  # it is private until now, and a cache may be shared
        flush_below(folder)
        old = target.with_name(temporary_name(target.name))
        if replaces:
            with suppress(FileNotFoundError):
                target.rename(old)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        flush(target.parent)
        remove(old)


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, removed afterwards.

    Raises:
        OSError: if the cache cannot be written, or becomes full.
    """
    with _named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent, target.name) as folder:
            yield folder


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Errors of the cache, not of what is read meanwhile, say where it is and how to choose another."""
    try:
        yield
    except Exception as error:
        about = str(getattr(error, "filename", None) or "")
        is_ours = about.startswith(str(target.parent)) or about in map(str, target.parents)
        if number_of(error) not in FULL and not is_ours:
            raise
        remedy = "make room there, or set MTLBENCH_CACHE to one that has it" if number_of(error) in FULL else CHOOSE
        raise cannot_write(f"the cache folder {target.parent}", error, f"; {remedy}") from error
