"""The backward of gradient weightings: each task's gradients, their Gram matrix, and one update.

Which parameters are shared is found by autograd on the first batches, not declared, so it holds for every
architecture: a parameter is shared if two or more tasks send it a gradient, and a task's own if only that task does.

Suffixes: A active tasks (those with a label in the batch), T tasks, S scalars in scope, P these and those that go along
(in `reach`: parameter tensors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.training.embeddings import embeddings
from benchmark.weightings import GramWeighting, JacobianWeighting

# In how many batches a task's reach is looked for. One is not enough: a layer that starts at zero hides what lies below it.
PROBES = 3

# While something is unreached (an expert that no row has chosen yet), every so many steps look again.
PROBE_AGAIN = 100

# Up to so many scalars, the shared parameters outside the scope go along in each task's pass. That costs less than one
# more backward, which is what larger ones get: big embedding tables.
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
    `JacobianWeighting.combine` gets the matrix. Shared parameters outside the scope get the weighted sum; under a
    Jacobian method, which has no weights, the sum. With scope `representation` the matrix holds the gradients of the
    embeddings' outputs, and all shared parameters get the weighted sum; under a Jacobian method the embeddings get
    what its update sends on to them. Where nothing in scope is shared, the update is that of the plain sum.

    Args:
        model: What the losses come from. Its embeddings are the parameters of its `nn.Embedding` modules.
        weighting: Decides scope, head gradients and the update; its `last_weights_T` is set at every step.
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
        self._reached: list[set[int]] = [set() for _ in range(num_tasks)]  # numbers of parameters, then representations
        self._own: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._reachable: list[nn.Parameter] = []
        # numbers of what is in scope, then the shared rest: what goes along, takes one more backward, or lies behind
        # representations that a Jacobian method combines
        self._scope: list[int] = []
        self._along: list[nn.Parameter] = []
        self._outside: list[nn.Parameter] = []
        self._behind: list[nn.Parameter] = []

    def backward(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None, outputs: dict[str, Tensor]) -> None:
        """Sets the gradients of one step.

        Args:
            losses_T: (T,) with graph.
            active_T: (T,) bool: has the task a label in the batch. The others take no part.
            extra: The sum of auxiliary losses without task; its gradient is added outside the solver.
            outputs: {task: (B,)} with graph. A task reaches what its output depends on in any row, with a label or without.

        Raises:
            ValueError: if the scope is `representation` and parameters are shared, but no output of an embedding is.
        """
        active = active_T.nonzero().flatten().tolist()
        self._learn(outputs, losses_T)
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
        together = [*scope, *self._along]
        sizes = [tensor.numel() for tensor in together]
        rows_AP = losses_T.new_empty(len(active), sum(sizes))
        own: list[Sequence[Tensor]] = []
        for row, task in enumerate(active):
            keep = keep_graph or bool(self._outside or self._behind) or row + 1 < len(active)
            inputs = [*together, *self._own[task]]
            gradients = torch.autograd.grad(losses_T[task], inputs, retain_graph=keep, materialize_grads=True)
            torch.cat([g.flatten() for g in gradients[: len(together)]], out=rows_AP[row])
            own.append(gradients[len(together) :])
        weights_A, update_P = self._decide(rows_AP, sum(sizes[: len(scope)]), losses_T.detach()[active], active_T)
        self._remember(active, weights_A)
        factors_A = weights_A if self.weighting.head_gradients == "weighted" else torch.ones_like(weights_A)
        for task, factor, own_gradients in zip(active, factors_A, own, strict=True):
            for parameter, gradient in zip(self._own[task], own_gradients, strict=True):
                # into a tensor laid out as the parameter: autograd may return a transposed or a shared one, and fused
                # optimizers take the layout for granted
                parameter.grad = torch.mul(gradient, factor, out=torch.empty_like(parameter))
        update = [piece.view_as(t) for piece, t in zip(torch.split(update_P, sizes), together, strict=True)]
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

    def _decide(self, rows_AP: Tensor, num_in_scope: int, losses_A: Tensor, active_T: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (A,), and the update (P,) of what is in scope and of what goes along."""
        rows_AS = rows_AP[:, :num_in_scope]
        if isinstance(self.weighting, JacobianWeighting):
            update_S = self.weighting.combine(rows_AS, losses_A, active_T)
            return torch.ones_like(losses_A), torch.cat([update_S, rows_AP[:, num_in_scope:].sum(dim=0)])
        gram_AA = (rows_AS @ rows_AS.T).double().cpu()
        if gram_AA.isfinite().all():
            weights_A = self.weighting.weights(gram_AA, losses_A, active_T).to(rows_AP)
        else:
            weights_A = torch.full_like(losses_A, torch.nan)  # no solver is asked; the trainer ends the run as diverged
        return weights_A, weights_A @ rows_AP

    def _learn(self, outputs: dict[str, Tensor], losses_T: Tensor) -> None:
        is_due = self._step % PROBE_AGAIN == 0 and len(self._reachable) < len(self.parameters)
        self._step += 1
        if self._step > PROBES and not is_due:
            return
        tensors = [*self.parameters, *self._representation]
        for reached, task, loss in zip(self._reached, self.weighting.tasks, losses_T, strict=True):
            found_P2 = reach({"output": outputs[task.name], "loss": loss}, tensors)  # the loss has auxiliaries too
            reached.update(found_P2.any(dim=1).nonzero().flatten().tolist())
        self._plan(len(tensors))

    def _plan(self, num_tensors: int) -> None:
        counts = Counter(number for reached in self._reached for number in reached)
        own = [n for n, p in enumerate(self.parameters) if counts[n] == 1]
        shared = [n for n in range(num_tensors) if counts[n] >= 2]
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
