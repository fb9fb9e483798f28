"""Signals that would stop a training wait for the end of the step, so that its state can be saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from benchmark.stopping import SIGNALS


class Pause:
    """The signals that came and were held back.

    Attributes:
        asked: The first of them; None: there was none.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def hold(self) -> None:
        """From now on, notes signals. Ignored signals stay ignored; only the main thread can do this."""
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in SIGNALS}
            self._before = {number: was for number, was in handlers.items() if was not in (signal.SIG_IGN, None)}
            for number in self._before:
                signal.signal(number, self._note)

    def release(self) -> None:
        """Gives the signals back to their handlers, and delivers `asked` to its own."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        asked, self.asked = self.asked, None
        if asked is not None:
            signal.raise_signal(asked)

    def deliver(self) -> None:
        """Hands a signal that came to its handler, which raises as a rule, and continues to hold."""
        if self.asked is not None:
            self.release()
            self.hold()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number)


@contextmanager
def held(*, when: bool) -> Iterator[Pause]:
    """Inside, if `when`, signals wait for `deliver`, or for the end."""
    pause = Pause()
    if when:
        pause.hold()
    try:
        yield pause
    finally:
        pause.release()
