"""A step of training, from a batch to the update: one object, chosen once. T tasks.

Currently eager. A captured or a compiled step is another `Step`; trainer and state need no other change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from benchmark.rows import Batch
from benchmark.schema import Auxiliary
from benchmark.training.gradients import GradientEngine
from benchmark.training.optimizer import Optimizer, Schedule
from benchmark.training.targets import TaskLosses
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting, scale_to_mean_one

if TYPE_CHECKING:
    from architectures import Architecture

OBSERVE_EVERY = 10  # steps, where gradients are compared for the log alone


class StepOutcome(NamedTuple):
    """What the watch records from a step. The next step may write to the same tensors, so the watch keeps copies.

    Args:
        losses_T: (T,) each task's loss before the update, detached.
        active_T: (T,) bool: did the task have a label in the batch?
        weights_T: (T,) the effective weights of this update.
        auxiliaries: The extra losses by name.
        gram_TT: (T, T) float64 on the CPU, inner products of the tasks' gradients, NaN where a task had no label; None if they
            are not known.
    """

    losses_T: Tensor
    active_T: Tensor
    weights_T: Tensor
    auxiliaries: dict[str, Auxiliary]
    gram_TT: Tensor | None


class Step(Protocol):
    """One update of model and weighting from a batch."""

    def __call__(self, batch: Batch) -> StepOutcome:
        """Trains on the batch. The model is in training mode."""

    def state_dict(self) -> dict[str, Any]:
        """Its findings that no other part of the state holds, as plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


class Backward(Protocol):
    """Sets the gradients of one step; see `GradientEngine.backward` for the arguments.

    Attributes:
        gram_TT: As in `StepOutcome`, of the last step.
    """

    gram_TT: Tensor | None

    def begin(self) -> None:
        """Called before the forward of each step."""

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """Sets `.grad` of all parameters."""

    def state_dict(self) -> dict[str, Any]:
        """See `Step.state_dict`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


class LossBackward:
    """The backward of a loss weighting: its weights are the derivatives of its scalar, and the model gets one backward.

    Args:
        weighting: Makes one scalar of the losses. Its `last_weights_T` is set at every step.
    """

    def __init__(self, weighting: LossWeighting) -> None:
        self.weighting = weighting
        self.gram_TT: Tensor | None = None

    def begin(self) -> None:
        """Nothing to do."""

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """See `GradientEngine.backward`."""
        leaf_T = losses_T.detach().requires_grad_()
        self.weighting(leaf_T, active_T).backward()  # the gradients of learned weights too
        weights_T = leaf_T.grad
        assert weights_T is not None
        if self.weighting.normalize:
            weights_T *= scale_to_mean_one(weights_T, active_T)
        self.weighting.last_weights_T.copy_(weights_T)
        if extra is None:
            torch.dot(losses_T, weights_T).backward()  # a number: see `gradients.reach`
        else:
            torch.autograd.backward([losses_T, extra], [weights_T, torch.ones_like(extra)])

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


class Observed(GramWeighting):
    """Stands for the weighting in an engine that only observes the gradients of the trunk."""

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        """Equal ones; nothing asks for them."""
        return torch.ones(len(gram_AA), dtype=torch.float64)


class Replay:
    """The state of the random numbers before a forward, to take it again with the same dropout.

    Args:
        device: Where the forward runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self.devices)]

    @contextmanager
    def again(self, model: nn.Module) -> Iterator[None]:
        """Within, the same numbers are drawn; afterwards, random state and the model's buffers are as before."""
        kept = [buffer.clone() for buffer in model.buffers()]
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.states[0])
            for device, state in zip(self.devices, self.states[1:], strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
        for buffer, value in zip(model.buffers(), kept, strict=True):
            buffer.copy_(value)


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
        observer: Compares the tasks' gradients at every tenth step, which changes nothing.
    """

    def __init__(
        self, model: Architecture, weighting: Weighting, losses: TaskLosses, optimizer: Optimizer, backward: Backward,
        *, schedule: Schedule, clip_norm: float | None, observer: GradientEngine | None = None,
    ) -> None:  # fmt: skip
        self.model, self.weighting, self.losses, self.optimizer = model, weighting, losses, optimizer
        self.backward, self.schedule, self.clip_norm = backward, schedule, clip_norm
        self.observer, self._step = observer, 0
        self._looks_back = type(weighting).after_step is not Weighting.after_step

    def __call__(self, batch: Batch) -> StepOutcome:
        """See `Step`."""
        replay = Replay(batch.categorical.device) if self._looks_back else None
        self.backward.begin()
        outputs, auxiliaries = self.model.training_step(batch)
        losses_T, active_T, extra = self.losses(outputs, auxiliaries, batch)
        self.optimizer.zero_grad()
        observed_TT = None
        if self.observer is not None and self._step % OBSERVE_EVERY == 0:
            observed_TT = self.observer.observe(losses_T, active_T, outputs)
        self._step += 1
        self.backward.backward(losses_T, active_T, extra, outputs)
        gram_TT = self.backward.gram_TT if observed_TT is None else observed_TT
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        losses_T = losses_T.detach()
        if replay is not None:
            self.weighting.after_step(losses_T, partial(self._losses_again, batch, replay))
        return StepOutcome(losses_T, active_T, self.weighting.last_weights_T.clone(), auxiliaries, gram_TT)

    def _losses_again(self, batch: Batch, replay: Replay) -> Tensor:
        with replay.again(self.model), torch.no_grad():
            return self.losses(*self.model.training_step(batch), batch)[0]

    def state_dict(self) -> dict[str, Any]:
        """See `Step`."""
        state = {"step": self._step, "backward": self.backward.state_dict()}
        return state if self.observer is None else state | {"observer": self.observer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Step`."""
        self._step = state["step"]
        self.backward.load_state_dict(state["backward"])
        if self.observer is not None and "observer" in state:
            self.observer.load_state_dict(state["observer"])


def make_backward(model: nn.Module, weighting: Weighting) -> Backward:
    """The backward that the weighting's class needs."""
    if isinstance(weighting, LossWeighting):
        return LossBackward(weighting)
    assert isinstance(weighting, GramWeighting | JacobianWeighting)
    return GradientEngine(model, weighting)


def make_step(
    model: Architecture, weighting: Weighting, losses: TaskLosses, optimizer: Optimizer,
    *, schedule: Schedule, clip_norm: float | None = None, log_conflicts: bool = False,
) -> Step:  # fmt: skip
    """The step of a training; the weighting's class decides its backward. For most arguments, see `EagerStep`.

    With `log_conflicts`, the tasks' gradients are compared under a weighting that does not do so itself, too.
    """
    backward, observer = make_backward(model, weighting), None
    compares = isinstance(weighting, GramWeighting | JacobianWeighting) and weighting.scope != "output"
    if log_conflicts and not compares:
        observer = GradientEngine(model, Observed(weighting.tasks), listens=False)
    return EagerStep(
        model, weighting, losses, optimizer, backward, schedule=schedule, clip_norm=clip_norm, observer=observer
    )
