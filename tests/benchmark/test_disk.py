"""Space that is claimed, and errors that say what cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from benchmark import disk, pieces
from benchmark.disk import cannot_write, claim, is_settled, number_of, state_of
from benchmark.pieces import mapped, on_disk


def refusing(number: int) -> Any:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("refusal", [None, errno.EOPNOTSUPP, errno.EINVAL, "missing"])
def test_claimed_space_has_no_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int | str | None) -> None:
    if refusal == "missing":
        monkeypatch.delattr(os, "posix_fallocate")
    elif refusal is not None:
        monkeypatch.setattr(os, "posix_fallocate", refusing(int(refusal)))
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(b"head")
        claim(file, 3 << 20)
    stat = path.stat()
    assert stat.st_size == 3 << 20
    assert stat.st_blocks * 512 >= 3 << 20
    assert path.read_bytes()[:5] == b"head\0"


def test_an_array_in_a_file_is_as_numpy_saves_it(tmp_path: Path) -> None:
    expected = np.arange(6, dtype=np.float32).reshape(3, 2)
    mapped(tmp_path / "a.npy", (3, 2), np.float32)[:] = expected
    np.save(tmp_path / "b.npy", expected)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert mapped(tmp_path / "none.npy", (5, 0), np.int32).shape == (5, 0)


def test_an_array_that_does_not_fit_is_an_error_before_it_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    monkeypatch.setattr(pieces, "PIECE", 10)
    with pytest.raises(OSError, match="No space") as raised:
        mapped(tmp_path / "a.npy", (11,), np.int64)
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"a temporary file in .* cannot be written: No space left .*; set TMPDIR"):
        on_disk((11,), np.int64)
    with pytest.raises(OSError, match=f"a temporary file in {tmp_path} cannot be written: No space left on device$"):
        on_disk((11,), np.int64, tmp_path)


@pytest.mark.parametrize(
    ("error", "kind", "number", "reason"),
    [
        (OSError(errno.ENOSPC, "what it says"), OSError, errno.ENOSPC, "No space left on device"),
        (OSError(errno.EACCES, "x"), PermissionError, errno.EACCES, "Permission denied"),
        (RuntimeError("parquet: underlying IO error: No space (os error 28)"), OSError, 28, "No space left on device"),
        (OSError("of no number"), OSError, None, "of no number"),
    ],
)
def test_errors_keep_their_number_and_kind(
    error: Exception, kind: type[OSError], number: int | None, reason: str
) -> None:
    assert number_of(error) == number
    made = cannot_write("a/b", error, "; make room")
    assert type(made) is kind
    assert made.errno == number
    assert str(made) == f"a/b cannot be written: {reason}; make room"


def test_a_change_shows_in_the_state_though_size_and_time_are_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    before, stat = state_of(path), path.stat()
    assert not is_settled(before)
    monkeypatch.setattr(disk, "_TICK", -1)
    assert is_settled(before)
    while state_of(path)[2] == before[2]:  # until the file system's clock ticks
        path.write_text("2")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert state_of(path)[:2] == before[:2]
    assert state_of(path) != before
