"""Which epoch's weights count: chosen on validation only, by one rule for every method.

Two selections come from one run: `joint`, one epoch for all tasks by `trainer.monitor`, and `per_task`, each task's own
best epoch by its headline metric. Training stops when neither has improved for `patience` epochs. Ties go to the earlier epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark import metrics
from benchmark.schema import Metrics, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = dict[str, "Tensor"]


class Selection:
    """Follows the epochs of a run and keeps the weights of the best ones, on the CPU.

    Args:
        tasks: The tasks.
        monitor: `mean` or one metric, `income.auc`.
        patience: Epochs without any improvement after which training stops.
    """

    def __init__(self, tasks: Sequence[Task], monitor: str, patience: int) -> None:
        self.tasks, self.monitor, self.patience = tasks, monitor, patience
        self.best_epoch = 0
        self.best_epoch_per_task: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._states: dict[int, Weights] = {}
        self._last_gain = 0

    def update(self, epoch: int, validation: Metrics, model: nn.Module) -> float:
        """Takes an epoch (counted from 1) into account and returns the joint criterion, higher is better.

        Raises:
            ValueError: if the monitor needs a metric that is undefined on validation.
        """
        joint = metrics.criterion(validation, self.tasks, self.monitor)
        if self._improves("", joint):
            self.best_epoch = epoch
        for task in self.tasks:
            headline = metrics.headline_name(task)
            value = validation[task.name][headline]
            if value is None:
                continue  # one class only in validation: this task has no best epoch of its own
            if self._improves(task.name, value * metrics.direction(headline)):
                self.best_epoch_per_task[task.name] = epoch
        chosen = self._chosen()
        if epoch in chosen:
            self._last_gain = epoch
            self._states[epoch] = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        self._states = {kept: state for kept, state in self._states.items() if kept in chosen}
        return joint

    def _improves(self, what: str, value: float) -> bool:
        better = value > self._best.get(what, float("-inf"))
        if better:
            self._best[what] = value
        return better

    def _chosen(self) -> set[int]:
        return {self.best_epoch, *self.best_epoch_per_task.values()}

    def is_exhausted(self, epoch: int) -> bool:
        """Has nothing improved for `patience` epochs?"""
        return epoch - self._last_gain >= self.patience

    def finish(self) -> None:
        """A task without an epoch of its own takes the joint one."""
        for task in self.tasks:
            self.best_epoch_per_task.setdefault(task.name, self.best_epoch)

    def state(self, epoch: int) -> Weights:
        """The model's weights after this (chosen) epoch."""
        return self._states[epoch]

    def state_dict(self) -> dict[str, Any]:
        """Best values and chosen epochs, and their weights as `<epoch>.<name>`."""
        plain = {
            "best": self._best,
            "best_epoch": self.best_epoch,
            "best_epoch_per_task": self.best_epoch_per_task,
            "last_gain": self._last_gain,
        }
        return plain | {f"{epoch}.{name}": t for epoch, weights in self._states.items() for name, t in weights.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._best, self._last_gain = state["best"], state["last_gain"]
        self.best_epoch, self.best_epoch_per_task = state["best_epoch"], state["best_epoch_per_task"]
        self._states = {}
        for key, value in state.items():
            epoch, dot, name = key.partition(".")
            if dot:
                self._states.setdefault(int(epoch), {})[name] = value
