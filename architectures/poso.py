"""POSO: a shared bottom whose hidden units are scaled by who the user is.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers
from architectures.scaling import FieldEmbedding, ScalingGates, scaled


@register("poso")
class POSO(Architecture):
    r"""Personalised cold start modules: a shared bottom in which personal fields scale every hidden unit.

    Dai, Lin, Zhao, Lin, Wu, Wang, Yang, Liu: POSO: Personalized Cold Start Modules for Large-scale Recommender Systems,
    2021, arXiv 2108.04690, equation 11 for each layer $l$ of the bottom:

    $$
    h^{l} = C\, g^l(p) \odot \operatorname{ReLU}(A^l h^{l-1} + a^l), \qquad
    g^l(p) = \sigma\big(W_2 \operatorname{ReLU}(W_1 p + b_1) + b_2\big), \qquad
    y_k = t_k(h^L)
    $$

    - $h^0 = x$ (D,): the embedded input, which contains the personal fields too;
    - $p$: the personalisation code, which is the embeddings of the personal fields, in tables of their own;
    - $C = 2$: the correction of scale. So a factor is between 0 and 2;
    - $t_k$: the tower of task $k$.

    A model learns little from a field that rarely varies, such as "is new", beside many others. So the gates read
    it alone. The paper applies this to MLPs, attention and MMoE. This is its MLP form, with shared_bottom as the backbone.

    All tasks reach everything but the towers. A tower belongs to one task.

    $W_2$ and $b_2$ start at zero. So every factor starts at 1, and training starts from shared_bottom with the same seed.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding, in each table.
        bottom_dims: Layer widths of the bottom, as in shared_bottom.
        tower_dims: Hidden widths of a tower.
        personal_fields: Names of categorical fields that the gates read. None named: all that belong to the user, with the
            id. The paper gains most from how many items the user has seen, in buckets, and less from the user's id.
        gate_dim: Hidden width of a gate.
        dropout: On every hidden layer of bottom and towers.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if `personal_fields` names a field that is unknown, not categorical or named twice; or if `gate_dim` is
            below 1.

    Differs from the paper:
        We read its equations in a translation. It does not say how the gates start, and gives no number for $C$; 2 is
        the value of nextrec, and makes 1 the middle of the range. The hidden width of the gates, 32, is nextrec's too.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        bottom_dims: tuple[int, ...] = (512, 64),
        tower_dims: tuple[int, ...] = (32,),
        personal_fields: tuple[str, ...] = (),
        gate_dim: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if not personal_fields and schema.user is not None:
            categorical = {field.name for field in schema.categorical}
            personal_fields = tuple(name for name in schema.user_fields if name in categorical) or (schema.user,)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.personal = FieldEmbedding(schema, personal_fields, embedding_dim, what="personal_fields")
        self.bottom = MLPs(1, self.embedding.output_dim, bottom_dims, dropout)
        self.bottom_gates = ScalingGates(1, self.personal.output_dim, gate_dim, bottom_dims)
        self.towers = Towers(schema.tasks, self.bottom.output_dim, tower_dims, dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero for the last layer of every gate: all factors are 1."""
        for parameter in self.bottom_gates.output.parameters():
            nn.init.zeros_(parameter)

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return "needs a user field, which its gates read" if schema.user is None else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        factors = self.bottom_gates(torch.cat(self.personal(batch), dim=1))
        (first_B1H,) = self.embedding(batch).linear(self.bottom.first)
        bottom_B1H = scaled(self.bottom, first_B1H, factors)
        return self.towers(bottom_B1H.expand(-1, len(self.schema.tasks), -1))
