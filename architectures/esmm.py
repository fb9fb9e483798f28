"""ESMM: the entire space multi-task model, for a funnel.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.funnel import joint_logits, lacks_funnel
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("esmm")
class ESMM(Architecture):
    r"""Entire space multi-task model: the probability of a conversion is the product of the steps that lead to it.

    Ma, Zhao, Huang, Wang, Hu, Zhu, Gai: Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click
    Conversion Rate, SIGIR 2018, doi 10.1145/3209978.3210104, arXiv 1804.07931:

    $$
    p(\text{click}) = \sigma(a), \qquad p(\text{click}, \text{buy}) = \sigma(a)\,\sigma(c), \qquad
    a = h_1(x), \quad c = h_2(x)
    $$

    - $x$ (D,): the embedded input; $h_k$: the network of task $k$; networks share nothing but the embedding;
    - $a$: the logit of the parent, given exposure; $c$: the logit of the child, given its parent.

    Both outputs are trained on all exposures. $c$ has no loss of its own, so it does not learn from the biased sample of
    clicked rows.

    Outputs are logits. The logit of the joint is computed directly (`and_logit`), without probabilities. In a chain the
    joint of a child is the parent of the next. A task without a parent (a regression, say) is the output of its network.

    All tasks reach the embedding. A funnel child also reaches its ancestors' networks, because the paper detaches
    nothing in the product. `detach_parent` is our ablation.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        tower_dims: Hidden widths of a task's network. By default two tasks together have the first layer of
            shared_bottom; the paper uses 360, 200, 80.
        detach_parent: Keep a child's loss from its ancestors' networks.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        Probabilities are not clamped (a clamp makes the gradient 0 at logits such as -12 and -14, where it should be
        -1). Every task has an output layer of its own (DeepCTR-Torch's share a bias). The child's output is the joint in
        training and in evaluation (torch-rechub scores the conditional on all rows).
    """

    capacity = ("tower_dims",)

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (256, 64, 32),
        detach_parent: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.detach_parent = detach_parent
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(len(schema.tasks), self.embedding.output_dim, tower_dims, dropout)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, ())

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return lacks_funnel(schema)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_BTH,) = self.embedding(batch).linear(self.hidden.first)
        logits = self.towers(self.hidden.after_first(first_BTH))
        return joint_logits(self.schema, logits, detach_parent=self.detach_parent)
