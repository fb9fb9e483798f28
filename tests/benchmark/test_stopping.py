"""Signals as exceptions, and workers that do not outlive their parent; every case is a process without torch."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import stopping
from benchmark.stopping import Stopped, leave, stoppable

IN_ORDER = """
import signal, sys, time
from benchmark import stopping
for number in stopping.SIGNALS:
    signal.signal(number, signal.SIG_DFL)  # whatever the tests run under
try:
    with stopping.stoppable(), stopping.before_stop(lambda: print("first", flush=True)):
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not interrupt the tidying up
            print("tidied", flush=True)
except KeyboardInterrupt as stopped:
    stopping.leave(stopped, "before the first run")
"""
STUCK = """
import threading, time
from benchmark import stopping
stopping.SECONDS = 0.2
with stopping.stoppable():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except BaseException:  # as a library may swallow it
            pass
"""
IN_HOST = """
import signal, sys, threading, time
from benchmark import stopping
if sys.argv[1:] == ["own"]:
    stopping.own_process()
    stopping.SECONDS = 0.05
signal.signal(signal.SIGTERM, signal.SIG_DFL)
try:
    with stopping.stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as stopped:
            stopping.leave(stopped)
except SystemExit as left:
    assert left.code == 143
assert (signal.getsignal(signal.SIGTERM) == signal.SIG_DFL) == (sys.argv[1:] == []), "handlers"
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(20)  # which ends the process, if it is a command's own
print("goes on")
"""
PARENT = """
import os, sys, time
from joblib import Parallel, delayed
from benchmark.stopping import begin_worker, in_order

def task(folder, number):
    def run():
        open(f"{folder}/{os.getpid()}", "w").close()
        try:
            time.sleep(60)
        finally:
            os.unlink(f"{folder}/{os.getpid()}")
    in_order(run)

if __name__ == "__main__":
    Parallel(n_jobs=2, initializer=begin_worker, initargs=(os.getpid(),))(delayed(task)(sys.argv[1], n) for n in range(4))
"""


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_is_an_exception_a_line_and_an_exit_status(number: signal.Signals) -> None:
    process = started(IN_ORDER)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == "first\ntidied\n"
    assert err == f"mtlbench: stopped by {number.name} before the first run\n"
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}[number.name]


def test_what_swallows_the_exception_ends_all_the_same() -> None:
    process = started(STUCK)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert err == "mtlbench: SIGTERM: ended without tidying up, because it was still busy after 0.2 s\n"


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup has it, and a shell for what runs in the background of a script."""
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from benchmark.stopping import stoppable\n"
    code += "with stoppable(): signal.raise_signal(signal.SIGHUP); print('here')"
    assert started(code).communicate(timeout=20) == ("here\n", "")


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with stoppable(), stoppable():
        assert [signal.getsignal(number) for number in stopping.SIGNALS] != before
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_a_stopped_command_does_not_end_its_host() -> None:
    """A notebook, or pytest, that calls `mtlbench.main` goes on, with the handlers that it had."""
    process = started(IN_HOST)
    assert process.communicate(timeout=60) == ("goes on\n", "")
    assert process.returncode == 0


def test_a_command_of_its_own_ends_however_long_it_tidies_up() -> None:
    process = started(IN_HOST, "own")
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 143)
    assert err == "mtlbench: SIGTERM: ended without tidying up, because it was still busy after 0.05 s\n"


def test_anything_else_that_interrupts_counts_as_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        leave(KeyboardInterrupt(), "before the first run")
    assert left.value.code == 130
    told = Stopped(signal.SIGTERM)
    told.is_told = True
    with pytest.raises(SystemExit) as left:
        leave(told, "before the first run")
    assert left.value.code == 143
    assert capsys.readouterr().err == "mtlbench: stopped by SIGINT before the first run\n"


def test_workers_leave_their_runs_and_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    script, marks = tmp_path / "parent.py", tmp_path / "marks"
    script.write_text(PARENT)
    marks.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(marks)], stderr=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: len(list(marks.iterdir())) == 2)
    assert len(of_session(process.pid)) >= 3
    process.kill()
    process.wait()
    until(lambda: not of_session(process.pid))
    assert list(marks.iterdir()) == []


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for it, at most this long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def of_session(session: int) -> list[int]:
    """The living processes of a session."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, sess, state in rows if int(sess) == session and not state.startswith("Z")]
