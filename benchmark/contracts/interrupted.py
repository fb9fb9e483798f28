"""A training that is interrupted and continues from the file of its state ends as one that went straight through."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch

from architectures import Architecture, Schema
from benchmark.contracts.expectation import expect_close
from benchmark.contracts.toys import make_batch
from benchmark.datasets import Data
from benchmark.rows import Split
from benchmark.settings.config import TrainerConfig
from benchmark.temporaries import scratch_folder
from benchmark.training.saved import SavedState
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Trainer
from benchmark.weightings import Weighting

ROWS, BATCH_SIZE, EPOCHS = 60, 20, 3
STOPPED = 4  # steps: within the second epoch


class _Stopped(BaseException):
    """Ends a training in the middle of an epoch."""


class _Silent:
    """Shows nothing."""

    def step(self, count: int) -> None:
        """See `Progress.step`."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """See `Progress.epoch`."""


def goes_on_from_its_file(
    schema: Schema, model: Callable[[], Architecture], weighting: Callable[[], Weighting]
) -> None:
    """Checks it in the trainer itself.

    Args:
        schema: What the toy data have.
        model: Builds the architecture with the same initial values each time.
        weighting: The same for the weighting.

    Raises:
        Broken: if it ends otherwise.
    """
    data = _data(schema)

    def trainer() -> Trainer:
        config = TrainerConfig(max_epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=0.01, scheduler="cosine")
        scale = TargetScale.of(data.train, schema.tasks)
        return Trainer(model(), weighting(), data, config, scale=scale, seed=0, device=torch.device("cpu"))

    straight, first, second = trainer(), trainer(), trainer()
    straight.fit(_Silent(), lambda entry: None)
    with scratch_folder(Path(gettempdir()), "contracts") as folder:
        saved = SavedState(folder / "state.safetensors", {})
        _stop(first, saved)
        snapshot = saved.load()
    assert snapshot is not None
    second.state.restore(snapshot)
    second.fit(_Silent(), lambda entry: None)
    remedy = "Keep all state in registered buffers and parameters, and draw random numbers from torch's generators"
    expect_close(_end(second), _end(straight), "the same end as without the interruption", remedy, rtol=0, atol=0)


def _stop(trainer: Trainer, saved: SavedState) -> None:
    """Trains some steps, saves the state and goes no further."""
    step = trainer.step

    def stopping(batch: Any) -> Any:
        if trainer.watch.step == STOPPED:
            saved.save(trainer.state.snapshot())
            raise _Stopped
        return step(batch)

    trainer.step = stopping  # type: ignore[assignment]
    with suppress(_Stopped):
        trainer.fit(_Silent(), lambda entry: None)


def _end(trainer: Trainer) -> dict[str, Any]:
    """All of the state, without times; plain values as text, by which their order counts too."""
    snapshot = trainer.state.snapshot()
    entries = snapshot.pop("entries")
    snapshot |= {
        f"entry {number}, {key}": value for number, entry in enumerate(entries, 1) for key, value in entry.items()
    }
    return {
        key: value if isinstance(value, torch.Tensor) else repr(value)
        for key, value in snapshot.items()
        if not key.endswith("seconds")
    }


def _data(schema: Schema) -> Data:
    train, validation, test = (_split(schema, seed) for seed in range(3))
    return Data(schema, train, validation, test, "toy")


def _split(schema: Schema, seed: int) -> Split:
    batch = make_batch(schema, ROWS, seed)
    features = replace(
        batch.features,
        categorical=batch.features.categorical.numpy(),
        numeric=batch.features.numeric.numpy(),
        others={
            other: {name: array.numpy() for name, array in arrays.items()}
            for other, arrays in batch.features.others.items()
        },
    )
    return Split(features, batch.labels.numpy().astype(np.float64))
