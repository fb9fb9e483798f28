"""Embedding sum: the smallest multi-task recommender.

Axes: B batch, d embedding, T tasks.
"""

from __future__ import annotations

from torch import Tensor, nn

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, Towers


@register("embedding_sum")
class EmbeddingSum(Architecture):
    r"""The sum of all fields' embeddings, and one linear output per task: no hidden layer, no interaction of fields.

    Joulin, Grave, Bojanowski, Mikolov: Bag of Tricks for Efficient Text Classification, EACL 2017, arXiv 1607.01759, with
    fields in place of words. We found no paper that uses it as a recommender.

    $$
    s = \sum_f e_f[x_f] + \sum_j n_j v_j, \qquad y_k = w_k^\top s + c_k
    $$

    - $e_f[x_f]$ (d,): the embedding of the value of categorical field $f$;
    - $n_j$: the value of numeric field $j$, or a number that a field of another kind is embedded to;
    - $v_j$ (d,): the embedding of that number;
    - $w_k$ (d,), $c_k$: the output layer of task $k$.

    The model is additive: field $f$ adds $w_k^\top e_f$ to task $k$, so the tables of all tasks together have a rank of
    at most min(d, T). With $d \ge T$ it can express a separate linear model on one-hot fields for every task.

    All tasks reach the embeddings and every $v_j$; $w_k$ and $c_k$ belong to one task. A gradient weighting over the
    trunk leaves embeddings out, so it compares the gradients of the $v_j$ alone; without numeric fields it is equal
    weighting.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width d of a field's embedding.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from bags of words:
        It takes the sum, where fastText takes the mean, and every field has rows of its own.
    """

    capacity = ()

    def __init__(self, schema: Schema, *, embedding_dim: int = 16) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        width = self.embedding.numbers_dim
        self.numeric = nn.Linear(width, embedding_dim, bias=False) if width else None
        self.towers = Towers(schema.tasks, embedding_dim, ())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        embedded = self.embedding(batch)
        sum_Bd = embedded.sum()
        if self.numeric is not None:
            sum_Bd = sum_Bd + self.numeric(embedded.numbers())
        return self.towers(sum_Bd.unsqueeze(1).expand(-1, len(self.schema.tasks), -1))
