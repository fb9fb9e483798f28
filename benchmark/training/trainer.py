"""Training: epochs, early stopping and selection on validation only.

A batch is an index gather from the split's arrays, or from a block of them. No step waits for the device: a register on the device records
divergence and is read from time to time. Axes: R rows, T tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from benchmark import metrics
from benchmark.datasets import Data
from benchmark.rows import Batch, Split
from benchmark.schema import Metrics
from benchmark.settings.config import TrainerConfig
from benchmark.training.batches import TrainingRows
from benchmark.training.gradients import count_shared
from benchmark.training.optimizer import MakeOptimizer, Optimizer, Schedule
from benchmark.training.pause import Pause, held
from benchmark.training.prediction import predict
from benchmark.training.saved import Saving
from benchmark.training.selection import Selection
from benchmark.training.state import State, Streams
from benchmark.training.step import make_step
from benchmark.training.targets import TargetScale, TaskLosses
from benchmark.training.watch import Diverged, Watch
from benchmark.weightings import Weighting

if TYPE_CHECKING:
    from architectures import Architecture

STEPS_BETWEEN_READS = 100  # between reads of the register of divergence, and of the progress bar
STEPS_BETWEEN_VALIDATIONS = 25  # at least


class Progress(Protocol):
    """Shows how far a run is."""

    def step(self, count: int) -> None:
        """Notes `count` more finished steps."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """Notes a finished validation; `entry` is as in `Record.epochs`."""


@dataclass(kw_only=True, slots=True)
class Fit:
    """How training went.

    Args:
        selection: The chosen validations and their weights.
        epochs: As in `Record.epochs`.
        shared_parameters: Number of parameters that two or more tasks reach.
        train_seconds: Time spent in training steps, without evaluation.
        steps: Number of updates.
        rows: Number of rows trained on, counting repetitions.
        diverged: What was not finite, and where.
    """

    selection: Selection
    epochs: list[dict[str, Any]]
    shared_parameters: int
    train_seconds: float
    steps: int
    rows: int
    diverged: Diverged | None


def validation_stops(steps: int, validations: int) -> tuple[int, ...]:
    """The steps of an epoch after which to validate: evenly spaced, the last at the end.

    There are fewer than asked for if they would be less than 25 steps apart.
    """
    number = max(min(validations, steps // STEPS_BETWEEN_VALIDATIONS), 1)
    return tuple(-(-steps * k // number) for k in range(1, number + 1))


class Trainer:
    """One training: the loop over epochs and steps.

    Args:
        model: The architecture, on `device`, with its initial values.
        weighting: The loss weighting, on `device`.
        data: The prepared data set. Its test split is not read here.
        config: How to train.
        scale: The scale of the regression targets.
        seed: The run's seed; the order of batches and dropout have their own streams.
        device: Where to train.
        make_large: Makes the optimizer of the large embedding tables; see `Optimizer`.
        log_conflicts: Compare the tasks' gradients at every tenth step under a loss weighting too.

    Raises:
        ValueError: if `monitor` does not name a metric, or codes of train or validation are outside a field's range.
    """

    def __init__(
        self, model: Architecture, weighting: Weighting, data: Data, config: TrainerConfig,
        *, scale: TargetScale, seed: int, device: torch.device, make_large: MakeOptimizer | None = None,
        log_conflicts: bool = False,
    ) -> None:  # fmt: skip
        self.model, self.weighting, self.data, self.config = model, weighting, data, config
        self.scale, self.device = scale, device
        self.tasks = data.schema.tasks
        metrics.check_monitor(config.monitor, self.tasks)
        for name, split in (("train", data.train), ("validation", data.validation)):
            split.features.check(data.schema, name)
        self.rows = TrainingRows(data.train, scale, device)
        self.steps_per_epoch = -(-len(self.rows) // config.batch_size)
        self.stops = validation_stops(self.steps_per_epoch, config.validations_per_epoch)
        self.optimizer = Optimizer(model, weighting, config, make_large)
        schedule = Schedule(self.optimizer, config, config.max_epochs * self.steps_per_epoch)
        losses = TaskLosses(self.tasks, self.rows.fully_observed)
        self.step = make_step(
            model,
            weighting,
            losses,
            self.optimizer,
            schedule=schedule,
            clip_norm=config.clip_norm,
            log_conflicts=log_conflicts,
        )
        self.watch = Watch(self.tasks, device)
        self.state = State(
            model=model, weighting=weighting, optimizer=self.optimizer, schedule=schedule, step=self.step,
            selection=Selection(self.tasks, config.monitor, config.patience * len(self.stops)), watch=self.watch,
            streams=Streams(seed, device),
        )  # fmt: skip

    def fit(self, progress: Progress, on_epoch: Callable[[dict[str, Any]], None], saving: Saving | None = None) -> Fit:
        """Trains from the current state until `patience` or `max_epochs`. The result reports a divergence.

        Whenever `step`, `on_epoch` or `save` is called, the state is complete: training can continue from its snapshot.
        With `saving`, a signal that stops the process waits until the state is complete, and it is saved first.
        """
        state, selection, diverged = self.state, self.state.selection, None
        if state.shared_parameters is None:
            state.shared_parameters = self._count_shared()
        with state.streams.in_use():
            try:
                while state.epoch < self.config.max_epochs and not selection.is_exhausted:
                    batches = self.rows.batches(self.config.batch_size, state.streams.order(), state.position)
                    for stop in self.stops[len(state.entries) % len(self.stops) :]:
                        self._train(batches, stop, progress, saving)
                        entry = self._judge(saving)
                        progress.epoch(entry)
                        on_epoch(entry)
                        if saving is not None and saving.every is None and state.position == 0:
                            saving.save()
                        if selection.is_exhausted:
                            break
            except Diverged as found:
                diverged = found
            except KeyboardInterrupt:
                if saving is not None:
                    saving.save()
                raise
        selection.finish()
        return self._result(diverged)

    def _train(self, batches: Iterator[Batch], stop: int, progress: Progress, saving: Saving | None) -> None:
        """Trains in the running epoch, from the state's position to this position."""
        state = self.state
        self.model.train()
        shown, start = state.position, time.perf_counter() - state.seconds
        try:
            with held(when=saving is not None) as pause:
                for batch in islice(batches, stop - state.position):
                    self.watch.add(*self.step(batch))
                    state.position += 1
                    state.seconds = time.perf_counter() - start
                    if state.position % STEPS_BETWEEN_READS == 0 or state.position == stop:
                        self.watch.check()
                        progress.step(state.position - shown)
                        shown = state.position
                    if saving is not None:
                        start += self._save_if_due(saving, pause)
        finally:
            state.seconds = time.perf_counter() - start

    def _save_if_due(self, saving: Saving, pause: Pause) -> float:
        """Saves after a step if it is time, or if a signal asks to stop. Returns the seconds that it took."""
        begun = time.perf_counter()
        if pause.asked is not None:
            saving.save()  # before a handler that ends the process
            pause.deliver()
        elif saving.is_due(self.watch.step):
            saving.save()
        return time.perf_counter() - begun

    def _judge(self, saving: Saving | None) -> dict[str, Any]:
        """Validates and selects; at the end of an epoch, ends it in the state. Returns the entry for `Record.epochs`."""
        validation = self._validate()  # it changes nothing in the state, so a signal may end it
        with held(when=saving is not None):
            return self._select(validation)

    def _select(self, validation: Metrics) -> dict[str, Any]:
        state = self.state
        if state.position == self.steps_per_epoch:
            self.weighting.on_epoch_end(self.watch.mean_losses())
        number = len(state.entries) + 1
        entry = {
            "epoch": self._epoch(number),
            "seconds": state.seconds,
            "learning_rate": self.optimizer.learning_rate,
            **self.watch.summary(),
            "validation": validation,
            "criterion": state.selection.update(number, validation, self.model),
        }
        state.note(entry)
        if state.position == self.steps_per_epoch:
            state.end_epoch()
        return entry

    def _epoch(self, number: int) -> float:
        """The number of epochs trained at this validation (counted from 1); a whole number is an int."""
        whole, part = divmod(number, len(self.stops))
        return whole + round(part / len(self.stops), 4) if part else whole

    def _result(self, diverged: Diverged | None) -> Fit:
        state, steps = self.state, self.watch.step
        epochs, rest = divmod(steps, self.steps_per_epoch)
        return Fit(
            selection=state.selection,
            epochs=state.entries,
            shared_parameters=state.shared_parameters or 0,
            train_seconds=sum(entry["seconds"] for entry in state.entries) + state.seconds,
            steps=steps,
            rows=epochs * len(self.rows) + rest * self.config.batch_size,
            diverged=diverged,
        )

    def _count_shared(self) -> int:
        batch = next(self.rows.batches(self.config.batch_size, torch.Generator().manual_seed(0)))
        self.model.eval()
        return count_shared(self.model(batch), list(self.model.parameters()))

    def evaluate(self, split: Split) -> tuple[Metrics, dict[str, str], dict[str, np.ndarray]]:
        """Metrics of a split with the current weights, the reasons why metrics are undefined, and the outputs.

        The outputs come from `benchmark.training.prediction.predict`.
        """
        outputs = self._predict(split)
        return *metrics.evaluate(self.tasks, outputs, split.labels, self.data.users(split)), outputs

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
        return metrics.evaluate(self.tasks, outputs, split.labels, self.data.users(split))[0]

    def _predict(self, split: Split) -> dict[str, np.ndarray]:
        return predict(
            self.model, split.features,
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
