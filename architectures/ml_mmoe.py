"""ML-MMoE: multi-level MMoE.

Axes: B batch, D input, E experts of a level, H hidden, T tasks, L levels, O outputs of a
gate's Linear.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from architectures import Batch, Schema, register
from architectures.gates import Gated, Gates
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units, batched_linear


@register("ml_mmoe")
class MLMMoE(Gated):
    r"""Multi-level MMoE: experts of a higher level read mixtures of the lower experts, through gates on the input.

    A baseline of Tang, Liu, Zhao, Gong: Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model
    for Personalized Recommendations, RecSys 2020, doi 10.1145/3383313.3412236, section 5.1. The paper describes it
    without an equation; all gates "share the same selector":

    $$
    s_{1,e} = f_{1,e}(x), \qquad s_{j+1,e} = f_{j+1,e}\Big(\sum_i g_{j,e}(x)_i\, s_{j,i}\Big), \qquad
    y_k = h_k\Big(\sum_i g_k(x)_i\, s_{L,i}\Big)
    $$

    - $x$ (D,): the embedded input, which every gate reads, at every level;
    - $f_{j,e}$: expert $e$ of level $j$ of $L$, ReLU(Linear);
    - $g = \operatorname{softmax}(W x)$ (E,): a gate, without bias; $h_k$: the tower of task $k$.

    All tasks reach the embedding, the experts and the gates below the last level. A gate of the last level and a tower
    belong to one task. With one level this is MMoE. It is not PLE without own experts: there, all upper experts read one
    stream, and the gates above the first level read streams.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        num_experts: Experts E of each level, at least 2.
        level_dims: Width of the experts (one layer each) of every level.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: for fewer than two experts, no level, or a width below 1.

    Differs from other implementations:
        The structure is that of the library of Meta (AdaTT), whose gates have a bias.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        num_experts: int = 8,
        level_dims: tuple[int, ...] = (64, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if num_experts < 2:
            raise ValueError(f"num_experts must be at least 2, found {num_experts}; with one expert, use shared_bottom")
        if not level_dims or min(level_dims) < 1:
            raise ValueError(f"level_dims must be at least one width of at least 1, found {tuple(level_dims)}")
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        width = self.embedding.output_dim
        self.experts = MLPs(num_experts, width, level_dims, dropout)  # a layer is a level
        self.expert_gates = Units(Gates(num_experts, width, num_experts, self.gate_options) for _ in level_dims[1:])
        self.task_gates = Gates(len(schema.tasks), width, num_experts, self.gate_options)
        self.towers = Towers(schema.tasks, level_dims[-1], tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        experts_BEH, *lower, tasks_BTO = self.embedding(batch).linear(
            self.experts.first, *self.expert_gates, self.task_gates
        )
        for gates, gates_BEO, units in zip(self.expert_gates, lower, list(self.experts.layers)[1:], strict=True):
            inputs_BEH = gates.weights(gates_BEO) @ self._activated(experts_BEH)
            experts_BEH = batched_linear(units, inputs_BEH)
        return self.towers(self.task_gates.weights(tasks_BTO) @ self._activated(experts_BEH))

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`: the gates of the last level."""
        (gates_BTO,) = self.embedding(batch).linear(self.task_gates)
        weights_BTE = self.task_gates.weights(gates_BTO)
        return self.by_task(weights_BTE)

    def _activated(self, experts_BEH: Tensor) -> Tensor:
        activated_BEH: Tensor = self.experts.dropout(F.relu(experts_BEH))
        return activated_BEH
