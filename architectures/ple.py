"""PLE: progressive layered extraction; with one level, CGC: customized gate control.

Axes: B batch, D input, T tasks, U units (one per task and, last, the shared one). In a level: E experts, N experts that a
task's gate sees, I input width, H hidden width, O outputs of a gate's Linear.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Batch, Schema, register
from architectures.gates import Gated, GateOptions, Gates, check_experts
from architectures.layers import Embedded, FeatureEmbedding, Towers, Units, batched_linear, linear_on_one


@register("ple")
class PLE(Gated):
    r"""Progressive layered extraction: levels of experts, some shared and some belonging to one task.

    Tang, Liu, Zhao, Gong: Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
    Personalized Recommendations, RecSys 2020, doi 10.1145/3383313.3412236, equations 2 to 7. A unit $u$ is a task $k$ or
    the shared unit $s$:

    $$
    v_{u,0} = x, \qquad v_{u,j} = \operatorname{softmax}(W_{u,j}\, v_{u,j-1})\, S_{u,j}, \qquad y_k = h_k(v_{k,L})
    $$

    - $x$ (D,): the embedded input; $v_{u,j}$ ($H_j$,): the stream of unit $u$ after level $j$ of $L$;
    - an expert of unit $u$ at level $j$ is ReLU(Linear($v_{u,j-1}$)): it reads the stream of its own unit;
    - $S_{k,j}$ (N, $H_j$): what the gate of task $k$ mixes: its own experts, then the shared ones;
    - $S_{s,j}$ (E, $H_j$): what the shared gate mixes: the experts of all tasks and the shared ones. The last level has no
      shared gate, because nothing would read it;
    - $W_{u,j}$: the gate, without bias; $h_k$: the tower of task $k$.

    Through the shared stream, all tasks reach the embedding, the shared experts and gates, the task experts of every
    level but the last, and the task gates of every level but the last two. Only its own task reaches a tower, the task
    experts of the last level and the task gates of the last two.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        level_dims: Width of the experts (one layer each) of every level. One level is CGC.
        num_shared_experts: Shared experts of a level. 0: there is no shared stream, and tasks share the embedding only.
        num_task_experts: Experts of each task on a level. 0 with one level is MMoE.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        The shared gate mixes the experts of all tasks (FuxiCTR's and STEM's mix the shared ones only). The shared experts
        read the shared stream (LibMTL's read each task's stream). The last level has no shared gate (MTReclib's and
        DeepCTR-Torch's have one that never learns).
    """

    capacity = ("level_dims", "tower_dims")

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        level_dims: tuple[int, ...] = (64, 64),
        num_shared_experts: int = 4,
        num_task_experts: int = 4,
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if not level_dims or min(level_dims) < 1:
            raise ValueError(f"level_dims must be at least one width of at least 1, found {tuple(level_dims)}")
        check_experts(num_task_experts, num_shared_experts)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        widths = (self.embedding.output_dim, *level_dims)
        self.levels = Units(
            Level(
                widths[j],
                widths[j + 1],
                num_tasks=len(schema.tasks),
                num_task_experts=num_task_experts,
                num_shared_experts=num_shared_experts,
                has_shared_gate=num_shared_experts > 0 and j + 1 < len(level_dims),
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
        """See `Architecture.gates`: the gates of the last level."""
        weights_BTE, last = self._extract(batch)[1], self.levels[-1]
        tasks = self.schema.task_names
        names = [f"{task} {e}" for task in tasks for e in range(last.num_task_experts)]
        names += [f"shared {e}" for e in range(last.num_shared_experts)]
        return {
            task: {names[e]: weights_BTE[:, t, e] for e in (*last.experts_of[t], *last.experts_of[-1])}
            for t, task in enumerate(tasks)
        }

    def _extract(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The streams of the last level, (B, T, H), and the gates' weights that made them, (B, T, E)."""
        first, *rest = self.levels
        streams_BUH, weights_BUE = first.mix(*first.read(self.embedding(batch)))
        for level in rest:
            streams_BUH, weights_BUE = level.mix(*level.read_streams(streams_BUH))
        return streams_BUH, weights_BUE


class Level(nn.Module):
    """One level: experts and gates of every task's unit and of the shared one.

    Args:
        input_dim: I.
        output_dim: H.
        num_tasks: T.
        num_task_experts: Own experts of each task.
        num_shared_experts: Shared experts.
        has_shared_gate: Is there a shared stream above this level?
        dropout: On the experts.
        gate_options: The architecture's.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        num_tasks: int,
        num_task_experts: int,
        num_shared_experts: int,
        has_shared_gate: bool,
        dropout: float,
        gate_options: GateOptions,
    ) -> None:
        super().__init__()
        self.output_dim, self.num_tasks = output_dim, num_tasks
        self.num_task_experts, self.num_shared_experts = num_task_experts, num_shared_experts
        num_own = num_tasks * num_task_experts
        num_experts = num_own + num_shared_experts
        # unit by unit, the shared one last
        self.experts_of = [range(t * num_task_experts, (t + 1) * num_task_experts) for t in range(num_tasks)]
        self.experts_of.append(range(num_own, num_experts))
        self.experts = Units(nn.Linear(input_dim, output_dim) for _ in range(num_experts))
        self.task_gates = Gates(num_tasks, input_dim, num_task_experts + num_shared_experts, gate_options)
        self.shared_gate = Gates(int(has_shared_gate), input_dim, num_experts, gate_options)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("own_TT1", torch.eye(num_tasks).unsqueeze(2), persistent=False)

    own_TT1: Tensor

    def read(self, embedded: Embedded) -> tuple[Tensor, Tensor, Tensor | None]:
        """All units on the embedded input, in one product.

        Returns:
            Experts before their ReLU, (B, E, H); outputs of the tasks' gates, (B, T, O); outputs of the shared gate,
            (B, 1, O), or None.
        """
        if not self.shared_gate:
            experts_BEH, tasks_BTO = embedded.linear(self.experts, self.task_gates)
            return experts_BEH, tasks_BTO, None
        experts_BEH, tasks_BTO, shared_B1O = embedded.linear(self.experts, self.task_gates, self.shared_gate)
        return experts_BEH, tasks_BTO, shared_B1O

    def read_streams(self, streams_BUI: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Every unit on its own stream, its experts in one product. Returns as `read`."""
        experts = [
            linear_on_one((self.experts[e] for e in own), stream_BI)
            for own, stream_BI in zip(self.experts_of, streams_BUI.unbind(1), strict=False)  # no shared stream, perhaps
            if own
        ]
        experts_BEH = torch.cat(experts, dim=1)
        tasks_BTO = batched_linear(self.task_gates, streams_BUI[:, : self.num_tasks])
        shared_B1O = batched_linear(self.shared_gate, streams_BUI[:, -1:]) if self.shared_gate else None
        return experts_BEH, tasks_BTO, shared_B1O

    def mix(self, experts_BEH: Tensor, tasks_BTO: Tensor, shared_B1O: Tensor | None) -> tuple[Tensor, Tensor]:
        """What `read` returned -> the units' streams, (B, U, H), and their gates' weights, (B, U, E).

        One product for all units: a gate's weight is 0 on the experts that it does not see.
        """
        own_BTN, shared_BTN = self.task_gates.weights(tasks_BTO).split(
            [self.num_task_experts, self.num_shared_experts], dim=2
        )
        own_BTE = (own_BTN.unsqueeze(2) * self.own_TT1).flatten(2)
        weights_BUE = torch.cat([own_BTE, shared_BTN], dim=2)
        if shared_B1O is not None:
            weights_BUE = torch.cat([weights_BUE, self.shared_gate.weights(shared_B1O)], dim=1)
        return weights_BUE @ self.dropout(F.relu(experts_BEH)), weights_BUE
