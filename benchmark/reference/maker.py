"""What a reference line is, and who makes its records one by one, or finds them."""

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

OF_TEST = ("constant", "best_reachable")  # what a trial does not say of the data


class ReferenceLine(ABC):
    """What every method has to be compared with, and is no method itself.

    Attributes:
        name: On the command line, and in the folders and keys of its records.
        label: What a report calls it; a record has it.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def check(self, tasks: tuple[Task, ...]) -> None:
        """Called before data are read.

        Raises:
            ValueError: if it cannot be made, of these tasks or on this machine.
        """

    @abstractmethod
    def count(self, trials: int, seeds: int) -> int:
        """How many records it has, trials among them."""

    @abstractmethod
    def make(self, maker: Maker, trials: int, seeds: int) -> Sequence[ReferenceRecord]:
        """Makes its records, or finds them; returns those that are no trials.

        Args:
            maker: Plans, judges and keeps each.
            trials: How many, if the line has something to choose.
            seeds: On how many seeds it is trained, if it is.
        """


@dataclass
class Maker:
    """Plans, finds, judges and keeps the records of one data set.

    Args:
        config: The data set.
        data: The same, prepared.
        results_dir: Where the records go.
        threads: Of a library that has threads; 0: all cores.
        rerun: Repeat what is there.
        total: How many records there will be.
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
        """Of the data set."""
        return self.data.schema.tasks

    @cached_property
    def _described(self) -> dict[str, Any]:
        return describe(self.config.name, self.data, identify(self.data, "default"))

    def plan(self, line: ReferenceLine, purpose: str, seed: int, settings: dict[str, Any]) -> ReferenceRecord:
        """A record with what is known before it is made.

        Args:
            line: Whose it is.
            purpose: default, trial or tuned.
            seed: As in the record.
            settings: What else decides the result.
        """
        config = {"dataset": plain(self.config), "settings": settings}
        return ReferenceRecord(name=line.name, label=line.label, purpose=purpose, seed=seed, config=config)

    def find(self, record: ReferenceRecord) -> ReferenceRecord | None:
        """The record that was planned, if it is there and of the same data."""
        found = None if self.rerun else find_reference(record.path(self.results_dir))
        if found is None or found.dataset.get("fingerprint") != self.data.fingerprint:
            return None
        self._found += 1
        return found

    def judge(self, record: ReferenceRecord, name: str, outputs: dict[str, np.ndarray]) -> None:
        """Evaluates outputs of the split `name`, as `metrics.evaluate` takes them."""
        split = getattr(self.data, name)
        found, undefined = metrics.evaluate(self.tasks, outputs, split.labels, self.data.users(split))
        record.metrics[name] = found
        record.undefined |= {f"{name}.{key}": reason for key, reason in undefined.items()}

    def keep(self, record: ReferenceRecord) -> ReferenceRecord:
        """Writes a record that is complete, and says so."""
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
        """What a record is called while it is made."""
        place = {TRIAL: f" trial {record.seed - FIRST_TRIAL_SEED}", TUNED: f" seed {record.seed}"}
        return f"{self.config.name} {record.name}{place.get(record.purpose, '')}"

    def sum_up(self) -> None:
        """Says what was made."""
        say(f"mtlbench: {self._made} made, {self._found} there before and kept; in {self.results_dir}/reference")
