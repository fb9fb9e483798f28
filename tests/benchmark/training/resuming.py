"""Trainings that are stopped, stored in files and resumed, in this process or in a fresh one."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from architectures import Batch
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.datasets import Data
from benchmark.runs.runner import build_model
from benchmark.settings.registry import architectures, datasets, weightings
from benchmark.training.step import StepOutcome
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Trainer

SHOP = configure("dataset", "shop", num_users=20, num_items=15, num_rows=500)
STEPS_PER_EPOCH, EPOCHS = 4, 3
MIDDLE = 6  # steps; within an epoch, and the engine of gradients does not look at what tasks reach at the next one
SMALL = {"dropout": 0.2, "embedding_dim": 4, "num_experts": 3, "expert_dims": [8], "tower_dims": [4]}
# every weighting, and options that give some of them more state
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in weightings.names()),
    ("dwa", {"window": 3}),
    ("gradcraft", {"momentum": 0.5}),
    ("smooth_tchebycheff", {"nadir_steps": 9}),
    ("pcgrad", {"scope": "representation", "head_gradients": "weighted"}),
]
Snapshot = dict[str, Any]


@cache
def shop(tasks: tuple[str, ...]) -> Data:
    data: Data = datasets.build(dataclasses.replace(SHOP, tasks=tasks)).build()
    return data


def tasks_for(architecture: str) -> tuple[str, ...]:
    """All tasks of the shop, or its funnel, if the architecture is for nothing else."""
    is_for_all = architectures.get(architecture).requires(datasets.build(SHOP).declared()) is None
    return ("click", "purchase", "duration") if is_for_all else ("click", "purchase")


class Training:
    """A new trainer of a config.

    Where steps are given to `fit`, there are snapshots before each of them, after each validation, and at reads.
    """

    def __init__(self, architecture: str, weighting: str, options: dict[str, Any], **trainer: Any) -> None:
        known = {field.name for field in dataclasses.fields(architectures.config(architecture))}
        chosen = {name: value for name, value in SMALL.items() if name in known}
        data = shop(tasks_for(architecture))
        config = RunConfig(
            dataset=SHOP,
            architecture=configure("architecture", architecture, **chosen),
            weighting=configure("weighting", weighting, **options),
            trainer=TrainerConfig(
                **{
                    "batch_size": 100,
                    "max_epochs": EPOCHS,
                    "learning_rate": 0.01,
                    "scheduler": "cosine",
                    "clip_norm": 1.0,
                }
                | trainer
            ),
        )
        self.model, weighting_ = build_model(config, data)
        scale = TargetScale.of(data.train, data.schema.tasks)
        self.trainer = Trainer(
            self.model, weighting_, data, config.trainer, scale=scale, seed=7, device=torch.device("cpu")
        )
        self.state = self.trainer.state
        self.snapshots: dict[int, Snapshot] = {}
        self.after_validations: list[Snapshot] = []
        self.at_reads: list[Snapshot] = []
        self.outcomes: list[StepOutcome] = []
        self.shown: list[int] = []
        self.is_noted = False

    def fit(self, *before_steps: int) -> Training:
        step, self.is_noted = self.trainer.step, bool(before_steps)

        def noting(batch: Batch) -> StepOutcome:
            if self.trainer.watch.step in before_steps:
                self.snapshots[self.trainer.watch.step] = self.state.snapshot()
            self.outcomes.append(step(batch))
            return self.outcomes[-1]

        self.trainer.step = noting  # type: ignore[assignment]
        fit = self.trainer.fit(self, lambda entry: self.note(self.after_validations))
        assert fit.diverged is None
        return self

    def note(self, snapshots: list[Snapshot]) -> None:
        if self.is_noted:
            snapshots.append(self.state.snapshot())

    def step(self, count: int) -> None:
        self.shown.append(count)
        self.note(self.at_reads)

    def epoch(self, entry: dict[str, Any]) -> None:
        pass

    def end(self) -> Snapshot:
        """All that is there at the end but the time it took, and the validation metrics at the best epoch."""
        snapshot = self.state.snapshot()
        for entry in snapshot["entries"]:
            del entry["seconds"]
        selection = self.state.selection
        self.model.load_state_dict(selection.state(selection.best))
        return snapshot | {"metrics": self.trainer.evaluate(self.trainer.data.test)[0]}


def store(snapshot: Snapshot, folder: Path) -> None:
    """Tensors in safetensors and all else in JSON."""
    tensors = {key: value for key, value in snapshot.items() if isinstance(value, Tensor)}
    plain = {key: value for key, value in snapshot.items() if key not in tensors}
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "state.safetensors")
    (folder / "state.json").write_text(json.dumps(plain, allow_nan=False))


def load(folder: Path) -> Snapshot:
    """The inverse of `store`."""
    return load_file(folder / "state.safetensors") | json.loads((folder / "state.json").read_text())  # type: ignore[no-any-return]


def assert_equal(found: Snapshot, expected: Snapshot) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(found[key], value, rtol=0, atol=0, equal_nan=True, msg=f"{key} differs")
        else:
            assert found[key] == value, key


def long(weighting: str, options: dict[str, Any]) -> Training:
    """A training of MMoE, with dropout, of ten steps more than `MIDDLE`."""
    return Training("mmoe", weighting, options, max_epochs=(MIDDLE + 10) // STEPS_PER_EPOCH, patience=9)


def last_ten(training: Training) -> Snapshot:
    """The losses and weights of the last ten steps, and all that is there at the end."""
    outcomes = training.outcomes[-10:]
    assert len(outcomes) == 10
    steps = {f"losses_{n}": outcome.losses_T for n, outcome in enumerate(outcomes)}
    return steps | {f"weights_{n}": outcome.weights_T for n, outcome in enumerate(outcomes)} | training.end()


def go_on(folder: Path) -> None:
    """Takes the last ten steps of `long` for each of `VARIANTS`, from the states stored there, and stores what it finds."""
    for number, variant in enumerate(VARIANTS):
        training = long(*variant)
        training.state.restore(load(folder / f"middle_{number}"))
        store(last_ten(training.fit()), folder / f"end_{number}")


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    go_on(Path(sys.argv[1]))
