"""What an architecture may know of the data: fields, tasks, and the tensors of a batch.

This module imports neither torch nor numpy at run time, so that configuration, records and reports can use it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmark import kinds
from benchmark.kinds import Transform

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Metrics = dict[str, dict[str, float | None]]
"""{task: {metric: value}}; None where it is undefined."""


@dataclass(frozen=True, slots=True)
class Task:
    """One label to predict.

    Args:
        name: The label's name, the key of outputs, weights and metrics.
        kind: A name in `benchmark.kinds.KINDS`, such as BINARY or REGRESSION: decides the loss and the metrics.
        given: The parent task in a funnel (purchase given click). The output of a child is the joint, "clicked and bought",
            on all rows: where the parent is 0, so is the child. A task on clicked rows only has no `given`.
        unit: What a regression value is measured in ("stars", "seconds").
        transform: The target is transform(value in unit); metrics are in the target, predictions shown to people in the unit.
        num_outputs: K, how many numbers a model gives for a row.

    Raises:
        ValueError: for an unknown kind, with the known ones, or fewer outputs than the kind needs.
    """

    name: str
    kind: str
    given: str | None = None
    unit: str | None = None
    transform: Transform = Transform.IDENTITY
    num_outputs: int = 1

    def __post_init__(self) -> None:
        try:
            fewest = kinds.get(self.kind).fewest_outputs
        except ValueError as error:
            raise ValueError(f"task {self.name!r}: {error}") from None
        if self.num_outputs < fewest:
            raise ValueError(
                f"task {self.name!r}: num_outputs of a task of kind {self.kind} must be at least {fewest}, "
                f"found {self.num_outputs}"
            )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of a row's output: () for one number, (K,) for several."""
        return () if self.num_outputs == 1 else (self.num_outputs,)

    @property
    def target_unit(self) -> str | None:
        """The unit of the target itself, after the transform: `log1p(seconds)`."""
        if self.unit is None or self.transform is Transform.IDENTITY:
            return self.unit
        return f"{self.transform}({self.unit})"


@dataclass(frozen=True, slots=True)
class CategoricalField:
    """An input column of category numbers in [0, cardinality); 0 is 'unseen in train'."""

    name: str
    cardinality: int


@dataclass(frozen=True, slots=True)
class NumericField:
    """An input column of numbers."""

    name: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields and tasks of a data set, and which fields are the user and the item.

    Raises:
        ValueError: if a name is empty or there twice, a funnel's parent is unknown, does not come first or is not binary, or a
            role names no categorical field.
    """

    categorical: tuple[CategoricalField, ...]
    numeric: tuple[NumericField, ...]
    tasks: tuple[Task, ...]
    user: str | None = None
    item: str | None = None

    def __post_init__(self) -> None:
        self._check_names()
        if not self.tasks:
            raise ValueError("a schema needs at least one task, found none")
        known: dict[str, Task] = {}
        for task in self.tasks:
            if task.given is not None and task.given not in known:
                earlier = ", ".join(sorted(known)) or "none"
                raise ValueError(
                    f"task {task.name!r} is given {task.given!r}, which must be an earlier task; earlier: {earlier}"
                )
            if task.given is not None and not kinds.get(known[task.given].kind).is_binary:
                raise ValueError(
                    f"task {task.name!r} is given {task.given!r}, which must be binary, found {known[task.given].kind}"
                )
            known[task.name] = task
        fields = {f.name for f in self.categorical}
        for role, name in (("user", self.user), ("item", self.item)):
            if name is not None and name not in fields:
                raise ValueError(f"the {role} field {name!r} is not a categorical field of this schema")

    def _check_names(self) -> None:
        fields = [f.name for f in self.categorical] + [f.name for f in self.numeric]
        tasks = [t.name for t in self.tasks]
        for what, names in (("field", fields), ("task", tasks)):
            if not all(name.strip() for name in names):
                raise ValueError(f"every {what} needs a name, found {next(n for n in names if not n.strip())!r}")
            repeated = {name for name in names if names.count(name) > 1}
            if repeated:
                raise ValueError(f"{what} names must differ, found twice: {', '.join(sorted(repeated))}")
        both = sorted({*fields} & {*tasks})
        if both:
            raise ValueError(
                f"a field has the name of a task: {', '.join(both)}; is it the label? leave it out, or rename it"
            )

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks, in order."""
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> Task:
        """The task of this name.

        Raises:
            ValueError: if there is none, naming the known tasks.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise ValueError(f"unknown task {name!r}; known: {', '.join(self.task_names)}")

    def to_json(self) -> dict[str, Any]:
        """The schema as plain values, as it stands in a record."""
        value = asdict(self)
        for task in value["tasks"]:
            if task["num_outputs"] == 1:
                del task["num_outputs"]  # as in records that are older than the key
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """The inverse of `to_json`."""
        return cls(
            categorical=tuple(CategoricalField(**field) for field in value["categorical"]),
            numeric=tuple(NumericField(**field) for field in value["numeric"]),
            tasks=tuple(Task(**{**task, "transform": Transform(task["transform"])}) for task in value["tasks"]),
            user=value["user"],
            item=value["item"],
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as a model sees them. B rows, F categorical and N numeric fields, T tasks.

    Shape:
        categorical: (B, F) int32; numeric: (B, N) float32;
        labels: (B, T) float32, standardised on train if the task's kind is, 0 where not observed; observed: (B, T) bool.
    """

    categorical: Tensor
    numeric: Tensor
    labels: Tensor
    observed: Tensor


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """An extra loss of an architecture, returned by `training_step`.

    Args:
        value: A scalar, already reduced over the batch and times its own weight.
        task: The task to whose loss it is added before the weighting; None: added to the weighted sum untouched.
    """

    value: Tensor
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one split as whole arrays, memory-mapped from the prepared cache.

    Shape:
        categorical: (R, F) int32; numeric: (R, N) float32; labels: (R, T) float64 in the unit of the target, NaN where not
        observed: float32 would round seconds since 1970 to 128, and only `TargetScale` centres them.
    """

    categorical: np.ndarray
    numeric: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)
