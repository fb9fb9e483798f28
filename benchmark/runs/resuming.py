"""A run that was interrupted continues where its state was last saved, and ends with the same record."""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmark.files import digest, sha256_of
from benchmark.records.record import LAST_BIT, Record
from benchmark.runs.machine import device_name
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
    config: RunConfig, record: Record, trainer: Trainer, clock: Clock, threads: int, label: str
) -> Saving | None:
    """Restores the state that an interrupted run saved, if there is one that fits; returns how this one saves its own."""
    if config.checkpoint_every is None:
        return None
    saved = SavedState(path_of_state(config.record_path), _fits(record, trainer, threads))
    try:
        snapshot = saved.load()
    except ValueError as error:
        say(f"mtlbench: {label} starts from the beginning: its state in {saved.path} cannot be used: {error}")
        snapshot = None
    if snapshot is not None:
        clock.before = snapshot.pop(_CPU_SECONDS)
        trainer.state.restore(snapshot)
        say(f"mtlbench: {label} continues after step {trainer.watch.step:,}, where it was interrupted")
    told: list[OSError] = []

    def save() -> None:
        try:
            saved.save({**trainer.state.snapshot(), _CPU_SECONDS: clock.seconds})
        except OSError as error:  # a full disk: the state from before stays, and the run needs none to end
            if not told:
                say(f"mtlbench: {label}: its state was not saved, and the run continues: {error}")
            told.append(error)

    return Saving(None if config.checkpoint_every == EPOCH else int(config.checkpoint_every), save)


def _fits(record: Record, trainer: Trainer, threads: int) -> dict[str, Any]:
    """What a state must fit, as plain values: the run, its data, and all on which the last bit of its result depends."""
    data = {key: record.dataset[key] for key in ("fingerprint", "splits", "schema")}
    return {
        "id": record.id,
        "data": digest(data)[:12],
        **{key: record.environment.get(key) for key in LAST_BIT},
        "code": code_digest(type(trainer.model), type(trainer.weighting)),
        "threads": threads,
        "device": device_name(trainer.device),
    }


def code_digest(*kinds: type) -> str:
    """Hash of the source files of this package, and of the packages that these classes and their bases come from.

    A commit says too little: files may be changed, and outside packages have their own. Where there is no source, as in a
    notebook, the value differs each time.
    """
    modules = {cls.__module__ for kind in kinds for cls in kind.__mro__}
    packages = {"benchmark", "architectures", *(module.partition(".")[0] for module in modules)}
    places = {
        getattr(sys.modules[package], "__file__", None) for package in packages - {"builtins", "abc", "typing", "torch"}
    }
    known = [Path(place) for place in places if place is not None and Path(place).is_file()]
    return digest([*sorted(map(_hash_of_sources, known)), *([] if len(known) == len(places) else [uuid4().hex])])[:12]


@cache  # as a process loads its code once
def _hash_of_sources(own: Path) -> str:
    files = sorted(own.parent.rglob("*.py")) if own.name == "__init__.py" else [own]
    return digest([[str(file.relative_to(own.parent)), sha256_of(file)] for file in files])


def forget_state(config: RunConfig) -> None:
    """Removes the saved state of a run that has ended."""
    path_of_state(config.record_path).unlink(missing_ok=True)
