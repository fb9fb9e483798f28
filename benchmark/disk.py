"""What is asked of a disk: space before it is mapped, contents that outlive a power cut, errors with the path.

And whether a file is unchanged. Imports only the standard library.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the user's share of it, or the greatest size of a file is used up."""
_CANNOT_CLAIM = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})
_ZEROS = bytes(1 << 20)
_RUST = re.compile(r"\(os error (\d+)\)")  # as polars and safetensors tell it
_TICK = 10**8  # nanoseconds; the time of a change may be this coarse


def claim(file: BinaryIO, size: int) -> None:
    """Makes a file this long, with space on the disk for all of it.

    A mapped array over a file with holes kills the process by SIGBUS where the disk is full. This raises instead.

    Args:
        file: Open for writing, at its end.
        size: How long it becomes, in bytes.

    Raises:
        OSError: if the disk has not that much space.
    """
    file.flush()
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_CLAIM:
                raise
        else:
            return
    file.seek(0, os.SEEK_END)
    while (missing := size - file.tell()) > 0:
        file.write(_ZEROS[:missing])
    file.flush()


def flush(path: Path) -> None:
    """Waits until the contents of a file, or the names in a folder, are on the disk.

    Raises:
        OSError: if the contents could not be written, of which some network disks tell only now.
    """
    if path.is_dir():
        with suppress(OSError):  # not every system and file system can do this for a folder
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def flush_below(folder: Path) -> None:
    """`flush` for a folder and all that is in it, several at once: file systems write them down together."""
    files, folders = [], []
    for place, _, names in os.walk(folder):
        folders.append(Path(place))
        files += [path for name in names if (path := Path(place, name)).is_file() and not path.is_symlink()]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(flush, files))
        list(pool.map(flush, folders))


def _flush(path: Path, how: int) -> None:
    handle = os.open(path, how)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def number_of(error: BaseException) -> int | None:
    """The system's number of an error, such as `errno.ENOSPC`; also of libraries that only tell it in their text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _RUST.search(str(error))
    return int(found[1]) if found else None


def cannot_write(what: object, error: BaseException, remedy: str = "") -> OSError:
    """The error that says in one line what cannot be written, and why; with the number and type of the one it came from.

    Args:
        what: The path, perhaps after what it is.
        error: What was raised.
        remedy: What follows the reason.
    """
    number = number_of(error)
    reason = str(error) if number is None else os.strerror(number)
    kind = type(error) if number is None and isinstance(error, OSError) else type(OSError(number, ""))
    made = kind(f"{what} cannot be written: {reason}{remedy}")
    made.errno = number
    return made


def state_of(path: Path) -> list[int]:
    """What changes whenever a file does: size, time of the last change of its contents and of anything, inode."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def is_settled(state: Sequence[int]) -> bool:
    """Whether another change would show in the file's state: clocks of file systems tick slowly."""
    return time.time_ns() - state[2] > _TICK
