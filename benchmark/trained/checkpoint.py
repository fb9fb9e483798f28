"""Checkpoints: the weights of the selected epoch in `<id>.safetensors` beside the record. Nothing is ever unpickled.

A file holds the model's tensors as `model.<name>`, and the scale of the targets as `target.mean` and `target.std`.
Everything else needed to rebuild the model (architecture, parameters, schema) is in the record. T tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.files import sha256_of, written_whole
from benchmark.lists import pooled
from benchmark.records.record import Record, load_record, name_of_data, no_records, records_by_path
from benchmark.rows import Features
from benchmark.schema import Schema
from benchmark.seeding import seeded
from benchmark.settings.hydra_text import command_text
from benchmark.settings.registry import architectures, datasets
from benchmark.training.prediction import BATCH_SIZE, predict

if TYPE_CHECKING:
    import numpy as np

    from architectures import Architecture
    from benchmark.datasets import Data

SUFFIX = ".safetensors"
_MODEL, _MEAN, _STD = "model.", "target.mean", "target.std"


def save_checkpoint(path: Path, state: dict[str, Tensor], target_mean_T: Tensor, target_std_T: Tensor) -> str:
    """Writes a checkpoint, whole.

    Args:
        path: `<id>.safetensors` beside the record; its folder is created if missing.
        state: The model's `state_dict()`.
        target_mean_T: (T,) means of the targets, as `benchmark.training.prediction.predict` takes them.
        target_std_T: (T,) their standard deviations.

    Returns:
        The file's sha256.
    """
    tensors = {f"{_MODEL}{name}": value for name, value in state.items()}
    tensors |= {_MEAN: target_mean_T, _STD: target_std_T}
    # copies, because safetensors refuses tensors that share memory, such as tied weights
    contiguous = torch.contiguous_format
    copies = {name: value.detach().cpu().clone(memory_format=contiguous) for name, value in tensors.items()}
    with written_whole(path) as file:
        save_file(copies, file)
        return sha256_of(file)


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained model, ready to predict.

    Args:
        record: How it was trained.
        schema: The fields and tasks it was trained on.
        model: The architecture with its trained weights, in evaluation mode.
        target_mean_T: (T,) means of the regression targets in train.
        target_std_T: (T,) their standard deviations.
        device: Where the model is.
    """

    record: Record
    schema: Schema
    model: Architecture
    target_mean_T: Tensor
    target_std_T: Tensor
    device: str = "cpu"

    def predict(self, features: Features, batch_size: int = BATCH_SIZE) -> dict[str, np.ndarray]:
        """Predictions for rows with the data set's codes.

        With the device and the number of threads of the run, they equal the predictions it was judged by, to the last
        bit.

        Args:
            features: R rows with the schema's fields: the features of a split, or `Features(predictor.schema.fields,
                codes, numbers)`.
            batch_size: Rows per pass.

        Returns:
            {task: (R,) or (R, K) float64}: the logit of a binary task, the value of a regression in the target's unit.

        Raises:
            ValueError: if fields, shapes or codes do not fit the schema.
        """
        features.check(self.schema, "rows to predict")
        return predict(
            self.model,
            features,
            target_mean_T=self.target_mean_T,
            target_std_T=self.target_std_T,
            batch_size=batch_size,
            device=self.device,
        )


def locate(
    record: Record | str | Path, *, skip_broken: bool = False, tell: Callable[[str], object] | None = None
) -> tuple[Record, Path]:
    """A finished record and its path; in a folder, the run with a checkpoint that is best on validation.

    Args:
        record: The record, its path, or a folder.
        skip_broken: Whether to continue without the broken records of a folder.
        tell: Gets a sentence for those, and one for other files.

    Raises:
        FileNotFoundError: if there is no record.
        ValueError: if the path is not a record, the run did not finish, or a folder has no checkpoint or several data sets.
    """
    if isinstance(record, Record):
        path = record.path(record.config["results_dir"])
    elif (path := Path(record)).is_dir():
        record, path = _best_of(path, skip_broken=skip_broken, tell=tell)
    else:
        record = load_record(path)
    if record.status != "finished":
        reason = (record.error or {}).get("message", "no reason is given")
        raise ValueError(f"run {record.id} of {record.method} has no model to load: it {record.status} ({reason})")
    return record, path


def schema_of(record: Record) -> Schema:
    """The fields and tasks of a run.

    Raises:
        ValueError: for a kind of column that is not registered.
    """
    datasets.discover()  # the data set registers its kinds of columns
    return Schema.from_json(record.dataset["schema"])


