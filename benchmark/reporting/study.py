"""Which runs a report is about: records grouped into data sets, methods and seeds, with their names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from benchmark.config import digest
from benchmark.record import Record
from benchmark.reporting.naming import distinguish
from benchmark.schema import Schema, Task, TaskKind

Pair: TypeAlias = tuple[str, int, str, int]
"""What two runs share when they are compared: fingerprint, split_seed, hash of the test rows, seed."""

_PREFERENCE = {"finished": 2, "diverged": 1, "failed": 0}


@dataclass(frozen=True, slots=True)
class Run:
    """A record and its names in the report."""

    record: Record
    dataset: str
    method: str

    @property
    def pair(self) -> Pair:
        """The key on which runs of two methods are paired."""
        record = self.record
        return (
            record.dataset.get("fingerprint", ""),
            record.config["dataset"].get("split_seed", 0),
            record.dataset.get("test_rows", ""),
            record.seed,
        )

    @property
    def finished(self) -> bool:
        """Whether it has metrics."""
        return self.record.status == "finished"


@dataclass(frozen=True)
class Group:
    """All runs on one configuration of one data set."""

    name: str
    runs: tuple[Run, ...]

    @cached_property
    def by_method(self) -> dict[str, list[Run]]:
        """Runs of each method, in order of seed; methods in order of name."""
        methods: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: (run.method, run.record.seed)):
            methods[run.method].append(run)
        return dict(methods)

    @cached_property
    def finished(self) -> dict[str, list[Run]]:
        """Finished runs of each method; the methods are those of `by_method`."""
        return {method: [run for run in runs if run.finished] for method, runs in self.by_method.items()}

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds that any method of this data set has, whatever became of the run."""
        return sorted({run.record.seed for run in self.runs})

    def missing(self, method: str) -> list[int]:
        """Seeds that other methods have and this one does not."""
        have = {run.record.seed for run in self.by_method[method]}
        return [seed for seed in self.seeds if seed not in have]

    @cached_property
    def complete(self) -> frozenset[str]:
        """The methods of which every seed of the data set is there and finished."""
        return frozenset(
            method
            for method, runs in self.by_method.items()
            if not self.missing(method) and len(self.finished[method]) == len(runs)
        )

    @cached_property
    def example(self) -> Record:
        """A record that says what the data are: a finished one if there is one."""
        return max(
            (run.record for run in self.runs), key=lambda record: (record.status == "finished", bool(record.dataset))
        )

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks; none if no run got as far as its data."""
        schema = self.example.dataset.get("schema")
        if schema is not None:
            return Schema.from_json(schema).tasks
        kinds = {True: TaskKind.BINARY, False: TaskKind.REGRESSION}
        return tuple(Task(name, kinds["auc" in row]) for name, row in self.example.metrics.get("test", {}).items())

    def reference(self, key: str) -> dict[str, dict[str, float | None]]:
        """Metrics of a reference line of the data set, `constant` or `best_reachable`: {task: {metric: value}}."""
        return self.example.dataset.get(key) or {}


@dataclass(frozen=True, slots=True)
class Study:
    """What a report is made of.

    Args:
        groups: One a data set, in order of name.
        purpose: The purpose of all its runs.
        left_out: Number of records of every other purpose.
        repeated: Records dropped because another has the same data, method and seed.
    """

    groups: tuple[Group, ...]
    purpose: str
    left_out: dict[str, int] = field(default_factory=dict)
    repeated: int = 0

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for group in self.groups for run in group.runs]

    @property
    def methods(self) -> list[str]:
        """Names of all methods, sorted."""
        return sorted({run.method for run in self.runs})

    @classmethod
    def of(cls, records: Sequence[Record], purpose: str = "default") -> Study:
        """Names and groups the records of one purpose.

        Raises:
            ValueError: if there is no record of this purpose.
        """
        counts = Counter(record.purpose for record in records)
        chosen = [record for record in records if record.purpose == purpose]
        if not chosen:
            found = ", ".join(f"{count} of purpose {name}" for name, count in sorted(counts.items())) or "none"
            raise ValueError(f"no records of purpose {purpose!r} to report; found: {found}")
        runs = _named(chosen)
        kept: dict[tuple[Any, ...], Run] = {}
        for run in runs:
            key = (run.dataset, run.method, run.pair if run.finished else run.record.seed)
            known = kept.get(key)
            if known is None or _PREFERENCE[run.record.status] >= _PREFERENCE[known.record.status]:
                kept[key] = run
        done = {(run.dataset, run.method, run.record.seed) for run in kept.values() if run.finished}
        groups: dict[str, list[Run]] = defaultdict(list)
        for run in kept.values():
            if run.finished or (run.dataset, run.method, run.record.seed) not in done:
                groups[run.dataset].append(run)
        used = sum(map(len, groups.values()))
        return cls(
            groups=tuple(Group(name, tuple(groups[name])) for name in sorted(groups)),
            purpose=purpose,
            left_out={name: count for name, count in sorted(counts.items()) if name != purpose},
            repeated=len(runs) - used,
        )


def _named(records: Sequence[Record]) -> list[Run]:
    configs = [digest(record.config["dataset"]) for record in records]
    methods = [digest(record.method_config) for record in records]
    # a run that failed before it had its data belongs to the data that others of its configuration found
    prints: dict[str, str] = {}
    for config, record in zip(configs, records, strict=True):
        if "fingerprint" in record.dataset:
            prints.setdefault(config, record.dataset["fingerprint"])
    data = [
        (config, r.dataset.get("fingerprint", prints.get(config, "")))
        for config, r in zip(configs, records, strict=True)
    ]
    dataset_names = distinguish({
        key: (r.config["dataset"]["name"], {**r.config["dataset"], "fingerprint": key[1][:8]})
        for key, r in zip(data, records, strict=True)
    })  # fmt: skip
    method_names = distinguish({key: (r.method, r.method_config) for key, r in zip(methods, records, strict=True)})
    return [Run(r, dataset_names[d], method_names[m]) for r, d, m in zip(records, data, methods, strict=True)]


def find_baseline(group: Group, wanted: str) -> str | None:
    """The method that `wanted` names: exactly, or as the only one with this architecture and weighting."""
    candidates = [method for method, runs in group.finished.items() if runs]
    if wanted in candidates:
        return wanted
    same = [method for method in candidates if group.finished[method][0].record.method == wanted]
    return same[0] if len(same) == 1 else None
