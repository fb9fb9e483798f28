"""What training keeps on the device and reads from time to time: the epoch's sums, and the first step that was not finite.

T tasks.
"""

from __future__ import annotations

import math
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
    """Values on the device, read from time to time: running sums, and the first step at which something was not finite.

    Args:
        tasks: The tasks.
        device: Where the losses are.
    """

    def __init__(self, tasks: tuple[Task, ...], device: torch.device) -> None:
        self.tasks = tasks
        self.step = 0
        self._diverged: Diverged | None = None  # the first
        self.conflicts = Conflicts(tasks)
        self._noted: list[Tensor] = []  # (3, T) losses, active, weights: one per step, not yet summed
        self._noted_auxiliaries: dict[str, list[Tensor]] = {}
        self._zero = torch.zeros(3, len(tasks), dtype=torch.float64, device=device)
        self.reset()

    def reset(self) -> None:
        """Starts new sums, for an epoch."""
        self._sum_up()
        self._steps = 0
        self._sums_3T = self._zero
        self._auxiliaries: dict[str, Tensor] = {}
        self.conflicts.reset()

    def add(
        self,
        losses_T: Tensor,
        active_T: Tensor,
        weights_T: Tensor,
        auxiliaries: dict[str, Auxiliary],
        gram_TT: Tensor | None = None,
    ) -> None:
        """Notes a step without waiting for the device; for the arguments, see `StepOutcome`."""
        self.step += 1
        self._steps += 1
        self._noted.append(torch.stack((losses_T, active_T, weights_T * active_T)))
        for name, auxiliary in auxiliaries.items():
            self._noted_auxiliaries.setdefault(name, []).append(auxiliary.value.detach().clone())
        if gram_TT is not None:
            self.conflicts.add(gram_TT)

    def check(self) -> None:
        """Reads the register.

        Raises:
            Diverged: with the task and the step (counted from 1) of the first value that was not finite.
        """
        self._sum_up()
        if self._diverged is not None:
            raise self._diverged

    def _sum_up(self) -> None:
        if not self._noted:
            return
        noted_N3T, first_step = torch.stack(self._noted), self.step - len(self._noted) + 1
        self._noted.clear()
        self._sums_3T = _plus(self._sums_3T, noted_N3T)
        for name, values in self._noted_auxiliaries.items():
            self._auxiliaries[name] = _plus(self._auxiliaries.get(name, self._zero[0, 0]), torch.stack(values))
        self._noted_auxiliaries.clear()
        bad = (~noted_N3T.isfinite()).any(dim=1).nonzero()
        if len(bad) and self._diverged is None:
            step, task = bad[0].tolist()
            self._diverged = Diverged(self.tasks[task].name, first_step + step)

    def state_dict(self) -> dict[str, Any]:
        """The sums and, separately, the steps not yet summed."""
        state: dict[str, Any] = {"step": self.step, "steps": self._steps, "sums": self._sums_3T}
        state["diverged"] = self._diverged and [self._diverged.task, self._diverged.step]
        state |= {"cosines": self.conflicts.sums_2TT, "compared": self.conflicts.steps_2}
        if self._noted:
            state["noted"] = torch.stack(self._noted)
        state |= {f"auxiliary.{name}": value for name, value in self._auxiliaries.items()}
        state |= {f"noted_auxiliary.{name}": torch.stack(values) for name, values in self._noted_auxiliaries.items()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        device = self._zero.device
        self.step, self._steps, self._sums_3T = state["step"], state["steps"], state["sums"].to(device)
        self._diverged = state["diverged"] and Diverged(*state["diverged"])
        self.conflicts.sums_2TT.copy_(state["cosines"])
        self.conflicts.steps_2.copy_(state["compared"])
        self._noted = list(state["noted"].to(device)) if "noted" in state else []
        self._auxiliaries, self._noted_auxiliaries = {}, {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind == "auxiliary":
                self._auxiliaries[name] = value.to(device)
            elif kind == "noted_auxiliary":
                self._noted_auxiliaries[name] = list(value.to(device))

    def mean_losses(self) -> Tensor:
        """(T,) mean loss over the epoch's steps in which a task was active; 0 if there was none."""
        self._sum_up()
        return self._mean(self._sums_3T[0])

    def _mean(self, sums_T: Tensor) -> Tensor:
        return (sums_T / self._sums_3T[1].clamp(min=1)).float()

    def summary(self) -> dict[str, Any]:
        """The epoch's means as plain values, as in `Record.epochs`."""
        names = [task.name for task in self.tasks]
        return {
            "train_losses": dict(zip(names, self.mean_losses().tolist(), strict=True)),
            "auxiliary": {name: float(value) / self._steps for name, value in self._auxiliaries.items()},
            "effective_weights": dict(zip(names, self._mean(self._sums_3T[2]).tolist(), strict=True)),
            **self.conflicts.summary(),
        }


class Conflicts:
    """How well the tasks' gradients agree over an epoch.

    Args:
        tasks: The tasks.

    Attributes:
        sums_2TT: (2, T, T) sums of cosines and numbers of steps, by pair of tasks.
        steps_2: (2,) numbers of steps with two or more gradients, and of those with a conflict.
    """

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self.tasks = tasks
        self.sums_2TT = torch.zeros(2, len(tasks), len(tasks), dtype=torch.float64)
        self.steps_2 = torch.zeros(2, dtype=torch.float64)

    def reset(self) -> None:
        """Starts a new epoch."""
        self.sums_2TT.zero_()
        self.steps_2.zero_()

    def add(self, gram_TT: Tensor) -> None:
        """Notes the inner products of one step. A gradient of zero has no cosine."""
        gram = gram_TT.tolist()
        pairs = []
        for i in range(len(gram)):
            for j in range(i):
                square = gram[i][i] * gram[j][j]
                if square > 0 and math.isfinite(gram[i][j]):  # NaN is not greater
                    pairs.append((j, i, gram[i][j] / math.sqrt(square)))
        for first, second, cosine in pairs:
            self.sums_2TT[0, first, second] += cosine
            self.sums_2TT[1, first, second] += 1
        if pairs:
            self.steps_2[0] += 1
            self.steps_2[1] += any(cosine < 0 for *_, cosine in pairs)

    def summary(self) -> dict[str, Any]:
        """`conflicts` as in `Record.epochs`; empty if nothing was noted."""
        (sums, counts), (steps, conflicting) = self.sums_2TT.tolist(), self.steps_2.tolist()
        if not steps:
            return {}
        names = [task.name for task in self.tasks]
        cosines = {
            f"{names[first]}|{names[second]}": sums[first][second] / counts[first][second]
            for second in range(len(names))
            for first in range(second)
            if counts[first][second]
        }
        return {"conflicts": {"cosine": cosines, "share": conflicting / steps}}


def _plus(total: Tensor, noted: Tensor) -> Tensor:
    """Adds steps to a sum one by one in float64, so that the moment of reading does not change the last bit."""
    return torch.cat((total[None], noted.double())).cumsum(dim=0)[-1]
