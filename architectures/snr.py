"""SNR, sub-network routing: learned gates decide which sub-network feeds which. Two forms: SNR-Trans and SNR-Aver.

Axes: B batch, D input, T tasks, S sub-networks of a level, H width of a level, O width of what is passed on. R is what a
level feeds: the S sub-networks of the next level, or the T towers.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.hard_concrete import HardConcrete
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units, batched_linear


class SNR(Architecture):
    """What the two forms of SNR share.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        num_subnetworks: Sub-networks S of every level, at least 2: with one there is nothing to route.
        level_dims: Width of the sub-networks (one layer each) of every level. By default the first level is as wide as
            MMoE's eight experts of 64 together.
        tower_dims: Hidden widths of a tower.
        l0_weight: Weight lambda of the extra loss. 0: no extra loss.
        gate_start: The parameter alpha of every gate at the start. 0: half open on average; 2: almost open.
        dropout: On every hidden layer of sub-networks and towers.
    """

    transforms: ClassVar[bool]

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        num_subnetworks: int = 4,
        level_dims: tuple[int, ...] = (128, 64),
        tower_dims: tuple[int, ...] = (32,),
        l0_weight: float = 1e-4,
        gate_start: float = 2.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if num_subnetworks < 2:
            raise ValueError(
                f"num_subnetworks must be at least 2, found {num_subnetworks}; with one, use shared_bottom"
            )
        if l0_weight < 0:
            raise ValueError(f"l0_weight must be at least 0, found {l0_weight}")
        self.l0_weight = l0_weight
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.subnetworks = MLPs(num_subnetworks, self.embedding.output_dim, level_dims, dropout)
        num_fed = [num_subnetworks] * (len(level_dims) - 1) + [len(schema.tasks)]
        self.connections = Units(
            Connections(num_subnetworks, fed, width, transforms=self.transforms, gate_start=gate_start)
            for fed, width in zip(num_fed, level_dims, strict=True)
        )
        self.towers = Towers(schema.tasks, level_dims[-1], tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (linear_BSH,) = self.embedding(batch).linear(self.subnetworks.first)
        first, *rest = self.connections
        routed_BRO = first(self._activated(linear_BSH))
        for level, connections in zip(self.subnetworks.layers[1:], rest, strict=True):
            routed_BRO = connections(self._activated(batched_linear(level, routed_BRO)))
        return self.towers(routed_BRO)

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `l0`, the expected number of open connections times its weight."""
        outputs = self(batch)
        if self.l0_weight == 0:
            return outputs, {}
        num_open = torch.stack([connections.gates.expected_open() for connections in self.connections]).sum()
        return outputs, {"l0": Auxiliary(self.l0_weight * num_open)}

    def _activated(self, linear_BSH: Tensor) -> Tensor:
        activated_BSH: Tensor = self.subnetworks.dropout(F.relu(linear_BSH))
        return activated_BSH


@register("snr_trans")
class SNRTrans(SNR):
    r"""Sub-network routing with transformations: gated matrices connect the sub-networks of a level to the next.

    Ma, Zhao, Chen, Li, Hong, Chi: SNR: Sub-Network Routing for Flexible Parameter Sharing in Multi-Task Learning,
    AAAI 2019, doi 10.1609/aaai.v33i01.3301216. For the sub-networks $s$ of a level and what the level feeds, $r$:

    $$
    v_r = \sum_s z_{rs}\, M_{rs}\, u_s, \qquad u_s = \operatorname{ReLU}(W_s\, v'_s + b_s)
    $$

    - $v'_s$: what the level below passes to sub-network $s$; at the first level $x$ (D,), the embedded input;
    - $u_s$ (H,): the output of sub-network $s$;
    - $v_r$ (H,): the input of sub-network $r$ of the next level, or at the last level of the tower of task $r$;
    - $M_{rs}$ (H, H): the transformation of a connection, without bias;
    - $z_{rs}$: the gate of a connection: one number from 0 to 1, the same for all rows. It is a hard-concrete gate (Louizos,
      Welling, Kingma, ICLR 2018, arXiv 1712.01312), drawn anew at every step of training and fixed in evaluation.

    The extra loss `l0` is the expected number of connections that are open, with $\alpha_{rs}$ the gate's parameter and the
    constants $\beta = 2/3$, $\gamma = -0.1$, $\zeta = 1.1$:

    $$
    \lambda \sum_{r,s} P(z_{rs} > 0) = \lambda \sum_{r,s} \sigma(\alpha_{rs} - \beta \log(-\gamma/\zeta))
    $$

    All tasks reach the embedding, all sub-networks and all connections between them. A tower and the connections to it
    belong to one task. With every $M_{rs}$ the identity, this is snr_aver.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if a parameter is out of its range.

    Differs from the paper:
        We could not verify its constants: it has no public code. Those of the gates are from the paper on hard-concrete
        gates. Gates start almost open, because training is noisy where they start half open. $\lambda$ is that of Google's
        code for health records, whose extra loss is another, see below.

    Differs from other implementations:
        All transformations are parameters, every connection has a gate of its own, and the noise of a gate is drawn: in
        MMLRec the matrices are not registered and so never trained, all connections have one gate, and its noise is a
        learned tensor. Google's code for health records draws a gate for each row, and its extra loss lacks the sigmoid,
        so it falls without bound.
    """

    transforms = True


