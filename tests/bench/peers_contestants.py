"""Who takes part in the race of `peers.py`: one class per library, each trained by the library's own loop.

A contestant is made for a model, a data set and a batch size, with initial values of its own; `epoch()` trains it for one
more epoch and says how long the library's loop over the batches took. What a library prepares once (columns, matrices,
loaders) is not timed, and nothing is evaluated within the time. The peers are imported when they are made, so that this
module can be read without them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from torch import nn

from architectures.layers import FeatureEmbedding
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.datasets import Data
from benchmark.rows import Split
from benchmark.runs.runner import build_model
from benchmark.schema import Schema
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Trainer

LEARNING_RATE = 1e-3
EMBEDDING_DIM = 16
EXPERT_DIM = 64
TOWER_DIM = 32
MMOE_EXPERTS = 8
PLE_LEVELS = 2
PLE_EXPERTS = 4  # shared ones, and of each task, on every level

SIZES: dict[str, dict[str, Any]] = {
    "mmoe": {
        "embedding_dim": EMBEDDING_DIM,
        "num_experts": MMOE_EXPERTS,
        "expert_dims": (EXPERT_DIM,),
        "tower_dims": (TOWER_DIM,),
        "dropout": 0.0,
    },
    "ple": {
        "embedding_dim": EMBEDDING_DIM,
        "level_dims": (EXPERT_DIM,) * PLE_LEVELS,
        "num_shared_experts": PLE_EXPERTS,
        "num_task_experts": PLE_EXPERTS,
        "tower_dims": (TOWER_DIM,),
        "dropout": 0.0,
    },
}


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: seconds in the loop over batches, and the training loss, averaged over steps (or rows) and tasks."""

    seconds: float
    loss: float


class Contestant(Protocol):
    """A model with a training loop around it."""

    model: nn.Module

    def epoch(self) -> Epoch:
        """Trains for one more epoch."""


def dataset() -> Any:
    """The configuration of the data set: numeric columns as numbers, because the peers know no bins."""
    return configure("dataset", "census_income", numeric="standardise")


def columns(schema: Schema, split: Split) -> dict[str, np.ndarray]:
    """{field: (R,) values}, as the peers want them: codes as int64, numbers as float32, each column contiguous."""
    codes = {f.name: np.array(split.features.column(f.name), dtype=np.int64) for f in schema.categorical}
    numbers = {f.name: np.array(split.features.column(f.name), dtype=np.float32) for f in schema.numeric}
    return codes | numbers


class Mtlbench:
    """This project: `benchmark.training.trainer.Trainer` with equal weights.

    Args:
        model: mmoe or ple.
        data: The data set; its train split is what an epoch goes over.
        batch_size: Rows in a step.
        factored: False: the first layer is one product over the concatenated embeddings, as plain PyTorch has it.
    """

    def __init__(self, model: str, data: Data, batch_size: int, *, factored: bool = True) -> None:
        config = RunConfig(
            dataset=dataset(),
            architecture=configure("architecture", model, **SIZES[model]),
            trainer=TrainerConfig(
                max_epochs=1,
                batch_size=batch_size,
                optimizer="adam",
                learning_rate=LEARNING_RATE,
                weight_decay=0.0,
                embedding_weight_decay=0.0,
                patience=10**9,  # as many epochs as the race has rounds
            ),
        )
        self.model, weighting = build_model(config, data)
        for module in self.model.modules():
            if isinstance(module, FeatureEmbedding):
                module.factored = factored
        scale = TargetScale.of(data.train, data.schema.tasks)
        self.trainer = Trainer(
            self.model, weighting, data, config.trainer, scale=scale, seed=config.seed, device=torch.device("cpu")
        )

    def epoch(self) -> Epoch:
        """One more epoch of `fit`: its evaluation on validation comes after the seconds that it records."""
        fit = self.trainer.fit(_Silent(), lambda entry: None)
        if fit.diverged is not None:
            raise RuntimeError(f"training diverged: {fit.diverged}")
        self.trainer.config.max_epochs += 1  # for the next
        entry = fit.epochs[-1]
        return Epoch(entry["seconds"], float(np.mean(list(entry["train_losses"].values()))))


class _Silent:
    def step(self, count: int) -> None:
        pass

    def epoch(self, entry: dict[str, Any]) -> None:
        pass


