"""Which epoch's weights count: chosen on validation only, by one rule for every method.

Two selections come from one run: `joint`, one epoch for all tasks by `trainer.monitor`, and `per_task`, each task's own
best epoch by its headline metric. Training stops when neither has improved for `patience` epochs. Ties go to the earlier epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark import metrics
from benchmark.schema import Metrics, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

State = dict[str, "Tensor"]


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
        self._states: dict[int, State] = {}
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
            primary = metrics.primary(task)
            value = validation[task.name][primary]
            if value is None:
                continue  # one class only in validation: this task has no best epoch of its own
            if self._improves(task.name, value * metrics.direction(primary)):
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

    def state(self, epoch: int) -> State:
        """The model's weights after this (chosen) epoch."""
        return self._states[epoch]
