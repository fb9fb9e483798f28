"""ESCM2: the entire space counterfactual multi-task model, for a funnel.

Axes: B batch, D input, E experts, H hidden, T tasks, C children (tasks that are given another), O outputs of
a gate's Linear, U gates: those of tasks and, last, those of imputed errors.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures import Auxiliary, Batch, Schema, register
from architectures.funnel import funnel_steps, joint_logits, lacks_funnel, step_labels
from architectures.gates import Gated, Gates
from architectures.layers import FeatureEmbedding, MLPs, Towers


@register("escm2")
class ESCM2(Gated):
    r"""Entire space counterfactual model: ESMM, and a loss on the conversion given the click that corrects for who clicks.

    Wang, Chang, Liu, Huang, Chen, Yu, Li, Chu: ESCM2: Entire Space Counterfactual Multi-Task Model for Post-Click
    Conversion Rate Estimation, SIGIR 2022, arXiv 2204.05125. As in ESMM, on MMoE's experts:

    $$
    p(\text{click}) = \sigma(a), \qquad p(\text{click}, \text{buy}) = \sigma(a)\,\sigma(c), \qquad
    a = h_1(x), \quad c = h_2(x), \qquad h_k(x) = t_k\Big(\sum_e g_k(x)_e\, f_e(x)\Big)
    $$

    Each funnel child has an extra loss, `counterfactual_<child>`, which joins the loss of the child. With $w = o / q$ it is

    $$
    \text{ips:}\quad \lambda \operatorname{mean}(w\, e), \qquad
    \text{dr:}\quad \lambda \operatorname{mean}\big(d + w\, (e - d)\big) + \lambda \operatorname{mean}\big(w\, (e - d)^2\big)
    $$

    - $x$ (D,): the embedded input; $f_e$: expert $e$; $g_k$ (E,): the gate of task $k$, a softmax; $t_k$: its tower;
    - $a$: the logit of the parent given exposure; $c$: the logit of the child given its parent;
    - $o$: the label of the parent; $r$: the label of the child; $e$: the cross entropy of $c$ and $r$;
    - $q$: the propensity $\max(\sigma(a), \text{floor})$, without gradient. In a chain it is the parent's joint;
    - $d$: the imputed error, a real number from a gate and a tower of its own, trained by this loss alone.

    The mean is over all rows on which both labels are observed, clicked or not. On a row that is not clicked $w = 0$, so
    its $r$ is not used. The paper's weight of the loss on the joint is the trainer's weight of the child.

    The gradient of the first `dr` term with respect to $c$ is that of `ips`, because $d$ does not depend on $c$. The
    second term adds that gradient times $2 (e - d)$. If the floor is above the true $p(\text{click})$, the mean
    $\bar w$ of $w$ is below 1. The best $d$ is then not $e$ but $e - (1 - \bar w) / (2 \bar w)$, and the loss there is
    $\lambda (e - (1 - \bar w)^2 / (4 \bar w))$. It is negative where clicks are rare, so use no weighting that takes the
    logarithm of a loss. This is so in the published form; `detach_imputation` avoids it.

    All tasks reach the embedding and the experts. A child's output also reaches the gates and towers of its ancestors.
    The extra loss reaches the embedding, the experts, the child's gate and tower, and those of the imputation.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        form: ips, inverse propensity scores; or dr, doubly robust, with an imputed error.
        num_experts: Number of experts E, at least 2.
        expert_dims: Layer widths of an expert.
        tower_dims: Hidden widths of a tower.
        counterfactual_weight: Weight lambda of the extra loss; the paper uses 0.1 to 1, and 0.1 on Ali-CCP. 0: there is no
            extra loss, and this is ESMM on MMoE's experts.
        propensity_floor: Least propensity q. The paper uses 0.1.
        detach_imputation: Under dr, train the child by the first term alone, whose gradient is then that of ips, and the
            imputation by the second alone, which makes it unbiased. Our ablation.
        dropout: On every hidden layer of experts and towers.
        options: Those of `Gated`: which gate, and `gate_dropout`.

    Shape:
        batch of B rows -> {task: (B,)}; a funnel child's output is the joint.

    Differs from the paper:
        We had only its abstract and other papers' restatements. The IPS term and the first DR term are as NISE restates
        them. The second DR term is as in a public study that cites the paper's equation 23.

    Differs from other implementations:
        The propensity is not multiplied by the number of clicks in the batch (PaddleRec's is, and so its weights are far from
        1 / q). Errors are weighted row by row (MMLRec sums them first, so that rows without a click count). No gradient
        flows to the propensity (in MMLRec it does). The imputed error is not a probability, because a cross entropy is not
        bounded by 1 (PaddleRec's is).
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        form: Literal["ips", "dr"] = "ips",
        num_experts: int = 8,
        expert_dims: tuple[int, ...] = (64,),
        tower_dims: tuple[int, ...] = (32,),
        counterfactual_weight: float = 0.1,
        propensity_floor: float = 0.1,
        detach_imputation: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if num_experts < 2:
            raise ValueError(f"num_experts must be at least 2, found {num_experts}: a gate over one expert is constant")
        if counterfactual_weight < 0:
            raise ValueError(f"counterfactual_weight must be at least 0, found {counterfactual_weight}")
        if not 0 < propensity_floor <= 1:
            raise ValueError(f"propensity_floor must be above 0 and at most 1, found {propensity_floor}")
        if detach_imputation and form != "dr":
            raise ValueError(f"detach_imputation=true needs form=dr, which has an imputation; found form={form}")
        self.detach_imputation = detach_imputation
        self.counterfactual_weight, self.propensity_floor = counterfactual_weight, propensity_floor
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.experts = MLPs(num_experts, self.embedding.output_dim, expert_dims, dropout)
        self.task_gates = Gates(len(schema.tasks), self.embedding.output_dim, num_experts, self.gate_options)
        self.towers = Towers(schema.tasks, self.experts.output_dim, tower_dims, dropout)
        self.imputes = form == "dr" and counterfactual_weight > 0
        if self.imputes:
            imputed = [child for _, child in funnel_steps(schema)]
            self.imputation_gates = Gates(len(imputed), self.embedding.output_dim, num_experts, self.gate_options)
            self.imputation_towers = Towers(imputed, self.experts.output_dim, tower_dims, dropout)

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return lacks_funnel(schema)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        first_BEH, gates_BTO = self.embedding(batch).linear(self.experts.first, self.task_gates)
        mixed_BTH = self.task_gates.weights(gates_BTO) @ self.experts.after_first(first_BEH)
        return joint_logits(self.schema, self.towers(mixed_BTH))

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `counterfactual_<child>` for every funnel child."""
        if self.counterfactual_weight == 0:
            return self(batch), {}
        gates = (self.task_gates, self.imputation_gates) if self.imputes else (self.task_gates,)
        first_BEH, *gates_BUO = self.embedding(batch).linear(self.experts.first, *gates)
        weights_BUE = self.task_gates.weights(torch.cat(gates_BUO, dim=1))  # all gates are of one kind
        mixed_BUH = weights_BUE @ self.experts.after_first(first_BEH)
        logits = self.towers(mixed_BUH[:, : len(self.schema.tasks)])
        imputed = self.imputation_towers(mixed_BUH[:, len(self.schema.tasks) :]) if self.imputes else {}
        outputs = joint_logits(self.schema, logits)
        auxiliaries = {}
        for parent, child in funnel_steps(self.schema):
            clicked_B, bought_B, observed_B = step_labels(self.schema, batch, (parent, child))
            logit_B = logits[child.name]
            error_B = F.binary_cross_entropy_with_logits(logit_B, bought_B.to(logit_B), reduction="none")
            weight_B = clicked_B / outputs[parent.name].detach().sigmoid().clamp(min=self.propensity_floor)
            risk_B = weight_B * error_B
            if self.imputes:
                risk_B = doubly_robust(error_B, imputed[child.name], weight_B, detach=self.detach_imputation)
            risk = batch.mean(risk_B, observed_B, self.schema.tasks.index(child))
            auxiliaries[f"counterfactual_{child.name}"] = Auxiliary(self.counterfactual_weight * risk, child.name)
        return outputs, auxiliaries

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`: those of the tasks, without those of imputed errors."""
        (gates_BTO,) = self.embedding(batch).linear(self.task_gates)
        weights_BTE = self.task_gates.weights(gates_BTO)
        return self.by_task(weights_BTE)


def doubly_robust(error_B: Tensor, imputed_B: Tensor, weight_B: Tensor, *, detach: bool) -> Tensor:
    """(B,) imputed errors, corrected where the error is known, and the squares that train the imputation.

    Args:
        error_B: The errors; where the weight is 0, they are not used.
        imputed_B: What the imputation takes for the errors.
        weight_B: 1 / propensity on clicked rows, 0 on others.
        detach: Keep the first term from the imputation and the squares from the errors.
    """
    assumed_B, known_B = (imputed_B.detach(), error_B.detach()) if detach else (imputed_B, error_B)
    return assumed_B + weight_B * (error_B - assumed_B) + weight_B * (known_B - imputed_B).square()
