"""The record of a reference line: a kind of its own, which loaders of ordinary records pass over. Imports no torch.

results/runs/reference/<name>/<id>.json            what a report shows
results/runs/reference/<name>/trials/<id>.json     what it was chosen by
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmark.files import digest, known_keys, read_json, write_json
from benchmark.records.record import REFERENCE, TRIAL
from benchmark.schema import Metrics

FORMAT = 1
KIND = "reference"
REQUIRED = ("format", "name", "purpose", "seed", "config", "id")


@dataclass(kw_only=True, slots=True)
class ReferenceRecord:
    """How good a reference line is on one data set.

    Args:
        format: Version of this layout; readers accept older ones.
        kind: Always `reference`.
        name: Of the line, as `benchmark.reference.lines.LINES` has it.
        label: What a report calls it; its name, in records from before there was a label.
        purpose: default (nothing to choose), trial (validation only: the test split stays unread) or tuned.
        seed: Of the trees' samples of rows and columns: 0, 1, ... if tuned, from 10,000 on for trials; 0 for constant.
        config: {"dataset": as in a run's config, "settings": what else decides the result}.
        dataset: As in an ordinary record.
        metrics: {"validation" | "test": Metrics}, as in an ordinary record; a trial has validation only.
        undefined: {"test.like.auc": reason} for metrics that are None.
        models: {task: {trial, parameters, rounds, rows, seconds}}: the number of the trial that its parameters are of,
            boosting rounds, and rows of train whose label is known.
        tuning: {trials, criterion {task: metric}, ids, seconds} of the trials that a tuned record is chosen by.
        cost: train_seconds, threads.
        environment: Versions, machine, command, start time.
    """

    format: int = FORMAT
    kind: str = KIND
    name: str
    purpose: str
    seed: int
    config: dict[str, Any]
    id: str = ""
    label: str = ""
    dataset: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Metrics] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """`id` is the first 12 hex digits of the hash of name, purpose, seed and config; the label has no part."""
        identity = {key: getattr(self, key) for key in ("name", "purpose", "seed", "config")}
        self.id = self.id or digest(identity)[:12]
        self.label = self.label or self.name

    @property
    def num_trials(self) -> int:
        """How many trials a tuned record was chosen from; 0 for others."""
        return int(self.tuning.get("trials", 0))

    def path(self, results_dir: str | Path) -> Path:
        """Where this record lies under `results_dir`."""
        folder = Path(results_dir, REFERENCE, self.name)
        return (folder / "trials" if self.purpose == TRIAL else folder) / f"{self.id}.json"

    def write(self, results_dir: str | Path) -> Path:
        """Writes the JSON whole, by rename.

        Raises:
            ValueError: if a number is NaN or infinite.
        """
        path = self.path(results_dir)
        write_json(path, asdict(self))
        return path


def load_reference(path: str | Path) -> ReferenceRecord:
    """Reads one record of a reference line.

    Raises:
        ValueError: if it is none, or its format is newer than this version reads.
    """
    kind, known = "a record of a reference line", [f.name for f in fields(ReferenceRecord)]
    value = read_json(path, kind)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise ValueError(f"{path} is not {kind}: its kind is not {KIND!r}")
    return ReferenceRecord(**known_keys(value, path, kind, known=known, required=REQUIRED, newest=FORMAT))


def load_references(folder: str | Path) -> list[ReferenceRecord]:
    """All records of reference lines under a folder, trials too, sorted by path; none if there are none.

    Raises:
        ValueError: as `load_reference`.
    """
    folder = Path(folder)
    return [
        load_reference(path)
        for path in sorted(folder.rglob("*.json"))
        if REFERENCE in (parts := (folder.name, *path.relative_to(folder).parts[:-1]))
        and not any(part.startswith(".") for part in (*parts[1:], path.name))
    ]
