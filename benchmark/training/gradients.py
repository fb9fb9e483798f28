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

# Below this, squared norms in float32 have lost digits to underflow; above the largest float32, they are infinite.
FAINT = 1e-24


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
        mixed = (
            output * _uneven(output)
        ).sum()  # a number: for gradients of a vector, torch imports sympy, half a second
        gradients = torch.autograd.grad(mixed, parameters, retain_graph=True, allow_unused=True)
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
    get their gradient once, from the weighted sum of the links' gradients, which is the same by the chain rule. Under `all`,
    a Gram method's links are the rows that the batch reads: all other rows of a table have no gradient to compare. The checks
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
        self._uses_activations = weighting.scope in ("representation", "output")
        # of the present step: all, those that tell the gradient to compare, those that feed tables. How many links there are
        # can depend on the size of the batch; how many tell a gradient does not.
        self._links: list[Link] = []
        self._inward: list[Link] = []
        self._feeding: list[Link] = []
        self._linked_ids: set[int] = set()
        if self.weighting.scope == "output":
            for module in model.modules():
                if getattr(module, "ends_trunk", False):
                    module.register_forward_pre_hook(self._keep_input)
        elif listens:
            self._listen(model)
        num_tasks = len(weighting.tasks)
        self._step = 0
        self._is_tied = False  # do the losses use a linked table beside its links?
        self._reached: list[set[int]] = [set() for _ in range(num_tasks)]  # numbers of parameters, then of links
        # of each task alone: what its pass computes along, and what the backward of the weighted sum does
        self._own_along: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._own_outside: list[list[nn.Parameter]] = [[] for _ in range(num_tasks)]
        self._reachable: list[nn.Parameter] = []
        self._scope: list[nn.Parameter] = []
        self._compared: list[int] = []  # numbers of the inward links in scope
        # the shared rest: what gets its gradient from the links', what each task's pass computes along, what takes one
        # more backward
        self._linked: list[nn.Parameter] = []
        self._along: list[nn.Parameter] = []
        self._outside: list[nn.Parameter] = []
        if isinstance(weighting, JacobianWeighting):
            weighting.prepare(len(self.parameters) + 1)

    def _listen(self, model: nn.Module) -> None:
        """Asks modules for the links of each forward. A Jacobian method's update needs the compared tensors themselves."""
        if self.weighting.scope == "trunk" or not self._is_jacobian:
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
        self._prepare(losses_T, outputs)
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
        self.begin()

    def begin(self) -> None:
        """Forgets the links of an earlier forward; called before each step's."""
        self._links.clear()

    def _prepare(self, losses_T: Tensor, outputs: dict[str, Tensor]) -> None:
        """Sorts the links of the step, counts it, and looks at what tasks reach if that is due."""
        self._inward = [link for link in self._links if link.to_inputs is not None]
        self._feeding = [link for link in self._links if link.feeds_tables]
        has_news = False
        if self.weighting.scope == "all":
            self._feeding = [link for link in self._links if link.rows_of is not None]
            has_news = not self._is_tied and not self._are_tables_apart()
            self._is_tied |= has_news
        self._step += 1
        if is_look_due(self._step):
            self._look(outputs, losses_T)
        elif has_news:
            self._plan()

    def _are_tables_apart(self) -> bool:
        """Under `all`: is each table compared at one link? A row that two links have would be compared in parts."""
        table_ids = [id(link.rows_of.weight) for link in self._feeding if link.rows_of is not None]
        return len(table_ids) == len(self._linked_ids) and {*table_ids} == self._linked_ids

    def _taken(self) -> list[Link]:
        """The links at which each task's pass ends."""
        if self._uses_activations:
            return [self._inward[number] for number in self._compared]
        if self.weighting.scope != "all":
            return self._feeding if self._linked else []
        linked_ids = {id(parameter) for parameter in self._linked}
        return [link for link in self._feeding if link.rows_of is not None and id(link.rows_of.weight) in linked_ids]

    def observe(self, losses_T: Tensor, active_T: Tensor, outputs: dict[str, Tensor]) -> Tensor | None:
        """Sets and returns `gram_TT`, and no gradient; the graph stays. For the arguments, see `backward`."""
        active = active_T.nonzero().flatten().tolist()
        self._prepare(losses_T, outputs)
        self.gram_TT = None
        if active and self._scope:
            nothing: list[list[nn.Parameter]] = [[] for _ in self._own_along]
            rows_AS = self._passes(losses_T, active, self._scope, [], nothing, keep_graph=True)[0]
            self._remember(active, losses_T.new_ones(len(active)), _gram([rows_AS]))
        return self.gram_TT

    def state_dict(self) -> dict[str, Any]:
        """The findings of all checks, as plain values."""
        reached = [sorted(numbers) for numbers in self._reached]
        return {"step": self._step, "reached": reached, "is_tied": self._is_tied}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._step, self._is_tied = state["step"], state["is_tied"]
        self._reached = [set(numbers) for numbers in state["reached"]]
        self._plan()

    @property
    def _compares(self) -> bool:
        """Is anything in scope shared?"""
        if self._uses_activations:
            return bool(self._compared)
        return bool(self._scope or (self.weighting.scope == "all" and self._linked))

    def _solve(self, losses_T: Tensor, active: list[int], active_T: Tensor, *, keep_graph: bool) -> None:
        together = [*self._scope, *self._along]
        taken = self._taken()
        rows_AP, link_gradients, own = self._passes(
            losses_T, active, together, taken, self._own_along, keep_graph=keep_graph
        )
        blocks = self._in_scope(rows_AP, taken, link_gradients)
        weights_A, update_S, gram_AA = self._decide(blocks, losses_T.detach()[active], active_T)
        # towers read inputs of their own, so at these the gradients of tasks are orthogonal, which says nothing about them
        self._remember(
            active, weights_A, None if self.weighting.scope == "output" and self._uses_activations else gram_AA
        )
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
        if self._outside:
            keep = keep_graph or bool(self._linked)
            self._pass_outside(losses_T, active, weights_A, factors_A, keep_graph=keep)
        if self._linked:
            sent = [_weighted(weights_A, gradients_A) for gradients_A in zip(*link_gradients, strict=True)]
            if update_S is not None and self._uses_activations:
                # the tables have the plain sum: what a Jacobian method adds to it
                pieces = torch.split(update_S, [link.tensor.numel() for link in taken])
                sent = [piece.view_as(plain) - plain for piece, plain in zip(pieces, sent, strict=True)]
            torch.autograd.backward([link.tensor for link in taken], sent, inputs=self._linked, retain_graph=keep_graph)
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
        if lost:  # no two tasks own the same parameter, so their gradients come from one sum
            own = [parameter for task in lost for parameter in self._own_outside[task]]
            for parameter in own:
                parameter.grad = None
            torch.autograd.backward(losses_T[lost].sum(), inputs=own, retain_graph=keep_graph)
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

    def _in_scope(self, rows_AP: Tensor, taken: list[Link], link_gradients: list[Sequence[Tensor]]) -> list[Tensor]:
        """The columns (A, S) of what is compared, in one block, or under `all` in one more for each table."""
        if self._uses_activations:
            return [torch.stack([_embedded(taken, gradients) for gradients in link_gradients])]
        blocks = [rows_AP[:, : sum(parameter.numel() for parameter in self._scope)]]
        if self.weighting.scope == "all":
            blocks += [torch.stack(gradients_A).flatten(1) for gradients_A in zip(*link_gradients, strict=True)]
        return blocks

    def _decide(self, blocks: list[Tensor], losses_A: Tensor, active_T: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Weights (A,), a Jacobian method's update (S,), and the Gram matrix (A, A).

        Args:
            blocks: The columns (A, S) of the gradients in scope. A Jacobian method has one block.
            losses_A: (A,) of the active tasks.
            active_T: (T,) which these are.
        """
        rows_AS, gram_AA = blocks[0], _gram(blocks)
        if not gram_AA.isfinite().all():  # no solver is asked; the run ends as diverged
            return rows_AS.new_full((len(rows_AS),), torch.nan), None, gram_AA
        everyone = torch.ones(len(gram_AA), dtype=torch.bool)
        if isinstance(self.weighting, GramWeighting):
            weights_A = self.weighting.weights(gram_AA, losses_A, active_T)
            scale = scale_to_mean_one(weights_A, everyone) if self.weighting.normalize else 1.0
            return (scale * weights_A).to(rows_AS), None, gram_AA
        update_S = self.weighting.combine(rows_AS, losses_A, active_T, self._columns(rows_AS.shape[1]))
        weights_A = _fitted(gram_AA, (rows_AS @ update_S).double().cpu())
        if self.weighting.normalize:
            scale = scale_to_mean_one(weights_A, everyone)
            weights_A, update_S = scale * weights_A, scale.to(update_S) * update_S
        return weights_A.to(rows_AS), update_S, gram_AA

    def _look(self, outputs: dict[str, Tensor], losses_T: Tensor) -> None:
        tensors = [*self.parameters, *(link.tensor for link in self._inward)]
        # in one pass: the output, in rows without a label too, and the loss, which has auxiliaries too
        both = {
            task.name: (_uneven(outputs[task.name]) * outputs[task.name]).sum() + loss
            for task, loss in zip(self.weighting.tasks, losses_T, strict=True)
        }
        for reached, found_P in zip(self._reached, reach(both, tensors).T, strict=True):
            reached.update(found_P.nonzero().flatten().tolist())
        if not self._uses_activations and self._feeding and not self._is_tied:
            tables = [p for p in self.parameters if id(p) in self._linked_ids]
            total = torch.stack(list(both.values())).sum()
            self._is_tied = _is_tied(total, tables, [link.tensor for link in self._feeding])
        self._plan()

    def _plan(self) -> None:
        num_parameters = len(self.parameters)
        counts = Counter(number for reached in self._reached for number in reached)
        own = [n for n, p in enumerate(self.parameters) if counts[n] == 1]
        owned = [[self.parameters[n] for n in own if n in reached] for reached in self._reached]
        self._reachable = [p for n, p in enumerate(self.parameters) if counts[n]]
        shared = [p for n, p in enumerate(self.parameters) if counts[n] >= 2]
        self._compared = [n - num_parameters for n in sorted(counts) if n >= num_parameters and counts[n] >= 2]
        if self.weighting.scope == "output":
            self._uses_activations = self._is_covered(counts)
        self._scope, self._linked = [], []
        if self._uses_activations:
            if self._is_jacobian:
                self._linked = [p for p in shared if id(p) in self._embedding_ids]
            if shared and not self._compared:
                raise ValueError(
                    "weighting.scope=representation compares the gradients of embeddings' outputs, but here no two tasks"
                    " share an embedding; expected trunk or all"
                )
        else:
            if not self._is_tied:
                self._linked = [p for p in shared if id(p) in self._linked_ids]
            linked_ids = {id(p) for p in self._linked}
            self._scope = [
                p
                for p in shared
                if (self.weighting.scope == "all" and id(p) not in linked_ids) or id(p) not in self._embedding_ids
            ]
        if self._uses_activations:  # a task's pass need not compute any parameter
            self._along, self._outside = [], shared + [p for parameters in owned for p in parameters]
        else:
            done = {id(p) for p in (*self._scope, *self._linked)}
            rest = [p for p in shared if id(p) not in done]
            is_small = sum(p.numel() for p in rest) <= ALONG
            self._along, self._outside = (rest, []) if is_small else ([], rest)
        nothing: list[list[nn.Parameter]] = [[] for _ in owned]
        self._own_along, self._own_outside = (nothing, owned) if self._uses_activations else (owned, nothing)

    def _is_covered(self, counts: Counter[int]) -> bool:
        """Does every task that shares a parameter reach an input of a tower? If not, `output` compares the trunk."""
        num_parameters = len(self.parameters)
        sharing = [r for r in self._reached if any(n < num_parameters and counts[n] >= 2 for n in r)]
        inputs = {n + num_parameters for n in self._compared}
        return bool(inputs) and all(reached & inputs for reached in sharing)

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
            self._links.append(Link(output, output, lambda gradient: gradient.flatten(1)))

    def _keep_input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._keep(module, (), inputs[0])


def _gram(blocks: Sequence[Tensor]) -> Tensor:
    """(A, A) float64 on the CPU: the rows' inner products, over the columns of all blocks.

    A product in float32 need not be symmetric to the last bit. Rows are scaled where a square would overflow or
    underflow: rarely, since it costs two more passes.
    """
    gram_AA = _products(blocks)
    if not all(FAINT < square < torch.inf for square in gram_AA.diagonal().tolist()):
        largest_A = torch.stack([rows_AS.abs().amax(dim=1) for rows_AS in blocks if rows_AS.shape[1]]).amax(dim=0)
        scale_A = torch.where(largest_A > 0, largest_A, 1.0)[:, None]
        scaled = [rows_AS / scale_A for rows_AS in blocks]
        gram_AA = _products(scaled) * scale_A.double().cpu() * scale_A.T.double().cpu()
    return (gram_AA + gram_AA.T) / 2


def _products(blocks: Sequence[Tensor]) -> Tensor:
    return torch.stack([(rows_AS @ rows_AS.T).double().cpu() for rows_AS in blocks]).sum(dim=0)


def _fitted(gram_AA: Tensor, products_A: Tensor) -> Tensor:
    """(A,) weights of the least-squares fit of an update by the gradients, from its inner products with them.

    It is taken for gradients of length 1, of which nearly parallel ones count as dependent: float32 tells no more.
    """
    lengths_A = gram_AA.diagonal().sqrt()
    inverse_A = torch.where(lengths_A > 0, 1 / lengths_A, 0.0)
    cosines_AA = gram_AA * inverse_A * inverse_A[:, None]
    return inverse_A * (torch.linalg.pinv(cosines_AA, rtol=1e-6, hermitian=True) @ (inverse_A * products_A))  # type: ignore[no-any-return]


def _embedded(links: Sequence[Link], gradients: Sequence[Tensor]) -> Tensor:
    """(S,): the links' gradients as those of the embedded inputs, added up for each owner."""
    found: dict[int, Tensor] = {}
    for link, gradient in zip(links, gradients, strict=True):
        assert link.to_inputs is not None
        inputs_BD, owner = link.to_inputs(gradient), id(link.owner)
        found[owner] = found[owner] + inputs_BD if owner in found else inputs_BD
    return torch.cat([inputs_BD.flatten() for inputs_BD in found.values()])


def _weighted(weights_A: Tensor, gradients_A: Sequence[Tensor]) -> Tensor:
    """The weighted sum of A tensors."""
    first, *rest = weights_A.tolist()
    total = gradients_A[0] * first
    for weight, gradient in zip(rest, gradients_A[1:], strict=True):
        total.add_(gradient, alpha=weight)
    return total  # type: ignore[no-any-return]


def _is_tied(total: Tensor, tables: Sequence[Tensor], links: Sequence[Tensor]) -> bool:
    """Is there a path of the graph from the total to a table that passes no link?"""
    wanted_ids = {id(table) for table in tables}
    seen, todo = {link.grad_fn for link in links}, [total.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if id(getattr(node, "variable", None)) in wanted_ids:
                return True
            todo += [following for following, _ in node.next_functions]
    return False
