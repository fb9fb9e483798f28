"""PEPNet: networks whose embeddings and hidden units are scaled by who, what and where.

Axes: B batch, D input, T tasks, H hidden, d embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, linear_on_one
from architectures.scaling import FieldEmbedding, ScalingGates, scaled


@register("pepnet")
class PEPNet(Architecture):
    r"""Parameter and embedding personalised network: user, item and domain scale the hidden units and the embeddings.

    Chang, Zhang, Hui, Leng, Niu, Song, Gai: PEPNet: Parameter and Embedding Personalized Network for Infusing with
    Personalized Prior Information, KDD 2023, doi 10.1145/3580305.3599884, arXiv 2302.01115. A gate gives factors from
    0 to 2:

    $$
    U(v) = 2\,\sigma\big(W_2 \operatorname{ReLU}(W_1 v + b_1) + b_2\big)
    $$

    EPNet scales the embedded input, and PPNet the hidden layers $l = 1, \dots, L$ of the network of each task $k$:

    $$
    o = U_0\big([d, \operatorname{sg}(x)]\big) \odot x, \qquad
    h_k^{l} = U_k^l\big([p, \operatorname{sg}(o)]\big) \odot \operatorname{ReLU}\big(A_k^l h_k^{l-1} + a_k^l\big), \qquad
    y_k = w_k^\top h_k^L + c_k
    $$

    - $x$ (D,): the embedded input; $h_k^0 = o$;
    - $p$, $d$: the embeddings of the prior fields and of the domain fields, in tables of their own;
    - $\operatorname{sg}$: no gradient passes. So the gates do not train the embeddings of the input;
    - $A_k^l$, $a_k^l$: layer $l$ of the network of task $k$; $w_k$, $c_k$: its output layer.

    In the paper the priors are the ids of user, item and author and what is known of them, and a domain is a part of the
    app. In data of one domain, $d$ would be a constant that the bias $b_1$ includes. So EPNet without domain fields reads
    $\operatorname{sg}(x)$ alone.

    All tasks reach the embeddings of the input, the prior embeddings, the domain embeddings and the gate $U_0$. A network
    and its gates belong to one task.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding, in each table.
        tower_dims: Hidden widths of a task's network (the paper: 100, 64). On many fields, the gates of a network are about
            as large as the network.
        prior_fields: Names of categorical fields that PPNet's gates read. None named: the user's and the item's.
        domain_fields: Names of categorical fields that tell the domain, for EPNet's gate. None named: one domain.
        scale_embeddings: EPNet. Without it, $o = x$, and the model is PPNet.
        gate_dim: Hidden width of a gate.
        dropout: On every hidden layer of the networks.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if `prior_fields` or `domain_fields` names a field that is unknown, not categorical or named twice; if
            domain fields are named and `scale_embeddings` is off; or if `gate_dim` is below 1.

    Differs from the paper:
        We read its equations in a translation. Its equation 9 can be read in two ways: the gates also scale the input of
        the first layer ($h_k^0$), or they do not. Here they do not, as in FuxiCTR and EasyRec. Each task and each
        layer has a gate with a hidden layer of its own; the paper has one gate for all tasks of a layer. The hidden layer
        is 64 wide, as in FuxiCTR.

    Differs from other implementations:
        EPNet exists (FuxiCTR and EasyRec have PPNet alone). The prior embeddings get a gradient (MMLRec detaches them).
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (128, 64),
        prior_fields: tuple[str, ...] = (),
        domain_fields: tuple[str, ...] = (),
        scale_embeddings: bool = True,
        gate_dim: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if domain_fields and not scale_embeddings:
            named = ", ".join(domain_fields)
            raise ValueError(f"domain_fields must be empty without scale_embeddings, which reads them, found {named}")
        prior_fields = prior_fields or tuple(name for name in (schema.user, schema.item) if name is not None)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.prior = FieldEmbedding(schema, prior_fields, embedding_dim, what="prior_fields")
        self.domain = FieldEmbedding(schema, domain_fields, embedding_dim, what="domain_fields")
        width = self.embedding.output_dim
        self.embedding_gate: ScalingGates | None = None
        if scale_embeddings:
            self.embedding_gate = ScalingGates(1, self.domain.output_dim + width, gate_dim, (width,))
        self.hidden = MLPs(len(schema.tasks), width, tower_dims, dropout)
        self.task_gates = ScalingGates(len(schema.tasks), self.prior.output_dim + width, gate_dim, tower_dims)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, ())

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        if schema.user is None and schema.item is None:
            return "needs a user field or an item field, which its gates read"
        return None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        embedded_BD = self.embedding(batch).dense()
        if self.embedding_gate is not None:
            (factors_B1D,) = self.embedding_gate(torch.cat([*self.domain(batch), embedded_BD.detach()], dim=1))
            embedded_BD = embedded_BD * factors_B1D.squeeze(1)
        factors = self.task_gates(torch.cat([*self.prior(batch), embedded_BD.detach()], dim=1))
        return self.towers(scaled(self.hidden, linear_on_one(self.hidden.first, embedded_BD), factors))
