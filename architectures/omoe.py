"""OMoE: one-gate mixture of experts.

Axes: B batch, D input, E experts, H hidden, T tasks, O outputs of the gate's Linear.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from architectures import Batch, Schema, register
from architectures.gates import Gated, Gates
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("omoe")
class OMoE(Gated):
    r"""One-gate mixture of experts: common experts, mixed once for all tasks.

    Ma, Zhao, Yi, Chen, Hong, Chi: Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
    KDD 2018, doi 10.1145/3219819.3220007, where it is the ablation of MMoE:

    $$
    y_k = h_k\Big(\sum_e g(x)_e\, f_e(x)\Big), \qquad g(x) = \operatorname{softmax}(W x)
    $$

    - $x$ (D,): the embedded input; $f_e$: expert $e$, an MLP with ReLU after its last layer too;
    - $W$ (E, D): the gate of all tasks, without bias; $h_k$: the tower of task $k$.

    The layer is that of Shazeer et al.: Outrageously Large Neural Networks, ICLR 2017, arXiv 1701.06538, without its
    noise and sparsity: every expert takes part, as in the paper above.

    All tasks reach the embedding, the experts and the gate. A tower belongs to one task.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        num_experts: Number of experts E, at least 2: with one expert the gate is constant and this is shared_bottom.
        expert_dims: Layer widths of an expert.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        The mixture is computed once and every tower reads the same tensor. STEM's code evaluates the gate once for each
        task, so dropout inside it turns one gate into several.
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
        (self.gate,) = Gates(1, self.embedding.output_dim, num_experts, self.gate_options)
        self.towers = Towers(schema.tasks, self.experts.output_dim, tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        first_BEH, gate_BO = self.embedding(batch).linear(self.experts.first, self.gate)
        experts_BEH = self.experts.after_first(first_BEH)
        mixed_BH = torch.einsum("be,beh->bh", self.gate.weights(gate_BO), experts_BEH)
        return self.towers(mixed_BH.unsqueeze(1).expand(-1, len(self.schema.tasks), -1))

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`."""
        (gate_BO,) = self.embedding(batch).linear(self.gate)
        weights_BE = self.gate.weights(gate_BO)
        names = "+".join(self.schema.task_names)
        return {names: {f"expert {e}": weights_BE[:, e] for e in range(weights_BE.shape[1])}}
