"""The lock of a run: one holder at a time, none of them dead, and no file that stays."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmark.runs import locks
from benchmark.runs.clean import clean
from benchmark.runs.locks import Busy, holder, left_locks, lock_path, remove_lock, run_lock, wait_for, was_begun


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "shop" / "mmoe" / "equal" / "0123456789ab.json"


def test_one_at_a_time_has_a_run(record: Path) -> None:
    with run_lock(record):
        assert lock_path(record) == record.with_name(".0123456789ab.lock")
        assert lock_path(record).read_text() == f"{os.getpid()} {platform.node()}\n"
        assert holder(record) == f"process {os.getpid()}"
        assert not was_begun(record)
        with pytest.raises(Busy, match=f"process {os.getpid()} has the same run"), run_lock(record):
            pass
        assert holder(record) is not None
    assert holder(record) is None
    assert list(record.parent.iterdir()) == []


def test_what_ends_a_run_releases_it(record: Path) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), run_lock(record):
            raise error
        assert list(record.parent.iterdir()) == []


def test_a_dead_process_holds_nothing_but_is_known_to_have_begun(record: Path) -> None:
    code = f"import fcntl, os, time; file = os.open({str(lock_path(record))!r}, os.O_RDWR | os.O_CREAT)\n"
    code += "fcntl.flock(file, fcntl.LOCK_EX); os.write(file, b'%d elsewhere\\n' % os.getpid()); print(flush=True); time.sleep(60)"
    record.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert holder(record) == f"process {process.pid} on elsewhere"
        assert not was_begun(record)
        process.send_signal(signal.SIGKILL)
    wait_for([record])
    assert holder(record) is None
    assert was_begun(record)
    with run_lock(record):
        assert holder(record) == f"process {os.getpid()}"
    assert not was_begun(record)


def test_who_waits_says_for_whom_and_then_has_it(
    record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(locks, "_TRIES", 0)
    order: list[str] = []

    def second() -> None:
        with run_lock(record, waits=True):
            order.append("second")

    with run_lock(record):
        waiter = threading.Thread(target=second)
        waiter.start()
        waiter.join(0.05)
        order.append("first")
    waiter.join()
    assert order == ["first", "second"]
    assert f"waiting for 0123456789ab: process {os.getpid()} has the same run" in capsys.readouterr().err
    assert list(record.parent.iterdir()) == []


def test_many_that_come_and_go_are_never_two(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is removed each time, so that some lock a file that is no longer there."""
    monkeypatch.setattr(locks, "BETWEEN_LOOKS", 0.0001)
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with run_lock(record, waits=True):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(record.parent.iterdir()) == []


def test_locks_of_dead_processes_are_removed_and_nothing_else(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.clean.gettempdir", lambda: str(record))  # the true one has those of others
    dead, strange = lock_path(record.with_name("ba9876543210.json")), record.with_name(".poetry.lock")
    with run_lock(record):
        dead.touch()
        strange.touch()
        assert list(left_locks(record.parent)) == list(left_locks(record.parents[3], deep=True)) == [dead]
        assert clean([record.parents[3]]) == [dead]
        remove_lock(lock_path(record))
        assert holder(record) is not None
    assert list(record.parent.iterdir()) == [strange]


def test_without_locks_runs_go_on(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with run_lock(record), run_lock(record):
        assert holder(record) is None
    assert list(record.parent.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK])
def test_without_locks_the_file_of_another_process_stays(
    record: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with run_lock(record):
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
        with run_lock(record):
            pass
        monkeypatch.undo()
        assert holder(record) == f"process {os.getpid()}"


def test_another_error_of_the_lock_is_an_error(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output error"), run_lock(record):
        pass


def test_on_a_full_disk_the_lock_holds_without_its_owner(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with run_lock(record):
        assert holder(record) == "another process"
        with pytest.raises(Busy), run_lock(record):
            pass
    assert list(record.parent.iterdir()) == []


def test_who_only_looks_does_not_have_the_run(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`holder` takes a shared lock, and here it has it until the next try."""
    record.parent.mkdir(parents=True)
    looking = os.open(lock_path(record), os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _: os.close(looking))
    with run_lock(record):
        assert holder(record) == f"process {os.getpid()}"
