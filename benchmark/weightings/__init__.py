"""Loss weightings: how the losses of T tasks become one update. One file per method.

`LossWeighting` makes one scalar of the losses; `GramWeighting` makes task weights of the inner products of the tasks'
gradients; `JacobianWeighting` combines the gradients themselves. The trainer picks its backward once, by the class. A method
whose parameters end in `**options` has the options of its base class too (`normalize`, `scope`, `head_gradients`).
T tasks, P shared parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from benchmark.hooks import refuse_hiding
from benchmark.schema import Task
from benchmark.settings.registry import Neutral, weightings

__all__ = [
    "GramWeighting",
    "JacobianWeighting",
    "LossWeighting",
    "Stream",
    "Weighting",
    "scale_to_mean_one",
    "weightings",
]

register = weightings.register


class Weighting(nn.Module):
    """Base of all weightings. All state is in buffers and parameters, so that `state_dict` is complete.

    It changes in place (`add_`, `copy_`) and is never replaced: what was captured or compiled sees no new tensor. What the
    graph of a step holds may not change before its backward.

    Args:
        tasks: The tasks, in the order of the losses. Built under the stream `weighting` of the run's seed: a method
            that draws random numbers has a `Stream`.
        normalize: Scale each step's weights so that their mean over the tasks with a label is 1, as under equal
            weighting. Otherwise their sum is the method's own, and with it the size of the step.

    Attributes:
        passes: What a step costs, for lists: the backward passes through the model, of T tasks.
        last_weights_T: (T,) the effective weights, d(update)/d(loss), of the last step. The trainer sets them; they are
            logged each epoch and watched for NaN.

    Raises:
        ValueError: if an attribute is given the name of a method, `self.after_step = ...`.
    """

    passes: ClassVar[str]
    last_weights_T: Tensor

    def __init__(self, tasks: tuple[Task, ...], *, normalize: Annotated[bool, Neutral(False)] = False) -> None:
        super().__init__()
        self.tasks, self.normalize = tasks, normalize
        self.register_buffer("last_weights_T", torch.ones(len(tasks)), persistent=False)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_hiding(self, name, value)
        super().__setattr__(name, value)

    def param_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups of learned weights, with their own learning rate and no weight decay."""
        return []

    def on_epoch_end(self, mean_losses_T: Tensor) -> None:
        """Called after every epoch with the mean training loss of each task over the steps in which it had a label.

        A task without a label in the whole epoch has a mean of 0.
        """

    def after_step(self, losses_T: Tensor, recompute: Callable[[], Tensor]) -> None:
        """Called after every update, if overridden.

        Args:
            losses_T: (T,) the losses before the update; 0 where a task has no label in the batch.
            recompute: Gives the losses of the same batch again, with the same dropout and without a graph.
        """


class Stream(nn.Module):
    """Seed and step of a method's own random numbers: `self.stream = Stream()`. The seed is drawn from torch's stream.

    Both are in a buffer, so a resumed run continues exactly. It stays on the CPU when the method moves to a GPU: no step
    waits for the device to read it.

    Attributes:
        position: (2,) seed and step.
    """

    position: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("position", torch.tensor([int(torch.randint(2**62, ())), 0]))

    def advance(self) -> tuple[int, int]:
        """Seed and number of this step; the next call gives the next step."""
        seed, step = self.position.tolist()
        self.position[1] += 1
        return seed, step

    def _apply(self, *arguments: Any, **options: Any) -> Stream:
        """What moves and converts a module leaves this one alone."""
        return self


def scale_to_mean_one(weights_T: Tensor, active_T: Tensor) -> Tensor:
    """The factor that gives the weights of the active tasks a mean of 1; 1 if their sum is not positive."""
    total = (weights_T * active_T).sum()
    return torch.where(total > 0, active_T.sum() / total, 1.0)


class LossWeighting(Weighting):
    """A function of the losses: one backward."""

    passes = "1"

    @abstractmethod
    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        """The scalar to differentiate. Its derivatives by the losses are the weights, found by autograd.

        Args:
            losses_T: (T,) a leaf that asks for a gradient; 0 where a task has no label in the batch.
            active_T: (T,) bool: has the task a label in the batch. The others take no part.
        """


class _GradientWeighting(Weighting):
    """Options of all methods that combine gradients.

    Args:
        tasks: The tasks, in the order of the losses.
        scope: What the compared gradients are taken with respect to. `trunk`: parameters that two or more tasks reach,
            without embeddings; `all`: with them; `representation`: the embedding layer's output.
        head_gradients: What parameters that belong to one task get: its `own` gradient, or the `weighted` one.
        options: Those of `Weighting`.
    """

    passes = "T"
    scope: str

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        scope: Literal["trunk", "all", "representation"] = "trunk",
        head_gradients: Literal["own", "weighted"] = "own",
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        self.scope, self.head_gradients = scope, head_gradients


class GramWeighting(_GradientWeighting):
    """A function of the inner products of the tasks' gradients."""

    @abstractmethod
    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        """(A,) float64 weights of the active tasks' gradients; tasks without a label in the batch are left out before.

        Args:
            gram_AA: (A, A) float64 on the CPU, finite, inner products of the gradients of the A active tasks.
            losses_A: (A,) their losses, detached.
            active_T: (T,) bool, which tasks these are.
        """


class JacobianWeighting(_GradientWeighting):
    """A function of the gradients themselves (GradDrop, MetaBalance): costs their concatenation.

    Its effective weights are those of the least-squares fit of its update by the gradients.
    """

    def prepare(self, num_tensors: int) -> None:
        """Called once before the first step and before any state is loaded, if overridden: makes buffers for each tensor.

        Args:
            num_tensors: The length of `sizes` in every call of `combine`.
        """

    @abstractmethod
    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """(P,) the update of the parameters in scope, from the gradients (A, P) of the A active tasks.

        Args:
            gradients_AP: (A, P) one row for each active task.
            losses_A: (A,) their losses, detached.
            active_T: (T,) bool, which tasks these are.
            sizes: How many of the P columns belong to each of the model's parameters, in a fixed order, and last to the
                representation. 0 outside the scope, which may grow: a tensor keeps its place.
        """
