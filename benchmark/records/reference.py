"""The record of a reference: its own kind, which loaders of ordinary records skip. Imports no torch.

results/runs/reference/<name>/<id>.json            what a report shows
results/runs/reference/<name>/trials/<id>.json     the trials that it was chosen from
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmark.files import digest, known_keys, parse_json, read_json, write_json
from benchmark.records.folder import Contents, settle
from benchmark.records.packed import files_ending, lines, packed_at, packs
from benchmark.records.record import KIND as RECORD
from benchmark.records.record import REFERENCE, TRIAL, check_values, identity_of_data, is_reference
from benchmark.records.schema import ReferenceOf
from benchmark.schema import Metrics

FORMAT = 1
KIND = REFERENCE
CALLED = "a record of a reference"
REQUIRED = ("format", "name", "purpose", "seed", "config", "id")


@dataclass(kw_only=True, slots=True)
class ReferenceRecord:
    """How good a reference is on one data set.

    Args:
        format: Version of this layout; readers accept older ones.
        kind: Always `reference`.
        name: The name of the reference in `benchmark.reference.lines.LINES`.
        label: What a report calls it; the name, in older records without a label.
        purpose: default (nothing to choose), trial (validation only: the test split stays unread) or tuned.
        seed: Seed of the trees' samples of rows and columns: 0, 1, ... if tuned, from 10,000 on for trials; 0 for
            constant.
        config: {"dataset": as in a run's config, "settings": all else that determines the result}.
        dataset: As in an ordinary record.
        metrics: {"validation" | "test": Metrics}, as in an ordinary record; a trial has validation only.
        undefined: {"test.like.auc": reason} for metrics that are None.
        models: {task: {trial, parameters, rounds, rows, seconds}}: the number of the trial with these parameters,
            boosting rounds, and training rows with a known label.
        tuning: {trials, criterion {task: metric}, ids, seconds} of the trials that a tuned record was chosen from.
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
        """`id` is the first 12 hex digits of the hash of name, purpose, seed and config, without the label."""
        identity = {key: getattr(self, key) for key in ("name", "purpose", "seed", "config")}
        if "dataset" in self.config:
            identity["config"] = {**self.config, "dataset": identity_of_data(self.config["dataset"])}
        self.id = self.id or digest(identity)[:12]
        self.label = self.label or self.name

    @property
    def num_trials(self) -> int:
        """How many trials a tuned record was chosen from; 0 for other records."""
        return int(self.tuning.get("trials", 0))

    def path(self, results_dir: str | Path) -> Path:
        """The path of this record under `results_dir`."""
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


_KEYS = frozenset(f.name for f in fields(ReferenceRecord))


def load_reference(path: str | Path) -> ReferenceRecord:
    """Reads one record of a reference.

    Raises:
        ValueError: if it is not such a record, or its format is newer than this version reads.
    """
    return checked_reference(read_json(path, CALLED), Path(path))


def find_reference(path: str | Path) -> ReferenceRecord | None:
    """The same as `load_reference`, from its file or a packed file in a folder above; None if there is none."""
    path = Path(path)
    if path.is_file():
        return load_reference(path)
    for where, folder, value in packed_at(path):
        if is_reference(value) and (record := checked_reference(value, where)).path(folder) == path:
            return record
    return None


def checked_reference(value: Any, place: str | Path) -> ReferenceRecord:
    """The record from plain values.

    Raises:
        ValueError: with the place, if they are not such a record, or their format is newer than this version reads.
    """
    if not is_reference(value):
        raise ValueError(f"{place} is not {CALLED}: its kind is not {KIND!r}")
    known = known_keys(value, place, CALLED, known=_KEYS, required=REQUIRED, newest=FORMAT)
    check_values(value, place, CALLED, ReferenceOf)
    return ReferenceRecord(**known)


def reference_files(folder: str | Path) -> Iterator[Path]:
    """What has the name of JSON in the folders of references under a folder, sorted, without hidden files."""
    for parts in files_ending(folder, ".json"):
        if REFERENCE in (Path(folder).name, *parts[:-1]):
            yield Path(folder, *parts)


def read_references(folder: str | Path) -> Contents[ReferenceRecord]:
    """The records of references in a folder or a packed file, including trials, sorted by path; possibly none."""
    folder, found = Path(folder), Contents[ReferenceRecord]()
    root = folder.parent if folder.is_file() else folder
    for pack in packs(folder):
        for path, record in _packed(pack, found.broken):
            if path.is_relative_to(root):
                found.values[path] = record
    for path in reference_files(folder):
        found.add(path, CALLED, checked_reference)
    found.values = dict(sorted(found.values.items()))
    return found


def _packed(pack: Path, broken: list[str]) -> Iterator[tuple[Path, ReferenceRecord]]:
    """The references of a packed file with the paths that they have when unpacked; the errors of the others go to `broken`."""
    try:
        for where, line in lines(pack):
            try:
                value = parse_json(line, where, RECORD)
                if not is_reference(value):
                    return  # lines of references come first
                record = checked_reference(value, where)
                yield record.path(pack.parent), record
            except ValueError as error:
                broken.append(str(error))
    except ValueError as error:
        broken.append(str(error))


def load_references(folder: str | Path, *, skip_broken: bool = False) -> list[ReferenceRecord]:
    """The records of references in a folder or a packed file, as `read_references` finds them.

    Args:
        folder: The folder or packed file.
        skip_broken: Whether to continue without broken ones.

    Raises:
        BrokenRecords: if some are broken, with all of them.
    """
    found = read_references(folder)
    settle([found], skip_broken=skip_broken)
    return list(found.values.values())
