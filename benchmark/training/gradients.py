"""The backward of gradient weightings: each task's gradients, their Gram matrix, and one update.

Shared parameters are not declared. Autograd finds them in training, so this works for every architecture: a parameter
is shared if two or more tasks send it a gradient, and belongs to a task if only that task does.

Suffixes: A active tasks (with a label in the batch), T tasks, S scalars in scope, P scalars in scope or computed along
with it (in `reach`: parameter tensors), L links.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.embeddings import Link, embeddings, linked_embeddings
from benchmark.weightings import GramWeighting, JacobianWeighting, scale_to_mean_one

# Besides powers of two, each of the first few steps checks what each task reaches (a layer that starts at zero hides
# what is below it from the first step), and so does every hundredth.
FIRST_LOOKS = 3
LOOK_EVERY = 100

# Up to this many scalars, shared parameters outside the scope are computed in each task's pass. That costs less than one
# more backward, which larger ones (big embedding tables) get.
ALONG = 2_000_000

# A weight below this is not divided by: what it has multiplied may have underflown.
LOST = 1e-6


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
    sum under a Jacobian method, which weights nothing outside its scope. If nothing in scope is shared, the update is the
    plain sum. With scope `representation` the matrix holds the gradients of the embeddings' outputs, and all shared
    parameters get the weighted sum; under a Jacobian method the embeddings get what its update sends on to them. The scope
    `output` is the same at the inputs of the towers; a model without any is compared by its trunk.

    Under the scope `trunk`, the pass of each task ends at the links of the embedding tables (see `Link`). The tables
    get their gradient once, from the weighted sum of the links' gradients, which is the same by the chain rule. The checks
    below also find a table that the losses use beside its links (tied weights); each task's pass then includes it.

    What a task reaches can grow: a gate leaves zero, or a unit becomes active. The engine checks at steps 1, 2 and 3,
    at every power of two and at every hundredth step, and keeps what it has found. A path that opens at step n is found
    by step 2n, and within 100 steps. Until then, the parameter only gets gradients from tasks known to reach it. A
    check costs about as much as a step, so all checks together cost 1 % of training.

    Args:
        model: What the losses come from. Its embeddings are the parameters of its `nn.Embedding` modules.
        weighting: Determines scope, head gradients and the update; its `last_weights_T` is set at every step.
        listens: Use the links of embeddings, which makes steps faster. An engine that only observes needs none.

    Attributes:
        gram_TT: (T, T) float64 on the CPU, the inner products of the last step's gradients in scope, NaN where a task had no
            label. None if nothing in scope is shared.
    """

    def __init__(self, model: nn.Module, weighting: GramWeighting | JacobianWeighting, *, listens: bool = True) -> None:
        self.weighting = weighting
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.gram_TT: Tensor | None = None
        self._embedding_ids = {id(table.weight) for table in embeddings(model)}
        self._is_jacobian = isinstance(weighting, JacobianWeighting)
        towers = [module for module in model.modules() if getattr(module, "ends_trunk", False)]
        self._scope_name = "trunk" if weighting.scope == "output" and not towers else weighting.scope
        self._uses_activations = self._scope_name in ("representation", "output")
        self._links: list[Link] = []  # of the present step
        self._linked_ids: set[int] = set()
        if self._scope_name == "output":
            for tower in towers:
                tower.register_forward_pre_hook(self._keep_input)
        elif listens:
            self._listen(model)
        num_tasks = len(weighting.tasks)
        self._step = 0
        # numbers of a step's links: those that tell the gradient of the embedded inputs, those that feed tables
        self._inward: list[int] = []
        self._feeding: list[int] = []
        self._is_tied = False  # do the losses use a linked table beside its links?
        self._reached: list[set[int]] = [set() for _ in range(num_tasks)]  # numbers of parameters, then of links
        # of each task alone: what its pass computes along, and what the backward of the weighted sum does
        self._own_along: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._own_outside: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._reachable: list[nn.Parameter] = []
        self._scope: list[nn.Parameter] = []
        # numbers of the links whose gradients each task's pass takes: those in scope, or those before `_linked` tables
        self._taken: list[int] = []
        # the shared rest: what gets its gradient from the links', what each task's pass computes along, what takes one
        # more backward
        self._linked: list[nn.Parameter] = []
        self._along: list[nn.Parameter] = []
        self._outside: list[nn.Parameter] = []
        if isinstance(weighting, JacobianWeighting):
            weighting.prepare(len(self.parameters) + 1)

    def _listen(self, model: nn.Module) -> None:
        """Asks modules for the links of each forward. A Jacobian method's update needs the embeddings' outputs themselves."""
        if self._scope_name == "all":
            return
        if self._scope_name == "trunk" or not self._is_jacobian:
            for module in linked_embeddings(model):
                module.links = self._links
                self._linked_ids |= {id(table.weight) for table in module.tables}
        if self._uses_activations:
            for table in embeddings(model):
                if id(table.weight) not in self._linked_ids:
                    table.register_forward_hook(self._keep)

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
        if active and self._compares:
            self._solve(losses_T, active, active_T, keep_graph=extra is not None)
        else:
            if losses_T.requires_grad:
                torch.autograd.backward(losses_T.sum(), retain_graph=extra is not None)
            self._remember(active, losses_T.new_ones(len(active)), None)
        if extra is not None and extra.requires_grad:
            torch.autograd.backward(extra)
        self._links.clear()

    def observe(self, losses_T: Tensor, active_T: Tensor, outputs: dict[str, Tensor]) -> Tensor | None:
        """Sets and returns `gram_TT`, and no gradient; the graph stays. For the arguments, see `backward`."""
        active = active_T.nonzero().flatten().tolist()
        self._step += 1
        if is_look_due(self._step):
            self._look(outputs, losses_T)
        self.gram_TT = None
        if active and self._scope:
            nothing: list[list[nn.Parameter]] = [[] for _ in self._own_along]
            rows_AS = self._passes(losses_T, active, self._scope, [], nothing, keep_graph=True)[0]
            self._remember(active, losses_T.new_ones(len(active)), (rows_AS @ rows_AS.T).double().cpu())
        return self.gram_TT

    def state_dict(self) -> dict[str, Any]:
        """The findings of all checks, as plain values."""
        reached = [sorted(numbers) for numbers in self._reached]
        links = {"inward": self._inward, "feeding": self._feeding, "is_tied": self._is_tied}
        return {"step": self._step, "reached": reached, **links}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._step, self._is_tied = state["step"], state["is_tied"]
        self._inward, self._feeding = state["inward"], state["feeding"]
        self._reached = [set(numbers) for numbers in state["reached"]]
        self._plan()

    @property
    def _compares(self) -> bool:
        """Is anything in scope shared?"""
        return bool(self._taken if self._uses_activations else self._scope)

    def _solve(self, losses_T: Tensor, active: list[int], active_T: Tensor, *, keep_graph: bool) -> None:
        together, taken = [*self._scope, *self._along], [self._links[number] for number in self._taken]
        rows_AP, link_gradients, own = self._passes(
            losses_T, active, together, taken, self._own_along, keep_graph=keep_graph
        )
        if self._uses_activations:
            rows_AS = torch.stack([_embedded(taken, gradients) for gradients in link_gradients])
        else:
            rows_AS = rows_AP[:, : sum(parameter.numel() for parameter in self._scope)]
        weights_A, update_S, gram_AA = self._decide(
            rows_AS, self._columns(rows_AS.shape[1]), losses_T.detach()[active], active_T
        )
        self._remember(active, weights_A, gram_AA)
        if update_S is not None:  # a Jacobian method weights nothing outside its scope
            weights_A = torch.ones_like(weights_A)
        factors_A = weights_A if self.weighting.head_gradients == "weighted" else torch.ones_like(weights_A)
        for task, factor, own_gradients in zip(active, factors_A, own, strict=True):
            for parameter, gradient in zip(self._own_along[task], own_gradients, strict=True):
                # into a tensor laid out as the parameter: autograd may return a transposed or a shared one, and fused
                # optimizers take the layout for granted
                parameter.grad = torch.mul(gradient, factor, out=torch.empty_like(parameter))
        update_P = weights_A.to(rows_AP) @ rows_AP
        if update_S is not None and not self._uses_activations:
            update_P[: len(update_S)] = update_S
        sizes = [tensor.numel() for tensor in together]
        for tensor, piece in zip(together, torch.split(update_P, sizes), strict=True):
            tensor.grad = piece.view_as(tensor).to(tensor.dtype)
        if self._linked:
            if update_S is not None and self._uses_activations:
                pieces = torch.split(update_S, [link.tensor.numel() for link in taken])
                sent = [piece.view_as(link.tensor) for piece, link in zip(pieces, taken, strict=True)]
            else:
                sent = [_weighted(weights_A, gradients_A) for gradients_A in zip(*link_gradients, strict=True)]
            keep = keep_graph or bool(self._outside)
            torch.autograd.backward([link.tensor for link in taken], sent, inputs=self._linked, retain_graph=keep)
        if self._outside:
            self._pass_outside(losses_T, active, weights_A, factors_A, keep_graph=keep_graph)
        for parameter in self._reachable:
            if parameter.grad is None:  # of an inactive task: zero as from the plain sum, which optimizers step on
                parameter.grad = torch.zeros_like(parameter)

    def _pass_outside(
        self, losses_T: Tensor, active: list[int], weights_A: Tensor, factors_A: Tensor, *, keep_graph: bool
    ) -> None:
        """One backward of the weighted sum, for all parameters that no task's pass computes."""
        weights, factors = weights_A.tolist(), factors_A.tolist()
        # what belongs to one task gets its gradient times the weight, which is taken out again where it is not too small
        lost = [
            task
            for task, weight, factor in zip(active, weights, factors, strict=True)
            if factor != weight and abs(weight) < LOST and self._own_outside[task]
        ]
        keep = keep_graph or bool(lost)
        torch.autograd.backward((weights_A * losses_T[active]).sum(), inputs=self._outside, retain_graph=keep)
        for task, weight, factor in zip(active, weights, factors, strict=True):
            for parameter in self._own_outside[task]:
                if factor != weight and task not in lost and parameter.grad is not None:
                    parameter.grad *= factor / weight
        for task in lost:
            for parameter in self._own_outside[task]:
                parameter.grad = None
            keep = keep_graph or task != lost[-1]
            torch.autograd.backward(losses_T[task], inputs=self._own_outside[task], retain_graph=keep)
        for parameter in self._outside:
            if parameter.grad is not None and parameter.grad.stride() != parameter.stride():  # see `_solve`
                parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)

    def _columns(self, num_columns: int) -> tuple[int, ...]:
        """As `JacobianWeighting.combine` gets them: how many columns in scope each parameter has, then the representation."""
        if self._uses_activations:
            return *[0] * len(self.parameters), num_columns
        scope_ids = {id(parameter) for parameter in self._scope}
        return *[p.numel() if id(p) in scope_ids else 0 for p in self.parameters], 0

    def _passes(
        self, losses_T: Tensor, active: list[int], together: list[nn.Parameter], taken: list[Link],
        own_T: list[list[nn.Parameter]], *, keep_graph: bool,
    ) -> tuple[Tensor, list[Sequence[Tensor]], list[Sequence[Tensor]]]:  # fmt: skip
        """One backward for each active task: the rows (A, P) of `together`, the links' gradients, and those of its own."""
        # the parameters' type, of which the losses need not be
        dtype = reduce(torch.promote_types, [t.dtype for t in together]) if together else losses_T.dtype
        size = sum(tensor.numel() for tensor in together)
        rows_AP = torch.empty(len(active), size, dtype=dtype, device=losses_T.device)
        tensors, n = [link.tensor for link in taken], len(together)
        needs_graph = keep_graph or bool(self._linked or self._outside)
        link_gradients, own = list[Sequence[Tensor]](), list[Sequence[Tensor]]()
        for row, task in enumerate(active):
            inputs = [*together, *tensors, *own_T[task]]
            keep = needs_graph or row + 1 < len(active)
            gradients = torch.autograd.grad(losses_T[task], inputs, retain_graph=keep, materialize_grads=True)
            if together:
                torch.cat([g.flatten() for g in gradients[:n]], out=rows_AP[row])
            link_gradients.append(gradients[n : n + len(tensors)])
            own.append(gradients[n + len(tensors) :])
        return rows_AP, link_gradients, own

    def _decide(
        self, rows_AS: Tensor, sizes: tuple[int, ...], losses_A: Tensor, active_T: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Weights (A,), a Jacobian method's update (S,) of tensors of these sizes, and the Gram matrix (A, A)."""
        gram_AA = (rows_AS @ rows_AS.T).double().cpu()
        if not gram_AA.isfinite().all():  # no solver is asked; the run ends as diverged
            return rows_AS.new_full((len(rows_AS),), torch.nan), None, gram_AA
        everyone = torch.ones(len(gram_AA), dtype=torch.bool)
        if isinstance(self.weighting, GramWeighting):
            weights_A = self.weighting.weights(gram_AA, losses_A, active_T)
            scale = scale_to_mean_one(weights_A, everyone) if self.weighting.normalize else 1.0
            return (scale * weights_A).to(rows_AS), None, gram_AA
        update_S = self.weighting.combine(rows_AS, losses_A, active_T, sizes)
        # the least-squares fit of the update by the gradients
        weights_A = torch.linalg.pinv(gram_AA, hermitian=True) @ (rows_AS @ update_S).double().cpu()
        if self.weighting.normalize:
            scale = scale_to_mean_one(weights_A, everyone)
            weights_A, update_S = scale * weights_A, scale.to(update_S) * update_S
        return weights_A.to(rows_AS), update_S, gram_AA

    def _look(self, outputs: dict[str, Tensor], losses_T: Tensor) -> None:
        tensors = [*self.parameters, *(link.tensor for link in self._links)]
        self._inward = [n for n, link in enumerate(self._links) if link.to_inputs is not None]
        self._feeding = [n for n, link in enumerate(self._links) if link.feeds_tables]
        # in one pass: the output, in rows without a label too, and the loss, which has auxiliaries too
        both = {
            task.name: (_uneven(outputs[task.name]) * outputs[task.name]).sum() + loss
            for task, loss in zip(self.weighting.tasks, losses_T, strict=True)
        }
        for reached, found_P in zip(self._reached, reach(both, tensors).T, strict=True):
            reached.update(found_P.nonzero().flatten().tolist())
        tables = [p for p in self.parameters if id(p) in self._linked_ids]
        total = torch.stack(list(both.values())).sum()
        feeding = [self._links[n].tensor for n in self._feeding]
        if not self._uses_activations and feeding and total.requires_grad:
            self._is_tied = self._is_tied or _is_tied(total, tables, feeding)
        self._plan()

    def _plan(self) -> None:
        counts = Counter(number for reached in self._reached for number in reached)
        own = [n for n, p in enumerate(self.parameters) if counts[n] == 1]
        owned = [[self.parameters[n] for n in own if n in reached] for reached in self._reached]
        nothing: list[list[nn.Parameter]] = [[] for _ in owned]
        self._own_along, self._own_outside = (nothing, owned) if self._uses_activations else (owned, nothing)
        self._reachable = [p for n, p in enumerate(self.parameters) if counts[n]]
        shared = [p for n, p in enumerate(self.parameters) if counts[n] >= 2]
        self._scope, self._taken, self._linked, self._along, self._outside = [], [], [], [], []
        if self._uses_activations:
            self._taken = [n for n in self._inward if counts[len(self.parameters) + n] >= 2]
            if self._is_jacobian:
                self._linked = [p for p in shared if id(p) in self._embedding_ids]
            if shared and not self._taken and self._scope_name == "representation":
                raise ValueError(
                    "weighting.scope=representation compares the gradients of embeddings' outputs, but here no two tasks"
                    " share an embedding; expected trunk or all"
                )
        else:
            self._scope = [p for p in shared if self._scope_name == "all" or id(p) not in self._embedding_ids]
            if not self._is_tied:
                self._linked = [p for p in shared if id(p) in self._linked_ids]
                self._taken = self._feeding if self._linked else []
        done = {id(p) for p in (*self._scope, *self._linked)}
        rest = [p for p in shared if id(p) not in done]
        # with the representation in scope, a pass of a task needs no other shared parameter
        goes_along = not self._uses_activations and sum(p.numel() for p in rest) <= ALONG
        self._along, self._outside = (rest, []) if goes_along else ([], rest)
        self._outside += [p for parameters in self._own_outside for p in parameters]

    def _remember(self, active: list[int], weights_A: Tensor, gram_AA: Tensor | None) -> None:
        last_weights_T = self.weighting.last_weights_T
        last_weights_T.zero_()
        last_weights_T[active] = weights_A.to(last_weights_T)
        self.gram_TT = None
        if gram_AA is not None:
            num_tasks = len(last_weights_T)
            self.gram_TT = torch.full((num_tasks, num_tasks), torch.nan, dtype=torch.float64)
            self.gram_TT[torch.tensor(active)[:, None], torch.tensor(active)] = gram_AA

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training and output.requires_grad:
            self._links.append(Link(id(output), output, lambda gradient: gradient.flatten(1)))

    def _keep_input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._keep(module, (), inputs[0])


def _embedded(links: Sequence[Link], gradients: Sequence[Tensor]) -> Tensor:
    """(S,): the links' gradients as those of the embedded inputs, added up for each owner."""
    found: dict[int, Tensor] = {}
    for link, gradient in zip(links, gradients, strict=True):
        assert link.to_inputs is not None
        inputs_BD = link.to_inputs(gradient)
        found[link.owner] = found[link.owner] + inputs_BD if link.owner in found else inputs_BD
    return torch.cat([inputs_BD.flatten() for inputs_BD in found.values()])


def _weighted(weights_A: Tensor, gradients_A: Sequence[Tensor]) -> Tensor:
    """The weighted sum of A tensors."""
    first, *rest = weights_A.tolist()
    total = gradients_A[0] * first
    for weight, gradient in zip(rest, gradients_A[1:], strict=True):
        total.add_(gradient, alpha=weight)
    return total  # type: ignore[no-any-return]


def _is_tied(total: Tensor, tables: Sequence[Tensor], links: Sequence[Tensor]) -> bool:
    """Does a table's gradient differ from what the links' gradients send on to it?"""
    gradients = torch.autograd.grad(total, [*tables, *links], retain_graph=True, materialize_grads=True)
    whole = gradients[: len(tables)]
    sent = torch.autograd.grad(
        links, tables, gradients[len(tables) :], retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return any((a - b).abs().max() > 1e-3 * a.abs().max() for a, b in zip(whole, sent, strict=True))
