"""Progress: a bar for the current run on a terminal, else a line now and then, and one line for each finished run of a sweep.

A sweep lists the records it waits for in a file and names the file in an environment variable, which workers of any
launcher inherit. So every worker can print "[7/12] ... 4 min left" by checking which records exist.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from benchmark.files import write_json
from benchmark.kinds import kind_of_metrics
from benchmark.metrics import headline_of
from benchmark.records.record import TRIAL, TUNED, Record, name_of_data
from benchmark.schema import Metrics
from benchmark.temporaries import SWEEP, temporary_name
from benchmark.text import duration, one_line

SECONDS_BETWEEN_LINES = 60.0  # of one run, where there is no bar


class Bar(tqdm):  # type: ignore[type-arg]
    """A bar of one process. tqdm's own lock is for several processes, and leaves semaphores behind if a worker is killed."""


Bar.set_lock(threading.RLock())


class RunProgress:
    """How far one run is: a bar on a terminal; elsewhere (a file, Slurm, CI, a notebook) at most one line a minute.

    Workers of a sweep on a terminal show neither: they would overwrite each other's bars.

    Args:
        label: What is running.
        num_steps: The largest number of steps.
        num_epochs: The largest number of epochs; None if there are none.
        done: Steps that an earlier process took.
    """

    def __init__(self, label: str, num_steps: int, num_epochs: int | None = None, done: int = 0) -> None:
        sweep = _sweep()
        owner = os.getpid() if sweep is None else sweep["pid"]
        hidden = True if owner != os.getpid() else None  # None: disabled only if stderr is not a terminal
        self._bar = Bar(
            total=num_steps,
            initial=done,
            desc=one_line(label),
            unit="step",
            leave=False,
            disable=hidden,
            dynamic_ncols=True,
        )
        self._has_lines = self._bar.disable and not sys.stderr.isatty()
        self._label, self._num_steps, self._num_epochs = label, num_steps, num_epochs
        self._steps, self._done, self._judged = done, done, "not yet validated"
        self._started = self._told = time.monotonic()

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, count: int) -> None:
        """Notes `count` more finished steps."""
        self._bar.update(count)
        self._steps += count
        now = time.monotonic()
        if self._has_lines and now - self._told >= SECONDS_BETWEEN_LINES and self._steps < self._num_steps:
            self._told = now
            say(self._line(now - self._started))

    def epoch(self, entry: dict[str, Any]) -> None:
        """Shows the losses of the epoch so far."""
        losses = " ".join(f"{task} {loss:.4f}" for task, loss in entry["train_losses"].items())
        self._bar.set_postfix_str(f"epoch {entry['epoch']:g}, loss {losses}, criterion {entry['criterion']:.4f}")
        self._judged = f"{', '.join(_headlines(entry['validation']))} on validation at epoch {entry['epoch']:g}"

    def _line(self, seconds: float) -> str:
        """Early stopping may end the run sooner, so the time left is the most that it takes at this speed."""
        left = duration(seconds / (self._steps - self._done) * (self._num_steps - self._steps))
        if self._num_epochs is None:
            return f"{self._label}: {self._steps:,} of {self._num_steps:,} done, {left} left"
        epoch = self._steps / self._num_steps * self._num_epochs
        return f"{self._label}: {self._judged} | now at epoch {epoch:.1f} of at most {self._num_epochs}, at most {left} left"


@contextmanager
def sweep_progress() -> Iterator[Callable[[Sequence[Path]], None]]:
    """Inside, `line_of` counts the records of the sweep's current stage, in this process and in its workers.

    Yields a function that takes the records of the next stage. Workers outlive a stage, so all stages share one file. Files
    whose names begin with its name go with it.
    """
    path = Path(tempfile.gettempdir(), temporary_name("sweep", ".json"))

    def follow(records: Sequence[Path]) -> None:
        state = {
            "pid": os.getpid(),
            "started": time.time(),
            "records": [str(path.absolute()) for path in records],
        }
        write_json(path, state)

    follow(())
    os.environ[SWEEP] = str(path)
    try:
        yield follow
    finally:
        del os.environ[SWEEP]
        for file in (path, *path.parent.glob(f"{path.name}.*")):
            file.unlink(missing_ok=True)


def line_of(record: Record) -> str:
    """The line of a finished run: its place in the sweep, how it went, and the time left."""
    trial = record.config.get("tuning", {}).get("trial") if record.purpose == TRIAL else None
    search = f"search {record.search_seed} " if record.search_seed else ""  # as `benchmark.runs.tuning` names searches
    which = f"seed {record.seed}" if trial is None else f"{search}trial {trial}"
    what = f"{record.dataset.get('name') or name_of_data(record.config['dataset'])} {record.method} {which}"
    if record.purpose == TUNED:
        what += " (tuned)"
    if record.config.get("debug"):
        what += " (debug)"
    place, left = _place()
    return " ".join(part for part in (place, what + ":", _outcome(record), left) if part)


def _sweep() -> dict[str, Any] | None:
    """What `sweep_progress` wrote; None outside a sweep, and for a worker that cannot see the file."""
    try:
        state: dict[str, Any] = json.loads(Path(os.environ[SWEEP]).read_text())
    except (KeyError, OSError):
        return None
    return state


def _place() -> tuple[str, str]:
    state = _sweep()
    if state is None:
        return "", ""
    # a record from before this sweep does not count; file times are coarser than the clock
    done = sum(
        path.is_file() and path.stat().st_mtime >= state["started"] - 0.1 for path in map(Path, state["records"])
    )
    total = len(state["records"])
    left = (time.time() - state["started"]) / max(done, 1) * (total - done)
    return f"[{done}/{total}]", f"| {duration(left)} left" if done < total else ""


def _outcome(record: Record) -> str:
    if record.status != "finished":
        error = record.error or {}
        kind = error.get("type")  # the message of a ValueError or a divergence is enough
        named = "" if kind in (None, "ValueError", "Diverged") else f"{kind}: "
        return f"{record.status}: {named}{error.get('message', '')}"
    parts = []
    if record.purpose == TRIAL and record.criterion is not None:
        parts.append(f"{record.config['trainer']['monitor']} {record.criterion:.4f} on validation")
    parts += _headlines(record.metrics.get("test", {}))
    return f"{', '.join(parts)} | epoch {record.best_epoch:g} of {record.epochs[-1]['epoch']:g}, {duration(record.cost['train_seconds'])}"


def _headlines(metrics: Metrics) -> list[str]:
    """`click AUC 0.7500` for every task that has a headline metric."""
    parts = []
    for task, values in metrics.items():
        kind = kind_of_metrics(values)
        if kind is not None and (value := values[kind.headline]) is not None:
            parts.append(f"{task} {headline_of(kind).title} {value:.4f}")
    return parts


def say(line: str) -> None:
    """One write per line, so that lines of several workers do not mix; above the bar, if there is one.

    What would control the terminal, in names and in messages, is written as an escape.
    """
    Bar.write(f"{one_line(line)}\n", file=sys.stderr, end="")  # with its own end, tqdm writes twice