def load(record: Record | str | Path, *, device: str = "cpu") -> Predictor:
    """Rebuilds the trained model of a run.

    Args:
        record: The path of a record (`<id>.json`, its weights beside it), or of a folder of records, whose best run on
            validation is taken; or a Record, looked for in its `results_dir`.
        device: Where the model goes: cpu, cuda.

    Raises:
        FileNotFoundError: if there is no record, or it has no checkpoint (then with the command that makes one).
        ValueError: if the folder does not decide a run, the run did not finish, or the weights do not fit the record.
    """
    record, path = locate(record)
    weights = path.with_suffix(SUFFIX)
    if not weights.is_file():
        command = f"{command_text(record.config)} save_checkpoint=true"
        raise FileNotFoundError(f"no checkpoint at {weights}; to make one: {command}")
    record.check_file(weights, SUFFIX)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ValueError(
            f"{weights} is not a checkpoint: {error}; rerun=true save_checkpoint=true makes it again"
        ) from error
    schema = schema_of(record)
    with seeded(record.seed, "load"):  # building draws initial values, which must not change the caller's generators
        embedded = pooled(schema, **record.config.get("embedding", {}))
        model = architectures.build(architectures.restored(record.config["architecture"]), embedded)
    state = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    scale = torch.zeros(len(schema.tasks))
    expected = {_MODEL + name: value for name, value in model.state_dict().items()} | {_MEAN: scale, _STD: scale}
    _check_fit(weights, expected, tensors)
    _check_finite(weights, {name: tensors[_MODEL + name] for name, _ in model.named_parameters()})
    model.load_state_dict(state)
    model.to(device).eval()
    return Predictor(record, schema, model, tensors[_MEAN], tensors[_STD], device)


def data_of(record: Record) -> Data:
    """Builds the data set of a run again.

    Raises:
        FileNotFoundError: if its files are missing.
        ValueError: if it is not the data that the run was trained on.
    """
    data: Data = datasets.build(datasets.restored(record.config["dataset"])).build()
    check_fingerprint(record, data)
    if data.schema != schema_of(record):
        name = name_of_data(record.config["dataset"])
        raise ValueError(f"data set {name} is now prepared differently than for run {record.id}: run it again")
    return data


def check_fingerprint(record: Record, data: Data) -> None:
    """Refuses data that are not those of a run.

    Raises:
        ValueError: with both fingerprints.
    """
    name, expected = name_of_data(record.config["dataset"]), record.dataset["fingerprint"]
    if data.fingerprint != expected:
        raise ValueError(
            f"data set {name} has changed since run {record.id}: expected fingerprint {expected}, found {data.fingerprint}"
        )


def _check_fit(weights: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Compares names and shapes, because torch's own message has one line per tensor."""
    shapes = [{name: tuple(value.shape) for name, value in tensors.items()} for tensors in (expected, found)]
    wrong = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
    if wrong:
        wants, has = (shape.get(wrong[0], "none") for shape in shapes)
        raise ValueError(
            f"{weights} does not fit its record: {len(wrong)} tensors differ, the first is {wrong[0]!r}:"
            f" expected {wants}, found {has}"
        )


def _check_finite(weights: Path, tensors: dict[str, Tensor]) -> None:
    """A finished run has finite weights, so others are not its own. A record from before `Record.files` has no other sign."""
    wrong = [name for name, value in tensors.items() if not value.isfinite().all()]
    if wrong:
        raise ValueError(
            f"{weights} is damaged: {wrong[0]!r} has values that are not finite; rerun=true save_checkpoint=true makes it again"
        )


def _best_of(folder: Path, *, skip_broken: bool, tell: Callable[[str], object] | None) -> tuple[Record, Path]:
    """The record in a folder, and its path, whose run has a checkpoint and the best criterion on validation."""
    records = records_by_path(folder, skip_broken=skip_broken, tell=tell)
    if not records:
        raise ValueError(no_records(folder))
    found = [
        (criterion, record, path)
        for path, record in records.items()
        if (criterion := record.criterion) is not None and path.with_suffix(SUFFIX).is_file()
    ]
    if not found:
        raise ValueError(
            f"{folder} has no finished run with a checkpoint; the same command with save_checkpoint=true makes them"
        )
    judged = {(record.dataset["name"], record.config["trainer"].get("monitor", "mean")) for _, record, _ in found}
    if len(judged) > 1:
        told = ", ".join(sorted(f"{dataset} by {monitor}" for dataset, monitor in judged))
        raise ValueError(
            f"{folder}: expected runs of one data set, selected by one monitor, found {told}; name a folder in it"
        )
    _, record, path = max(found, key=lambda one: one[0])
    return record, path
