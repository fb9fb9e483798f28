"""Rows as features: the columns of some rows, of any kind, in one object; and the splits and batches that hold it.

The arrays are numpy's and memory-mapped in a split, and torch's in a batch. Torch is imported only on conversion. R
rows, of which B are in a batch; F categorical and N numeric fields, T tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.pieces import mapped
from benchmark.schema import Arrays, CategoricalField, Field, NumericField, OtherField, Schema, rows_at

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The columns of R rows.

    Args:
        fields: The fields, ordered as in `Schema.fields`: categorical, numeric, others.
        categorical: (R, F) int32 codes.
        numeric: (R, N) float32.
        others: The arrays of every other field, as its kind stores them.
    """

    fields: tuple[Field, ...]
    categorical: Any
    numeric: Any
    others: dict[OtherField, Arrays] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.categorical)

    def take(self, index: Any) -> Features:
        """The rows with these numbers, in this order. `index` is an array or a tensor, as the columns are."""
        return self._each(lambda array: rows_at(array, index), lambda other, arrays: other.take(arrays, index))

    def cut(self, start: int, stop: int) -> Features:
        """The rows from `start` to before `stop`, not copied."""
        return self._each(lambda array: array[start:stop], lambda other, arrays: other.cut(arrays, start, stop))

    def to(self, device: torch.device | str) -> Features:
        """The same as tensors on the device. On the CPU they share memory with the arrays if torch may write to it."""
        import torch

        def moved(array: Any, dtype: type | None = None) -> Tensor:
            if isinstance(array, np.ndarray):
                array = torch.from_numpy(np.require(array, dtype, ["C", "W"]))
            return array.to(device)  # type: ignore[no-any-return]

        return Features(
            self.fields,
            moved(self.categorical, np.int32),
            moved(self.numeric, np.float32),
            {other: {name: moved(array) for name, array in arrays.items()} for other, arrays in self.others.items()},
        )

    def _each(self, of_columns: Callable[[Any], Any], of_other: Callable[[OtherField, Arrays], Arrays]) -> Features:
        others = {other: of_other(other, arrays) for other, arrays in self.others.items()}
        return Features(self.fields, of_columns(self.categorical), of_columns(self.numeric), others)

    def arrays(self) -> Iterator[Any]:
        """All arrays, in the order of the fields."""
        yield from (self.categorical, self.numeric)
        for other, arrays in self.others.items():
            yield from (arrays[name] for name in other.stored)

    def keys(self) -> Iterator[np.ndarray]:
        """Arrays of (R, W). A model cannot distinguish rows that are equal in all of them."""
        yield from (self.categorical, self.numeric)
        yield from (other.key(arrays) for other, arrays in self.others.items())

    def flat(self) -> np.ndarray:
        """(R, F + N) float32 for models of plain tables: codes (exact below 2^24), then numbers; other fields are left out."""
        return np.concatenate([self.categorical.astype(np.float32), self.numeric], axis=1)

    def column(self, name: str) -> Any:
        """(R,) the codes or numbers of a categorical or numeric field."""
        for kind, array in ((CategoricalField, self.categorical), (NumericField, self.numeric)):
            names = [known.name for known in self.fields if isinstance(known, kind)]
            if name in names:
                return array[:, names.index(name)]
        raise KeyError(name)

    def check(self, schema: Schema, what: str) -> None:
        """Refuses rows that do not fit the schema: a model would use the wrong rows of its tables, or read past their end.

        Args:
            schema: The schema that a model was or will be trained on.
            what: What errors call the rows: train, validation.

        Raises:
            ValueError: if the fields differ, an array has another shape, or a value is outside its field's range.
        """
        if not schema.fields:
            raise ValueError(
                f"{what}: expected at least one field in the schema, found none: a model would see nothing"
            )
        for expected, found in zip_longest(schema.fields, self.fields):
            if found != expected:
                raise ValueError(f"{what}: expected the field {expected}, found {found}")
        for name, array, columns in (
            ("categorical", self.categorical, len(schema.categorical)),
            ("numeric", self.numeric, len(schema.numeric)),
        ):
            if array.shape != (len(self), columns):
                raise ValueError(f"{what}: {name} must be ({len(self)}, {columns}), found {tuple(array.shape)}")
        self._check_values(what)
        if len(self):
            least_F, most_F = self.categorical.min(axis=0), self.categorical.max(axis=0)
            for known, least, most in zip(schema.categorical, least_F, most_F, strict=True):
                if not 0 <= least <= most < known.cardinality:
                    raise ValueError(
                        f"{what}: field {known.name!r} has codes 0 to {known.cardinality - 1}, found "
                        f"{least if least < 0 else most} (0: unseen in train); raise the field's cardinality, or correct what "
                        "codes the rows"
                    )
        for other in schema.others:
            rows = other.num_rows(self.others[other]) if other in self.others else "none"
            if rows != len(self):
                raise ValueError(f"{what}: field {other.name!r} must have {len(self)} rows, found {rows}")
            other.check(self.others[other], what)

    def _check_values(self, what: str) -> None:
        """Checks that codes are integers and numbers finite."""
        if "int" not in str(self.categorical.dtype):
            raise ValueError(
                f"{what}: categorical codes must be integers, found {self.categorical.dtype}; cast them, or make numeric fields"
            )
        if self.numeric.shape[1] and len(self):
            # a sum is finite if all its terms are, and reads the column once
            for known, total in zip(
                self.fields[self.categorical.shape[1] :], self.numeric.sum(axis=0, dtype=np.float64), strict=False
            ):
                if not math.isfinite(total):
                    raise ValueError(
                        f"{what}: field {known.name!r} must be finite, found {total:g} in its sum; fill in what is missing"
                    )

    @classmethod
    def join(cls, fields: Sequence[Field], parts: Sequence[Features]) -> Features:
        """The same rows with fields taken from several features, as numpy arrays.

        Args:
            fields: The fields to take, in this order. Each is in one of the parts.
            parts: Features of R rows each.
        """
        holder = {known.name: part for part in parts for known in part.fields}

        def side_by_side(kind: type, dtype: type) -> np.ndarray:
            names = [known.name for known in fields if isinstance(known, kind)]
            columns: np.ndarray = np.empty((len(parts[0]), len(names)), dtype)
            for place, name in enumerate(names):
                columns[:, place] = holder[name].column(name)
            return columns

        others = {known: holder[known.name].others[known] for known in fields if isinstance(known, OtherField)}
        codes, numbers = side_by_side(CategoricalField, np.int32), side_by_side(NumericField, np.float32)
        return cls(tuple(fields), codes, numbers, others)

    @classmethod
    def load(cls, folder: Path, name: str, fields: Iterable[Field]) -> Features:
        """What a `FeatureWriter` wrote, memory-mapped. Changes stay in the process and never reach the files."""

        def array(part: str) -> np.ndarray:
            # "c": torch shares writable arrays only
            mapped: np.ndarray = np.load(folder / f"{name}_{part}.npy", mmap_mode="c", allow_pickle=False)
            return mapped

        fields = tuple(fields)
        others = [known for known in fields if isinstance(known, OtherField)]
        stored = {
            known: {part: array(_other(number, part)) for part in known.stored} for number, known in enumerate(others)
        }
        return cls(fields, array("categorical"), array("numeric"), stored)


