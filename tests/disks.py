"""Disks of memory that are too small, for tests. Mounting needs the right to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, size: int) -> Iterator[None]:
    """A disk of this many bytes at `place`.

    Raises:
        PermissionError: where mounting is refused.
    """
    place.mkdir(parents=True)
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise PermissionError("there is no command mount") from error
    if done.returncode:
        raise PermissionError(" ".join(done.stderr.split()))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def small_disk(place: Path, size: int) -> Iterator[Path]:
    """For a fixture: the place of such a disk. The test is skipped where mounting is refused."""
    try:
        with mounted(place, size):
            yield place
    except PermissionError as error:
        pytest.skip(f"needs the right to mount: {error}")
