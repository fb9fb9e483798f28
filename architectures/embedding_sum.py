"""Embedding sum: the smallest multi-task recommender.

Axes: B batch, d embedding, N numeric fields, T tasks.
"""

from __future__ import annotations

from torch import Tensor, nn

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, Towers


@register("embedding_sum")
class EmbeddingSum(Architecture):
    r"""The sum of all fields' embeddings, and one linear output per task: no hidden layer, no interaction of fields.

    A bag of embeddings, as in Joulin, Grave, Bojanowski, Mikolov: Bag of Tricks for Efficient Text Classification,
    EACL 2017, arXiv 1607.01759, for fields in place of words (no paper on it as a recommender is known to us):

    .. math:: s = \sum_f e_f[x_f] + \sum_j n_j v_j, \qquad y_k = w_k^\top s + c_k

    - e_f[x_f] (d,): the embedding of the value of categorical field f;
    - n_j: the value of numeric field j; v_j (d,): its embedding;
    - w_k (d,), c_k: the output of task k.

    An additive model: task k's table of field f is w_k' e_f, so the tables of all tasks share a rank of at most
    min(d, T). With d >= T it can express a separate linear model on one-hot fields for every task.

    All tasks reach the embeddings and the v_j; w_k and c_k are one task's own. So a gradient weighting over the trunk, which
    leaves embeddings out, compares the gradients of the v_j alone, and without numeric fields is equal weighting.

    Args:
        schema: Fields and tasks.
        embedding_dim: d.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from bags of words: a sum, where fastText takes the mean, and every field has rows of its own.
    """

    def __init__(self, schema: Schema, *, embedding_dim: int = 16) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.numeric = nn.Linear(len(schema.numeric), embedding_dim, bias=False) if schema.numeric else None
        self.towers = Towers(schema.tasks, embedding_dim, ())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        sum_Bd = self.embedding(batch).sum()
        if self.numeric is not None:
            sum_Bd = sum_Bd + self.numeric(batch.numeric.to(sum_Bd.dtype))
        return self.towers(sum_Bd.unsqueeze(1).expand(-1, len(self.schema.tasks), -1))
