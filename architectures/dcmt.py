"""DCMT: the direct entire-space causal multi-task framework, for a funnel.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.funnel import funnel_steps, joint_logits, lacks_funnel, step_labels
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units


@register("dcmt")
class DCMT(Architecture):
    r"""Direct entire-space causal model: ESMM, with a twin that predicts "would not buy" on the rows without a click.

    Zhu, Zhong, Yang, Li, Yu, Zhang, Zhou, Chen, Wu, Liu, Wang: DCMT: A Direct Entire-Space Causal Multi-Task Framework
    for Post-Click Conversion Estimation, ICDE 2023, arXiv 2302.06141. Networks and outputs are those of ESMM:

    $$
    p(\text{click}) = \sigma(a), \qquad p(\text{click}, \text{buy}) = \sigma(a)\,\sigma(c), \qquad
    a = v_1^\top h_1(x), \quad c = v_2^\top h_2(x), \quad c^* = u^\top h_2(x)
    $$

    Each funnel child has three extra losses, `factual_<child>`, `counterfactual_<child>` and `consistency_<child>`, which
    join the loss of the child:

    $$
    \mu \frac{\sum_{o = 1} (e / q)}{\sum_{o = 1} (1 / q)}, \qquad
    \mu \frac{\sum_{o = 0} (e^* / (1 - q))}{\sum_{o = 0} (1 / (1 - q))}, \qquad
    \lambda \operatorname{mean} |1 - \sigma(c) - \sigma(c^*)|
    $$

    - $x$ (D,): the embedded input; $h_k$: the hidden layers of task $k$, with their own output layers $v_k$ and biases;
    - $a$: the logit of the parent given exposure; $c$: the logit of the child given its parent;
    - $c^*$: the twin's logit, from the hidden layers of the child. It takes no part in outputs;
    - $o$: the label of the parent; $r$: the label of the child; $e$: the cross entropy of $c$ and $r$;
    - $e^*$: the cross entropy of $c^*$ and $1 - r$;
    - $q$: the propensity $\sigma(a)$, without gradient. In a chain it is the parent's joint.

    Sums and mean are over the rows of a batch on which both labels are observed. A sum without rows is 0.

    Without a click there is no conversion, so $1 - r$ is always 1 there. The twin has no other label and learns the
    constant 1, whatever the input. The third loss then pulls $\sigma(c)$ towards 0 and says nothing about the input: hardly
    at the published weight of 0.001, strongly at 1. With the published weights, this is close to ESMM with a
    self-normalised IPS loss.

    All tasks reach the embedding. A child's output also reaches the networks of its ancestors. Its extra losses reach the
    embedding, its own network and its twin.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        tower_dims: Hidden widths of a task's network, by default those of esmm. A public study uses 320, 200, 80.
        causal_weight: Weight mu of the first two extra losses.
        consistency_weight: Weight lambda of the third. If both weights are 0, there is no twin and this is ESMM.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}; a funnel child's output is the joint.

    Differs from the paper:
        We had only its abstract. The losses are as NISE restates them, self-normalised as in a public study that cites the
        paper's equations. The networks are MLPs (the study's are wide and deep). Weights are computed from logits and need no
        floor (the study's is 1e-6).

    Differs from other implementations:
        The losses exist (a class in the style of torch-rechub gives clamped probabilities and has none).
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (256, 64, 32),
        causal_weight: float = 1.0,
        consistency_weight: float = 0.001,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        for name, weight in (("causal_weight", causal_weight), ("consistency_weight", consistency_weight)):
            if weight < 0:
                raise ValueError(f"{name} must be at least 0, found {weight}")
        self.causal_weight, self.consistency_weight = causal_weight, consistency_weight
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(len(schema.tasks), self.embedding.output_dim, tower_dims, dropout)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, ())
        self.has_twins = max(causal_weight, consistency_weight) > 0
        if self.has_twins:
            self.twins = Units(nn.Linear(self.hidden.output_dim, 1) for _ in funnel_steps(schema))

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return lacks_funnel(schema)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        return joint_logits(self.schema, self.towers(self._hidden(batch)))

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: three losses for every funnel child."""
        if not self.has_twins:
            return self(batch), {}
        hidden_BTH = self._hidden(batch)
        logits = self.towers(hidden_BTH)
        outputs = joint_logits(self.schema, logits)
        auxiliaries: dict[str, Auxiliary] = {}
        for (parent, child), twin in zip(funnel_steps(self.schema), self.twins, strict=True):
            clicked_B, bought_B, observed_B = step_labels(self.schema, batch, (parent, child))
            propensity_B, logit_B = outputs[parent.name].detach(), logits[child.name]
            twin_B = twin(hidden_BTH[:, self.schema.tasks.index(child)])[:, 0]
            label_B, is_clicked_B = bought_B.to(logit_B), clicked_B > 0
            column = self.schema.tasks.index(child)
            rows_B = None if batch.weights is None else batch.weights[:, column]
            factual = weighted_loss(logit_B, label_B, propensity_B, is_clicked_B & observed_B, rows_B)
            others_B = ~is_clicked_B & observed_B
            counterfactual = weighted_loss(twin_B, 1 - label_B, -propensity_B, others_B, rows_B)
            gap = batch.mean(inconsistency(logit_B, twin_B), observed_B, column)
            losses = {
                "factual": self.causal_weight * factual,
                "counterfactual": self.causal_weight * counterfactual,
                "consistency": self.consistency_weight * gap,
            }
            auxiliaries |= {f"{loss}_{child.name}": Auxiliary(value, child.name) for loss, value in losses.items()}
        return outputs, auxiliaries

    def _hidden(self, batch: Batch) -> Tensor:
        """(B, T, H)."""
        (first_BTH,) = self.embedding(batch).linear(self.hidden.first)
        return self.hidden.after_first(first_BTH)


def weighted_loss(
    logit_B: Tensor, label_B: Tensor, propensity_B: Tensor, chosen_B: Tensor, rows_B: Tensor | None = None
) -> Tensor:
    """The cross entropy over the chosen rows, each weighted by 1 / sigmoid(propensity), over the sum of weights.

    Args:
        logit_B: The predictions.
        label_B: 0 or 1.
        propensity_B: The logits of a row being chosen.
        chosen_B: Which rows count; if none does, the loss is 0.
        rows_B: The weight of each row, if rows have weights.
    """
    loss_B = F.binary_cross_entropy_with_logits(logit_B, label_B, reduction="none")
    log_B = -F.logsigmoid(propensity_B) * chosen_B  # at least 0: a row that is not chosen is never above the chosen
    weight_B = (log_B - log_B.max()).exp() * chosen_B  # in proportion; the largest is 1
    if rows_B is not None:
        weight_B = weight_B * rows_B
    total = weight_B.sum()
    return (weight_B * loss_B).sum() / (total + (total == 0))


def inconsistency(logit_B: Tensor, twin_B: Tensor) -> Tensor:
    """(B,) by how much the two probabilities do not sum to 1."""
    return ((-logit_B).sigmoid() - twin_B.sigmoid()).abs()
