"""Whose temporaries are removed: those of processes that are gone, and of no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import temporaries
from benchmark.temporaries import left_behind, remove, scratch_folder, size_of, temporary_name

WRITES = """
import sys, time
from pathlib import Path
from benchmark.files import written_whole
from benchmark.temporaries import scratch_folder
folder = Path(sys.argv[1])
with written_whole(folder / "report.html") as file, scratch_folder(folder, "shop-1") as made:
    file.write_text("half")
    (made / "train_labels.npy").write_text("half")
    print("writes", flush=True)
    time.sleep(60)
"""


def named(pid: int | str, started: int | str = 5, machine: str | None = None) -> str:
    return f".a.mtlbench-{machine or temporaries._machine()}-{pid}-{started}-0123abcd.json"


def test_what_a_process_writes_is_its_own_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writes\n"
        assert len(list(tmp_path.iterdir())) == 2
        assert list(left_behind(tmp_path)) == []
        writer.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has waited for it yet
        found = list(left_behind(tmp_path))
        assert found == sorted(tmp_path.iterdir())
        assert [size_of(path) for path in found] == [4, 4]
    assert list(left_behind(tmp_path)) == found
    for path in found:
        remove(path)
    assert list(tmp_path.iterdir()) == []


def test_a_later_process_of_the_same_number_owns_nothing(tmp_path: Path) -> None:
    mine = tmp_path / temporary_name("a", ".json")
    mine.touch()
    earlier = tmp_path / named(os.getpid(), started=1)
    earlier.touch()
    assert list(left_behind(tmp_path)) == [earlier]


def test_temporaries_of_another_machine_stay_for_a_day(tmp_path: Path) -> None:
    file, folder = tmp_path / named(2**22 + 1, machine="00000000"), tmp_path / named(2**22 + 2, machine="00000000")
    file.touch()
    folder.mkdir()
    (folder / "part").touch()
    assert list(left_behind(tmp_path)) == []
    yesterday = time.time() - temporaries.OTHERS_STAY - 1
    os.utime(file, (yesterday, yesterday))
    os.utime(folder, (yesterday, yesterday))
    assert list(left_behind(tmp_path)) == [file]  # in the folder something was written
    os.utime(folder / "part", (yesterday, yesterday))
    assert list(left_behind(tmp_path)) == [file, folder]


@pytest.mark.parametrize(
    "name",
    [
        ".0123456789abcdef.state.safetensors",
        ".0123456789abcdef.state.json",
        ".hidden",
        "a.mtlbench-0-0-0-0.json",
        ".shop-0123.lock",
    ],
)
def test_other_hidden_files_are_nobodys_business(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    assert list(left_behind(tmp_path, deep=True, older=True)) == []


def test_folders_below_are_searched_if_asked_and_links_are_not_followed(tmp_path: Path) -> None:
    hidden, gone = (tmp_path / folder / "b" / named(2**22 + 1) for folder in (".debug", "a"))
    inner = tmp_path / temporary_name("shop") / named(2**22 + 1)  # its owner removes all of it
    for path in (hidden, gone, inner):
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert list(left_behind(tmp_path)) == []
    assert list(left_behind(tmp_path, deep=True)) == [hidden, gone]


def test_scratch_folders_of_earlier_versions_count_after_a_day(tmp_path: Path) -> None:
    old = tmp_path / ".shop-684ef73af11e136d-bn0ym60u"
    old.mkdir()
    assert list(left_behind(tmp_path, older=True)) == []
    os.utime(old, (0, 0))
    assert list(left_behind(tmp_path, older=True)) == [old]
    assert list(left_behind(tmp_path)) == []


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    name = temporary_name("ü" * 250, ".html")
    assert len(name.encode()) <= 255
    assert name.endswith(".html")
    with scratch_folder(tmp_path, "x" * 250) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
