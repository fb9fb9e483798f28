"""The state of an unfinished run in one file, so that a run that was killed continues where it was. Nothing is ever unpickled.

The file is safetensors: tensors by name, and in its metadata all plain values as JSON, what the state fits, and a sha256
of everything. It is replaced in one step, so a kill at any moment leaves the state before or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.files import written_whole

SUFFIX = ".state.safetensors"


def path_of_state(record: Path) -> Path:
    """The path of a run's saved state, given the path of its record. It is hidden: readers of records pass over it."""
    return record.with_name(f".{record.stem}{SUFFIX}")


@dataclass(frozen=True, slots=True)
class SavedState:
    """The file of a run's state.

    Args:
        path: From `path_of_state`.
        fits: What the last bit of the run depends on, as plain values. A state that was saved under others is not used.
    """

    path: Path
    fits: Mapping[str, Any]

    def save(self, snapshot: Mapping[str, Any]) -> None:
        """Replaces the file.

        Args:
            snapshot: As `State.snapshot` makes it: tensors with memory of their own, and values as JSON has them.

        Raises:
            ValueError: if a plain value is NaN or infinite.
        """
        tensors = {name: value for name, value in snapshot.items() if isinstance(value, Tensor)}
        others = {name: value for name, value in snapshot.items() if name not in tensors}
        # the order of the tensors, which safetensors does not keep, is the order of names in a record
        plain, fits = (json.dumps(value, allow_nan=False) for value in ([others, list(tensors)], self.fits))
        metadata = {"plain": plain, "fits": fits, "sha256": _digest(tensors, plain, fits)}
        with written_whole(self.path) as file:
            save_file(tensors, file, metadata)

    def load(self) -> dict[str, Any] | None:
        """The snapshot; None if there is none.

        Raises:
            ValueError: if the file is damaged, or was saved under other circumstances; the message says which.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except (SafetensorError, OSError) as error:
            raise ValueError(f"it cannot be read ({error})") from error
        plain, fits = metadata.get("plain", ""), metadata.get("fits", "")
        if _digest(tensors, plain, fits) != metadata.get("sha256"):
            raise ValueError("it is damaged: its content does not have the sha256 that it names")
        then = json.loads(fits)
        for key in {**self.fits, **then}:
            if then.get(key) != self.fits.get(key):
                raise ValueError(f"{key} was {then.get(key)!r} when it was saved, and is {self.fits.get(key)!r} now")
        others, order = json.loads(plain)
        return {**{name: tensors[name] for name in order}, **others}


@dataclass(frozen=True, slots=True)
class Saving:
    """When a training saves its state.

    Args:
        every: Steps between saves; None: at the end of every epoch.
        save: Saves the state as it is now.
    """

    every: int | None
    save: Callable[[], None]

    def is_due(self, steps: int) -> bool:
        """Is it to be saved after this number of steps of the run, within an epoch?"""
        return self.every is not None and steps % self.every == 0


def _digest(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """sha256 of texts, and of tensors with their names, types and shapes."""
    found = hashlib.sha256()
    for text in texts:
        found.update(f"{len(text)} {text}".encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{len(name)} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
