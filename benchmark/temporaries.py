"""Temporary files and folders with their owner in their name: what a killed process left is distinguished from what a live one writes.

    .report.mtlbench-1a2b3c4d-4711-8345678-9f8e7d6c.html

After the name of what it becomes come the machine (a hash of its name and of the process' container), the process, the time
at which that started, and a random part. All of them are hidden. Imports only the standard library.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

SWEEP = "MTLBENCH_SWEEP"
"""The environment variable that names the temporary file of a running sweep. Each sweep has another, which its workers inherit."""
OTHERS_STAY = 24 * 60 * 60
"""Seconds that a temporary of another machine, whose processes cannot be seen, stays after it was last written to."""
_OWNER = re.compile(r"^\..*\.mtlbench-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}(\.|$)", re.DOTALL)
_OLDER = re.compile(r"^\..+-[0-9a-z_]{8}$", re.DOTALL)  # scratch folders in the cache before they had an owner
_LONGEST = 40  # characters of the name that are kept: file systems take 255 bytes


def temporary_name(name: str, suffix: str = "") -> str:
    """A hidden name that nothing has yet, owned by this process.

    Args:
        name: What it is for.
        suffix: What it ends with.
    """
    pid = os.getpid()
    owner = f"mtlbench-{_machine()}-{pid}-{_started(pid) or 0}-{secrets.token_hex(4)}"
    return f".{name[:_LONGEST]}.{owner}{suffix[-_LONGEST:]}"


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new private folder in `parent`, removed afterwards unless it was renamed."""
    folder = parent / temporary_name(name)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def left_behind(folder: Path, *, deep: bool = False, older: bool = False) -> Iterator[Path]:
    """The temporaries in a folder whose processes are gone.

    Those of another machine count a day after they were last written to.

    Args:
        folder: Where to look. It need not exist.
        deep: Whether to look in the folders below it too, except other temporaries.
        older: Whether folders named as earlier versions did, without an owner, count after a day too.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # it is not there, is no folder, or is not ours to read
        return
    for entry in entries:
        path = Path(entry)
        if _is_left(path) or (older and _OLDER.match(entry.name) and entry.is_dir() and _is_old(path)):
            yield path
        elif deep and entry.is_dir(follow_symlinks=False) and not _OWNER.match(entry.name):
            yield from left_behind(path, deep=deep, older=older)


def remove(path: Path) -> None:
    """Removes a file, a link or a folder, if it is there and may be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    inner = (Path(place, name) for place, _, names in os.walk(path) for name in names)
    total = 0
    for file in inner if path.is_dir() else [path]:
        with suppress(OSError):
            total += file.lstat().st_size
    return total


def _is_left(path: Path) -> bool:
    owner = _OWNER.match(path.name)
    if owner is None:
        return False
    machine, pid, started = owner[1], int(owner[2]), int(owner[3])
    return _is_old(path) if machine != _machine() else not _lives(pid, started)


def _is_old(path: Path) -> bool:
    """Whether neither it nor anything right in it was written to for a day."""
    try:
        inner = list(path.iterdir()) if path.is_dir() else []
        return time.time() - max(known.lstat().st_mtime for known in (path, *inner)) > OTHERS_STAY
    except OSError:  # it was removed or renamed just now
        return False


def _lives(pid: int, started: int) -> bool:
    """Whether the process is still there, as far as can be told: a later one may have its number."""
    if sys.platform == "win32":
        return True  # a signal 0 would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # another user's
    now = _started(pid)
    return now is None or now == started


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; -1 for one that ended and has not been waited for.

    None where the system does not say.
    """
    try:
        # after the command's name, which may hold anything: state, then 18 numbers, then the start
        state, *numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if state in (b"Z", b"X") else int(numbers[18])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _machine() -> str:
    """Stands for what sees the same processes: the machine, and there the container."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return hashlib.sha256(f"{socket.gethostname()} {container}".encode()).hexdigest()[:8]
