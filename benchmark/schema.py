"""What an architecture may know about the data: fields and tasks. The rows themselves are in `benchmark.rows`.

This module imports neither torch nor numpy at run time, so that configuration, records and reports can use it.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from benchmark import kinds
from benchmark.kinds import Transform

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from benchmark.numbering import Numbering

Arrays = dict[str, Any]
"""{name: array}, numpy's or torch's: the rows of a field that is neither categorical nor numeric."""

Metrics = dict[str, dict[str, float | None]]
"""{task: {metric: value}}; None where a metric is undefined."""


@dataclass(frozen=True, slots=True)
class Task:
    """One label to predict.

    Args:
        name: The label's name, the key of outputs, weights and metrics.
        kind: A name in `benchmark.kinds.KINDS`, such as BINARY or REGRESSION: decides the loss and the metrics.
        given: The parent task in a funnel (purchase given click). The output of a child is the joint, "clicked and
            bought", on all rows: where the parent is 0, the child is 0 too. A task on clicked rows only has no `given`.
        unit: What a regression value is measured in ("stars", "seconds").
        transform: The target is transform(value in unit). Metrics use the target; predictions are shown in the unit.
        num_outputs: K, the numbers that a model gives per row.

    Raises:
        ValueError: for an unknown kind, with the known ones, or a number of outputs that the kind does not have.
    """

    name: str
    kind: str
    given: str | None = None
    unit: str | None = None
    transform: Transform = Transform.IDENTITY
    num_outputs: int = 1

    def __post_init__(self) -> None:
        try:
            kind = kinds.get(self.kind)
        except ValueError as error:
            raise ValueError(f"task {self.name!r}: {error}") from None
        fewest, most = kind.fewest_outputs, kind.most_outputs
        if self.num_outputs < fewest or (most is not None and self.num_outputs > most):
            expected = (
                f"at least {fewest}" if most is None else f"from {fewest} to {most}" if fewest < most else f"{most}"
            )
            raise ValueError(
                f"task {self.name!r}: num_outputs of a task of kind {self.kind} must be {expected}, found {self.num_outputs}"
            )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of a row's output: () for one number, (K,) for several."""
        return () if self.num_outputs == 1 else (self.num_outputs,)

    @property
    def target_unit(self) -> str | None:
        """The unit of the target itself, after the transform: `log1p(seconds)`."""
        if self.unit is None or self.transform is Transform.IDENTITY:
            return self.unit
        return f"{self.transform}({self.unit})"

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Task:
        """A task from the form that `Schema.to_json` gives it."""
        return cls(**{**value, "transform": Transform(value["transform"])})


@dataclass(frozen=True, slots=True)
class CategoricalField:
    """An input column of category numbers in [0, cardinality); 0 is 'unseen in train'."""

    name: str
    cardinality: int


@dataclass(frozen=True, slots=True)
class NumericField:
    """An input column of numbers."""

    name: str


def rows_at(array: Any, index: Any) -> Any:
    """The rows of these numbers, of a numpy array or a tensor, with an index of the same sort."""
    return array.index_select(0, index) if hasattr(array, "index_select") else array[index]


