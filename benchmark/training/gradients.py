"""The backward of gradient weightings: each task's gradients, their Gram matrix, and one update.

Shared parameters are not declared. Autograd finds them in training, so this works for every architecture: a parameter
is shared if two or more tasks send it a gradient, and belongs to a task if only that task does.

Suffixes: A active tasks (with a label in the batch), T tasks, S scalars in scope, P scalars in scope or computed along
with it (in `reach`: parameter tensors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.training.embeddings import embeddings
from benchmark.weightings import GramWeighting, JacobianWeighting, scale_to_mean_one

# Besides powers of two, each of the first few steps checks what each task reaches (a layer that starts at zero hides
# what is below it from the first step), and so does every hundredth.
FIRST_LOOKS = 3
LOOK_EVERY = 100

# Up to this many scalars, shared parameters outside the scope are computed in each task's pass. That costs less than one
# more backward, which larger ones (big embedding tables) get.
ALONG = 2_000_000


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
        gradients = torch.autograd.grad(output, parameters, _uneven(output), retain_graph=True, allow_unused=True)
        for row, gradient in enumerate(gradients):
            reached_PT[row, column] = gradient is not None and bool(gradient.any())
    return reached_PT


def _uneven(output: Tensor) -> Tensor:
    """Factors that keep contributions of rows from cancelling."""
    return torch.linspace(1, 2, output.numel()).to(output).view_as(output)


def count_shared(outputs: dict[str, Tensor], parameters: Sequence[Tensor]) -> int:
    """How many scalar parameters two or more of the outputs reach."""
    if not parameters:
        return 0
    shared_P = reach(outputs, parameters).sum(dim=1) >= 2
    return sum(p.numel() for p, is_shared in zip(parameters, shared_P.tolist(), strict=True) if is_shared)


def is_look_due(step: int) -> bool:
    """Does this step (counted from 1) check what each task reaches?

    >>> [step for step in range(1, 301) if is_look_due(step)]
    [1, 2, 3, 4, 8, 16, 32, 64, 100, 128, 200, 256, 300]
    """
    return step <= FIRST_LOOKS or step & (step - 1) == 0 or step % LOOK_EVERY == 0


class GradientEngine:
    """Sets `.grad` of a model's parameters by the rule of a gradient weighting.

    For each active task, one backward gives its gradient in scope, a row of a matrix, and the gradients of its own
    parameters. `GramWeighting.weights` gets the matrix times its transpose, and the update is weights times matrix;
    `JacobianWeighting.combine` gets the matrix. Shared parameters outside the scope get the weighted sum, or the plain
    sum under a Jacobian method, which has no weights. If nothing in scope is shared, the update is the plain sum. With
    scope `representation` the matrix holds the gradients of the embeddings' outputs, and all shared parameters get the
    weighted sum; under a Jacobian method the embeddings get what its update sends on to them.

    What a task reaches can grow: a gate leaves zero, or a unit becomes active. The engine checks at steps 1, 2 and 3,
    at every power of two and at every hundredth step, and keeps what it has found. A path that opens at step n is found
    by step 2n, and within 100 steps. Until then, the parameter only gets gradients from tasks known to reach it. A
    check costs .8 to .9 of a step (MMoE and PLE, three tasks, batches of 256 and 1024), so all checks together cost 1 %
    of training.

    Args:
        model: What the losses come from. Its embeddings are the parameters of its `nn.Embedding` modules.
        weighting: Determines scope, head gradients and the update; its `last_weights_T` is set at every step.
    """

    def __init__(self, model: nn.Module, weighting: GramWeighting | JacobianWeighting) -> None:
        self.weighting = weighting
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        tables = embeddings(model)
        self._embedding_ids = {id(table.weight) for table in tables}
        self._uses_representation = weighting.scope == "representation"
        self._representation: list[Tensor] = []  # the embeddings' outputs in the present step
        if self._uses_representation:
            for table in tables:
                table.register_forward_hook(self._keep)
        num_tasks = len(weighting.tasks)
        self._step = 0
        self._num_tensors = len(self.parameters)  # with the representations of a step
        self._reached: list[set[int]] = [set() for _ in range(num_tasks)]  # numbers of parameters, then representations
        self._own: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._reachable: list[nn.Parameter] = []
        # numbers of what is in scope, then the shared rest: what goes along, takes one more backward, or lies behind
        # representations that a Jacobian method combines
        self._scope: list[int] = []
        self._along: list[nn.Parameter] = []
        self._outside: list[nn.Parameter] = []
        self._behind: list[nn.Parameter] = []
        if isinstance(weighting, JacobianWeighting):
            weighting.prepare(len(self.parameters) + 1)

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """Sets the gradients of one step.

        Args:
            losses_T: (T,) with graph.
            active_T: (T,) bool: does the task have a label in the batch? Other tasks are left out.
            extra: The sum of auxiliary losses without task; its gradient is added outside the solver.
            outputs: {task: (B,)} with graph. A task reaches everything its output depends on in any row, with or
                without a label.

        Raises:
            ValueError: if the scope is `representation` and parameters are shared, but no output of an embedding is.
        """
        active = active_T.nonzero().flatten().tolist()
        self._step += 1
        if is_look_due(self._step):
            self._look(outputs, losses_T)
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

    def state_dict(self) -> dict[str, Any]:
        """The findings of all checks, as plain values."""
        reached = [sorted(numbers) for numbers in self._reached]
        return {"step": self._step, "num_tensors": self._num_tensors, "reached": reached}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._step, self._num_tensors = state["step"], state["num_tensors"]
        self._reached = [set(numbers) for numbers in state["reached"]]
        self._plan()

    def _solve(self, losses_T: Tensor, active: list[int], active_T: Tensor, *, keep_graph: bool) -> None:
        tensors = [*self.parameters, *self._representation]
        scope = [tensors[number] for number in self._scope]
        together = [*scope, *self._along]
        sizes = [tensor.numel() for tensor in together]
        # the parameters' type, of which the losses need not be
        dtype = reduce(torch.promote_types, {tensor.dtype for tensor in together})
        rows_AP = torch.empty(len(active), sum(sizes), dtype=dtype, device=losses_T.device)
        own: list[Sequence[Tensor]] = []
        for row, task in enumerate(active):
            keep = keep_graph or bool(self._outside or self._behind) or row + 1 < len(active)
            inputs = [*together, *self._own[task]]
            gradients = torch.autograd.grad(losses_T[task], inputs, retain_graph=keep, materialize_grads=True)
            torch.cat([g.flatten() for g in gradients[: len(together)]], out=rows_AP[row])
            own.append(gradients[len(together) :])
        weights_A, update_P = self._decide(rows_AP, self._columns(scope), losses_T.detach()[active], active_T)
        self._remember(active, weights_A)
        if isinstance(self.weighting, JacobianWeighting):  # it weights nothing outside its scope
            weights_A = torch.ones_like(weights_A)
        factors_A = weights_A if self.weighting.head_gradients == "weighted" else torch.ones_like(weights_A)
        for task, factor, own_gradients in zip(active, factors_A, own, strict=True):
            for parameter, gradient in zip(self._own[task], own_gradients, strict=True):
                # into a tensor laid out as the parameter: autograd may return a transposed or a shared one, and fused
                # optimizers take the layout for granted
                parameter.grad = torch.mul(gradient, factor, out=torch.empty_like(parameter))
        update = [piece.view_as(t).to(t.dtype) for piece, t in zip(torch.split(update_P, sizes), together, strict=True)]
        if self._behind:
            torch.autograd.backward(scope, update[: len(scope)], inputs=self._behind, retain_graph=True)
        for tensor, gradient in zip(together, update, strict=True):
            if tensor.is_leaf:  # a representation is none
                tensor.grad = gradient
        if self._outside:
            total = (weights_A * losses_T[active]).sum()
            torch.autograd.backward(total, inputs=self._outside, retain_graph=keep_graph)
        for parameter in self._reachable:
            if parameter.grad is None:  # of an inactive task: zero as from the plain sum, which optimizers step on
                parameter.grad = torch.zeros_like(parameter)

    def _columns(self, scope: list[Tensor]) -> tuple[int, ...]:
        """As `JacobianWeighting.combine` gets them: a column for each scalar of these tensors, the ones in scope."""
        columns = [0] * (len(self.parameters) + 1)
        for number, tensor in zip(self._scope, scope, strict=True):
            columns[min(number, len(self.parameters))] += tensor.numel()
        return tuple(columns)

    def _decide(
        self, rows_AP: Tensor, sizes: tuple[int, ...], losses_A: Tensor, active_T: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weights (A,), and the update (P,) of what is in scope, with these sizes, and of what is computed along."""
        rows_AS = rows_AP[:, : sum(sizes)]
        gram_AA = (rows_AS @ rows_AS.T).double().cpu()
        if not gram_AA.isfinite().all():  # no solver is asked; the run ends as diverged
            weights_A = rows_AP.new_full((len(rows_AP),), torch.nan)
            return weights_A, weights_A @ rows_AP
        everyone = torch.ones(len(gram_AA), dtype=torch.bool)
        if isinstance(self.weighting, GramWeighting):
            weights_A = self.weighting.weights(gram_AA, losses_A, active_T)
            scale = scale_to_mean_one(weights_A, everyone) if self.weighting.normalize else 1.0
            weights_A = (scale * weights_A).to(rows_AP)
            return weights_A, weights_A @ rows_AP
        update_S = self.weighting.combine(rows_AS, losses_A, active_T, sizes)
        # the least-squares fit of the update by the gradients
        weights_A = torch.linalg.pinv(gram_AA, hermitian=True) @ (rows_AS @ update_S).double().cpu()
        if self.weighting.normalize:
            scale = scale_to_mean_one(weights_A, everyone)
            weights_A, update_S = scale * weights_A, scale.to(update_S) * update_S
        return weights_A.to(rows_AP), torch.cat([update_S, rows_AP[:, sum(sizes) :].sum(dim=0)])

    def _look(self, outputs: dict[str, Tensor], losses_T: Tensor) -> None:
        tensors = [*self.parameters, *self._representation]
        self._num_tensors = len(tensors)
        # in one pass: the output, in rows without a label too, and the loss, which has auxiliaries too
        both = {
            task.name: (_uneven(outputs[task.name]) * outputs[task.name]).sum() + loss
            for task, loss in zip(self.weighting.tasks, losses_T, strict=True)
        }
        for reached, found_P in zip(self._reached, reach(both, tensors).T, strict=True):
            reached.update(found_P.nonzero().flatten().tolist())
        self._plan()

    def _plan(self) -> None:
        counts = Counter(number for reached in self._reached for number in reached)
        own = [n for n, p in enumerate(self.parameters) if counts[n] == 1]
        shared = [n for n in range(self._num_tensors) if counts[n] >= 2]
        self._own = [[self.parameters[n] for n in own if n in reached] for reached in self._reached]
        self._reachable = [p for n, p in enumerate(self.parameters) if counts[n]]
        self._scope = [n for n in shared if self._is_in_scope(n)]
        rest = [self.parameters[n] for n in shared if n < len(self.parameters) and n not in self._scope]
        if self._uses_representation and isinstance(self.weighting, JacobianWeighting):
            self._behind = [p for p in rest if id(p) in self._embedding_ids]
            rest = [p for p in rest if id(p) not in self._embedding_ids]
        is_small = sum(p.numel() for p in rest) <= ALONG
        self._along, self._outside = (rest, []) if is_small else ([], rest)
        if self._uses_representation and rest and not self._scope:
            raise ValueError(
                "weighting.scope=representation compares the gradients of embeddings' outputs, but here no two tasks"
                " share an embedding; expected trunk or all"
            )

    def _is_in_scope(self, number: int) -> bool:
        if self._uses_representation:
            return number >= len(self.parameters)
        return self.weighting.scope == "all" or id(self.parameters[number]) not in self._embedding_ids

    def _remember(self, active: list[int], weights_A: Tensor) -> None:
        last_weights_T = self.weighting.last_weights_T
        last_weights_T.zero_()
        last_weights_T[active] = weights_A.to(last_weights_T)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training and output.requires_grad:
            self._representation.append(output)
