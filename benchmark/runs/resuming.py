"""A run that was interrupted continues where its state was last saved, and ends with the same record."""

from __future__ import annotations

import time
from typing import Any

from benchmark.files import digest
from benchmark.records.record import Record
from benchmark.runs.progress import say
from benchmark.settings.config import EPOCH, RunConfig
from benchmark.training.saved import SavedState, Saving, path_of_state
from benchmark.training.trainer import Trainer

_CPU_SECONDS = "cpu_seconds"  # in the file, beside the trainer's own state


class Clock:
    """CPU seconds of a run, from now on and from before it was interrupted.

    Attributes:
        before: The seconds before it was interrupted.
    """

    def __init__(self) -> None:
        self._started, self.before = time.process_time(), 0.0

    @property
    def seconds(self) -> float:
        """The sum of both."""
        return self.before + time.process_time() - self._started


def resumed(
    config: RunConfig, record: Record, trainer: Trainer, clock: Clock, label: str, last_bit: dict[str, Any]
) -> Saving | None:
    """Restores the state that an interrupted run saved, if there is one that fits; returns how this one saves its own."""
    if config.checkpoint_every is None:
        return None
    data = digest([record.dataset[key] for key in sorted({"fingerprint", "splits", "schema"} & record.dataset.keys())])
    saved = SavedState(path_of_state(config.record_path), {"id": record.id, "data": data[:12], **last_bit})
    try:
        snapshot = saved.load()
    except ValueError as error:
        say(f"mtlbench: {label} starts from the beginning: its state in {saved.path} cannot be used: {error}")
        snapshot = None
    if snapshot is not None:
        clock.before = snapshot.pop(_CPU_SECONDS)
        trainer.state.restore(snapshot)
        say(f"mtlbench: {label} continues after step {trainer.watch.step:,}, where it was interrupted")

    def save() -> None:
        saved.save({**trainer.state.snapshot(), _CPU_SECONDS: clock.seconds})

    return Saving(None if config.checkpoint_every == EPOCH else int(config.checkpoint_every), save)


def forget_state(config: RunConfig) -> None:
    """Removes the saved state of a run that has ended."""
    path_of_state(config.record_path).unlink(missing_ok=True)