def joined(field: OtherField, parts: Iterable[Arrays]) -> Arrays:
    """The rows of all parts, of at least one, as numpy arrays."""
    found: dict[str, list[Any]] = {name: [] for name in field.stored}
    for part in parts:
        more = field.appended(part, {name: sum(map(len, arrays)) for name, arrays in found.items()})
        for name, arrays in found.items():
            arrays.append(more[name])
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


class FeatureWriter:
    """Writes features to a folder, column by column and piece by piece, so that they are never all in memory at once.

    Args:
        folder: Where to.
        name: The name of these rows: one folder may hold several features.
        num_rows: R.
        fields: The categorical and numeric fields. Those of other kinds are added.
    """

    def __init__(
        self, folder: Path, name: str, num_rows: int, fields: Iterable[CategoricalField | NumericField]
    ) -> None:
        self.folder, self.name = folder, name
        self.fields: list[Field] = list(fields)
        self._columns: dict[str, np.ndarray] = {}
        for part, kind, dtype in (("categorical", CategoricalField, np.int32), ("numeric", NumericField, np.float32)):
            own = [known.name for known in self.fields if isinstance(known, kind)]
            array = mapped(folder / f"{name}_{part}.npy", (num_rows, len(own)), dtype)
            self._columns |= dict(zip(own, array.T, strict=True))

    def write(self, name: str, rows: Any, values: Any) -> None:
        """Writes some rows of a categorical or numeric field.

        Args:
            name: The field's name.
            rows: A slice, or the numbers of the rows.
            values: Their codes or numbers.
        """
        self._columns[name][rows] = values

    @contextmanager
    def add(self, new: OtherField) -> Iterator[Callable[[Arrays], None]]:
        """The next field of another kind: gives what writes its arrays, of some rows after others."""
        place = sum(isinstance(known, OtherField) for known in self.fields)
        self.fields.append(new)
        with ExitStack() as stack:
            files = {
                part: stack.enter_context(_GrowingFile(self.folder / f"{self.name}_{_other(place, part)}.npy"))
                for part in new.stored
            }

            def write(arrays: Arrays) -> None:
                more = new.appended(arrays, {part: file.length for part, file in files.items()})
                for part, file in files.items():
                    file.append(more[part])

            yield write


