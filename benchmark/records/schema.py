"""What a record holds: the types and ranges of its keys, said once. Imports no torch.

The ranges of metrics are those of `benchmark.metrics.METRICS`. A key that is not here may hold anything, and so may
`config` beyond what readers of records use: architectures, weightings and data sets have parameters of their own.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

MOST = 2**63 - 1
"""The largest whole number of a record."""
TRIAL = "trial"  # the purpose of runs that never read the test split
REFERENCE = "reference"  # the folder and the `kind` of the records of benchmark.reference
Status = Literal["finished", "diverged", "failed"]
Transformed = Literal["identity", "log1p"]
ID_PATTERN = r"^[0-9a-f]{12}\Z"
SHA256_PATTERN = r"^[0-9a-f]{64}\Z"

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
Sha256 = Annotated[str, Meta(pattern=SHA256_PATTERN)]
NAME_PATTERN = r"^(?!\.{1,2}\Z)[^/\0]+\Z"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]  # it is part of a path
Count = Annotated[int, Meta(ge=0, le=MOST)]
Size = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Numbers = dict[str, float | None]
Row = TypeVar("Row")
"""The metrics of one task: `_row` makes it of the table."""


class Named(Struct):
    """A part of the configuration: its name, and parameters that are its own."""

    name: Name


class TrainerOf(Struct):
    """What readers use of the trainer's parameters."""

    max_epochs: Size
    monitor: str = "mean"


class TuningOf(Struct):
    """The search that a trial or a tuned run belongs to."""

    study: str | None = None
    trial: Count | None = None
    trials: Count = 0
    sampler: str | None = None
    space: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    criterion: float | dict[str, str] | None = None
    ends: dict[str, str] | None = None
    ids: list[str] | None = None


class LooksOf(Struct):
    """The looks that were announced."""

    seeds: list[Annotated[int, Meta(ge=1, le=MOST)]] = []
    margin: Annotated[str, Meta(pattern=r"^\s*[\d._]+([eE][-+]?\d+)?%?\s*\Z")] | None = None


class Matched(Struct):
    """The size that was asked for and found."""

    target: Count
    parameters: Count
    before: dict[str, Any] = {}


class Config(Struct):
    """The configuration, as far as readers use it."""

    dataset: Named
    architecture: Named
    weighting: Named
    trainer: TrainerOf
    purpose: str
    seed: Count | None = None
    search_seed: Count = 0
    tuning: TuningOf | None = None
    looks: LooksOf | None = None
    matched: Matched | None = None
    embedding: dict[str, Any] = {}
    primary: str | None = None
    contrasts: list[str] | None = None
    results_dir: str | None = None


class TaskOf(Struct):
    """A task of the schema of the data."""

    name: str
    kind: str
    given: str | None = None
    unit: str | None = None
    transform: Transformed = "identity"
    num_outputs: Annotated[int, Meta(ge=1, le=MOST)] = 1


class Categorical(Struct):
    """A categorical field."""

    name: str
    cardinality: Count


class SchemaOf(Struct):
    """The schema of the data."""

    tasks: list[TaskOf]
    categorical: list[Categorical] = []
    numeric: list[Numeric] = []
    others: list[Numeric] = []
    user: str | None = None
    item: str | None = None
    user_fields: list[str] = []


class Numeric(Struct):
    """A field of another kind."""

    name: str


class Repeated(Struct):
    """How many test rows are in train."""

    same_features: Count
    same_features_and_labels: Count


class FactsOf(Struct):
    """The facts about the data that reports use."""

    test_rows_in_train: Repeated | None = None
    zeros_filled_in: dict[str, Count] | None = None


class CardFacts(FactsOf):
    """The facts that the card of a data set shows."""

    dates: dict[str, Annotated[list[Any], Meta(min_length=2, max_length=2)]] | None = None
    duplicates_dropped: Count | None = None
    weights: dict[str, tuple[float, float, float]] | None = None


class DatasetOf(Struct, Generic[Row]):
    """What is known of the data; empty if a run failed before it had them."""

    name: str | None = None
    fingerprint: str = ""
    test_rows: str = ""
    splits: dict[str, Count] = {}
    fields: list[str] = []
    schema: SchemaOf | None = None
    tasks: list[str] = []
    facts: FactsOf | None = None
    best_reachable: dict[str, Row] | None = None
    constant: dict[str, Row] | None = None


class ConflictsOf(Struct):
    """The conflicts between the gradients of tasks."""

    cosine: dict[str, Annotated[float, Meta(ge=-1 - 1e-3, le=1 + 1e-3)] | None] = {}
    share: Share | None = None


class Epoch(Struct, Generic[Row]):
    """One validation."""

    epoch: Size
    seconds: Size | None = None
    learning_rate: float | None = None
    validation: dict[str, Row] = {}
    criterion: float | None = None
    train_losses: Numbers | None = None
    auxiliary: Numbers | None = None
    effective_weights: Numbers | None = None
    conflicts: ConflictsOf | None = None


class Cost(Struct):
    """What the run took."""

    parameters: Count | None = None
    embedding_parameters: Count | None = None
    multiply_adds: Count | None = None
    train_seconds: Size | None = None
    cpu_seconds: Size | None = None
    rows_per_second: Size | None = None
    peak_memory_bytes: Count | None = None
    threads: Count | None = None
    device: str | None = None


class Environment(Struct):
    """Where it ran; other keys are free."""

    command: str = ""
    started: str | None = None


class Failure(Struct):
    """How a run ended that did not finish."""

    type: str = ""
    message: str = ""
    traceback: str = ""
    task: str | None = None
    step: Size | None = None
    epoch: Size | None = None


class RecordOf(Struct, Generic[Row]):
    """A record; see `benchmark.records.record.Record` for the meaning of its keys."""

    format: Annotated[int, Meta(ge=1)]
    id: Id
    status: Status
    method: str
    purpose: str
    seed: Count
    config: Config
    dataset: DatasetOf[Row] = msgspec.field(default_factory=DatasetOf)
    selected_by: dict[str, str] = {}
    best_epoch: Size | None = None
    best_epoch_per_task: dict[str, Size] = {}
    metrics: dict[str, dict[str, Row]] = {}
    metrics_per_task: dict[str, dict[str, Row]] = {}
    undefined: dict[str, str] = {}
    epochs: list[Epoch[Row]] = []
    shared_parameters: Count | None = None
    gates: dict[str, dict[str, float | None]] = {}
    cost: Cost | None = None
    environment: Environment | None = None
    files: dict[str, Sha256] = {}
    error: Failure | None = None


class ReferenceConfig(Struct):
    """The configuration of a reference."""

    dataset: Named
    settings: dict[str, Any] = {}


class ReferenceOf(Struct, Generic[Row]):
    """A record of a reference; see `benchmark.records.reference.ReferenceRecord`."""

    format: Annotated[int, Meta(ge=1)]
    kind: Literal["reference"]
    name: Name
    purpose: str
    seed: Count
    config: ReferenceConfig
    id: Id
    label: str = ""
    dataset: DatasetOf[Row] = msgspec.field(default_factory=DatasetOf)
    metrics: dict[str, dict[str, Row]] = {}
    undefined: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}
    tuning: TuningOf | None = None
    cost: Cost | None = None
    environment: Environment | None = None


Form: TypeAlias = type[RecordOf[Any]] | type[ReferenceOf[Any]]
