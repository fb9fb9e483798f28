"""RunConfig: everything that determines a run, as dataclasses. Its hash is the run's identity.

Python first: `RunConfig(dataset="shop", architecture="mmoe")` in a notebook equals what the command line composes.
Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from omegaconf import MISSING

from benchmark.files import digest
from benchmark.records.record import DEBUG, GAIN, RESULTS_DIR, TRIAL, TUNED, identity_of_data, record_path
from benchmark.schema import Schema
from benchmark.settings import registry
from benchmark.settings.registry import (
    ArchitectureConfig,
    DatasetConfig,
    Neutral,
    TrackerConfig,
    WeightingConfig,
    plain,
)
from benchmark.text import as_whole

IDENTITY = ("dataset", "architecture", "weighting", "embedding", "trainer", "purpose", "seed", "search_seed", "debug")
EPOCH = "epoch"
"""`checkpoint_every` at the end of every epoch."""
DEBUG_BATCH = 500
"""Rows in a step of `debug=true`, at most."""
CHOICES = {
    "optimizer": ("adam", "adamw"),
    "scheduler": ("none", "cosine"),
    "purpose": ("default", TRIAL, TUNED),
    "multi": ("mean", "sum"),
    "sequence": ("mean", "attention"),
}


@dataclass(kw_only=True, slots=True)
class TrainerConfig:
    """How a model is trained. The defaults are the same for all data sets.

    Args:
        max_epochs: The largest number of passes over train.
        batch_size: Rows per step.
        optimizer: adam or adamw (fused). adam adds weight decay to the gradient, adamw to the update.
        learning_rate: Learning rate of the model's parameters.
        weight_decay: Weight decay of the model's parameters except embeddings.
        embedding_weight_decay: Weight decay of embeddings.
        scheduler: none, or cosine (per step, from learning_rate to 0 over max_epochs).
        clip_norm: Clip the gradient's global norm to this; null: no clipping.
        patience: Stop when neither the monitor nor any task's own metric has improved for this many epochs.
        validations_per_epoch: Validate this many times per epoch, evenly spaced; fewer if they would be less than 25
            steps apart.
        monitor: What selects the epoch, on validation: `mean`, the mean over tasks of 2 AUC - 1 (binary) or R²
            (regression); or one metric, such as `income.auc`.
    """

    max_epochs: int = 30
    batch_size: int = 1024
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    embedding_weight_decay: float = 1e-2
    scheduler: str = "none"
    clip_norm: float | None = None
    patience: int = 3
    validations_per_epoch: Annotated[int, Neutral(1)] = 4
    monitor: str = "mean"

    def __post_init__(self) -> None:
        for name in ("learning_rate", "weight_decay", "embedding_weight_decay", "clip_norm"):
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool):
                setattr(self, name, float(value))  # 1 and 1.0 are the same configuration and must have the same hash
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"trainer.{name} must be a finite number, found {value}")
        for name, least in (("max_epochs", 1), ("batch_size", 1), ("patience", 1), ("validations_per_epoch", 1)):
            _at_least(f"trainer.{name}", getattr(self, name), least)
        if not self.learning_rate > 0:
            raise ValueError(f"trainer.learning_rate must be greater than 0, found {self.learning_rate}")
        for name in ("weight_decay", "embedding_weight_decay"):
            _at_least(f"trainer.{name}", getattr(self, name), 0)
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"trainer.clip_norm must be greater than 0 or null, found {self.clip_norm}")
        _one_of("trainer.optimizer", self.optimizer, CHOICES["optimizer"])
        _one_of("trainer.scheduler", self.scheduler, CHOICES["scheduler"])


@dataclass(kw_only=True, slots=True)
class EmbeddingConfig:
    """How every architecture embeds fields whose rows are lists.

    Args:
        multi: A multi-valued field (genres, tags): mean, or sum, of a row's embeddings.
        sequence: A sequence (a user's history): mean, or attention, weights by how each entry goes with the row's item (DIN).
    """

    multi: Annotated[str, Neutral("mean")] = "mean"
    sequence: Annotated[str, Neutral("mean")] = "mean"

    def __post_init__(self) -> None:
        _one_of("embedding.multi", self.multi, CHOICES["multi"])
        _one_of("embedding.sequence", self.sequence, CHOICES["sequence"])


@dataclass(kw_only=True, slots=True)
class RunConfig:
    """One run: dataset to trainer are its identity, with purpose, seed and debug; the rest is where and how.

    Args:
        dataset: A registered name, or `configure("dataset", name, ...)`.
        architecture: A registered name, or `configure("architecture", name, ...)`.
        weighting: A registered name, or `configure("weighting", name, ...)`.
        embedding: How fields of lists are embedded.
        trainer: How the model is trained.
        match_parameters: Scale the architecture's layer widths until it has this many parameters outside the embeddings; the name
            of an architecture: as many as that one has with its defaults on this data set. The widths chosen are in the
            record, and identify the run.
        purpose: What the run is for: default, trial or tuned. Records and reports keep them apart.
        seed: Seed of initial values, order of batches, dropout and weighting. The split depends on `dataset.split_seed`
            alone.
        search_seed: The search that a trial or a tuned run belongs to; it decides what the trials try. Set by the
            search.
        device: auto (cuda if there is one), cpu or cuda.
        threads: Threads of torch on the CPU; 0: all cores. The last bit of a result depends on it.
        tracker: A registered name, or `configure("tracker", name, ...)`.
        results_dir: Where records are written.
        save_checkpoint: Keep the weights of the selected epoch beside the record.
        save_predictions: Keep the outputs for the test rows beside the record, and once the rows' labels and users. Reports
            then also say how far a difference would move on other test rows. Trials keep none.
        log_conflicts: Log in each epoch how well the tasks' gradients agree, also under a weighting that does not compare
            them. Every tenth step then takes longer. It changes no result.
        checkpoint_every: Save the whole state of training beside the record at the end of every `epoch`, or after this many
            steps; null: never. If the run is killed, the same command continues there. The record is the same to the last bit
            either way. A finished run leaves no such file.
        rerun: Train even if the record is there.
        debug: Try the configuration in seconds: two steps on at most a thousand rows of each split, from data to report. Records
            go to `<results_dir>/.debug`, apart from real ones, and the run is always repeated; a search has two trials.
        primary: What methods are compared by first: `gain`, over all tasks, or a task's headline metric, such as
            `income.auc`.
        contrasts: What reports answer as well: `mmoe - shared_bottom`, `architecture` (all pairs of architectures),
            `weighting` (all pairs of weightings).
        looks: At which numbers of seeds the sweep judges, and by which margin; `hydra/sweeper=decide` writes it.
        matched: What `match_parameters` asked for, what was found, and the widths before; the run writes it. See
            `benchmark.runs.matching`.
        tuning: How its parameters were found, of a trial or a tuned run; a search writes it. See `benchmark.runs.tuning`.
    """

    dataset: DatasetConfig = MISSING
    architecture: ArchitectureConfig = MISSING
    weighting: WeightingConfig = MISSING
    embedding: Annotated[EmbeddingConfig, Neutral(EmbeddingConfig())] = field(default_factory=EmbeddingConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    match_parameters: Annotated[int | str | None, Neutral(None)] = None
    purpose: str = "default"
    seed: int = 0
    search_seed: Annotated[int, Neutral(0)] = 0
    device: str = "auto"
    threads: int = 0
    tracker: TrackerConfig = MISSING
    results_dir: str = RESULTS_DIR
    save_checkpoint: bool = False
    save_predictions: bool = False
    log_conflicts: Annotated[bool, Neutral(False)] = False
    checkpoint_every: Annotated[int | str | None, Neutral(None)] = None
    rerun: bool = False
    debug: Annotated[bool, Neutral(False)] = False
    primary: Annotated[str, Neutral(GAIN)] = GAIN
    contrasts: Annotated[list[str], Neutral([])] = field(default_factory=list)
    looks: Annotated[dict[str, Any], Neutral({})] = field(default_factory=dict)
    matched: Annotated[dict[str, Any], Neutral({})] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in ("dataset", "architecture", "weighting", "tracker"):
            entries, value = registry.REGISTRIES[group], getattr(self, group)
            name = entries.default if value == MISSING else value
            if isinstance(name, str):
                setattr(self, group, entries.config(name))
        _one_of("purpose", self.purpose, CHOICES["purpose"])
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        _at_least("seed", self.seed, 0)
        _at_least("search_seed", self.search_seed, 0)
        _at_least("threads", self.threads, 0)
        _check_size("match_parameters", self.match_parameters)
        _check_every("checkpoint_every", self.checkpoint_every)
        if self.looks and not self.looks.keys() <= {"seeds", "margin"}:
            raise ValueError(
                f"looks has seeds and a margin, and is written by hydra/sweeper=decide; found {dict(self.looks)}"
            )
        if self.debug:
            size = min(self.trainer.batch_size, DEBUG_BATCH)
            self.trainer = replace(self.trainer, max_epochs=1, batch_size=size)

    @property
    def method(self) -> str:
        """`mmoe/equal`."""
        return f"{self.architecture.name}/{self.weighting.name}"

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the result, as plain values. Versions of libraries are left out."""
        whole = plain(self)
        return {key: whole[key] for key in IDENTITY if key in whole} | {"dataset": identity_of_data(whole["dataset"])}

    @property
    def record_path(self) -> Path:
        """Where the run's record will be."""
        return record_path(self.results_dir, plain(self), self.id)

    @property
    def records_dir(self) -> str:
        """The folder whose records are compared with this one's: `results_dir`, but for `debug=true`."""
        return str(Path(self.results_dir, DEBUG)) if self.debug else self.results_dir

    @property
    def keeps_predictions(self) -> bool:
        """Whether the run saves its predictions: if asked to, and unless it is a trial, which never reads test."""
        return self.save_predictions and self.purpose != TRIAL

    @property
    def id(self) -> str:
        """The first 12 hex digits of the hash of `identity`."""
        return digest(self.identity)[:12]

    def embedded(self, schema: Schema) -> Schema:
        """The schema of the data as the model is built from it: with the pooling of lists.

        Raises:
            ValueError: if `embedding` is about fields that the data lack.
        """
        from benchmark.lists import pooled  # it imports polars, which a command line need not wait for

        try:
            return pooled(schema, multi=self.embedding.multi, sequence=self.embedding.sequence)
        except ValueError as error:
            raise ValueError(f"dataset {self.dataset.shown}: {error}") from None

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> RunConfig:
        """The configuration of a record from any version: a missing key has its neutral value.

        Raises:
            ValueError: for an unknown name or key.
        """
        parts = {group: r.restored(values[group]) for group, r in registry.REGISTRIES.items() if group in values}
        parts["embedding"] = registry.restored(EmbeddingConfig, values.get("embedding", {}))
        if "trainer" in values:
            parts["trainer"] = registry.restored(TrainerConfig, values["trainer"])
        return registry.restored(cls, {**values, **parts})


def _check_size(name: str, value: int | str | None) -> None:
    """Refuses what is neither a number of parameters nor the name of an architecture."""
    if isinstance(value, str):
        try:
            registry.architectures.get(value)
        except ValueError as error:
            raise ValueError(f"{name}: expected a number of parameters or an architecture's name; {error}") from None
    elif value is not None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name}: expected a whole number, found {value!r}{as_whole(value)}")
        _at_least(name, value, 1)


def _check_every(name: str, value: int | str | None) -> None:
    """Refuses what is neither a number of steps nor `epoch`."""
    if value not in (None, EPOCH) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(
            f"{name} must be {EPOCH}, a number of steps of at least 1, or null, found {value!r}{as_whole(value)}"
        )


def _at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, found {value}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, found {value!r}")
