"""Sluice networks: cross-stitch networks whose layers have parts, and whose towers read every layer.

Axes: B batch, D input, H hidden, T tasks, L layers, S subspaces of a layer, C = H/S width of a subspace, U = T S
subspaces of all tasks.
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units, batched_linear


@register("sluice")
class Sluice(Architecture):
    r"""Sluice networks: a network per task, whose layers exchange subspaces, and towers that mix all layers.

    Ruder, Bingel, Augenstein, Søgaard: Latent Multi-Task Architecture Learning, AAAI 2019, arXiv 1705.08142 (2017, as
    Sluice networks: Learning what to share between loosely related tasks). For the tasks $k$, the layers
    $l = 1, \dots, L$ and the subspaces $s = 1, \dots, S$ of a layer:

    $$
    m_{k,0} = x, \qquad [h_{k,l,1}, \dots, h_{k,l,S}] = \operatorname{ReLU}(W_{k,l}\, m_{k,l-1} + b_{k,l})
    $$

    $$
    m_{k,l,s} = \sum_{j,r} A_l[ks, jr]\, h_{j,l,r}, \qquad y_k = t_k\Big(\sum_l \beta_{k,l}\, m_{k,l}\Big)
    $$

    - $x$ (D,): the embedded input, the same for all tasks;
    - $h_{k,l,s}$ (C,): subspace $s$ of layer $l$ of task $k$: the layer's units in S parts of one width;
    - $A_l$ (T S, T S): the stitch after layer $l$. Its entries are free numbers, the same for all rows;
    - $m_{k,l}$ (H,): the stitched subspaces of task $k$, side by side;
    - $\beta_k$ (L,): how much of each layer the tower $t_k$ reads.

    The extra loss `orthogonality` keeps the subspaces of a layer from computing the same. With $W_{k,l,s}$ (C, ·) the rows
    of $W_{k,l}$ that make subspace $s$:

    $$
    \lambda \sum_{k,l} \sum_{s < r} \big\| W_{k,l,s}\, W_{k,l,r}^\top \big\|_F^2
    $$

    With one subspace and $\beta$ 1 on the last layer and 0 elsewhere, this is cross_stitch.

    All tasks reach the embedding, every layer, and every stitch but the last. The rows of a task in the last stitch, its
    $\beta_k$ and its tower belong to that task. The extra loss reaches the weights of every layer.

    Args:
        schema: Fields and tasks: at least two.
        embedding_dim: Width of a field's embedding.
        hidden_dim: Width H of every layer of each task's network. By default two tasks together have the first layer of
            shared_bottom.
        num_layers: Layers L of each task's network.
        num_subspaces: Subspaces S of a layer; S divides `hidden_dim`.
        tower_dims: Hidden widths of a tower.
        own_weight: What a stitch starts with for the subspace itself, from 0 to 1. All other subspaces share the rest.
            1/(T S): the mean of all, which makes all networks alike at first.
        orthogonality_weight: Weight lambda of the extra loss. 0: no extra loss. The example of the authors is 0.1, beside
            a loss that is summed over a sentence; here losses are means.
        dropout: On every hidden layer of networks and towers.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if a parameter is out of its range, or `num_subspaces` does not divide `hidden_dim`.

    Differs from the paper:
        Its layers are those of an LSTM. Here they are the layers of an MLP, and the extra loss takes all of them.

    Differs from the authors' code:
        It splits a layer with a reshape, which in its library's order of entries mixes units of different tasks; here a
        subspace is a run of units. For the extra loss it multiplies $W_s^\top W_r$ where rows are units. That depends on
        which unit of a subspace comes first. We take the paper's $G_1^\top G_2$ with units as columns: products of the
        units' weights. It starts a stitch from a balanced matrix or from a fixed pattern for two tasks.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        hidden_dim: int = 256,
        num_layers: int = 2,
        num_subspaces: int = 2,
        tower_dims: tuple[int, ...] = (32,),
        own_weight: float = 0.9,
        orthogonality_weight: float = 0.01,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if min(hidden_dim, num_layers, num_subspaces) < 1:
            raise ValueError(
                "hidden_dim, num_layers and num_subspaces must be at least 1, found "
                f"{hidden_dim}, {num_layers} and {num_subspaces}"
            )
        if hidden_dim % num_subspaces:
            raise ValueError(f"num_subspaces must divide hidden_dim={hidden_dim}, found {num_subspaces}")
        if not 0 <= own_weight <= 1:
            raise ValueError(f"own_weight must be from 0 to 1, found {own_weight}")
        if orthogonality_weight < 0:
            raise ValueError(f"orthogonality_weight must be at least 0, found {orthogonality_weight}")
        self.num_subspaces, self.orthogonality_weight = num_subspaces, orthogonality_weight
        num_tasks = len(schema.tasks)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(num_tasks, self.embedding.output_dim, (hidden_dim,) * num_layers, dropout)
        self.stitches = Units(SubspaceStitch(num_tasks, num_subspaces, own_weight) for _ in range(num_layers))
        self.layer_mix = LayerMix(num_tasks, num_layers)
        self.towers = Towers(schema.tasks, hidden_dim, tower_dims, dropout)

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return None if len(schema.tasks) > 1 else "needs at least two tasks: a stitch mixes the networks of several"

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (linear_BTH,) = self.embedding(batch).linear(self.hidden.first)
        first, *rest = self.stitches
        layers = [first(self._activated(linear_BTH))]
        for layer, stitch in zip(self.hidden.layers[1:], rest, strict=True):
            layers.append(stitch(self._activated(batched_linear(layer, layers[-1]))))
        return self.towers(self.layer_mix(layers))

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `orthogonality`, where a layer has several subspaces."""
        outputs = self(batch)
        if self.num_subspaces == 1 or self.orthogonality_weight == 0:
            return outputs, {}
        return outputs, {"orthogonality": Auxiliary(self.orthogonality_weight * self._overlap())}

    def _activated(self, linear_BTH: Tensor) -> Tensor:
        activated_BTH: Tensor = self.hidden.dropout(F.relu(linear_BTH))
        return activated_BTH

    def _overlap(self) -> Tensor:
        """The sum of squared products between weights of units in different subspaces of a layer. A scalar."""
        products = []
        for layer in self.hidden.layers:
            weight_THI = torch.stack([linear.weight for linear in layer])
            parts = weight_THI.chunk(self.num_subspaces, dim=1)
            products += [(one_TCI @ other_TCI.mT).square().sum() for one_TCI, other_TCI in combinations(parts, 2)]
        return torch.stack(products).sum()


class SubspaceStitch(nn.Module):
    """A linear mixture of all tasks' subspaces, with one number for each pair. Each task has its own rows.

    Args:
        num_tasks: T, at least 2.
        num_subspaces: S.
        own_weight: Where the diagonal starts; the rest of a row shares what is left of 1.
    """

    def __init__(self, num_tasks: int, num_subspaces: int, own_weight: float) -> None:
        super().__init__()
        self.num_subspaces, self.own_weight = num_subspaces, own_weight
        num_all = num_tasks * num_subspaces
        self.rows = nn.ParameterList(nn.Parameter(torch.empty(num_subspaces, num_all)) for _ in range(num_tasks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The own weight on the diagonal, and equal weights elsewhere."""
        with torch.no_grad():
            for task, rows_SU in enumerate(self.rows):
                rows_SU.fill_((1 - self.own_weight) / (rows_SU.shape[1] - 1))
                rows_SU[:, task * self.num_subspaces : (task + 1) * self.num_subspaces].fill_diagonal_(self.own_weight)

    def forward(self, streams_BTH: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        parts_BTSC = streams_BTH.unflatten(2, (self.num_subspaces, -1))
        weight_TSTS = torch.stack(list(self.rows)).unflatten(2, (-1, self.num_subspaces))
        return torch.einsum("tsur,burc->btsc", weight_TSTS, parts_BTSC).flatten(2)


class LayerMix(nn.Module):
    """The sum of the layers for each task, with a learned weight for each layer. They start at 1/L.

    Args:
        num_tasks: T.
        num_layers: L.
    """

    def __init__(self, num_tasks: int, num_layers: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(num_layers)) for _ in range(num_tasks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Equal weights that sum to 1."""
        with torch.no_grad():
            for weight_L in self.weights:
                weight_L.fill_(1 / len(weight_L))

    def forward(self, layers: list[Tensor]) -> Tensor:
        """L tensors of (B, T, H) -> (B, T, H)."""
        weights = torch.stack(list(self.weights), dim=1).unsqueeze(2).unbind()  # a (T, 1) for each layer
        first, *rest = [weight_T1 * layer_BTH for weight_T1, layer_BTH in zip(weights, layers, strict=True)]
        return sum(rest, first)