@register("snr_aver")
class SNRAver(SNR):
    r"""Sub-network routing with averages: gates weight the sub-networks of a level that feed the next.

    Ma, Zhao, Chen, Li, Hong, Chi: SNR: Sub-Network Routing for Flexible Parameter Sharing in Multi-Task Learning,
    AAAI 2019, doi 10.1609/aaai.v33i01.3301216. For the sub-networks $s$ of a level and what the level feeds, $r$:

    $$
    v_r = \sum_s z_{rs}\, u_s, \qquad u_s = \operatorname{ReLU}(W_s\, v'_s + b_s)
    $$

    - $v'_s$: what the level below passes to sub-network $s$; at the first level $x$ (D,), the embedded input;
    - $u_s$ (H,): the output of sub-network $s$;
    - $v_r$ (H,): the input of sub-network $r$ of the next level, or at the last level of the tower of task $r$;
    - $z_{rs}$: the gate of a connection, and the extra loss `l0`: as in snr_trans.

    The sum is not divided by the number or the sum of the gates. With a sub-network for each task and $z$ the identity, the
    networks are those of single_task on a common embedding.

    All tasks reach the embedding, all sub-networks and all gates between them. A tower and the gates of its connections
    belong to one task.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if a parameter is out of its range.

    Differs from the paper:
        As in snr_trans.

    Differs from other implementations:
        We found none.
    """

    transforms = False


class Connections(nn.Module):
    """The gated connections from all sub-networks of a level to all that it feeds.

    Each of the R that are fed has its gates and transformations as parameters of its own.

    Args:
        num_subnetworks: S.
        num_fed: R.
        width: H, and O.
        transforms: Has every connection a matrix?
        gate_start: As in `SNR`.
    """

    def __init__(self, num_subnetworks: int, num_fed: int, width: int, *, transforms: bool, gate_start: float) -> None:
        super().__init__()
        self.num_subnetworks = num_subnetworks
        self.gates = HardConcrete(num_fed, num_subnetworks, start=gate_start)
        # for one r, M_r1 ... M_rS side by side
        self.transforms = Units(
            nn.Linear(num_subnetworks * width, width, bias=False) for _ in range(num_fed if transforms else 0)
        )

    def forward(self, outputs_BSH: Tensor) -> Tensor:
        """(B, S, H) -> (B, R, O)."""
        gates_RS = self.gates()
        if not self.transforms:
            return torch.einsum("rs,bsh->brh", gates_RS, outputs_BSH)
        # gates times matrices, then one product: cheaper than gates times every row's outputs for every r
        weight_ROSH = torch.stack([m.weight for m in self.transforms]).unflatten(2, (self.num_subnetworks, -1))
        gated_ROSH = gates_RS[:, None, :, None] * weight_ROSH
        passed_BRO: Tensor = F.linear(outputs_BSH.flatten(1), gated_ROSH.flatten(2).flatten(0, 1)).unflatten(
            1, (len(self.transforms), -1)
        )
        return passed_BRO
