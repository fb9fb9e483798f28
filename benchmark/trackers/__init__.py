"""Trackers show the numbers of a run while it runs. The record is the result; nothing is read back.

Adding one is one file: here, or in an outside package with an entry point of the group `mtlbench.trackers`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.console import echo
from benchmark.records.record import Record
from benchmark.settings.registry import trackers

if TYPE_CHECKING:
    from benchmark.reporting import Report

register = trackers.register


class Tracker:
    """Base of all trackers. A subclass's keyword-only parameters are its configuration.

    A tracker may raise any exception: the run calls it through `Guarded`.
    """

    def prepare(self) -> Mapping[str, str]:
        """Called once before the runs of a sweep, in the process that starts them: the place to look for a server.

        Returns:
            What it found, as environment variables for all runs, also for those in other processes. Their names begin with
            `MTLBENCH_`. They are gone after the sweep.
        """
        return {}

    def start(self, *, id: str, method: str, config: dict[str, Any], dataset: str, seed: int) -> None:
        """Called before training.

        Args:
            id: The run's identity, 12 hex digits.
            method: `architecture/weighting`; runs of one method belong together.
            config: The whole RunConfig as plain values.
            dataset: Name of the data set.
            seed: The seed of the run.
        """

    def epoch(self, entry: dict[str, Any]) -> None:
        """Called after every validation with one item of `Record.epochs`."""

    def finish(self, record: Record) -> None:
        """Called with the record of a finished or diverged run, before it is written; see `record.status`."""

    def report(self, make: Callable[[], Report]) -> str | None:
        """Called once after a sweep of several runs, and by `mtlbench report --tracker`.

        Args:
            make: Makes the report of the sweep's records. It takes seconds, so trackers without reports do not call it.

        Returns:
            Where to see the report, or None.
        """

    def close(self) -> None:
        """Called last in any case. Without a `finish` before it, an exception ended the run."""


if TYPE_CHECKING:
    _Hooks = Tracker  # the hooks are here for type checkers; at run time, each is looked up in the inner tracker
else:
    _Hooks = object


class Guarded(_Hooks):
    """A tracker whose hooks cannot end a run: its first exception gives a line on stderr, later ones are silent.

    It covers every hook of `Tracker`, including future ones.
    """

    def __init__(self, inner: Tracker) -> None:
        self.inner = inner
        self._warned = False

    def __getattr__(self, hook: str) -> Callable[..., Any]:
        return partial(self._try, getattr(self.inner, hook))

    def _try(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the network, a full disk, a library's bug: none may cost a training run
            if not self._warned:
                self._warned = True
                echo(
                    f"mtlbench: tracking failed, and the run continues without it: {type(error).__name__}: {error}",
                    file=sys.stderr,
                )
            return None


@contextmanager
def guarded(inner: Tracker) -> Iterator[Guarded]:
    """The tracker in a `with`: it cannot end the run, and it is closed even if the run ends with an exception.

    >>> with guarded(Tracker()) as tracker:
    ...     tracker.epoch({"epoch": 1})
    """
    tracker = Guarded(inner)
    try:
        yield tracker
    finally:
        tracker.close()
