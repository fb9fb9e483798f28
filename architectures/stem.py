"""STEM: shared and task-specific embeddings.

Axes: B batch, D input, E experts of all units, H hidden, N experts of one task, O outputs of a gate's Linear, S shared
experts, T tasks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from architectures import Batch, Schema, register
from architectures.gates import Gated, Gates
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units


@register("stem")
class STEM(Gated):
    r"""Shared and task-specific embeddings: a task reads the experts of all others, but never changes them.

    Su, Pan, Wang, Xiao, Quan, Chen, Jiang: STEM: Unleashing the Power of Embeddings for Multi-task Recommendation,
    AAAI 2024, arXiv 2308.13537. The network is the paper's STEM-Net, with its All Forward Task-specific Backward gating:

    $$
    y_k = h_k\Big(\sum_{e \in k} g_{k,e}\, f_e(x_k) + \sum_{e \in s} g_{k,e}\, f_e(x_s)
        + \sum_{j \neq k} \sum_{e \in j} g_{k,e}\, \operatorname{stop}(f_e(x_j))\Big), \qquad
    g_k = \operatorname{softmax}(W_k (x_k + x_s))
    $$

    - $x_k$ (D,): the input, embedded by tables that belong to task $k$; $x_s$ (D,): by the shared tables;
    - $f_e$: expert $e$ of a task $k$ or shared ($s$), an MLP with ReLU after its last layer too; it reads the input of its
      own unit;
    - $\operatorname{stop}(f)$: the value of $f$, through which no gradient passes;
    - $g_k$ (E,): the gate of task $k$ over all experts; $W_k$ (E, D), without bias; $h_k$: the tower of task $k$.

    All tasks reach the shared embedding and the shared experts. Only its own task reaches an embedding of a task, a task
    expert, a gate and a tower.

    Every field has T + 1 embeddings, so the tables are T + 1 times as large as those of other architectures of the same
    `embedding_dim`.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding, in the shared tables and in those of each task.
        expert_dims: Layer widths of an expert.
        num_task_experts: Experts of each task, at least 1.
        num_shared_experts: Shared experts, at least 1.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if a number of experts is below 1.

    Differs from the paper:
        We have read its abstract and follow the authors' code, also for what a gate reads: the sum of both inputs, in
        which a numeric field is therefore doubled. Numbers of experts are those of ple.

    Differs from other implementations:
        The authors' gates are MLPs; here they are linear, as in mmoe and ple. The authors' code can have several levels,
        but its shared gate then lets a task change the embeddings of others, and their published settings have one level;
        so does this class. All tables of a field start alike, as in every architecture here; the authors' do not.
    """

    seen_TE: Tensor

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        expert_dims: tuple[int, ...] = (64,),
        num_task_experts: int = 4,
        num_shared_experts: int = 4,
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if min(num_task_experts, num_shared_experts) < 1:
            raise ValueError(
                "num_task_experts and num_shared_experts must be at least 1, found "
                f"{num_task_experts} and {num_shared_experts}"
            )
        num_tasks = len(schema.tasks)
        num_own = num_tasks * num_task_experts
        num_experts = num_own + num_shared_experts
        self.num_task_experts, self.num_shared_experts = num_task_experts, num_shared_experts
        self.embedding = FeatureEmbedding(schema, embedding_dim)  # the shared one
        self.task_embeddings = Units(FeatureEmbedding(schema, embedding_dim) for _ in schema.tasks)
        # unit by unit, the shared one last
        self.experts = MLPs(num_experts, self.embedding.output_dim, expert_dims, dropout)
        self.experts_of = [slice(t * num_task_experts, (t + 1) * num_task_experts) for t in range(num_tasks)]
        self.experts_of.append(slice(num_own, num_experts))
        self.task_gates = Gates(num_tasks, self.embedding.output_dim, num_experts, self.gate_options)
        self.towers = Towers(schema.tasks, self.experts.output_dim, tower_dims, dropout)
        own_TE = torch.eye(num_tasks).repeat_interleave(num_task_experts, dim=1)
        seen_TE = torch.cat([own_TE, torch.ones(num_tasks, num_shared_experts)], dim=1)
        self.register_buffer("seen_TE", seen_TE, persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        first_BEH, weights_BTE = self._read(batch)
        experts_BEH = self.experts.after_first(first_BEH)
        backward_BTE = (
            weights_BTE * self.seen_TE
        )  # of a task's own experts and the shared ones: these send gradients back
        return self.towers(backward_BTE @ experts_BEH + (weights_BTE - backward_BTE) @ experts_BEH.detach())

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`."""
        weights_BTE = self._read(batch)[1]
        tasks = self.schema.task_names
        names = [f"{task} {e}" for task in tasks for e in range(self.num_task_experts)]
        names += [f"shared {e}" for e in range(self.num_shared_experts)]
        return self.by_task(weights_BTE, names)

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The experts' first layer before its ReLU, (B, E, H1), and the gates' weights, (B, T, E)."""
        *own_experts, shared_experts = [self.experts.first[own] for own in self.experts_of]
        shared_BSH, gates_BTO = self.embedding(batch).linear(shared_experts, self.task_gates)
        firsts, gates = [], []
        for embedding, experts, gate in zip(self.task_embeddings, own_experts, self.task_gates, strict=True):
            first_BNH, gate_BO = embedding(batch).linear(experts, gate)
            firsts.append(first_BNH)
            # of two products with W x + b, whose sum has the bias twice
            gates.append(gate_BO if gate.bias is None else gate_BO - gate.bias)
        weights_BTE = self.task_gates.weights(torch.stack(gates, dim=1) + gates_BTO)
        return torch.cat([*firsts, shared_BSH], dim=1), weights_BTE
