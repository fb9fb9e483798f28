"""MMoE: multi-gate mixture of experts.

Axes: B batch, D input, E experts, H hidden, T tasks, O outputs of a gate's Linear.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from architectures import Batch, Schema, register
from architectures.gates import Gated, Gates
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("mmoe")
class MMoE(Gated):
    r"""Multi-gate mixture of experts: every task mixes the common experts with a gate of its own.

    Ma, Zhao, Yi, Chen, Hong, Chi: Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
    KDD 2018, doi 10.1145/3219819.3220007, equations 6 to 8:

    $$
    y_k = h_k\Big(\sum_e g_k(x)_e\, f_e(x)\Big), \qquad g_k(x) = \operatorname{softmax}(W_k x)
    $$

    - $x$ (D,): the embedded input; $f_e$: expert $e$, an MLP with ReLU after its last layer too;
    - $W_k$ (E, D): the gate of task $k$, without bias; $h_k$: the tower of task $k$.

    All tasks reach the embedding and the experts. A gate and a tower belong to one task.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        num_experts: Number of experts E, at least 2: with one expert the gates are constant and this is shared_bottom.
        expert_dims: Layer widths of an expert.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        Gates are linear in the input and have no bias, as in the paper. FuxiCTR's and DeepCTR-Torch's are MLPs;
        torch-rechub's have batch norm, which lets rows influence each other.
    """

    capacity = ("expert_dims", "tower_dims")

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        num_experts: int = 8,
        expert_dims: tuple[int, ...] = (64,),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if num_experts < 2:
            raise ValueError(f"num_experts must be at least 2, found {num_experts}; with one expert, use shared_bottom")
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.experts = MLPs(num_experts, self.embedding.output_dim, expert_dims, dropout)
        self.task_gates = Gates(len(schema.tasks), self.embedding.output_dim, num_experts, self.gate_options)
        self.towers = Towers(schema.tasks, self.experts.output_dim, tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        first_BEH, gates_BTO = self.embedding(batch).linear(self.experts.first, self.task_gates)
        experts_BEH = self.experts.after_first(first_BEH)
        mixed_BTH = self.task_gates.weights(gates_BTO) @ experts_BEH
        return self.towers(mixed_BTH)

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`."""
        (gates_BTO,) = self.embedding(batch).linear(self.task_gates)
        weights_BTE = self.task_gates.weights(gates_BTO)
        return self.by_task(weights_BTE)
