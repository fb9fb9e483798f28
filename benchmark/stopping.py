"""Stops: SIGINT, SIGTERM and SIGHUP end a command in order, and worker processes end with the process that started them.

A signal raises `Stopped` in the main thread. On its way out, files are closed, temporaries removed and locks released. A
process that is still there `SECONDS` after its first signal, such as one inside a long call of a library, ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TypeVar

from benchmark.console import echo

SECONDS = 10.0
"""From the first signal to the end, at most: batch systems send SIGKILL after 30."""
WORKER_SECONDS = 2.0
"""The time that a worker has to leave its run."""
BETWEEN_LOOKS = 0.5  # how soon an orphan notices
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_Result = TypeVar("_Result")
_first: list[Callable[[], None]] = []  # what is called before `Stopped` is raised


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop.

    Args:
        signum: The signal's number.

    Attributes:
        is_told: Has a line said so?
    """

    def __init__(self, signum: int) -> None:
        self.signum, self.is_told = signum, False
        super().__init__(f"stopped by {signal.Signals(signum).name}")

    @property
    def status(self) -> int:
        """The exit status, as a shell reports a process that a signal ended: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signum


class _State:
    """What this process knows about its signals."""

    is_own = False  # see `own_process`
    is_watched = False  # inside `stoppable`
    parent: int | None = None  # of a worker
    in_run = False  # of a worker
    asked: int | None = None  # the first signal


def _stop(signum: int, frame: FrameType | None) -> None:
    """The handler. Signals after the first are ignored: `timeout` sends two, and the second would interrupt the tidying up."""
    if _State.asked is not None:
        return
    _State.asked = signum
    for call in _first:
        call()
    raise Stopped(signum)


def own_process() -> None:
    """Says that this process ends with its command, unlike a notebook's or pytest's that calls one.

    A signal then holds until the process is gone: later ones are ignored, and the end may not take longer than `SECONDS`.
    """
    _State.is_own = True


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, signals raise `Stopped`. A signal that the process ignores (nohup) or handles otherwise stays as it is.

    Afterwards signals do what they did before; see `own_process` for the exception. Inside another one, and outside the
    main thread, it does nothing.
    """
    if _State.is_watched or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, old in before.items() if old in (signal.SIG_DFL, signal.default_int_handler)]
    reader, writer = os.pipe()
    if hasattr(os, "set_blocking"):  # Windows has it since Python 3.12, and does not need it here
        os.set_blocking(writer, False)
    ended = threading.Event()
    _State.is_watched, _State.asked = True, None
    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_late, args=(reader, taken, ended), daemon=True).start()
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        if (
            _State.asked is None or not _State.is_own
        ):  # else the process is about to end, and the thread sees that it does
            for number in taken:
                signal.signal(number, before[number])
            signal.set_wakeup_fd(earlier)
            os.close(writer)
            ended.set()
            _State.is_watched = False


def _end_late(reader: int, taken: list[int], ended: threading.Event) -> None:
    """Ends the process `SECONDS` after a signal, unless the command ended before.

    Python writes the signal's number to the pipe at once, whatever the main thread does.
    """
    while numbers := os.read(reader, 64):
        for number in numbers:
            if number in taken and not ended.wait(SECONDS):
                name = signal.Signals(number).name
                _tell(f"mtlbench: {name}: ended without tidying up, because it was still busy after {SECONDS:g} s")
                os._exit(128 + number)
    os.close(reader)


@contextmanager
def before_stop(call: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal calls this before it raises `Stopped`."""
    _first.append(call)
    try:
        yield
    finally:
        _first.remove(call)


def leave(stopped: BaseException | None, what: str = "") -> NoReturn:
    """Ends a command that was stopped: a line unless one was said, and the exit status.

    Args:
        stopped: What was raised; anything but `Stopped` counts as SIGINT.
        what: What to say after the signal's name; nothing: no line.
    """
    reason = stopped if isinstance(stopped, Stopped) else Stopped(signal.SIGINT)
    if what and not reason.is_told:
        _tell(f"mtlbench: {reason} {what}")
    sys.exit(reason.status)


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # after SIGHUP, the terminal may be gone
        echo(line, file=sys.stderr)


# workers --------------------------------------------------------------------------------------------------------------


def begin_worker(parent: int) -> None:
    """Begins a worker process. A signal stops the run that it has, and so does the end of its parent, whatever ended it.

    Linux alone can send a signal at a parent's end, and there it follows the parent's thread, not the process.

    Args:
        parent: The parent's process id.
    """
    _State.parent = parent
    for number in SIGNALS:
        signal.signal(number, _stop_worker)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _stop_worker(signum: int, frame: FrameType | None) -> None:
    """The handler of workers. A worker without a run waits for its parent, which knows whether the sweep ends."""
    if _State.asked is None:
        _State.asked = signum
        if _State.in_run:
            raise Stopped(signum)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(BETWEEN_LOOKS)
    if _State.in_run:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(WORKER_SECONDS)
    os._exit(128 + signal.SIGTERM)


def in_order(run: Callable[[], _Result]) -> _Result:
    """Calls it. In a worker, a signal ends it and then the process."""
    if _State.parent is None:
        return run()
    try:
        _State.in_run = True
        if _State.asked is not None:
            raise Stopped(_State.asked)
        return run()
    except Stopped as stopped:
        _State.in_run = False
        if os.getppid() == _State.parent:  # joblib kills all workers when one ends, and the others may be tidying up
            time.sleep(WORKER_SECONDS)
        os._exit(stopped.status)
    finally:
        _State.in_run = False
