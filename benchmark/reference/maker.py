"""What a reference is, and the maker that makes or finds its records one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.records.record import FIRST_TRIAL_SEED, TRIAL, TUNED
from benchmark.records.reference import ReferenceRecord, find_reference
from benchmark.runs.described import describe, identify
from benchmark.runs.machine import environment
from benchmark.runs.progress import say
from benchmark.schema import Task
from benchmark.settings.registry import DatasetConfig, plain
from benchmark.text import duration

OF_TEST = ("constant", "best_reachable")  # what a trial's record leaves out about the data


class ReferenceLine(ABC):
    """A reference that methods are compared with; not a method itself.

    Attributes:
        name: Its name on the command line, and in the folders and keys of its records.
        label: What a report calls it; saved in records.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def check(self, tasks: tuple[Task, ...]) -> None:
        """Called before data is read.

        Raises:
            ValueError: if it cannot be made for these tasks or on this machine.
        """

    @abstractmethod
    def count(self, trials: int, seeds: int) -> int:
        """The number of its records, including trials."""

    @abstractmethod
    def make(self, maker: Maker, trials: int, seeds: int) -> Sequence[ReferenceRecord]:
        """Makes or finds its records; returns them without trials.

        Args:
            maker: Plans, judges and writes each.
            trials: The number of trials, if there is something to choose.
            seeds: The number of seeds, if it is trained on seeds.
        """


@dataclass
class Maker:
    """Plans, finds, judges and writes the records of one data set.

    Args:
        config: The data set.
        data: The same, prepared.
        results_dir: Where the records go.
        threads: Threads of the library; 0: all cores.
        rerun: Make existing records again.
        total: The number of records in the end.
    """

    config: DatasetConfig
    data: Data
    results_dir: str
    threads: int
    rerun: bool
    total: int
    _made: int = 0
    _found: int = 0
    _seconds: list[float] = field(default_factory=list)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the data set."""
        return self.data.schema.tasks

    @cached_property
    def _described(self) -> dict[str, Any]:
        return describe(self.config.shown, self.data, identify(self.data, "default"))

    def plan(self, line: ReferenceLine, purpose: str, seed: int, settings: dict[str, Any]) -> ReferenceRecord:
        """A record with everything known before it is made.

        Args:
            line: The reference.
            purpose: default, trial or tuned.
            seed: As in the record.
            settings: All else that determines the result.
        """
        config = {"dataset": plain(self.config), "settings": settings}
        return ReferenceRecord(name=line.name, label=line.label, purpose=purpose, seed=seed, config=config)

    def find(self, record: ReferenceRecord) -> ReferenceRecord | None:
        """The planned record, if it exists with the same data."""
        try:
            found = None if self.rerun else find_reference(record.path(self.results_dir))
        except ValueError as error:
            say(f"mtlbench: {error}; it counts as not done and is made again")
            return None
        if found is None or found.dataset.get("fingerprint") != self.data.fingerprint:
            return None
        self._found += 1
        return found

    def judge(self, record: ReferenceRecord, name: str, outputs: dict[str, np.ndarray]) -> None:
        """Evaluates outputs for the split `name`, in the form that `metrics.evaluate` takes."""
        split = getattr(self.data, name)
        found, undefined = metrics.evaluate(self.tasks, outputs, split.labels, self.data.users(split))
        record.metrics[name] = found
        record.undefined |= {f"{name}.{key}": reason for key, reason in undefined.items()}

    def keep(self, record: ReferenceRecord) -> ReferenceRecord:
        """Writes a complete record, and says so."""
        left_out = OF_TEST if record.purpose == TRIAL else ()
        record.dataset = {key: value for key, value in self._described.items() if key not in left_out}
        record.environment = {**environment(), **record.environment}
        record.write(self.results_dir)
        self._made += 1
        say(self._line(record))
        return record

    def _line(self, record: ReferenceRecord) -> str:
        place, split = self._made + self._found, "test" if "test" in record.metrics else "validation"
        values = [(task, record.metrics[split][task.name][metrics.headline_name(task)]) for task in self.tasks]
        shown = [
            f"{task.name} {metrics.headline(task).title} {value:.4f}" for task, value in values if value is not None
        ]
        parts = [f"[{place}/{self.total}] {self.called(record)}: {', '.join(shown)} on {split}"]
        if record.cost:
            self._seconds.append(record.cost["train_seconds"])
            parts.append(duration(self._seconds[-1]))
        if self._seconds and place < self.total:
            parts.append(f"{duration(float(np.mean(self._seconds)) * (self.total - place))} left")
        return " | ".join(parts)

    def called(self, record: ReferenceRecord) -> str:
        """The name of a record while it is made."""
        place = {TRIAL: f" trial {record.seed - FIRST_TRIAL_SEED}", TUNED: f" seed {record.seed}"}
        return f"{self.config.shown} {record.name}{place.get(record.purpose, '')}"

    def sum_up(self) -> None:
        """Says what was made."""
        say(f"mtlbench: {self._made} made, {self._found} there before and kept; in {self.results_dir}/reference")
