"""ResFlow: residual connections along a funnel.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.funnel import funnel_steps, lacks_funnel
from architectures.layers import FeatureEmbedding, MLPs, Towers, batched_linear


@register("resflow")
class ResFlow(Architecture):
    r"""Residual multi-task learner: in a funnel, the child adds its network's features and its logit to those of its parent.

    Fu, Wang, Wu, Chen, Huzhang, Ni, Zeng, Zhou: Residual Multi-Task Learner for Applied Ranking, KDD 2024,
    arXiv 2411.09705. As in the authors' code, for a task $t$ given its parent $p$ and the layers $l = 1, \dots, L$:

    $$
    h_t^1 = \operatorname{ReLU}(W_t^1 x + b_t^1), \qquad
    h_t^{l+1} = \operatorname{ReLU}\big(W_t^{l+1} (h_t^l + h_p^l) + b_t^{l+1}\big)
    $$

    $$
    y_t = v_t^\top (h_t^L + h_p^L) + c_t + y_p
    $$

    - $x$ (D,): the embedded input, which the first layer of every network reads alone;
    - $h_t^l$: the output of layer $l$ of the network of task $t$, before its parent's is added;
    - $v_t$, $c_t$: the output layer of task $t$; $y_t$: its logit given exposure, so that of the joint for a child.

    A task without a parent has a network of its own, with $h_p = 0$ and $y_p = 0$. Nothing keeps a residual below 0, so the
    model does not ensure that a child is at most as probable as its parent.

    All tasks reach the embedding. A task also reaches the networks and output layers of all of its ancestors, because the
    authors detach nothing.

    Args:
        schema: Fields and tasks; at least one task must be given another, and both must be binary.
        embedding_dim: Width of a field's embedding.
        tower_dims: Layer widths of every task's network. By default those of esmm.
        feature_residuals: Add the parent's features. With both residuals off, the tasks share the embedding alone.
        logit_residuals: Add the parent's logit.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}; a funnel child's output is the logit of the joint.

    Differs from the authors' code:
        The code has PReLU, and batch norm on the embedding and after every layer. Here is ReLU and no batch norm, as in
        the other architectures, so that a comparison is about the residuals. The code weights positive rows by up to 500,
        which moves all probabilities; here this is left out, and weights of tasks are those of the weighting. The code has a
        chain of tasks; here a task follows the one that it is given, and two tasks may have one parent.
    """

    capacity = ("tower_dims",)

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (256, 64, 32),
        feature_residuals: bool = True,
        logit_residuals: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.feature_residuals, self.logit_residuals = feature_residuals, logit_residuals
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(len(schema.tasks), self.embedding.output_dim, tower_dims, dropout)
        self.towers = Towers(schema.tasks, self.hidden.output_dim, ())
        names = schema.task_names
        self.parents = [None if task.given is None else names.index(task.given) for task in schema.tasks]

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        return lacks_funnel(schema)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_BTH,) = self.embedding(batch).linear(self.hidden.first)
        hidden_BTH = self.hidden.dropout(F.relu(first_BTH))
        for layers in self.hidden.layers[1:]:
            hidden_BTH = self.hidden.dropout(F.relu(batched_linear(layers, self._with_parents(hidden_BTH))))
        outputs: dict[str, Tensor] = self.towers(self._with_parents(hidden_BTH))
        if self.logit_residuals:
            for parent, child in funnel_steps(self.schema):  # a parent's own sum is made before its children's
                outputs[child.name] = outputs[child.name] + outputs[parent.name]
        return outputs

    def _with_parents(self, hidden_BTH: Tensor) -> Tensor:
        """Every network's features, to which those of the parent's network are added."""
        if not self.feature_residuals:
            return hidden_BTH
        own = hidden_BTH.unbind(1)
        return torch.stack(
            [own[t] if parent is None else own[t] + own[parent] for t, parent in enumerate(self.parents)], dim=1
        )
