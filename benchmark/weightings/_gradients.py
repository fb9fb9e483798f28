"""The backward of gradient weightings: each task's gradients, their Gram matrix, and one update.

Which parameters are shared is found by autograd on the first batches, not declared, so it holds for every
architecture: a parameter is shared if two or more tasks send it a gradient, and a task's own if only that task does.

Suffixes: A active tasks (those with a label in the batch), T tasks, P parameter tensors, S scalars in scope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.weightings import GramWeighting, JacobianWeighting

# In how many batches with its label a task's reach is looked for. One is not enough: a layer that starts at zero hides
# what lies below it. Nothing is lost by then, since what is hidden has no gradient.
PROBES = 3


def reach(outputs: dict[str, Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Which outputs (or losses) send a gradient to which parameter.

    Autograd answers per tensor. A gradient that is None or zero throughout counts as none: where units of several tasks
    are stacked for one batched product, the foreign ones get zeros, not None.

    Args:
        outputs: {task: tensor with graph}; the graph is kept.
        parameters: P tensors.

    Returns:
        (P, T) bool, on the CPU.
    """
    reached_PT = torch.zeros(len(parameters), len(outputs), dtype=torch.bool)
    for column, output in enumerate(outputs.values()):
        if not output.requires_grad:
            continue
        # uneven, so that contributions of rows do not cancel
        cotangent = torch.linspace(1, 2, output.numel()).to(output).view_as(output)
        gradients = torch.autograd.grad(output, parameters, cotangent, retain_graph=True, allow_unused=True)
        for row, gradient in enumerate(gradients):
            reached_PT[row, column] = gradient is not None and bool(gradient.any())
    return reached_PT


def count_shared(outputs: dict[str, Tensor], parameters: Sequence[Tensor]) -> int:
    """How many scalar parameters two or more of the outputs reach."""
    if not parameters:
        return 0
    shared_P = reach(outputs, parameters).sum(dim=1) >= 2
    return sum(p.numel() for p, is_shared in zip(parameters, shared_P.tolist(), strict=True) if is_shared)


