"""Arrays in pieces: what is computed on any number of rows with the memory of a million. R rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import TYPE_CHECKING, Any

from benchmark.disk import cannot_write, claim

if TYPE_CHECKING:
    import numpy as np

PIECE = 1 << 20  # rows: a piece of twenty columns takes 160 MB
_SUMMED_AT_ONCE = 128  # terms that numpy's sum does not divide


def pieces(num_rows: int, size: int | None = None) -> Iterator[slice]:
    """Slices that cover the rows in order, `PIECE` rows each; for no rows, one that is empty.

    >>> list(pieces(5, size=2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = size or PIECE
    for start in range(0, max(num_rows, 1), size):
        yield slice(start, min(start + size, num_rows))


def on_disk(shape: tuple[int, ...], dtype: Any, folder: Path | None = None) -> np.ndarray:
    """An array of zeros in a file without a name, which is gone with the array; in memory if it is no longer than a piece.

    Args:
        shape: Its shape.
        dtype: Its type.
        folder: Where the file is; None: where the system has its temporary files.

    Raises:
        OSError: if the disk has not that much space.
    """
    import numpy as np

    if prod(shape) <= PIECE:
        return np.zeros(shape, dtype)
    try:
        with TemporaryFile(dir=folder) as file:
            claim(file, prod(shape) * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        remedy = "; set TMPDIR to a folder that has the space" if folder is None else ""
        raise cannot_write(f"a temporary file in {folder or gettempdir()}", error, remedy) from error


def mapped(path: Path, shape: tuple[int, ...], dtype: Any) -> np.memmap:
    """A new array of zeros in a file, as `numpy.save` writes it, to be written to; its space on the disk is claimed.

    Args:
        path: The file, which ends in .npy.
        shape: Its shape.
        dtype: Its type.

    Raises:
        OSError: if the disk has not that much space.
    """
    import numpy as np

    dtype = np.dtype(dtype)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        claim(file, file.tell() + prod(shape) * dtype.itemsize)
    array: np.memmap = np.load(path, mmap_mode="r+", allow_pickle=False)
    return array


@dataclass(frozen=True, slots=True)
class Moments:
    """The count, mean, standard deviation, least and greatest of some numbers; all 0 if there are none."""

    count: int = 0
    mean: float = 0.0
    std: float = 0.0
    least: float = 0.0
    most: float = 0.0

    @property
    def furthest(self) -> float:
        """The greatest absolute value."""
        return max(abs(self.least), abs(self.most))


def moments(parts: Callable[[], Iterable[np.ndarray]]) -> Moments:
    """The moments of float64 numbers that come in parts, to the last bit those of numpy on one array of all of them.

    Args:
        parts: Gives the parts, the same each time that it is called; they may be of any length.
    """
    import numpy as np

    count, least, most = 0, np.inf, -np.inf
    for part in parts():
        if len(part):
            count, least, most = count + len(part), min(least, float(part.min())), max(most, float(part.max()))
    if not count:
        return Moments()
    mean = total(parts(), count) / count
    deviation = total((np.square(part - mean) for part in parts()), count)
    return Moments(count, float(mean), float(np.sqrt(deviation / count)), least, most)


def total(parts: Iterable[np.ndarray], count: int) -> Any:
    """The sum of numbers that come in parts, to the last bit that of `numpy.sum` on one array of all of them.

    numpy adds floats pairwise: it halves a long array until the halves are short. This does the same from the top, and
    leaves pieces to numpy.

    Args:
        parts: Arrays of one type, of any length.
        count: How many numbers they have together.
    """
    waiting = _Stream(iter(parts))

    def added(number: int) -> Any:
        if number <= max(PIECE, _SUMMED_AT_ONCE):
            return waiting.take(number).sum()
        half = number // 2
        half -= half % 8
        return added(half) + added(number - half)

    return added(count)


class _Stream:
    """Numbers that come in parts, taken in other parts."""

    def __init__(self, parts: Iterator[np.ndarray]) -> None:
        self._parts = parts
        self._held: list[np.ndarray] = []

    def take(self, number: int) -> np.ndarray:
        import numpy as np

        held = sum(map(len, self._held))
        while held < number:
            self._held.append(next(self._parts))
            held += len(self._held[-1])
        if not self._held:
            return np.zeros(0)
        whole = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._held = [whole[number:]]
        return whole[:number]
