"""A disk that becomes full while a data set is prepared: an error with the path, and no temporary file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmark.datasets.table import Table
from tests.benchmark.datasets.toy import made, table
from tests.benchmark.test_disk import refusing
from tests.disks import small_disk

FULL = (
    r"^the cache folder {}/prepared cannot be written: No space left on device; make room there, or set MTLBENCH_CACHE"
)


def lazy() -> Table:
    """The rows of `table` as expressions over a frame, which polars writes."""
    whole = table()
    frame = pl.DataFrame({name: pl.Series(values) for name, values in whole.categorical.items()}).lazy()
    return table(categorical={name: pl.col(name) for name in whole.categorical}, frame=frame)


def polars_on_a_full_disk(*_: Any, **options: Any) -> None:
    raise pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("place", "refusal", "read"),
    [
        ((os, "posix_fallocate"), refusing(errno.ENOSPC), table),
        ((os, "posix_fallocate"), refusing(errno.EDQUOT), table),
        ((os, "fsync"), refusing(errno.ENOSPC), table),  # as a network disk tells it
        ((pl.LazyFrame, "sink_parquet"), polars_on_a_full_disk, lazy),
    ],
)
def test_the_error_names_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, refusal: Any, read: Callable[[], Table]
) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(*place, refusal)
    with pytest.raises(OSError, match=FULL.format(tmp_path).replace("No space left on device", ".*")) as raised:
        made(read)
    assert raised.value.errno in (errno.ENOSPC, errno.EDQUOT)
    assert list((tmp_path / "prepared").iterdir()) == []


PREPARES = """
import os, sys, resource
from benchmark import pieces
from benchmark.settings.registry import datasets
pieces.PIECE = 2000
datasets.discover()
shop = datasets.get("shop")
for size in map(int, sys.argv[1:]):
    if size:
        os.system(f"mount -o remount,size={size}k $MTLBENCH_CACHE")
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        print(size, len(shop(num_rows=6000).build().train.labels))
    except OSError as error:
        print(size, error)
"""


def prepares(cache: Path, *sizes: int) -> list[str]:
    """The line of each attempt, in a process of its own: it might die of a signal."""
    command = [sys.executable, "-c", PREPARES, *map(str, sizes)]
    environment = {**os.environ, "MTLBENCH_CACHE": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_file_that_may_not_be_so_large_is_an_error_and_no_signal(tmp_path: Path) -> None:
    (line,) = prepares(tmp_path, 0)
    assert line.startswith(f"0 the cache folder {tmp_path}/prepared cannot be written: File too large; make room there")
    assert list((tmp_path / "prepared").iterdir()) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 50 kB."""
    yield from small_disk(tmp_path / "disk", 50 << 10)


def test_disks_of_many_sizes(disk: Path) -> None:
    sizes = [50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 2000]
    lines = prepares(disk, *sizes)
    assert lines[-1] == "2000 4800"
    full = [line.partition(" ")[2] for line in lines if "cannot be written" in line]
    assert 5 < len(full) < len(sizes)
    assert all(line.startswith(f"the cache folder {disk}/prepared cannot be written: No space left") for line in full)
    assert len(list((disk / "prepared").iterdir())) == 1  # and nothing of those that failed