class GradientEngine:
    """Sets `.grad` of a model's parameters as a gradient weighting says.

    For each active task one backward gives its gradient in scope, a row of a matrix, and the gradients of its own
    parameters. `GramWeighting.weights` gets the matrix times its transpose, and the update is weights times matrix;
    `JacobianWeighting.combine` gets the matrix. Shared parameters outside the scope get the weighted sum (under a
    Jacobian method, which has no weights, the sum) by one more backward. With scope `representation` the matrix
    holds the gradients of the embeddings' outputs, and all shared parameters get the weighted sum; under a Jacobian
    method the embeddings get what its update sends on to them. Where nothing in scope is shared, the method is `equal`.

    Args:
        model: What the losses come from. Its embeddings are the parameters of its `nn.Embedding` modules.
        weighting: Decides scope, head gradients and the update; its `last_weights_T` is set at every step.
    """

    def __init__(self, model: nn.Module, weighting: GramWeighting | JacobianWeighting) -> None:
        self.weighting = weighting
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        self._embedding_ids = {id(module.weight) for module in embeddings}
        self._uses_representation = weighting.scope == "representation"
        self._representation: list[Tensor] = []  # the embeddings' outputs in the present step
        if self._uses_representation:
            for module in embeddings:
                module.register_forward_hook(self._keep)
        num_tasks = len(weighting.tasks)
        self._probes = [0] * num_tasks
        self._reached: list[set[int]] = [set() for _ in range(num_tasks)]  # numbers of parameters, then representations
        self._own: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._shared: list[nn.Parameter] = []
        self._scope: list[int] = []
        self._outside: list[nn.Parameter] = []

    @property
    def is_equal(self) -> bool:
        """After a step: is nothing in scope shared, so that the method is equal weighting?"""
        return not self._scope

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None) -> None:
        """Sets the gradients of one step.

        Args:
            losses_T: (T,) with graph.
            active_T: (T,) bool: has the task a label in the batch. The others take no part.
            extra: The sum of auxiliary losses without task; its gradient is added outside the solver.

        Raises:
            ValueError: if the scope is `representation` and parameters are shared, but no output of an embedding is.
        """
        active = active_T.nonzero().flatten().tolist()
        self._learn(losses_T, active)
        for parameter in self.parameters:
            parameter.grad = None
        if active and self._scope:
            self._solve(losses_T, active, active_T, keep_graph=extra is not None)
        else:
            if losses_T.requires_grad:
                torch.autograd.backward(losses_T.sum(), retain_graph=extra is not None)
            self._remember(active, losses_T.new_ones(len(active)))
        if extra is not None and extra.requires_grad:
            torch.autograd.backward(extra)
        self._representation.clear()

    def _solve(self, losses_T: Tensor, active: list[int], active_T: Tensor, *, keep_graph: bool) -> None:
        tensors = [*self.parameters, *self._representation]
        scope = [tensors[number] for number in self._scope]
        sizes = [tensor.numel() for tensor in scope]
        rows_AS = losses_T.new_empty(len(active), sum(sizes))
        own: list[Sequence[Tensor]] = []
        for row, task in enumerate(active):
            keep = keep_graph or bool(self._outside) or row + 1 < len(active)
            inputs = [*scope, *self._own[task]]
            gradients = torch.autograd.grad(losses_T[task], inputs, retain_graph=keep, materialize_grads=True)
            torch.cat([g.flatten() for g in gradients[: len(scope)]], out=rows_AS[row])
            own.append(gradients[len(scope) :])
        weights_A, update_S = self._decide(rows_AS, losses_T.detach()[active], active_T)
        self._remember(active, weights_A)
        for task, weight, own_gradients in zip(active, weights_A, own, strict=True):
            for parameter, gradient in zip(self._own[task], own_gradients, strict=True):
                parameter.grad = gradient * weight if self.weighting.head_gradients == "weighted" else gradient
        update = [piece.view_as(t) for piece, t in zip(torch.split(update_S, sizes), scope, strict=True)]
        if not self._uses_representation:
            for tensor, gradient in zip(scope, update, strict=True):
                tensor.grad = gradient
        self._go_outside((weights_A * losses_T[active]).sum(), scope, update, keep_graph=keep_graph)
        for parameter in [*self._shared, *(p for own_of_task in self._own for p in own_of_task)]:
            if parameter.grad is None:  # of an inactive task: zero as from the plain sum, which optimizers step on
                parameter.grad = torch.zeros_like(parameter)

    def _decide(self, rows_AS: Tensor, losses_A: Tensor, active_T: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.weighting, JacobianWeighting):
            return losses_A.new_ones(len(losses_A)), self.weighting.combine(rows_AS, losses_A, active_T)
        gram_AA = (rows_AS @ rows_AS.T).double().cpu()
        if gram_AA.isfinite().all():
            weights_A = self.weighting.weights(gram_AA, losses_A, active_T).to(rows_AS)
        else:
            weights_A = torch.full_like(losses_A, torch.nan)  # no solver is asked; the trainer ends the run as diverged
        return weights_A, weights_A @ rows_AS

    def _go_outside(self, total: Tensor, scope: list[Tensor], update: list[Tensor], *, keep_graph: bool) -> None:
        outside = self._outside
        if self._uses_representation and isinstance(self.weighting, JacobianWeighting):
            behind = [p for p in outside if id(p) in self._embedding_ids]
            outside = [p for p in outside if id(p) not in self._embedding_ids]
            torch.autograd.backward(scope, update, inputs=behind, retain_graph=True)
        if outside:
            torch.autograd.backward(total, inputs=outside, retain_graph=keep_graph)

    def _learn(self, losses_T: Tensor, active: list[int]) -> None:
        fresh = [task for task in active if self._probes[task] < PROBES]
        if not fresh:
            return
        tensors = [*self.parameters, *self._representation]
        for task in fresh:
            self._probes[task] += 1
            found_P1 = reach({"": losses_T[task]}, tensors)
            self._reached[task].update(found_P1[:, 0].nonzero().flatten().tolist())
        counts = Counter(number for reached in self._reached for number in reached)
        shared = [n for n in range(len(tensors)) if counts[n] >= 2]
        own = [n for n in range(len(self.parameters)) if counts[n] == 1]
        self._own = [[self.parameters[n] for n in own if n in reached] for reached in self._reached]
        self._shared = [self.parameters[n] for n in shared if n < len(self.parameters)]
        self._scope = [n for n in shared if self._is_in_scope(n)]
        self._outside = [self.parameters[n] for n in shared if n < len(self.parameters) and n not in self._scope]
        if self._uses_representation and self._shared and not self._scope:
            raise ValueError(
                "weighting.scope=representation compares the gradients of embeddings' outputs, and here no two tasks"
                " share an embedding; expected trunk or all"
            )

    def _is_in_scope(self, number: int) -> bool:
        if self._uses_representation:
            return number >= len(self.parameters)
        return self.weighting.scope == "all" or id(self.parameters[number]) not in self._embedding_ids

    def _remember(self, active: list[int], weights_A: Tensor) -> None:
        weights_T = self.weighting.last_weights_T.new_zeros(len(self.weighting.tasks))
        weights_T[active] = weights_A.to(weights_T)
        self.weighting.last_weights_T = weights_T

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training and output.requires_grad:
            self._representation.append(output)