class DeepCTRTorch:
    """deepctr-torch: `fit` without metrics and validation. Its callback takes the time, without the set-up of a `fit`.

    The ids go in as float32, which is what the library makes of them in every step.

    Args:
        model: mmoe or ple.
        data: The data set.
        batch_size: Rows in a step.
    """

    def __init__(self, model: str, data: Data, batch_size: int) -> None:
        import_deepctr_torch()
        from deepctr_torch.inputs import DenseFeat, SparseFeat
        from deepctr_torch.models import multitask

        schema = data.schema
        features = [
            *(
                SparseFeat(f.name, vocabulary_size=f.cardinality, embedding_dim=EMBEDDING_DIM)
                for f in schema.categorical
            ),
            *(DenseFeat(f.name) for f in schema.numeric),
        ]
        common = {
            "expert_dnn_hidden_units": (EXPERT_DIM,),
            "gate_dnn_hidden_units": (),  # gates linear in the input, as in the papers
            "tower_dnn_hidden_units": (TOWER_DIM,),
            "l2_reg_linear": 0.0,
            "l2_reg_embedding": 0.0,
            "task_types": ["binary"] * len(schema.tasks),
            "task_names": list(schema.task_names),
        }
        if model == "mmoe":
            self.model = multitask.MMOE(features, num_experts=MMOE_EXPERTS, **common)
        else:
            self.model = multitask.PLE(
                features,
                shared_expert_num=PLE_EXPERTS,
                specific_expert_num=PLE_EXPERTS,
                num_levels=PLE_LEVELS,
                **common,
            )
        self.model.compile(
            torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE), ["binary_crossentropy"] * len(schema.tasks)
        )
        self.inputs = {name: values.astype(np.float32) for name, values in columns(schema, data.train).items()}
        self.labels = np.array(data.train.labels, dtype=np.float32)
        self.batch_size = batch_size

    def epoch(self) -> Epoch:
        """One `fit` of one epoch."""
        from deepctr_torch.callbacks import Callback

        class Clock(Callback):  # type: ignore[misc]
            start = end = 0.0

            def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
                self.start = time.perf_counter()

            def on_epoch_end(self, epoch: int, logs: object = None) -> None:
                self.end = time.perf_counter()

        clock = Clock()
        with _hushed():
            history = self.model.fit(
                self.inputs, self.labels, batch_size=self.batch_size, epochs=1, verbose=0, callbacks=[clock]
            )
        return Epoch(clock.end - clock.start, history.history["loss"][-1] / self.labels.shape[1])


def import_deepctr_torch() -> None:
    """Imports it without its question to the package index, asked by a thread that would run into the first epochs."""
    before = set(threading.enumerate())
    with mock.patch("requests.get", side_effect=OSError("not asked")), _hushed():
        importlib.import_module("deepctr_torch")
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=10)


class TorchRechub:
    """torch-rechub: `MTLTrainer.train_one_epoch` over the loader of its `DataGenerator`, as in its examples.

    Args:
        model: mmoe or ple.
        data: The data set.
        batch_size: Rows in a step.
    """

    def __init__(self, model: str, data: Data, batch_size: int) -> None:
        from torch_rechub.basic.features import DenseFeature, SparseFeature
        from torch_rechub.models.multi_task import MMOE, PLE
        from torch_rechub.trainers import MTLTrainer
        from torch_rechub.utils.data import DataGenerator

        schema = data.schema
        features = [
            *(SparseFeature(f.name, vocab_size=f.cardinality, embed_dim=EMBEDDING_DIM) for f in schema.categorical),
            *(DenseFeature(f.name) for f in schema.numeric),
        ]
        task_types = ["classification"] * len(schema.tasks)
        expert = {"dims": [EXPERT_DIM], "activation": "relu", "dropout": 0.0}
        towers = [{"dims": [TOWER_DIM], "activation": "relu", "dropout": 0.0} for _ in schema.tasks]
        if model == "mmoe":
            self.model = MMOE(features, task_types, MMOE_EXPERTS, expert, towers)
        else:
            self.model = PLE(features, task_types, PLE_LEVELS, PLE_EXPERTS, PLE_EXPERTS, expert, towers)
        self.trainer = MTLTrainer(
            self.model, task_types, optimizer_params={"lr": LEARNING_RATE, "weight_decay": 0.0}, device="cpu"
        )
        rows, labels = columns(schema, data.train), np.array(data.train.labels, dtype=np.float32)
        self.loader, *_ = DataGenerator(rows, labels).generate_dataloader(batch_size=batch_size)

    def epoch(self) -> Epoch:
        """One `train_one_epoch`."""
        with _hushed():
            start = time.perf_counter()
            losses = self.trainer.train_one_epoch(self.loader)
            seconds = time.perf_counter() - start
        return Epoch(seconds, float(np.mean(losses)))


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """The libraries print and show bars of their own."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


CONTESTANTS: dict[str, Callable[[str, Data, int], Contestant]] = {
    "mtlbench": Mtlbench,
    "plain": partial(Mtlbench, factored=False),
    "deepctr_torch": DeepCTRTorch,
    "torch_rechub": TorchRechub,
}