@dataclass(frozen=True)
class OtherField(ABC):
    """An input column of another kind. A subclass defines one such kind: how it is fitted, stored and embedded.

    A subclass is a frozen dataclass of numbers and strings; `column_kind` gives it its name in records, which
    contain the values that the dataclass compares. A reader puts an instance with defaults
    into `Table.others`; `fit` returns it with the values fitted on train.

    By default, all arrays have one row for each row of the data. A kind that stores rows of unequal length overrides
    `num_rows`, `take` and `cut`, which get numpy arrays or tensors, and `key`.

    By default, `prepare` has all rows of the column in memory. A kind that does not need this overrides `contents` and
    `fit_in_pieces` too, and `appended` if it stores rows of unequal length.

    Args:
        name: The column's name.

    """

    name: str
    kind: ClassVar[str]
    stored: ClassVar[tuple[str, ...]] = ("values",)  # the names of its arrays

    @abstractmethod
    def content(self, values: Any) -> bytes:
        """The parsed values of all rows, for the data's fingerprint: the same for any reader."""

    def contents(self, values: Any) -> Iterator[bytes]:
        """The bytes of `content` in parts, of values that may be on disk: a slice gives some of them as a polars series."""
        yield self.content(values[:])

    @property
    def shares(self) -> str | None:
        """The name of the categorical field whose codes and embedding table it uses too; None: it has its own."""
        return None

    @abstractmethod
    def fit(self, values: Any, train: np.ndarray, numbering: Numbering) -> tuple[Self, Arrays, list[Any] | None]:
        """Fits the field on train. Returns it, the arrays of all rows, and what its codes mean from 1 on, if it has its own.

        Args:
            values: As the reader parsed them, of R rows.
            train: (R,) bool: the rows to fit on.
            numbering: How categorical fields number their values.

        Raises:
            ValueError: with column, row and value, if a value is invalid.
        """

    def fit_in_pieces(
        self, values: Any, train: np.ndarray, numbering: Numbering
    ) -> tuple[Self, Iterator[Arrays], list[Any] | None]:
        """As `fit`, of values as `contents` gets them, but the arrays come in parts, of some rows after others."""
        fitted, arrays, vocabulary = self.fit(values[:], train, numbering)
        return fitted, iter([arrays]), vocabulary

    def appended(self, arrays: Arrays, lengths: dict[str, int]) -> Arrays:
        """What is written after the arrays of earlier rows, which have these lengths."""
        return arrays

    @abstractmethod
    def usual(self, arrays: Arrays) -> Arrays:
        """One row to stand for many: recommendations use it if the field belongs to neither user nor item."""

    @abstractmethod
    def embedding(self, dim: int) -> nn.Module:
        """A module that maps the arrays of B rows, by name, to (B, `output_dim`).

        Its tables must be `nn.Embedding`s that it calls, and `reset_parameters` must draw all its initial values. If the
        field shares a table, `forward` also gets `table`, a `benchmark.pooling.SharedTable`.

        Args:
            dim: The width of categorical fields' embeddings.
        """

    @abstractmethod
    def check(self, arrays: Arrays, what: str) -> None:
        """Checks the values of numpy arrays from outside. Their number of rows is already checked.

        Raises:
            ValueError: with the rows (`what`), the field, what was expected and what was found.
        """

    def key(self, arrays: Arrays) -> np.ndarray:
        """(R, W) numpy array of 4 or 8 bytes per number. A model cannot distinguish rows that are equal in it."""
        import numpy as np

        parts = [array.reshape(len(array), -1) for array in arrays.values()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def num_rows(self, arrays: Arrays) -> int:
        """R."""
        return len(arrays[self.stored[0]])

    def take(self, arrays: Arrays, index: Any) -> Arrays:
        """The rows with these numbers, in this order. `index` is int64, from the arrays' own library."""
        return {name: rows_at(array, index) for name, array in arrays.items()}

    def cut(self, arrays: Arrays, start: int, stop: int) -> Arrays:
        """The rows from `start` to before `stop`, not copied."""
        return {name: array[start:stop] for name, array in arrays.items()}


Field = CategoricalField | NumericField | OtherField
_OTHER_KINDS: dict[str, type[OtherField]] = {}
K = TypeVar("K", bound=type[OtherField])


def column_kind(name: str) -> Callable[[K], K]:
    """A class decorator: records call the class `name`.

    Raises:
        ValueError: if another class has the name.
    """

    def enter(cls: K) -> K:
        known = _OTHER_KINDS.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"column kind {name!r} is registered twice: {known.__module__} and {cls.__module__}")
        cls.kind = name
        _OTHER_KINDS[name] = cls
        return cls

    return enter


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields and tasks of a data set, and which fields are the user and the item.

    Args:
        categorical, numeric: The fields of the two kinds that every architecture reads.
        tasks: In the order of the labels.
        user, item: Names of categorical fields.
        others: The fields of other kinds.
        user_fields: Names of all fields that belong to the user, of any kind, with `user` itself; empty if unknown. Records from
            before there was this argument lack it, so schemas with other user fields are equal.

    Raises:
        ValueError: if a name is empty or repeated; if a funnel's parent is unknown, comes later or is not binary; or if
            `user` or `item` does not name a categorical field.
        ValueError: if `user_fields` has the name of no field, or lacks that of `user`.
    """

    categorical: tuple[CategoricalField, ...]
    numeric: tuple[NumericField, ...]
    tasks: tuple[Task, ...]
    user: str | None = None
    item: str | None = None
    others: tuple[OtherField, ...] = ()
    user_fields: tuple[str, ...] = field(default=(), compare=False)

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
        for other in self.others:
            if other.shares is not None and other.shares not in fields:
                raise ValueError(
                    f"field {other.name!r} is of {other.shares!r}, which is not a categorical field of this schema; known: "
                    f"{', '.join(sorted(fields)) or 'none'}"
                )
        for name in self.user_fields:
            if name not in {f.name for f in self.fields}:
                raise ValueError(f"user_fields: {name!r} is not a field of this schema")
        if self.user_fields and self.user is not None and self.user not in self.user_fields:
            raise ValueError(
                f"user_fields: expected the user field {self.user!r} too, found {', '.join(self.user_fields)}"
            )

    @classmethod
    def of(
        cls,
        fields: Iterable[Field],
        tasks: tuple[Task, ...],
        *,
        user: str | None,
        item: str | None,
        user_fields: tuple[str, ...] = (),
    ) -> Schema:
        """The schema of fields of any kinds, each kind in the order given."""
        fields = tuple(fields)
        categorical = tuple(field for field in fields if isinstance(field, CategoricalField))
        numeric = tuple(field for field in fields if isinstance(field, NumericField))
        others = tuple(f for f in fields if isinstance(f, OtherField))
        return cls(categorical, numeric, tasks, user, item, others, user_fields)

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields: categorical, numeric, others."""
        return (*self.categorical, *self.numeric, *self.others)

    def _check_names(self) -> None:
        fields = [f.name for f in self.fields]
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
            ValueError: if there is no such task, with the known tasks.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise ValueError(f"unknown task {name!r}; known: {', '.join(self.task_names)}")

    def to_json(self) -> dict[str, Any]:
        """The schema as plain values, for a record. Keys added later appear only if they are needed."""
        value = asdict(self)
        for task in value["tasks"]:
            if task["num_outputs"] == 1:
                del task["num_outputs"]
        if not value["user_fields"]:
            del value["user_fields"]
        others = value.pop("others")
        if others:
            value["others"] = [
                {"kind": field.kind, **{f.name: own[f.name] for f in dataclasses.fields(field) if f.compare}}
                for field, own in zip(self.others, others, strict=True)
            ]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """The inverse of `to_json`.

        Raises:
            ValueError: for a kind of column that is not registered.
        """
        return cls(
            categorical=tuple(CategoricalField(**field) for field in value["categorical"]),
            numeric=tuple(NumericField(**field) for field in value["numeric"]),
            tasks=tuple(map(Task.from_json, value["tasks"])),
            user=value["user"],
            item=value["item"],
            others=tuple(map(_other_from_json, value.get("others", ()))),
            user_fields=tuple(value.get("user_fields", ())),
        )


def _other_from_json(value: dict[str, Any]) -> OtherField:
    values = dict(value)
    kind = values.pop("kind")
    if kind not in _OTHER_KINDS:
        known = ", ".join(_OTHER_KINDS) or "none"
        raise ValueError(
            f"field {value['name']!r} has the unknown kind {kind!r}; known: {known}; is the package that brings it installed?"
        )
    return _OTHER_KINDS[kind](**values)


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """An extra loss of an architecture, returned by `training_step`.

    Args:
        value: A scalar, already reduced over the batch and times its own weight.
        task: The task whose loss it joins before the weighting; None: it is added to the weighted sum unchanged.
    """

    value: Tensor
    task: str | None = None
