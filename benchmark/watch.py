"""What training leaves on the device and reads now and then: the epoch's sums, and the first step that was not finite.

T tasks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmark.schema import Auxiliary, Task


class Diverged(Exception):
    """A loss, a weight or an output is not a number."""

    def __init__(self, task: str, step: int) -> None:
        super().__init__(f"a loss, weight or output of task {task!r} is not finite at step {step}")
        self.task, self.step = task, step


class Watch:
    """What a step leaves on the device, read now and then: running sums, and the first step at which something was not finite.

    Args:
        tasks: The tasks.
        device: Where the losses are.
    """

    def __init__(self, tasks: tuple[Task, ...], device: torch.device) -> None:
        self.tasks = tasks
        self.step = 0
        self._first_bad_T = torch.full((len(tasks),), torch.iinfo(torch.int64).max, device=device)
        self._zero = torch.zeros(len(tasks), device=device)
        self.reset()

    def reset(self) -> None:
        """Starts new sums, for an epoch."""
        self._steps = 0
        self._active_T, self._losses_T, self._weights_T = self._zero.clone(), self._zero.clone(), self._zero.clone()
        self._auxiliaries: dict[str, Tensor] = {}

    def add(self, losses_T: Tensor, active_T: Tensor, weights_T: Tensor, auxiliaries: dict[str, Auxiliary]) -> None:
        """Notes a step. Waits for nothing."""
        self.step += 1
        self._steps += 1
        bad_T = ~torch.isfinite(losses_T + weights_T)
        self._first_bad_T = torch.where(bad_T, self._first_bad_T.clamp(max=self.step), self._first_bad_T)
        self._active_T += active_T
        self._losses_T += losses_T
        self._weights_T += weights_T
        for name, auxiliary in auxiliaries.items():
            self._auxiliaries[name] = self._auxiliaries.get(name, 0.0) + auxiliary.value.detach()

    def check(self) -> None:
        """Reads the register.

        Raises:
            Diverged: with the task and the step (counted from 1) where something was first not finite.
        """
        step, task = self._first_bad_T.min(dim=0)
        if int(step) <= self.step:
            raise Diverged(self.tasks[int(task)].name, int(step))

    def mean_losses(self) -> Tensor:
        """(T,) mean loss of the epoch's steps in which a task was active."""
        return self._losses_T / self._active_T.clamp(min=1)

    def summary(self) -> dict[str, Any]:
        """The epoch's means as plain values, as in `Record.epochs`."""
        names = [task.name for task in self.tasks]
        return {
            "train_losses": dict(zip(names, self.mean_losses().tolist(), strict=True)),
            "auxiliary": {name: float(value) / self._steps for name, value in self._auxiliaries.items()},
            "effective_weights": dict(zip(names, (self._weights_T / self._steps).tolist(), strict=True)),
        }
