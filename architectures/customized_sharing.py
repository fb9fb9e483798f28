"""Customized sharing: a shared bottom beside a bottom of each task.

Axes: B batch, D input, U bottoms (one per task and, last, the shared one), H hidden, T tasks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("customized_sharing")
class CustomizedSharing(Architecture):
    r"""Customized sharing: a tower reads a bottom that all tasks share and one of its own task, side by side.

    A baseline of Tang, Liu, Zhao, Gong: Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model
    for Personalized Recommendations, RecSys 2020, doi 10.1145/3383313.3412236, section 3.2 and figure 1; CGC replaces
    its concatenation by gates. The paper describes it without an equation:

    $$
    y_k = h_k\big([f_s(x), f_k(x)]\big)
    $$

    - $x$ (D,): the embedded input; $f_s$: the shared bottom, $f_k$: that of task $k$, MLPs with ReLU after their last
      layer too;
    - $[\cdot, \cdot]$ (2 H,): concatenation; $h_k$: the tower of task $k$.

    All tasks reach the embedding and the shared bottom. Own bottoms and towers belong to one task. A tower that ignores
    the first half is a separate network on a common input. If all ignore the second half, this is shared_bottom.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        bottom_dims: Layer widths of each bottom. By default the first layers of the two bottoms that a tower reads are
            together as wide as that of shared_bottom.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of bottoms and towers.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: for a width below 1, or bottoms without a layer.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        bottom_dims: tuple[int, ...] = (256, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        # the shared one is the last, and all in one product
        self.bottoms = MLPs(len(schema.tasks) + 1, self.embedding.output_dim, bottom_dims, dropout)
        self.towers = Towers(schema.tasks, 2 * self.bottoms.output_dim, tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_BUH,) = self.embedding(batch).linear(self.bottoms.first)
        bottoms_BUH = self.bottoms.after_first(first_BUH)
        own_BTH, shared_B1H = bottoms_BUH[:, :-1], bottoms_BUH[:, -1:]
        return self.towers(torch.cat([shared_B1H.expand_as(own_BTH), own_BTH], dim=2))
