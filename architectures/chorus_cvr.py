"""ChorusCVR: chorus supervision of a conversion and of its complement, for a funnel.

Axes: B batch, D input, H hidden, T tasks, C children (tasks that are given another), U = T + C networks.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.funnel import and_logit, funnel_steps, joint_logits, lacks_funnel, step_labels
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("chorus_cvr")
class ChorusCVR(Architecture):
    r"""Chorus supervision: ESMM with a second network for "clicked and not bought", each of the two a soft label of the other.

    Cheng, Lu, Xia, Cao, Xu, Wen, Jiang, Zhang, Liu, Hong, Gai, Zhou: ChorusCVR: Chorus Supervision for Entire Space
    Post-Click Conversion Rate Modeling, 2025, arXiv 2502.08277. The outputs are those of ESMM:

    $$
    p(\text{click}) = \sigma(a), \qquad p(\text{click}, \text{buy}) = \sigma(a)\,\sigma(c), \qquad
    p(\text{click}, \text{not buy}) = \sigma(a)\,\sigma(u)
    $$

    Each funnel child has three extra losses, which join the loss of the child. With $H(z, y)$ the cross entropy of a logit
    $z$ and a label $y$, they are

    $$
    \text{negative:}\quad \operatorname{mean} H\big(\operatorname{and}(a, u),\; o\,(1 - r)\big)
    $$

    $$
    \text{ipw:}\quad \operatorname{mean} \frac{o}{q_1}\,\big(H(c, r) + H(u, 1 - r)\big)
    $$

    $$
    \text{alignment:}\quad \operatorname{mean} w\,\big(H(c, \sigma(-u)) + H(u, \sigma(-c))\big), \qquad
    w = \frac{o}{q_1} + \frac{1 - o}{q_0}
    $$

    - $a$, $c$, $u$: the logits of click, of buying given the click, and of not buying given the click;
    - $o$, $r$: the labels of the parent and of the child; $\operatorname{and}$: the logit of "both";
    - $q_1 = \max(\sigma(a), \text{floor})$, $q_0 = \max(\sigma(-a), \text{floor})$: propensities of a click and of none,
      without gradient. In a chain, $a$ is the logit of the parent's joint;
    - the soft labels $\sigma(-u) = 1 - \sigma(u)$ and $\sigma(-c)$ have no gradient.

    The mean is over all rows on which both labels are observed. The alignment pulls $\sigma(c) + \sigma(u)$ to 1. On a row
    without a click, the losses of the joints pull $c$ and $u$ down, and the alignment gives each a soft label. The network
    of $u$ is not computed in evaluation.

    All tasks reach the embedding. A child's output also reaches its ancestors' networks, and so does the extra loss
    `negative`. The extra losses reach the networks of $c$ and $u$.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        tower_dims: Layer widths of every network. By default those of esmm.
        negative_weight: Weight of `negative`.
        ipw_weight: Weight of `ipw`.
        alignment_weight: Weight of `alignment`. With all three 0, this is esmm.
        propensity_floor: Least propensity.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}; a funnel child's output is the joint.

    Differs from the paper:
        We had only its abstract, and two public re-implementations that cite its equations. Both have the losses above; the
        weights follow the one that divides by the propensity, because the paper calls these losses IPW and because only then
        is the expected value of a loss its mean over all exposures. The other multiplies by it. The mean is over all rows
        for the same reason (there it is over the clicked rows). We chose ESMM's separate networks, where there is a common
        bottom, so that a comparison with esmm is about the losses. The floor of .01 is that of a re-implementation.

    Differs from other implementations:
        Logits are not clamped to probabilities. A batch without clicks gives a loss of 0 with a gradient, not a constant.
    """

    capacity = ("tower_dims",)

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (256, 64, 32),
        negative_weight: float = 1.0,
        ipw_weight: float = 1.0,
        alignment_weight: float = 1.0,
        propensity_floor: float = 0.01,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.weights = {"negative": negative_weight, "ipw": ipw_weight, "alignment": alignment_weight}
        for name, weight in self.weights.items():
            if weight < 0:
                raise ValueError(f"{name}_weight must be at least 0, found {weight}")
        if not 0 < propensity_floor <= 1:
            raise ValueError(f"propensity_floor must be above 0 and at most 1, found {propensity_floor}")
        self.propensity_floor = propensity_floor
        children = [child for _, child in funnel_steps(schema)] if any(self.weights.values()) else []
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        width = self.embedding.output_dim
        self.hidden = MLPs(len(schema.tasks), width, tower_dims, dropout)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, ())
        self.complement_hidden = MLPs(len(children), width, tower_dims, dropout) if children else None
        self.complement_towers = Towers(children, self.hidden.output_dim, ()) if children else None

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return lacks_funnel(schema)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_BTH,) = self.embedding(batch).linear(self.hidden.first)
        return joint_logits(self.schema, self.towers(self.hidden.after_first(first_BTH)))

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `negative_<child>`, `ipw_<child>` and `alignment_<child>`."""
        if self.complement_hidden is None or self.complement_towers is None:
            return self(batch), {}
        first_BTH, first_BCH = self.embedding(batch).linear(self.hidden.first, self.complement_hidden.first)
        conditional = self.towers(self.hidden.after_first(first_BTH))
        complement = self.complement_towers(self.complement_hidden.after_first(first_BCH))
        outputs = joint_logits(self.schema, conditional)
        auxiliaries = {}
        for parent, child in funnel_steps(self.schema):
            clicked_B, bought_B, observed_B = step_labels(self.schema, batch, (parent, child))
            logits = outputs[parent.name], conditional[child.name], complement[child.name]
            for name, loss_B in self._losses(logits, clicked_B.to(logits[0]), bought_B.to(logits[0])).items():
                if self.weights[name] > 0:
                    mean = batch.mean(loss_B, observed_B, self.schema.tasks.index(child))
                    auxiliaries[f"{name}_{child.name}"] = Auxiliary(self.weights[name] * mean, child.name)
        return outputs, auxiliaries

    def _losses(self, logits: tuple[Tensor, Tensor, Tensor], clicked_B: Tensor, bought_B: Tensor) -> dict[str, Tensor]:
        """The extra losses of a child, (B,) each, from the logits a, c and u."""
        parent_B, own_B, complement_B = logits
        click_B = parent_B.detach()
        clicked_weight_B = clicked_B / click_B.sigmoid().clamp(min=self.propensity_floor)
        other_weight_B = (1 - clicked_B) / (-click_B).sigmoid().clamp(min=self.propensity_floor)
        known_B = _cross_entropy(own_B, bought_B) + _cross_entropy(complement_B, 1 - bought_B)
        soft_B = _cross_entropy(own_B, (-complement_B.detach()).sigmoid())
        soft_B = soft_B + _cross_entropy(complement_B, (-own_B.detach()).sigmoid())
        return {
            "negative": _cross_entropy(and_logit(parent_B, complement_B), clicked_B * (1 - bought_B)),
            "ipw": clicked_weight_B * known_B,
            "alignment": (clicked_weight_B + other_weight_B) * soft_B,
        }


def _cross_entropy(logit_B: Tensor, label_B: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit_B, label_B, reduction="none")
