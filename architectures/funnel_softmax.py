"""A softmax over the cells of a funnel: the maximum-likelihood control of the funnel architectures.

Axes: B batch, D input, H hidden, U units (one per funnel, then one per task outside), K tasks of a funnel, C its cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.funnel import lacks_funnel
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units
from benchmark.schema import Task

MOST_CELLS = 64

# The share of the cross entropy that is left in a child's loss, as a number without gradient. It keeps rounding from making
# the loss negative, whose logarithm some weightings take.
LEFT = 1e-6


@register("funnel_softmax")
class FunnelSoftmax(Architecture):
    r"""Softmax over the cells of a funnel: how far a row goes is one class, learned by maximum likelihood.

    No paper proposes it. It is the control for ESMM (SIGIR 2018, arXiv 1804.07931) and its successors. ESMM's losses are on
    the click and on the joint, and ChorusCVR (2025, arXiv 2502.08277) adds one on "clicked and not bought". These are parts
    of one distribution, over the cells of the funnel. A cell $z$ is a set of labels that the funnel allows: in a chain of
    $K$ tasks, the number of steps taken, from 0 to $K$.

    $$
    p(z \mid x) = \operatorname{softmax}_z(W\, h(f(x)) + b), \qquad
    y_k = \log \sum_{z:\, z_k = 1} p(z \mid x) - \log \sum_{z:\, z_k = 0} p(z \mid x)
    $$

    The losses of the tasks of a funnel sum to its negative log likelihood. The share of task $k$, with $o$ the labels, is

    $$
    L_k = -\operatorname{mean}\big(\log p(o_k \mid o_1, \dots, o_{k-1}, x)\big)
    $$

    - $x$ (D,): the embedded input; $f$: the bottom, an MLP with ReLU after its last layer too;
    - $h$: the hidden layers of the funnel's tower; $W$ (C, H), $b$: its output layer, with a score for each cell;
    - $y_k$: the output, the logit of the joint.

    $L_k$ of the first task is its cross entropy. $L_k$ of a child is 0 on a row whose parent's label is 0, where nothing is
    left to predict. The trainer's loss of a child is the cross entropy of the joint instead. `training_step` therefore
    returns the children's outputs without gradient, and as extra loss `likelihood_<child>` what $L_k$ differs by. A
    probability whose condition has labels that are not observed is marginal over them.

    Siblings (two tasks given the same one) have a cell for every combination of theirs, and need not be independent.
    Every funnel of the schema has a softmax of its own. A task outside has a tower as in shared_bottom.

    All tasks reach the embedding and the bottom. All tasks of a funnel reach its whole tower. Another tower belongs to one
    task.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        bottom_dims: Layer widths of the bottom, those of shared_bottom.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of bottom and towers.

    Shape:
        batch of B rows -> {task: (B,)}; a funnel child's output is the joint, and never exceeds its parent's.

    Differs from other implementations:
        We know of none.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        bottom_dims: tuple[int, ...] = (512, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        funnels = funnels_of(schema)
        outside = [task for task in schema.tasks if not any(task in funnel for funnel in funnels)]
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.bottom = MLPs(1, self.embedding.output_dim, bottom_dims, dropout)
        self.hidden = MLPs(len(funnels) + len(outside), self.bottom.output_dim, tower_dims, dropout)
        self.funnels = Units(Funnel(tasks, self.hidden.output_dim) for tasks in funnels)
        self.towers = Towers(outside, self.hidden.output_dim, ())

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        reason = lacks_funnel(schema)
        most = max((count_cells(tasks) for tasks in funnels_of(schema)), default=0)
        if reason is None and most > MOST_CELLS:
            return f"needs a funnel of at most {MOST_CELLS} combinations of labels, and there are {most}"
        return reason

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        return self._read(batch)[0]

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `likelihood_<child>` for every funnel child, whose output has no gradient."""
        outputs, scores = self._read(batch)
        auxiliaries = {}
        for funnel, scores_BC in zip(self.funnels, scores, strict=True):
            columns = [self.schema.task_names.index(task.name) for task in funnel.tasks]
            labels_BK, observed_BK = batch.labels[:, columns], batch.observed[:, columns]
            losses_BK = funnel.losses(scores_BC, labels_BK, observed_BK)
            for k, task in enumerate(funnel.tasks):
                if task.given is None:
                    continue
                output_B, observed_B = outputs[task.name].detach(), observed_BK[:, k]
                label_B = labels_BK[:, k].to(output_B)
                entropy_B = F.binary_cross_entropy_with_logits(output_B, label_B, reduction="none")
                value = batch.mean(losses_BK[:, k] - (1 - LEFT) * entropy_B, observed_B, columns[k])
                outputs[task.name], auxiliaries[f"likelihood_{task.name}"] = output_B, Auxiliary(value, task.name)
        return outputs, auxiliaries

    def _read(self, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor]]:
        """All outputs, in the order of the tasks, and every funnel's scores, (B, C)."""
        (first_B1H,) = self.embedding(batch).linear(self.bottom.first)
        bottom_B1H = self.bottom.after_first(first_B1H)
        hidden_BUH = self.hidden(bottom_B1H.expand(-1, len(self.hidden.first), -1))
        outputs = self.towers(hidden_BUH[:, len(self.funnels) :])
        scores = [funnel.score(hidden_BUH[:, number]) for number, funnel in enumerate(self.funnels)]
        for funnel, scores_BC in zip(self.funnels, scores, strict=True):
            outputs |= funnel(scores_BC)
        return {name: outputs[name] for name in self.schema.task_names}, scores


class Funnel(nn.Module):
    """One funnel: a score for each of its cells.

    Args:
        tasks: Its K tasks, a parent before its children.
        input_dim: H.
    """

    cells_CK: Tensor

    def __init__(self, tasks: Sequence[Task], input_dim: int) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.register_buffer("cells_CK", torch.tensor(cells_of(tasks)).bool(), persistent=False)
        self.score = nn.Linear(input_dim, len(self.cells_CK))

    if TYPE_CHECKING:

        def __call__(self, scores_BC: Tensor) -> dict[str, Tensor]:
            """`forward`, with its types: nn.Module says Any."""

    def forward(self, scores_BC: Tensor) -> dict[str, Tensor]:
        """(B, C) scores -> {task: (B,) logit of the joint}."""
        return {
            task.name: among(scores_BC, self.cells_CK[:, k]) - among(scores_BC, ~self.cells_CK[:, k])
            for k, task in enumerate(self.tasks)
        }

    def losses(self, scores_BC: Tensor, labels_BK: Tensor, observed_BK: Tensor) -> Tensor:
        """(B, K) losses: of each label given those before it; 0 where it is not observed."""
        possible_BC = torch.ones_like(scores_BC, dtype=torch.bool)  # the cells that agree with the labels so far
        total_B, losses = scores_BC.logsumexp(dim=1), []
        for k in range(len(self.tasks)):
            agrees_BC = self.cells_CK[:, k] == (labels_BK[:, k, None] > 0)
            possible_BC = possible_BC & (agrees_BC | ~observed_BK[:, k, None])
            before_B, total_B = total_B, among(scores_BC, possible_BC)
            losses.append(before_B - total_B)
        return torch.stack(losses, dim=1)


def among(scores_BC: Tensor, chosen: Tensor) -> Tensor:
    """(B,) the log of the sum of exp over the chosen cells, (C,) or (B, C) bool, of which there is at least one."""
    return scores_BC.masked_fill(~chosen, -math.inf).logsumexp(dim=1)


def funnels_of(schema: Schema) -> list[list[Task]]:
    """The tasks of each funnel of at least two: a task, what is given it, what is given that, and so on."""
    funnels: dict[str, list[Task]] = {}  # by their tasks: all tasks of a funnel share one list
    for task in schema.tasks:
        funnel = funnels.setdefault(task.given or task.name, [])
        funnel.append(task)
        funnels[task.name] = funnel
    return [funnel for name, funnel in funnels.items() if len(funnel) > 1 and funnel[0].name == name]


def count_cells(tasks: Sequence[Task]) -> int:
    """C, without making them: a task adds 1 (its label is 0) to the product over its children."""
    product = {task.name: 1 for task in tasks}
    for task in reversed(tasks):
        if task.given is None:
            break
        product[task.given] *= 1 + product[task.name]
    return 1 + product[tasks[0].name]


def cells_of(tasks: Sequence[Task]) -> list[tuple[int, ...]]:
    """The (C, K) sets of labels in which no child is 1 and its parent 0.

    >>> from benchmark.kinds import BINARY
    >>> cells_of([Task("click", BINARY), Task("buy", BINARY, given="click")])
    [(0, 0), (1, 0), (1, 1)]
    """
    names = [task.name for task in tasks]
    cells: list[tuple[int, ...]] = [()]
    for task in tasks:
        allows = [task.given is None or cell[names.index(task.given)] == 1 for cell in cells]
        cells = [(*cell, label) for cell, both in zip(cells, allows, strict=True) for label in range(1 + both)]
    return cells
