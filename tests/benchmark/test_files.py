"""One way to write a file whole, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from benchmark.files import read_json, read_memo, write_json, write_memo, written_whole
from tests.disks import small_disk


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": 1})
    with written_whole(path) as file:
        file.write_text('{"a": ')
        assert read_json(path, "a value") == {"a": 1}
        assert file.parent == path.parent
        assert file.name.startswith(".")
        file.write_text('{"a": 2}')
    assert read_json(path, "a value") == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(type(error)), written_whole(path) as file:
        file.write_text("half")
        raise error
    assert read_json(path, "a value") == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_replaces_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told, replace, fsync = tmp_path / "a.json", list[str](), Path.replace, os.fsync

    def flushed(handle: int) -> None:
        target = Path(f"/proc/self/fd/{handle}").readlink()
        told.append(f"flush {'folder' if target == tmp_path else target.suffix}")
        fsync(handle)

    def replaced(self: Path, target: Path) -> Path:
        told.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", replaced)
    write_json(path, {"a": 1})
    assert told == ["flush .json", "replace", "flush folder"]


def test_errors_name_the_path_and_not_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    for error in (OSError(errno.ENOSPC, "full"), RuntimeError("I/O error: full (os error 28)")):
        with pytest.raises(OSError, match=f"^{path} cannot be written: No space left on device$"), written_whole(path):
            raise error
    with pytest.raises(FileNotFoundError, match="elsewhere"), written_whole(path):
        Path("elsewhere").read_text()  # is not about what is written
    with pytest.raises(RuntimeError, match=r"^a bug$"), written_whole(path):
        raise RuntimeError("a bug")
    with (
        pytest.raises(OSError, match=rf"report.html/x.csv cannot be written: .* \({path}\)$"),
        written_whole(path / "x.csv"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder cannot be written: Is a directory$"):
        write_json(tmp_path / "folder", {})
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "folder", path]


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    link, real = tmp_path / "link.json", tmp_path / "real" / "a.json"
    link.symlink_to(real)
    for value in (1, 2):  # at first it leads nowhere
        write_json(link, {"a": value})
        assert link.is_symlink()
        assert read_json(real, "a value") == {"a": value}
    write_json(Path("/dev/null"), {})
    assert not Path("/dev/null").is_file()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match=r"^/dev/full cannot be written: No space left on device$"):
            write_json(Path("/dev/full"), {})
        assert not Path("/dev/full").is_file()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 kB."""
    yield from small_disk(tmp_path / "disk", 40 << 10)


def test_on_a_full_disk_every_kind_of_file_is_whole_or_not_there(full: Path) -> None:
    array = np.random.default_rng(0).random(20_000)
    writers = {
        "a.json": lambda file: file.write_text("x" * 100_000),
        "a.safetensors": lambda file: save_file({"a": array}, file),
        "a.parquet": lambda file: pl.DataFrame({"a": array}).write_parquet(file),
        "a.csv": lambda file: pl.DataFrame({"a": array}).write_csv(file),
    }
    for name, write in writers.items():
        (full / name).write_text("old")
        with (
            pytest.raises(OSError, match=rf"^{full / name} cannot be written: No space left on device$") as raised,
            written_whole(full / name) as file,
        ):
            write(file)
        assert raised.value.errno == errno.ENOSPC
        assert (full / name).read_text() == "old"
    assert sorted(path.name for path in full.iterdir()) == sorted(writers)


@pytest.mark.parametrize("damaged", ['{"sha256": "0", "value": 1}', "", "[]", "[" * 10_000, '{"value": 1}', "\udcff"])
def test_a_damaged_memo_is_none(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "memo.json"
    assert read_memo(path) is None
    write_memo(path, {"b": 1, "a": [2, "x"]})
    assert read_memo(path) == {"b": 1, "a": [2, "x"]}
    path.write_text(path.read_text().replace("2", "3"))
    assert read_memo(path) is None
    path.write_bytes(damaged.encode(errors="surrogateescape"))
    assert read_memo(path) is None
    write_memo(Path("/dev/null/x/memo.json"), 1)  # cannot be kept, and need not
