"""Shared bottom: hard parameter sharing.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("shared_bottom")
class SharedBottom(Architecture):
    r"""Hard parameter sharing: one network for all tasks, and a tower for each.

    Caruana: Multitask Learning, Machine Learning 28, 1997, doi 10.1023/A:1007379606734; as a recommender, equation 1 of
    the MMoE paper (KDD 2018, doi 10.1145/3219819.3220007):

    $$
    y_k = h_k(f(x))
    $$

    - $x$ (D,): the embedded input; $f$: the bottom, an MLP with ReLU after its last layer too;
    - $h_k$: the tower of task $k$.

    All tasks reach the embedding and the bottom. A tower belongs to one task.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        bottom_dims: Layer widths of the bottom. By default its first layer is as wide as MMoE's eight experts of 64
            together and its last as wide as one of them: the MMoE paper compares models of one size.
        tower_dims: Hidden widths of a tower.
        dropout: On every hidden layer of bottom and towers.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        The model is the same. The first layer is computed without concatenating the embeddings.
    """

    capacity = ("bottom_dims", "tower_dims")

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        bottom_dims: tuple[int, ...] = (512, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.bottom = MLPs(1, self.embedding.output_dim, bottom_dims, dropout)
        self.towers = Towers(schema.tasks, self.bottom.output_dim, tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_B1H,) = self.embedding(batch).linear(self.bottom.first)
        bottom_B1H = self.bottom.after_first(first_B1H)
        return self.towers(bottom_B1H.expand(-1, len(self.schema.tasks), -1))
