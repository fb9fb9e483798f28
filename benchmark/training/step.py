"""A step of training, from a batch to the update: one object, chosen once. T tasks.

Currently eager. A captured or a compiled step is another `Step`; trainer and state need no other change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from benchmark.rows import Batch
from benchmark.schema import Auxiliary
from benchmark.training.gradients import GradientEngine
from benchmark.training.optimizer import Optimizer, Schedule
from benchmark.training.targets import TaskLosses
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting

if TYPE_CHECKING:
    from architectures import Architecture


class StepOutcome(NamedTuple):
    """What the watch records from a step. The next step may write to the same tensors, so the watch keeps copies.

    Args:
        losses_T: (T,) each task's loss before the update, detached.
        active_T: (T,) bool: did the task have a label in the batch?
        weights_T: (T,) the effective weights of this update.
        auxiliaries: The extra losses by name.
    """

    losses_T: Tensor
    active_T: Tensor
    weights_T: Tensor
    auxiliaries: dict[str, Auxiliary]


class Step(Protocol):
    """One update of model and weighting from a batch."""

    def __call__(self, batch: Batch) -> StepOutcome:
        """Trains on the batch. The model is in training mode."""

    def state_dict(self) -> dict[str, Any]:
        """Its findings that no other part of the state holds, as plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


class Backward(Protocol):
    """Sets the gradients of one step; see `GradientEngine.backward` for the arguments."""

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """Sets `.grad` of all parameters."""

    def state_dict(self) -> dict[str, Any]:
        """See `Step.state_dict`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


class PlainBackward:
    """The backward of a loss weighting: it costs nothing besides `backward()` and has no findings.

    Args:
        weighting: Makes one scalar of the losses.
    """

    def __init__(self, weighting: LossWeighting) -> None:
        self.weighting = weighting

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """See `GradientEngine.backward`."""
        total = self.weighting(losses_T, active_T)
        (total if extra is None else total + extra).backward()

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


class EagerStep:
    """The step as PyTorch runs it, call by call: the reference for every other step.

    Args:
        model: The architecture.
        weighting: The loss weighting.
        losses: Maps outputs to one loss per task.
        optimizer: The optimizer of the model's and the weighting's parameters.
        backward: Sets the gradients as the weighting needs them.
        schedule: The schedule of the learning rate.
        clip_norm: Upper bound of the gradient's global norm.
    """

    def __init__(
        self, model: Architecture, weighting: Weighting, losses: TaskLosses, optimizer: Optimizer, backward: Backward,
        *, schedule: Schedule, clip_norm: float | None,
    ) -> None:  # fmt: skip
        self.model, self.weighting, self.losses, self.optimizer = model, weighting, losses, optimizer
        self.backward, self.schedule, self.clip_norm = backward, schedule, clip_norm

    def __call__(self, batch: Batch) -> StepOutcome:
        """See `Step`."""
        outputs, auxiliaries = self.model.training_step(batch)
        losses_T, active_T, extra = self.losses(outputs, auxiliaries, batch)
        self.optimizer.zero_grad()
        self.backward.backward(losses_T, active_T, extra, outputs)
        weights_T = self.weighting.effective_weights().clone()  # before `after_step` may change them in place
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        losses_T = losses_T.detach()
        self.weighting.after_step(losses_T, lambda: self._losses_again(batch))
        return StepOutcome(losses_T, active_T, weights_T, auxiliaries)

    def _losses_again(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.losses(*self.model.training_step(batch), batch)[0]

    def state_dict(self) -> dict[str, Any]:
        """See `Step`."""
        return self.backward.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Step`."""
        self.backward.load_state_dict(state)


def make_step(
    model: Architecture, weighting: Weighting, losses: TaskLosses, optimizer: Optimizer,
    *, schedule: Schedule, clip_norm: float | None = None,
) -> Step:  # fmt: skip
    """The step of a training; the weighting's class decides its backward. For the arguments, see `EagerStep`."""
    backward: Backward
    if isinstance(weighting, LossWeighting):
        backward = PlainBackward(weighting)
    else:
        assert isinstance(weighting, GramWeighting | JacobianWeighting)
        backward = GradientEngine(model, weighting)
    return EagerStep(model, weighting, losses, optimizer, backward, schedule=schedule, clip_norm=clip_norm)
