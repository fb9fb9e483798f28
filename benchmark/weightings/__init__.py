"""Loss weightings: how the losses of T tasks become one update. One file per method.

`LossWeighting` makes one scalar of the losses; `GramWeighting` makes task weights of the inner products of the tasks'
gradients; `JacobianWeighting` combines the gradients themselves. The trainer picks its backward once, by the class.
T tasks, P shared parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmark.hooks import refuse_hiding
from benchmark.schema import Task
from benchmark.settings.registry import weightings

__all__ = ["GramWeighting", "JacobianWeighting", "LossWeighting", "Weighting", "weightings"]

register = weightings.register


class Weighting(nn.Module):
    """Base of all weightings. All state is in buffers and parameters, so that `state_dict` is complete.

    It changes in place (`add_`, `copy_`) and is never replaced: what was captured or compiled sees no new tensor. What the
    graph of a step holds may not change before its backward.

    Args:
        tasks: The tasks, in the order of the losses. Built under the stream `weighting` of the run's seed: a method
            that draws random numbers takes a seed of its own from torch at construction and keeps it in a buffer.

    Raises:
        ValueError: if an attribute is given the name of a method, `self.effective_weights = ...`.
    """

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.tasks = tasks

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
        """Called after every update; `recompute` gives the losses of the same batch again, without a graph."""

    @abstractmethod
    def effective_weights(self) -> Tensor:
        """(T,): d(update)/d(loss) at the last step, detached; logged each epoch and watched for NaN.

        It may be a buffer, which the next step changes: what is kept is a copy.
        """


class LossWeighting(Weighting):
    """A function of the losses: one backward."""

    @abstractmethod
    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        """The scalar to differentiate.

        Args:
            losses_T: (T,) with graph; 0 where a task has no label in the batch.
            active_T: (T,) bool: has the task a label in the batch. The others take no part.
        """


class _GradientWeighting(Weighting):
    def __init__(
        self,
        tasks: tuple[Task, ...],
        scope: Literal["trunk", "all", "representation"] = "trunk",
        head_gradients: Literal["own", "weighted"] = "own",
    ) -> None:
        super().__init__(tasks)
        self.scope, self.head_gradients = scope, head_gradients
        self.register_buffer("last_weights_T", torch.ones(len(tasks)))  # set by the engine at every step

    last_weights_T: Tensor

    def effective_weights(self) -> Tensor:
        """The tasks' weights at the last step, 0 for those without a label in it."""
        return self.last_weights_T


class GramWeighting(_GradientWeighting):
    """A function of the inner products of the tasks' gradients.

    Args:
        scope: Whose gradients are compared. `trunk`: parameters that two or more tasks reach, without embeddings;
            `all`: with them; `representation`: the embedding layer's output.
        head_gradients: What parameters that belong to one task get: its `own` gradient, or the `weighted` one.
    """

    @abstractmethod
    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        """(A,) float64 weights of the active tasks' gradients; tasks without a label in the batch are left out before.

        Args:
            gram_AA: (A, A) float64 on the CPU, inner products of the gradients of the A active tasks.
            losses_A: (A,) their losses, detached.
            active_T: (T,) bool, which tasks these are.
        """


class JacobianWeighting(_GradientWeighting):
    """A function of the gradients themselves (GradDrop, MetaBalance): costs their concatenation."""

    @abstractmethod
    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        """(P,) the update of the parameters in scope, from the gradients (A, P) of the A active tasks."""
