"""Which validation's weights count: chosen on validation only, by the same rule for every method.

One run gives two selections: `joint`, one moment for all tasks by `trainer.monitor`, and `per_task`, each task's own
best by its headline metric. Training stops when neither has improved for `patience`. Ties go to the earlier validation.
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
    """Follows the validations of a run, counted from 1, and keeps the weights of the best ones on the CPU.

    Args:
        tasks: The tasks.
        monitor: `mean` or one metric, `income.auc`.
        patience: Validations without any improvement after which training stops.

    Attributes:
        best: The number of the jointly selected validation; 0: none yet.
        best_per_task: Each task's own.
    """

    def __init__(self, tasks: Sequence[Task], monitor: str, patience: int) -> None:
        self.tasks, self.monitor, self.patience = tasks, monitor, patience
        self.best = 0
        self.best_per_task: dict[str, int] = {}
        self._values: dict[str, float] = {}
        self._states: dict[int, Weights] = {}
        self._last = 0
        self._last_gain = 0

    def update(self, number: int, validation: Metrics, model: nn.Module) -> float:
        """Takes a validation into account and returns the joint criterion, higher is better.

        Raises:
            ValueError: if the monitor needs a metric that is undefined on validation.
        """
        self._last = number
        joint = metrics.criterion(validation, self.tasks, self.monitor)
        if self._improves("", joint):
            self.best = number
        for task in self.tasks:
            headline = metrics.headline_name(task)
            value = validation[task.name][headline]
            if value is None:
                continue  # only one class in validation: this task has no best of its own
            if self._improves(task.name, value * metrics.direction(headline)):
                self.best_per_task[task.name] = number
        chosen = self.chosen
        if number in chosen:
            self._last_gain = number
            self._states[number] = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        self._states = {kept: state for kept, state in self._states.items() if kept in chosen}
        return joint

    def _improves(self, what: str, value: float) -> bool:
        better = value > self._values.get(what, float("-inf"))
        if better:
            self._values[what] = value
        return better

    @property
    def chosen(self) -> set[int]:
        """The validations whose weights are kept."""
        return {self.best, *self.best_per_task.values()}

    @property
    def is_exhausted(self) -> bool:
        """Has nothing improved for `patience` validations?"""
        return self._last - self._last_gain >= self.patience

    def finish(self) -> None:
        """A task without its own best takes the joint one."""
        for task in self.tasks:
            self.best_per_task.setdefault(task.name, self.best)

    def state(self, number: int) -> Weights:
        """The model's weights at this (chosen) validation."""
        return self._states[number]

    def state_dict(self) -> dict[str, Any]:
        """Best values, chosen validations, and their weights as `<number>.<name>`."""
        plain = {
            "values": self._values,
            "best": self.best,
            "best_per_task": self.best_per_task,
            "last": self._last,
            "last_gain": self._last_gain,
        }
        return plain | {
            f"{number}.{name}": t for number, weights in self._states.items() for name, t in weights.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._values, self._last, self._last_gain = state["values"], state["last"], state["last_gain"]
        self.best, self.best_per_task = state["best"], state["best_per_task"]
        self._states = {}
        for key, value in state.items():
            number, dot, name = key.partition(".")
            if dot:
                self._states.setdefault(int(number), {})[name] = value
