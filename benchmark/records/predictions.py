"""Predictions for test rows, which a run saves beside its record, and the test rows themselves. Imports no torch.

    results/runs/<dataset>/<architecture>/<weighting>/<id>.predictions.safetensors     of a run with save_predictions=true
    results/runs/<dataset>/test_rows/<hash>.safetensors                                of all runs on these test rows

The first file holds outputs as float16: `joint.<task>`, and `per_task.<task>` if that is another epoch. They are
standardised by their own mean and standard deviation over the rows, which are in the metadata. So values of R rows are
at most sqrt(R) from 0, and nothing overflows below four billion rows. The second file holds labels and users, once. It
is part of the data set and subject to its licence, so published records come without it. R rows, T tasks, K outputs of
a task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from benchmark.files import digest, sha256_of, written_whole
from benchmark.records.record import Record, SelectionName

FORMAT = 1
SUFFIX = ".predictions.safetensors"
TEST_ROWS = "test_rows"  # the folder, and the key of the hash in a record and here
_LABELS, _USERS = "labels.", "users"


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The test rows as a comparison needs them.

    Args:
        labels: {task: (R,) float64} in the unit of the target, NaN where not observed.
        users: (R,) int32 codes, where the data set has users. Users who are not in train cannot be told apart: each of
            their rows has its own code below 0.
    """

    labels: dict[str, np.ndarray]
    users: np.ndarray | None


def path_of_predictions(record: Path) -> Path:
    """The path of a run's predictions, given the path of its record."""
    return record.with_suffix(SUFFIX)


def path_of_test_rows(beside: Path, test_rows: str) -> Path:
    """The path of the test rows with this hash, given the path of a run's record or predictions."""
    return beside.parents[2] / TEST_ROWS / f"{test_rows}.safetensors"


def save_predictions(path: Path, record: Record, outputs: Mapping[SelectionName, Mapping[str, np.ndarray]]) -> str:
    """Writes the predictions of a run, whole.

    Args:
        path: From `path_of_predictions`; its folder is created if missing.
        record: The record with the metrics of these outputs.
        outputs: {"joint": {task: (R,) or (R, K)}}, in the target's unit if the target is standardised; under
            `per_task`, only outputs from another epoch.

    Returns:
        The file's sha256.
    """
    tensors, scales = {}, {}
    for selection, of in outputs.items():
        for task, values in of.items():
            tensors[f"{selection}.{task}"], *scales[f"{selection}.{task}"] = _standardised(values)
    metadata = {
        "format": str(FORMAT),
        "id": record.id,
        TEST_ROWS: record.dataset[TEST_ROWS],
        "metrics": _judged(record),
        "mean_and_std": json.dumps(scales),
    }
    with written_whole(path) as file:
        file.write_bytes(_in_order(save(tensors, metadata)))
        return sha256_of(file)


def _in_order(content: bytes) -> bytes:
    """The same safetensors file with the keys of its header sorted: the library shuffles them, and the record has a hash of the file."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # as the library pads it, so that tensors are aligned
    return len(header).to_bytes(8, "little") + header + content[start:]


def load_predictions(path: Path, record: Record, selection: SelectionName = "joint") -> dict[str, np.ndarray]:
    """The predictions of a run for its test rows, with the precision of a float16.

    Args:
        path: The file.
        record: The record of the run.
        selection: Which epoch: one for all tasks, or each task's own.

    Returns:
        {task: (R,) or (R, K) float64}: the logit of a binary task, the value of a regression in the target's unit.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if there is no such selection, the file does not hold predictions, or they are not from the run of
            the record (for example, because it ran again).
    """
    if selection not in get_args(SelectionName):
        raise ValueError(f"selection must be one of {', '.join(get_args(SelectionName))}, found {selection!r}")
    record.check_file(path, SUFFIX)
    metadata, tensors = _read(path, "predictions", ("id", TEST_ROWS, "metrics", "mean_and_std"))
    expected = {"id": record.id, TEST_ROWS: record.dataset.get(TEST_ROWS), "metrics": _judged(record)}
    for key, value in expected.items():
        if metadata[key] != value:
            raise ValueError(
                f"{path} does not match the record of run {record.id}: expected {key} {value}, found {metadata[key]}; "
                "rerun=true save_predictions=true makes both again"
            )
    scales, found = json.loads(metadata["mean_and_std"]), {}
    for task in record.dataset["tasks"]:
        name = f"{selection}.{task}" if f"{selection}.{task}" in tensors else f"joint.{task}"
        if name not in tensors:
            raise ValueError(f"{path} has no predictions of {task}; rerun=true save_predictions=true makes it again")
        mean, std = scales[name]
        found[task] = mean + std * tensors[name].astype(np.float64)
    return found


def save_test_rows(path: Path, tasks: Sequence[str], labels_RT: np.ndarray, users_R: np.ndarray | None) -> None:
    """Writes the test rows, whole.

    Args:
        path: From `path_of_test_rows`; its folder is created if missing.
        tasks: Names, in the order of the columns.
        labels_RT: (R, T) in the unit of the target, NaN where not observed.
        users_R: (R,) from `Data.users`.
    """
    columns = np.asarray(labels_RT, dtype=np.float64).T
    tensors = {_LABELS + task: np.ascontiguousarray(column) for task, column in zip(tasks, columns, strict=True)}
    if users_R is not None:
        tensors[_USERS] = users_R.astype(np.int32)
    with written_whole(path) as file:
        save_file(tensors, file, {"format": str(FORMAT), TEST_ROWS: path.stem})


def load_test_rows(path: Path) -> LabelledRows:
    """The test rows of a data set.

    Raises:
        ValueError: if the file does not hold test rows, or holds other test rows than its name says.
    """
    metadata, tensors = _read(path, "test rows", (TEST_ROWS,))
    if metadata[TEST_ROWS] != path.stem:
        raise ValueError(f"{path} has other test rows than its name says: {metadata[TEST_ROWS]}")
    labels = {name.removeprefix(_LABELS): value for name, value in tensors.items() if name.startswith(_LABELS)}
    return LabelledRows(labels, tensors.get(_USERS))


def _standardised(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values as float16, with the mean and standard deviation removed from them. Values that are not finite stay so."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    mean, std = (float(finite.mean()), float(finite.std()) or 1.0) if len(finite) else (0.0, 1.0)
    return ((values - mean) / std).astype(np.float16), mean, std


def _judged(record: Record) -> str:
    """What distinguishes the outputs of a run from those of a repetition: the metrics."""
    return digest([of.get("test") for of in (record.metrics, record.metrics_per_task)])


def _read(path: Path, what: str, required: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Metadata and tensors."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except SafetensorError as error:
        raise ValueError(f"{path} is not a file of {what}: {error}") from error
    missing = [key for key in ("format", *required) if key not in metadata]
    if missing:
        raise ValueError(f"{path} is not a file of {what}: it has no {', '.join(missing)}")
    if int(metadata["format"]) > FORMAT:
        raise ValueError(
            f"{path} has format {metadata['format']}, and this mtlbench reads up to {FORMAT}: install a newer mtlbench"
        )
    return metadata, tensors