class _GrowingFile(AbstractContextManager["_GrowingFile"]):
    """An array on disk, as `numpy.save` writes it, that grows along its first axis."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._header: dict[str, Any] = {}
        self.length = 0

    def append(self, array: np.ndarray) -> None:
        if not self._header:
            self._header = np.lib.format.header_data_from_array_1_0(array[:0].copy())
            np.lib.format.write_array_header_1_0(self._file, self._header)
        self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # tofile hides the system's error
        self.length += len(array)

    def __exit__(self, *_: object) -> None:
        if self._header:  # has room for the greatest number of rows
            self._file.seek(0)
            shape = (self.length, *self._header["shape"][1:])
            np.lib.format.write_array_header_1_0(self._file, {**self._header, "shape": shape})
        self._file.close()


def _other(number: int, part: str) -> str:
    return f"other{number}_{part}"  # a field's name may not be valid as a file name


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one split as whole arrays, memory-mapped from the prepared cache.

    Shape:
        features: of R rows; labels: (R, T) float64 in the unit of the target, NaN where not observed: float32 would round
        seconds since 1970 to 128, and only `TargetScale` centres them. weights: (R, 1), the same for all tasks, or (R, T), float64,
        at least 0: how much a row counts in a task's loss, and 0 means not at all; None: all count alike. Metrics do not use them.
    """

    features: Features
    labels: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def weights_in(self, task: int) -> np.ndarray | None:
        """(R,) the weights of the rows in the task of this number, if rows have weights."""
        return None if self.weights is None else self.weights[:, min(task, self.weights.shape[1] - 1)]

    def take(self, index: np.ndarray) -> Split:
        """The rows with these numbers, in this order."""
        weights = None if self.weights is None else self.weights[index]
        return Split(self.features.take(index), self.labels[index], weights)

    def cut(self, start: int, stop: int) -> Split:
        """The rows from `start` to before `stop`, not copied."""
        weights = None if self.weights is None else self.weights[start:stop]
        return Split(self.features.cut(start, stop), self.labels[start:stop], weights)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as a model sees them.

    Shape:
        features: of B rows, as tensors; labels: (B, T) float32, standardised on train if the task's kind is, 0 where not
        observed; observed: (B, T) bool; weights: (B, T) float32, what each row counts in the loss of a task, above 0 where it is
        observed; None: all count alike.
    """

    features: Features
    labels: Tensor
    observed: Tensor
    weights: Tensor | None = None

    @property
    def categorical(self) -> Tensor:
        """(B, F) int32 codes."""
        return self.features.categorical  # type: ignore[no-any-return]

    @property
    def numeric(self) -> Tensor:
        """(B, N) float32."""
        return self.features.numeric  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Batch:
        """The rows with these numbers, in this order."""
        weights = None if self.weights is None else rows_at(self.weights, index)
        return Batch(self.features.take(index), rows_at(self.labels, index), rows_at(self.observed, index), weights)

    def cut(self, start: int, stop: int) -> Batch:
        """The rows from `start` to before `stop`, not copied."""
        weights = None if self.weights is None else self.weights[start:stop]
        return Batch(self.features.cut(start, stop), self.labels[start:stop], self.observed[start:stop], weights)

    def mean(self, values_B: Tensor, chosen_B: Tensor, task: int) -> Tensor:
        """The mean over the chosen rows, each weighted as in the loss of a task; 0 without any.

        Args:
            values_B: (B,) finite values, such as losses.
            chosen_B: (B,) bool.
            task: The number of the task.
        """
        if self.weights is None:
            return (values_B * chosen_B).sum() / chosen_B.sum().clamp(min=1)
        weights_B = self.weights[:, task] * chosen_B
        total = weights_B.sum()
        return (values_B * weights_B).sum() / (total + (total == 0))
