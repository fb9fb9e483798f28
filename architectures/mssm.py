"""MSSM: multiple-level sparse sharing.

Axes: B batch, F fields, d embedding, S sub-networks (one per task and, last, the shared one), I input width, H hidden, R
readers: the sub-networks or towers above, T tasks.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.hard_concrete import HardConcrete
from architectures.layers import FeatureEmbedding, Towers, Units
from benchmark.embeddings import EMBEDDING_STD

START = 2.0  # of log alpha: connections begin almost open, at .957


@register("mssm")
class MSSM(Architecture):
    r"""Multiple-level sparse sharing: each task selects fields row by row, and units of the sub-networks that it reads.

    Ding et al.: MSSM: A Multiple-level Sparse Sharing Model for Efficient Multi-Task Learning, SIGIR 2021,
    doi 10.1145/3404835.3463022. There is a sub-network $s$ per task, and a shared one. Each selects fields $i$ (the
    paper's FSCM), then connections between the levels of sub-networks are selected (CSSM):

    $$
    w_{si} = \operatorname{relu}(\tanh(g_{si}^\top e_i)), \qquad
    u_s^1 = \operatorname{relu}\big(W_s\, [w_{s1} e_1, \ldots, w_{sF} e_F] + b_s\big)
    $$

    $$
    u_r^{j+1} = \operatorname{relu}\Big(\sum_s m_{rs}^j \odot (W_{rs}^j\, u_s^j)\Big), \qquad y_k = h_k(u_k^L)
    $$

    - $e_i$ (d,): the embedding of field $i$; $g_{si}$ (d,) is learned; $w_{si}$ is in [0, 1), and 0 on many rows;
    - $W_{rs}$ (H, I): what sub-network $r$ takes from $s$ below, without bias; $h_k$: the tower of task $k$;
    - $m_{rs}$ (H,): hard concrete gates over units (Louizos, Welling, Kingma: Learning Sparse Neural Networks through
      L0 Regularization, ICLR 2018, arXiv 1712.01312). With $\beta = 2/3$, $l = -0.1$, $h = 1.1$, and $v$ uniform:

    $$
    m = \operatorname{clip}\Big(l + (h - l)\, \sigma\Big(\frac{\log v - \log(1 - v) + \log\alpha}{\beta}\Big), 0, 1\Big)
    $$

    Every training step draws $v$ again, for all rows at once. In evaluation there is no noise and no $\beta$. The extra
    loss is `l0_weight` times the sum over gates of $P(m > 0) = \sigma(\log\alpha - \beta \log(-l / h))$. The last level
    has no shared sub-network, because nothing would read it.

    All tasks reach the embedding, the selections of fields and every level but the last. Connections of the last level
    and a tower belong to one task, though a gate of 0 closes a path that autograd still follows.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        level_dims: Widths of the sub-networks, level by level: at least two, as connections are between levels.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of sub-networks and towers.
        l0_weight: Factor of the extra loss.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: for fewer than two levels, a width below 1 or a negative `l0_weight`.

    Differs from the paper:
        We could read its abstract and a reader's note of its equations, not its text. The note leaves open whether the
        shared sub-network selects fields (here it does, by the same rule), what is between levels (here ReLU, as
        elsewhere), initial values and constants (here those above; $g$ starts so that its product with an embedding has
        standard deviation 1, as at 0 it would never move; `l0_weight` is that of Google's published SNR). A number has
        the embedding $n v + c$, as only an embedding can be selected. The paper's penalty on $W$ is the optimizer's
        weight decay.

    Differs from other implementations:
        MMLRec's has no selection of fields, and its matrices never learn.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        level_dims: tuple[int, ...] = (64, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        l0_weight: float = 1e-4,
    ) -> None:
        super().__init__(schema)
        if len(level_dims) < 2 or min(level_dims) < 1:
            raise ValueError(f"level_dims must be at least two widths of at least 1, found {tuple(level_dims)}")
        if l0_weight < 0:
            raise ValueError(f"l0_weight must be at least 0, found {l0_weight}")
        self.l0_weight = l0_weight
        num_tasks, num_networks = len(schema.tasks), len(schema.tasks) + 1
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        numbers = self.embedding.numbers_dim
        self.numbers = NumberEmbedding(numbers, embedding_dim) if numbers else None
        num_fields = len(self.embedding.fields) + numbers
        self.selections = Units(FieldSelection(num_fields, embedding_dim) for _ in range(num_networks))
        self.first = Units(nn.Linear(num_fields * embedding_dim, level_dims[0]) for _ in range(num_networks))
        self.levels = Units(
            Units(
                SparseConnections(num_networks, level_dims[j - 1], level_dims[j])
                for _ in range(num_networks if j + 1 < len(level_dims) else num_tasks)
            )
            for j in range(1, len(level_dims))
        )
        self.towers = Towers(schema.tasks, level_dims[-1], tower_dims, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        fields_BFd = self._fields(batch)
        # one sub-network after another: all their selected fields at once do not fit in the cache, which costs more
        first_BSH = torch.stack(
            [layer(select(fields_BFd)) for select, layer in zip(self.selections, self.first, strict=True)], dim=1
        )
        units_BSH: Tensor = self.dropout(F.relu(first_BSH))
        for readers in self.levels:
            weight_RHI = torch.stack([reader.matrix() for reader in readers])
            read_BX = F.linear(units_BSH.flatten(1), weight_RHI.flatten(0, 1))  # all readers in one product
            units_BSH = self.dropout(F.relu(read_BX.unflatten(1, (len(readers), -1))))
        return self.towers(units_BSH)

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: the expected number of open gates."""
        num_open = [reader.gates.expected_open() for readers in self.levels for reader in readers]
        return self(batch), {"open connections": Auxiliary(self.l0_weight * torch.stack(num_open).sum())}

    def _fields(self, batch: Batch) -> Tensor:
        """(B, F, d): the categorical fields' embeddings, then the numbers'."""
        dense_BD, dim = self.embedding(batch).dense(), self.embedding.embedding_dim
        num_categorical = len(self.embedding.fields)
        fields_BFd = dense_BD[:, : num_categorical * dim].reshape(len(dense_BD), num_categorical, dim)
        if self.numbers is None:
            return fields_BFd
        return torch.cat([fields_BFd, self.numbers(dense_BD[:, num_categorical * dim :])], dim=1)


class NumberEmbedding(nn.Module):
    """N numbers to N vectors, each v n + c, that start as small as other fields' embeddings."""

    def __init__(self, num_numbers: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_numbers, dim))
        self.bias = nn.Parameter(torch.empty(num_numbers, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As `EmbeddingTable` does."""
        for parameter in (self.weight, self.bias):
            nn.init.normal_(parameter, std=EMBEDDING_STD)

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """(B, N) -> (B, N, d)."""
        return numbers_BN.unsqueeze(2) * self.weight + self.bias


class FieldSelection(nn.Module):
    """The fields that one sub-network selects on each row, by their embeddings' products with its weight (F, d)."""

    def __init__(self, num_fields: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_fields, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The product with an embedding starts at a standard deviation of 1."""
        nn.init.normal_(self.weight, std=1 / (EMBEDDING_STD * math.sqrt(self.weight.shape[1])))

    def forward(self, fields_BFd: Tensor) -> Tensor:
        """(B, F, d) -> (B, F d), side by side, each times its weight in [0, 1)."""
        weights_BF = (fields_BFd * self.weight).sum(dim=2).tanh().relu()
        return (weights_BF.unsqueeze(2) * fields_BFd).flatten(1)


class SparseConnections(nn.Module):
    """What one reader takes from the S sub-networks below: matrices, and a hard concrete gate over each one's outputs."""

    def __init__(self, num_networks: int, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_networks, output_dim, input_dim))
        self.gates = HardConcrete(1, num_networks, output_dim, start=START)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Matrices as those of an nn.Linear that reads all sub-networks."""
        bound = 1 / math.sqrt(self.weight.shape[0] * self.weight.shape[2])
        nn.init.uniform_(self.weight, -bound, bound)

    def matrix(self) -> Tensor:
        """(H, S I): all matrices side by side, their rows times their gates."""
        (gate_SH,) = self.gates()
        gated_SHI: Tensor = gate_SH.unsqueeze(2) * self.weight
        return gated_SHI.transpose(0, 1).flatten(1)
