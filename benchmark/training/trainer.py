"""Training: epochs over whole arrays, early stopping and selection on validation only.

A batch is an index gather from the split's arrays; no step waits for the device; what goes wrong is noted in a register on
the device and read now and then. Axes: R rows, T tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.rows import check_rows
from benchmark.schema import Batch, Metrics, Split
from benchmark.seeding import derive, seeded
from benchmark.settings.config import TrainerConfig
from benchmark.training.gradients import GradientEngine, count_shared
from benchmark.training.optimizer import MakeOptimizer, Optimizer
from benchmark.training.prediction import predict
from benchmark.training.selection import Selection
from benchmark.training.targets import TargetScale, TaskLosses, TrainingRows
from benchmark.training.watch import Diverged, Watch
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting

if TYPE_CHECKING:
    from architectures import Architecture

STEPS_BETWEEN_READS = 100  # of the register of divergence, and of the progress bar


class Progress(Protocol):
    """What shows how far a run is."""

    def step(self, count: int) -> None:
        """`count` more steps are done."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """An epoch is done; `entry` is as in `Record.epochs`."""


@dataclass(kw_only=True, slots=True)
class Fit:
    """How training went.

    Args:
        selection: The chosen epochs and their weights.
        epochs: As in `Record.epochs`.
        shared_parameters: Number of parameters that two or more tasks reach.
        train_seconds: Time spent in training steps, evaluation apart.
        steps: Number of updates.
        rows: Number of rows trained on, each as often as it was.
        diverged: What was not finite, and where.
    """

    selection: Selection
    epochs: list[dict[str, Any]] = field(default_factory=list)
    shared_parameters: int = 0
    train_seconds: float = 0.0
    steps: int = 0
    rows: int = 0
    diverged: Diverged | None = None


Backward = Callable[[Tensor, Tensor, Tensor | None, dict[str, Tensor]], None]


def make_backward(model: nn.Module, weighting: Weighting) -> Backward:
    """The backward pass, chosen once by the kind of weighting; the plain one costs nothing beside `backward()`."""
    if isinstance(weighting, LossWeighting):

        def backward(losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
            total = weighting(losses_T, active_T)
            (total if extra is None else total + extra).backward()

        return backward
    assert isinstance(weighting, GramWeighting | JacobianWeighting)
    return GradientEngine(model, weighting).backward


class Trainer:
    """One training: the loop over epochs and steps.

    Args:
        model: The architecture, on `device`, with its initial values.
        weighting: The loss weighting, on `device`.
        data: The prepared data set. Its test split is not read here.
        config: How to train.
        scale: Of the regression targets.
        seed: The run's; the order of batches and dropout have streams of their own.
        device: Where to train.
        make_large: Makes the optimizer of the large embedding tables; see `Optimizer`.

    Raises:
        ValueError: if `monitor` names no metric, or codes of train or validation are outside a field's range.
    """

    def __init__(
        self, model: Architecture, weighting: Weighting, data: Data, config: TrainerConfig,
        *, scale: TargetScale, seed: int, device: torch.device, make_large: MakeOptimizer | None = None,
    ) -> None:  # fmt: skip
        self.model, self.weighting, self.data, self.config = model, weighting, data, config
        self.scale, self.seed, self.device = scale, seed, device
        self.tasks = data.schema.tasks
        metrics.check_monitor(config.monitor, self.tasks)
        for name, split in (("train", data.train), ("validation", data.validation)):
            check_rows(data.schema, split.categorical, split.numeric, name)
        self.rows = TrainingRows(data.train, scale, device)
        self.losses = TaskLosses(self.tasks, self.rows.fully_observed)
        self.optimizer = Optimizer(model, weighting, config, make_large)
        self.backward = make_backward(model, weighting)
        self.steps_per_epoch = -(-len(self.rows) // config.batch_size)
        num_steps = config.max_epochs * self.steps_per_epoch
        self.schedulers = [
            torch.optim.lr_scheduler.CosineAnnealingLR(part, num_steps)
            for part in (self.optimizer.parts if config.scheduler == "cosine" else ())
        ]
        self.watch = Watch(self.tasks, device)

    def fit(self, progress: Progress, on_epoch: Callable[[dict[str, Any]], None]) -> Fit:
        """Trains until `patience` or `max_epochs`; a divergence ends training and is in the result."""
        config = self.config
        fit = Fit(selection=Selection(self.tasks, config.monitor, config.patience))
        fit.shared_parameters = self._count_shared()
        generator = torch.Generator().manual_seed(derive(self.seed, "shuffle"))
        with seeded(self.seed, "dropout"):
            for epoch in range(1, config.max_epochs + 1):
                try:
                    seconds = self._train_epoch(fit, generator, progress)
                    validation = self._validate()
                except Diverged as diverged:
                    fit.diverged = diverged
                    break
                criterion = fit.selection.update(epoch, validation, self.model)
                entry = {
                    "epoch": epoch,
                    "seconds": seconds,
                    "learning_rate": self.optimizer.learning_rate,
                    **self.watch.summary(),
                    "validation": validation,
                    "criterion": criterion,
                }
                fit.epochs.append(entry)
                progress.epoch(entry)
                on_epoch(entry)
                if fit.selection.is_exhausted(epoch):
                    break
        fit.selection.finish()
        return fit

    def _train_epoch(self, fit: Fit, generator: torch.Generator, progress: Progress) -> float:
        """One pass over train; the seconds that it took."""
        start = time.perf_counter()
        try:
            self._train_steps(generator, progress)
        finally:
            seconds = time.perf_counter() - start
            fit.train_seconds += seconds
            fit.steps = self.watch.step
            epochs, rest = divmod(fit.steps, self.steps_per_epoch)
            fit.rows = epochs * len(self.rows) + rest * self.config.batch_size
        return seconds

    def _train_steps(self, generator: torch.Generator, progress: Progress) -> None:
        self.model.train()
        self.watch.reset()
        for number, batch in enumerate(self.rows.batches(self.config.batch_size, generator), start=1):
            self._train_step(batch)
            if number % STEPS_BETWEEN_READS == 0 or number == self.steps_per_epoch:
                self.watch.check()
                progress.step((number - 1) % STEPS_BETWEEN_READS + 1)
        self.weighting.on_epoch_end(self.watch.mean_losses())

    def _train_step(self, batch: Batch) -> None:
        outputs, auxiliaries = self.model.training_step(batch)
        losses_T, active_T, extra = self.losses(outputs, auxiliaries, batch)
        self.optimizer.zero_grad()
        self.backward(losses_T, active_T, extra, outputs)
        weights_T = self.weighting.effective_weights()  # those of this update
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        for scheduler in self.schedulers:
            scheduler.step()
        losses_T = losses_T.detach()
        self.watch.add(losses_T, active_T, weights_T, auxiliaries)
        self.weighting.after_step(losses_T, lambda: self._losses_again(batch))

    def _losses_again(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.losses(*self.model.training_step(batch), batch)[0]

    def _count_shared(self) -> int:
        batch = next(self.rows.batches(self.config.batch_size, torch.Generator().manual_seed(0)))
        self.model.eval()
        return count_shared(self.model(batch), list(self.model.parameters()))

    def evaluate(self, split: Split) -> tuple[Metrics, dict[str, str]]:
        """Metrics of a split with the weights as they are, and the reasons of those that are undefined."""
        return metrics.evaluate(self.tasks, self._predict(split), split.labels, users_of(self.data, split))

    def _validate(self) -> Metrics:
        """Metrics of validation.

        Raises:
            Diverged: if an output is not finite. The register saw the losses before the last update, not after it.
        """
        split = self.data.validation
        outputs = self._predict(split)
        for task, values in outputs.items():
            if not np.isfinite(values).all():
                raise Diverged(task, self.watch.step)
        return metrics.evaluate(self.tasks, outputs, split.labels, users_of(self.data, split))[0]

    def _predict(self, split: Split) -> dict[str, np.ndarray]:
        return predict(
            self.model, split.categorical, split.numeric,
            target_mean_T=self.scale.mean_T, target_std_T=self.scale.std_T, device=self.device,
        )  # fmt: skip

    def mean_gates(self, split: Split) -> dict[str, dict[str, float]]:
        """{gate: {expert: mean weight on the split}}, from architectures that declare gates."""
        sums: dict[str, dict[str, float]] = {}
        self.model.eval()
        with torch.inference_mode(), self.model.frozen():
            for batch in TrainingRows(split, self.scale, self.device).slices():
                for gate, experts in self.model.gates(batch).items():
                    total = sums.setdefault(gate, {})
                    for expert, weight_B in experts.items():
                        total[expert] = total.get(expert, 0.0) + float(weight_B.sum()) / len(split)
        return sums


def users_of(data: Data, split: Split) -> np.ndarray | None:
    """(R,) the users of a split's rows, where the data set has users.

    Users unseen in train share code 0 and cannot be told apart; see `metrics.unknown_apart`.
    """
    if data.schema.user is None:
        return None
    names = [f.name for f in data.schema.categorical]
    users = np.array(split.categorical[:, names.index(data.schema.user)], dtype=np.int64)
    return metrics.unknown_apart(users, users != 0)
