"""One process at a time has a run: a lock beside its record, which a dead process does not hold.

The lock is `flock` on `.<id>.lock`, which holds the process id of its owner and is removed when the run is done. A killed
process leaves the file but not the lock. That is also how a sweep knows which runs a dead worker had begun (`was_begun`).

On one machine no run is done twice at once. On several machines with one folder, the file system must have locks. Without
them a run may be done twice. Both write equal files up to the last bits, each whole, by rename, and the record last.

The library filelock leaves its files behind: if a process locks a file that is removed, another can lock its successor.
Here a process that gets the lock checks that the file is still the one at that path.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.runs.progress import say

try:
    import fcntl
except ImportError:  # Windows: then there are no locks
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"\.[0-9a-f]{12}\.lock")  # of an id
# what `flock` says where there are no locks
_WITHOUT = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOLCK}
_TRIES, _BETWEEN_TRIES = 10, 0.01  # `holder` of another process has a lock too, for a moment
BETWEEN_LOOKS = 0.5
"""Seconds between two looks at a lock of another process."""


class Busy(RuntimeError):
    """Another process has the run.

    Args:
        holder: Which process.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(f"{holder} has the same run")


def lock_path(record: Path) -> Path:
    """Where the lock of a run is; readers of records pass over what is hidden."""
    return record.with_name(f".{record.stem}.lock")


@contextmanager
def run_lock(record: Path, *, waits: bool = False) -> Iterator[None]:
    """Inside, no other process that uses this has the run.

    Args:
        record: Where the run's record is or will be.
        waits: Wait for another process that has it, and say so.

    Raises:
        Busy: if another process has it and `waits` is false.
    """
    path = lock_path(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = _locked(path)
    except Busy as busy:
        if not waits:
            raise
        say(f"mtlbench: waiting for {record.stem}: {busy}")
        while True:
            wait_for([record])
            with suppress(Busy):
                file = _locked(path)
                break
    try:
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)  # before the lock is released
            os.close(file)


def holder(record: Path) -> str | None:
    """The process that has a run, "process 123"; None if no process has it."""
    path = lock_path(record)
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return _owner(file) if _take(file, shared=True) is False else None
    except OSError:  # then nobody can say
        return None
    finally:
        os.close(file)


def was_begun(record: Path) -> bool:
    """Did a process that is now dead have the run?"""
    return lock_path(record).is_file() and holder(record) is None


def left_locks(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    """The locks of runs in a folder whose processes are dead.

    Args:
        folder: Where to look. It need not exist.
        deep: Whether to look in all folders below it too.
    """
    for path in sorted((folder.rglob if deep else folder.glob)(".*.lock")):
        if is_lock(path) and path.is_file() and holder(_record_of(path)) is None:
            yield path


def is_lock(path: Path) -> bool:
    """Whether a file has the name of a lock of a run."""
    return _NAME.fullmatch(path.name) is not None


def remove_lock(path: Path) -> None:
    """Removes a lock that no process has."""
    with suppress(Busy, OSError), run_lock(_record_of(path)):  # which removes it
        pass


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name[1:].removesuffix('.lock')}.json")


def wait_for(records: list[Path]) -> None:
    """Returns as soon as no process has one of these runs."""
    while all(holder(record) is not None for record in records):
        time.sleep(BETWEEN_LOOKS)


def _locked(path: Path) -> int | None:
    """The open file of the lock; None where there are no locks."""
    while True:
        file, is_new = _opened(path)
        try:
            taken = _take(file)
            for _ in range(_TRIES):
                if taken is not False:
                    break
                time.sleep(_BETWEEN_TRIES)
                taken = _take(file)
            if taken is False:
                raise Busy(_owner(file))
            if taken and _is_at(file, path):
                with suppress(OSError):  # on a full disk, the lock holds without a name
                    os.truncate(file, 0)
                    os.pwrite(file, f"{os.getpid()} {platform.node()}\n".encode(), 0)
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        if taken is None:
            if is_new:  # else another process may have it locked
                path.unlink(missing_ok=True)
            return None
        # else its owner removed it in the meantime


def _opened(path: Path) -> tuple[int, bool]:
    """The open file, and whether it is new."""
    with suppress(FileExistsError):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), True
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644), False


def _take(file: int, *, shared: bool = False) -> bool | None:
    """Whether the lock is now ours; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _WITHOUT:
            return None
        raise
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _owner(file: int) -> str:
    process, _, machine = os.pread(file, 200, 0).decode(errors="replace").strip().partition(" ")
    where = f" on {machine}" if machine != platform.node() else ""
    return f"process {process}{where}" if process.isdecimal() else "another process"  # it has not yet written its id
