"""AdaTT: adaptive task-to-task fusion.

Axes: B batch, D input, T tasks, U units (one per task and, last, the shared one). In a level: E experts of all units,
I input width, H hidden width, O outputs of a gate's Linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Batch, Schema, register
from architectures.gates import Gated, GateOptions, Gates
from architectures.layers import FeatureEmbedding, Towers, Units, batched_linear, linear_on_one


@register("adatt")
class AdaTT(Gated):
    r"""Adaptive task-to-task fusion: on every level, each task mixes the experts of all tasks and adds its own once more.

    Li, Zhang, Yuan, Gao, Zhang, Yang, Liu, Yang: AdaTT: Adaptive Task-to-Task Fusion Network for Multitask Learning in
    Recommendations, KDD 2023, doi 10.1145/3580305.3599769, arXiv 2304.04959. A unit $u$ is a task $k$ or the shared unit
    $s$:

    $$
    f_{u,0} = x, \qquad
    f_{u,j} = \operatorname{softmax}(W_{u,j}\, f_{u,j-1})\, S_j + \sum_{e \in u} c_{e,j}\, S_{e,j}, \qquad
    y_k = h_k(f_{k,L})
    $$

    - $x$ (D,): the embedded input; $f_{u,j}$ ($H_j$,): the stream of unit $u$ after level $j$ of $L$;
    - $S_{e,j}$ ($H_j$,): expert $e$ of level $j$, ReLU(Linear($f_{u,j-1}$)): it reads the stream of its own unit $u$;
    - $S_j$ (E, $H_j$): all experts of the level, those of all tasks and the shared ones;
    - $W_{u,j}$ (E, $H_{j-1}$): the gate, without bias; it reads the stream of its own unit;
    - $c_{e,j}$: the weight of expert $e$ in the residual of its unit, the second term. It is a free parameter without
      softmax, or 1 where the unit has one expert;
    - $h_k$: the tower of task $k$.

    The last level has no gate and no residual of the shared unit, because nothing would read them. Without shared experts
    there is no shared unit: this is the paper's AdaTT-sp.

    All tasks reach the embedding, all experts, and the gates and residual weights of every level but the last. Only its
    own task reaches a tower and the gate and residual weights of the last level.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        level_dims: Width of the experts (one layer each) of every level.
        num_task_experts: Experts of each task on a level, at least 1.
        num_shared_experts: Shared experts of a level. 0 is AdaTT-sp.
        residual: Is the second term part of the model? Without it, one level is MMoE.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if `level_dims` is empty or has a width below 1, if a number of experts is too small, or if a level has
            only one expert in all.

    Differs from the paper:
        We have read its abstract and follow the equations of the authors' code. Defaults for widths and numbers of
        experts are those of ple, so that the two differ by their fusion alone.

    Differs from other implementations:
        The authors' gates have a bias; here no gate has one. In their general form, all residual weights are learned as
        soon as one unit has several experts; here, as in their AdaTT-sp, the weight of a single expert is always 1. Their
        configuration had no residual by default until August 2024.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        level_dims: tuple[int, ...] = (64, 64),
        num_task_experts: int = 4,
        num_shared_experts: int = 4,
        residual: bool = True,
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        num_tasks = len(schema.tasks)
        if not level_dims or min(level_dims) < 1:
            raise ValueError(f"level_dims must be at least one width of at least 1, found {tuple(level_dims)}")
        if num_task_experts < 1 or num_shared_experts < 0:
            raise ValueError(
                "num_task_experts must be at least 1 and num_shared_experts at least 0, found "
                f"{num_task_experts} and {num_shared_experts}"
            )
        if num_tasks * num_task_experts + num_shared_experts < 2:
            raise ValueError(
                f"num_task_experts must be at least 2 for one task without shared experts, found {num_task_experts}; "
                "a gate over one expert is constant"
            )
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        sizes = [num_task_experts] * num_tasks + [num_shared_experts] * (num_shared_experts > 0)
        widths = (self.embedding.output_dim, *level_dims)
        self.levels = Units(
            FusionLevel(
                widths[j],
                widths[j + 1],
                sizes=sizes,
                num_streams=len(sizes) if j + 1 < len(level_dims) else num_tasks,
                residual=residual,
                dropout=dropout,
                gate_options=self.gate_options,
            )
            for j in range(len(level_dims))
        )
        self.towers = Towers(schema.tasks, level_dims[-1], tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        return self.towers(self._extract(batch)[0])

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`: the gates of the last level, without the residual."""
        weights_BTE, last = self._extract(batch)[1], self.levels[-1]
        tasks = self.schema.task_names
        owners = [*tasks, "shared"][: len(last.experts_of)]
        names = [f"{owner} {e}" for owner, own in zip(owners, last.experts_of, strict=True) for e in range(len(own))]
        return self.by_task(weights_BTE, names)

    def _extract(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The streams of the last level, (B, T, H), and its gates' weights, (B, T, E)."""
        first, *rest = self.levels
        experts_BEH, gates_BUO = self.embedding(batch).linear(first.experts, first.gates)
        streams_BUH, weights_BUE = first.fuse(experts_BEH, gates_BUO)
        for level in rest:
            streams_BUH, weights_BUE = level.fuse(*level.read(streams_BUH))
        return streams_BUH, weights_BUE


class FusionLevel(nn.Module):
    """One level: experts of every unit; gates and residuals of the units that have a stream above it.

    Args:
        input_dim: I.
        output_dim: H.
        sizes: Experts of each unit, the shared one last.
        num_streams: How many units, counted from the first, have a stream above this level.
        residual: Do these units add their own experts?
        dropout: On the experts.
        gate_options: The architecture's.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        sizes: Sequence[int],
        num_streams: int,
        residual: bool,
        dropout: float,
        gate_options: GateOptions,
    ) -> None:
        super().__init__()
        self.output_dim = output_dim
        ends = [sum(sizes[: u + 1]) for u in range(len(sizes))]
        self.experts_of = [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self.experts = Units(nn.Linear(input_dim, output_dim) for _ in range(sum(sizes)))
        self.gates = Gates(num_streams, input_dim, sum(sizes), gate_options)
        self.residuals = Units(Residual(size) for size in sizes[:num_streams] if residual)
        self.dropout = nn.Dropout(dropout)

    def read(self, streams_BUI: Tensor) -> tuple[Tensor, Tensor]:
        """Experts before their ReLU, (B, E, H), and outputs of the gates, (B, U, O): each reads its unit's stream."""
        experts = [
            linear_on_one((self.experts[e] for e in own), stream_BI)
            for own, stream_BI in zip(self.experts_of, streams_BUI.unbind(1), strict=True)
        ]
        return torch.cat(experts, dim=1), batched_linear(self.gates, streams_BUI[:, : len(self.gates)])

    def fuse(self, experts_BEH: Tensor, gates_BUO: Tensor) -> tuple[Tensor, Tensor]:
        """What `read` returned -> the units' streams, (B, U, H), and the weights of their gates, (B, U, E).

        Gate and residual in one product: their weights add up.
        """
        gates_BUE = self.gates.weights(gates_BUO)
        weights_BUE = gates_BUE
        if self.residuals:
            own_UE = torch.block_diag(*(residual.weight for residual in self.residuals))
            weights_BUE = gates_BUE + F.pad(own_UE, (0, len(self.experts) - own_UE.shape[1]))
        return weights_BUE @ self.dropout(F.relu(experts_BEH)), gates_BUE


class Residual(nn.Module):
    """The weights of a unit's own experts in its residual: learned, or 1 for a single expert.

    Args:
        num_experts: How many experts the unit has.
    """

    weight: Tensor

    def __init__(self, num_experts: int) -> None:
        super().__init__()
        if num_experts == 1:
            self.register_buffer("weight", torch.ones(1), persistent=False)
        else:
            self.weight = nn.Parameter(torch.empty(num_experts))
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform up to 1 / sqrt(number of experts) on both sides of 0, as in the authors' code."""
        if isinstance(self.weight, nn.Parameter):
            bound = len(self.weight) ** -0.5
            nn.init.uniform_(self.weight, -bound, bound)
