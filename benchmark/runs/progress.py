"""Progress: a bar for the current run on a terminal, and one line for each finished run of a sweep.

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
from benchmark.records.record import TRIAL, TUNED, Record
from benchmark.text import duration

SWEEP = "MTLBENCH_SWEEP"


class Bar(tqdm):  # type: ignore[type-arg]
    """A bar of one process. tqdm's own lock is for several processes, and leaves semaphores behind if a worker is killed."""


Bar.set_lock(threading.RLock())


class RunProgress:
    """The bar of one run; silent without a terminal, or if several processes would overwrite each other's bars.

    Args:
        label: What is running.
        num_steps: The largest number of steps.
    """

    def __init__(self, label: str, num_steps: int) -> None:
        sweep = _sweep()
        owner = os.getpid() if sweep is None else sweep["pid"]
        hidden = True if owner != os.getpid() else None  # None: disabled only if stderr is not a terminal
        self._bar = Bar(total=num_steps, desc=label, unit="step", leave=False, disable=hidden, dynamic_ncols=True)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, count: int) -> None:
        """Notes `count` more finished steps."""
        self._bar.update(count)

    def epoch(self, entry: dict[str, Any]) -> None:
        """Shows the losses of the epoch so far."""
        losses = " ".join(f"{task} {loss:.4f}" for task, loss in entry["train_losses"].items())
        self._bar.set_postfix_str(f"epoch {entry['epoch']:g}, loss {losses}, criterion {entry['criterion']:.4f}")


@contextmanager
def sweep_progress() -> Iterator[Callable[[Sequence[Path]], None]]:
    """Inside, `line_of` counts the records of the sweep's current stage, in this process and in its workers.

    Yields a function that takes the records of the next stage. Workers outlive a stage, so all stages share one file.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        path = Path(file.name)

    def follow(records: Sequence[Path]) -> None:
        state = {
            "pid": os.getpid(),
            "started": time.time(),
            "records": [str(path.absolute()) for path in records],
        }
        write_json(path, state)

    follow(())
    os.environ[SWEEP] = file.name
    try:
        yield follow
    finally:
        del os.environ[SWEEP]
        path.unlink()


def line_of(record: Record) -> str:
    """The line of a finished run: its place in the sweep, how it went, and the time left."""
    trial = record.config.get("tuning", {}).get("trial") if record.purpose == TRIAL else None
    which = f"seed {record.seed}" if trial is None else f"trial {trial}"
    what = f"{record.dataset.get('name', record.config['dataset']['name'])} {record.method} {which}"
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
    for task, values in record.metrics.get("test", {}).items():
        kind = kind_of_metrics(values)
        if kind is not None and (value := values[kind.headline]) is not None:
            parts.append(f"{task} {headline_of(kind).title} {value:.4f}")
    return f"{', '.join(parts)} | epoch {record.best_epoch:g} of {record.epochs[-1]['epoch']:g}, {duration(record.cost['train_seconds'])}"


def say(line: str) -> None:
    """One write per line, so that lines of several workers do not mix; above the bar, if there is one."""
    Bar.write(line, file=sys.stderr)
