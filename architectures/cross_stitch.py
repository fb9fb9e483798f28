"""Cross-stitch networks: one network per task, whose layers exchange what they computed.

Axes: B batch, D input, H hidden, T tasks, U the streams that a stitch reads (one per task).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units, batched_linear


@register("cross_stitch")
class CrossStitch(Architecture):
    r"""Cross-stitch networks: a network per task, and after every layer a learned linear mixture of all networks.

    Misra, Shrivastava, Gupta, Hebert: Cross-stitch Networks for Multi-task Learning, CVPR 2016, arXiv 1604.03539. For the
    tasks $k$ and the layers $l = 1, \dots, L$:

    $$
    m_{k,0} = x, \qquad h_{k,l} = \operatorname{ReLU}(W_{k,l}\, m_{k,l-1} + b_{k,l}), \qquad
    m_{k,l} = \sum_j A_l[k, j]\, h_{j,l}, \qquad y_k = t_k(m_{k,L})
    $$

    - $x$ (D,): the embedded input, the same for all tasks;
    - $h_{k,l}$ ($H_l$,): layer $l$ of the network of task $k$; $m_{k,l}$ ($H_l$,): what its stitch makes of all tasks' layers;
    - $A_l$ (T, T): the stitch after layer $l$. Its entries are free numbers, the same for all rows;
    - $t_k$: the tower of task $k$.

    If every $A_l$ is the identity, these are the networks of single_task on a common embedding.

    All tasks reach the embedding, every layer, and every stitch but the last. A row of the last stitch and a tower belong
    to one task.

    Args:
        schema: Fields and tasks: at least two.
        embedding_dim: Width of a field's embedding.
        hidden_dims: Layer widths of each task's network. By default two tasks together have the first layer of
            shared_bottom.
        tower_dims: Hidden widths of a tower.
        own_weight: What a stitch starts with for a task's own network, from 0 to 1. The other networks share the rest.
            1: separate networks; 1/T: the mean of all.
        dropout: On every hidden layer of networks and towers.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if `own_weight` is not from 0 to 1.

    Differs from the paper:
        The networks start from random values and are trained together from the start. The paper starts from networks
        that were trained for each task. Stitches have the learning rate and the weight decay of all other parameters, and
        decay pulls a stitch to zero, not to the identity. We could not verify whether a stitch has an entry for each
        channel there: here it has one for each pair of tasks.

    Differs from other implementations:
        Stitches start at .9 and .1/(T - 1), as in the code of Ruder's sluice networks. AdaTT's library starts them at
        random, some with a negative diagonal. LibMTL's start at ones, so that values grow T-fold at every stitch. MMLRec
        has a dense matrix between all units.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        hidden_dims: tuple[int, ...] = (256, 64),
        tower_dims: tuple[int, ...] = (32,),
        own_weight: float = 0.9,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if not 0 <= own_weight <= 1:
            raise ValueError(f"own_weight must be from 0 to 1, found {own_weight}")
        num_tasks = len(schema.tasks)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(num_tasks, self.embedding.output_dim, hidden_dims, dropout)
        self.stitches = Units(Stitch(num_tasks, own_weight) for _ in hidden_dims)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, tower_dims, dropout)

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return None if len(schema.tasks) > 1 else "needs at least two tasks: a stitch mixes the networks of several"

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (linear_BTH,) = self.embedding(batch).linear(self.hidden.first)
        first, *rest = self.stitches
        hidden_BTH = first(self._activated(linear_BTH))
        for layer, stitch in zip(self.hidden.layers[1:], rest, strict=True):
            hidden_BTH = stitch(self._activated(batched_linear(layer, hidden_BTH)))
        return self.towers(hidden_BTH)

    def _activated(self, linear_BTH: Tensor) -> Tensor:
        activated_BTH: Tensor = self.hidden.dropout(F.relu(linear_BTH))
        return activated_BTH


class Stitch(nn.Module):
    """A linear mixture of the tasks' streams, with one number for each pair of tasks. Each task has its own row.

    Args:
        num_tasks: T, at least 2.
        own_weight: Where the diagonal starts; the rest of a row shares what is left of 1.
    """

    def __init__(self, num_tasks: int, own_weight: float) -> None:
        super().__init__()
        self.own_weight = own_weight
        self.rows = nn.ParameterList(nn.Parameter(torch.empty(num_tasks)) for _ in range(num_tasks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The own weight on the diagonal, and equal weights elsewhere."""
        with torch.no_grad():
            for task, row_U in enumerate(self.rows):
                row_U.fill_((1 - self.own_weight) / (len(row_U) - 1))
                row_U[task] = self.own_weight

    def forward(self, streams_BUH: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        return torch.einsum("tu,buh->bth", torch.stack(list(self.rows)), streams_BUH)
