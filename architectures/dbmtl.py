"""DBMTL: deep Bayesian multi-target learning.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units


@register("dbmtl")
class DeepBayesianMTL(Architecture):
    r"""Deep Bayesian multi-target learning: a task also reads the hidden layers of the tasks that it depends on.

    Wang, Ji, Liu, Zhao: Deep Bayesian Multi-Target Learning for Recommender Systems, 2019, arXiv 1902.09154. The tasks
    form a Bayesian network, whose links are hidden layers:

    $$
    p(t_1, \dots, t_T \mid x) = \prod_k p(t_k \mid \text{parents of } k, x), \qquad
    y_k = v_k^\top r_k + b_k
    $$

    $$
    r_k = m_k([h_k(s),\, r_j \text{ for each parent } j]), \qquad r_k = h_k(s) \text{ without parents}, \qquad s = f(x)
    $$

    - $x$ (D,): the embedded input; $f$: the bottom, an MLP with ReLU after its last layer too;
    - $h_k$: the hidden layers of task $k$; $m_k$: its relation, an MLP over its own hidden layer and its parents' $r_j$;
    - $v_k$, $b_k$: the output layer.

    The parent of a funnel child is the task that it is given. All earlier tasks are parents of any other task, so the
    order of the tasks matters. With one task this is shared_bottom.

    Hidden layers take the place of the parents' labels, which are not known when the model predicts. An output is thus
    marginal over them: a funnel child's is the logit of the joint, and can exceed its parent's.

    All tasks reach the embedding and the bottom. Task $k$ reaches its own layers and those of its ancestors, because
    nothing is detached.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding.
        bottom_dims: Layer widths of the bottom, by default those of shared_bottom. EasyRec's example has 1024, 512, 256.
        tower_dims: Widths of a task's hidden layers. EasyRec's example has 256, 128, 64, 32.
        relation_dims: Layer widths of a relation. EasyRec's example has 32.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from the paper:
        We had only its abstract. The layers are those of EasyRec and TorchEasyRec, which were written at the authors'
        company. The paper selects the network of tasks by trying several.

    Differs from other implementations:
        A funnel child is trained on all rows (EasyRec can restrict it to clicked rows, and its output is then a
        conditional). There is a bottom and not a mixture of experts, which EasyRec offers as an option.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        bottom_dims: tuple[int, ...] = (512, 64),
        tower_dims: tuple[int, ...] = (32,),
        relation_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.bottom = MLPs(1, self.embedding.output_dim, bottom_dims, dropout)
        self.hidden = MLPs(len(schema.tasks), self.bottom.output_dim, tower_dims, dropout)
        names = schema.task_names
        self.parents = [
            list(range(number)) if task.given is None else [names.index(task.given)]
            for number, task in enumerate(schema.tasks)
        ]
        own_dim = self.hidden.output_dim
        self.relations: Units[MLPs] = Units()
        widths: list[int] = []  # of r
        for parents in self.parents:
            if parents:
                input_dim = own_dim + sum(widths[parent] for parent in parents)
                self.relations.append(MLPs(1, input_dim, relation_dims, dropout))
            widths.append(self.relations[-1].output_dim if parents else own_dim)
        self.towers = Units(Towers((task,), width, ()) for task, width in zip(schema.tasks, widths, strict=True))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_B1H,) = self.embedding(batch).linear(self.bottom.first)
        bottom_B1H = self.bottom.after_first(first_B1H)
        own_BTH = self.hidden(bottom_B1H.expand(-1, len(self.schema.tasks), -1))
        relations, related, outputs = iter(self.relations), list[Tensor](), dict[str, Tensor]()
        for own_B1H, parents, tower in zip(own_BTH.split(1, dim=1), self.parents, self.towers, strict=True):
            if parents:
                own_B1H = next(relations)(torch.cat([own_B1H, *(related[parent] for parent in parents)], dim=2))
            related.append(own_B1H)
            outputs |= tower(own_B1H)
        return outputs
