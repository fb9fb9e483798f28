"""CGC: customized gate control.

Axes: B batch, D input, E experts, N experts that a task's gate sees, H hidden, O outputs of a gate's
Linear, T tasks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from architectures import Batch, Schema, register
from architectures.gates import Gated, Gates, check_experts
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("cgc")
class CGC(Gated):
    r"""Customized gate control: every task mixes experts of its own with shared ones, and sees no other task's experts.

    Tang, Liu, Zhao, Gong: Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
    Personalized Recommendations, RecSys 2020, doi 10.1145/3383313.3412236, equations 2 to 5:

    $$
    y_k = h_k\big(\operatorname{softmax}(W_k x)\, S_k(x)\big), \qquad
    S_k(x) = [f_{k,1}(x), \ldots, f_{k,n_k}(x), f_{s,1}(x), \ldots, f_{s,n_s}(x)]
    $$

    - $x$ (D,): the embedded input; $f$: an expert, an MLP with ReLU after its last layer too;
    - $S_k$ (N, H): the $n_k$ experts of task $k$, then the $n_s$ shared ones;
    - $W_k$ (N, D): the gate of task $k$, without bias; $h_k$: the tower of task $k$.

    All tasks reach the embedding and the shared experts. Own experts, gates and towers belong to one task. PLE with one
    level is this model.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        expert_dims: Layer widths of an expert.
        num_shared_experts: Experts that every task sees. 0: tasks share the embedding only.
        num_task_experts: Experts of each task. 0 is MMoE.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: for fewer than two experts per gate, or a width below 1.

    Differs from other implementations:
        Gates are linear in the input and have no bias, as in the paper. torch-rechub's have batch norm, which lets rows
        influence each other. Without shared experts this is a separate mixture for each task; the library of Meta fails
        there.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        expert_dims: tuple[int, ...] = (64,),
        num_shared_experts: int = 4,
        num_task_experts: int = 4,
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        check_experts(num_task_experts, num_shared_experts)
        self.num_shared_experts, self.num_task_experts = num_shared_experts, num_task_experts
        num_tasks, num_seen = len(schema.tasks), num_task_experts + num_shared_experts
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        width = self.embedding.output_dim
        # task by task, the shared ones last
        self.experts = MLPs(num_tasks * num_task_experts + num_shared_experts, width, expert_dims, dropout)
        self.task_gates = Gates(num_tasks, width, num_seen, self.gate_options)
        self.towers = Towers(schema.tasks, self.experts.output_dim, tower_dims, dropout)
        self.register_buffer("own_TT1", torch.eye(num_tasks).unsqueeze(2), persistent=False)

    own_TT1: Tensor

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        first_BEH, gates_BTO = self.embedding(batch).linear(self.experts.first, self.task_gates)
        weights_BTE = self._over_all(self.task_gates.weights(gates_BTO))
        return self.towers(weights_BTE @ self.experts.after_first(first_BEH))

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`."""
        (gates_BTO,) = self.embedding(batch).linear(self.task_gates)
        weights_BTN = self.task_gates.weights(gates_BTO)
        shared = [f"shared {e}" for e in range(self.num_shared_experts)]
        return {
            task: dict(
                zip(
                    [*(f"{task} {e}" for e in range(self.num_task_experts)), *shared],
                    weights_BTN[:, t].unbind(1),
                    strict=True,
                )
            )
            for t, task in enumerate(self.schema.task_names)
        }

    def _over_all(self, weights_BTN: Tensor) -> Tensor:
        """(B, T, E): a gate's weight is 0 on other tasks' experts, so that one product mixes for all tasks."""
        own_BTN, shared_BTN = weights_BTN.split([self.num_task_experts, self.num_shared_experts], dim=2)
        return torch.cat([(own_BTN.unsqueeze(2) * self.own_TT1).flatten(2), shared_BTN], dim=2)
