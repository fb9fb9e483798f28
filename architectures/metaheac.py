"""MetaHeac: hybrid experts and critics, mixed for each task; the network without its meta-learning.

Axes: B batch, D input, T tasks, E experts, C critics, H hidden, d embedding.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Batch, Schema, register
from architectures.gates import Gate, Gated
from architectures.layers import Embedded, FeatureEmbedding, MLPs, Units, linear_on_one
from benchmark.kinds import get


@register("metaheac")
class MetaHeac(Gated):
    r"""Hybrid experts and critics: tasks share all networks and differ in a vector that the gates read.

    Zhu, Liu, Xie, Zhuang, Hao, Ge, Zhang, Lin, Cao: Learning to Expand Audience via Meta Hybrid Experts and Critics for
    Recommendation and Advertising, KDD 2021, arXiv 2105.14688. This is its network alone, "Heac" in the authors' code. The
    paper trains it by meta-learning over hundreds of campaigns and adapts it to a new one. Here the tasks are fixed, and
    the trainer trains the network as it does every other:

    $$
    z_k(x) = \sum_e g(u, v_k)_e\, f_e(x), \qquad p_k = \sum_c q(u, v_k)_c\, \sigma\big(w_c^\top z_k(x) + b_c\big)
    $$

    $$
    g(u, v) = \operatorname{softmax}\big(G_2 \operatorname{ReLU}(G_1 [u, v] + a_1) + a_2\big), \qquad q
    \text{ has the same form}
    $$

    - $x$ (D,): the embedded input; $u$ (d,): the mean of its fields' embeddings;
    - $v_k$ (d,): the vector of task $k$, initialised with standard deviation 1;
    - $f_e$: expert $e$, an MLP with ReLU after its last layer too; $w_c$, $b_c$: critic $c$, one linear output;
    - $g$, $q$: the gates of experts and of critics, each one network for all tasks.

    The output is the logit of $p_k$. With $l_c = w_c^\top z_k + b_c$ it is computed without probabilities:

    $$
    \log\frac{p_k}{1 - p_k} = \log \sum_c q_c\, \sigma(l_c) - \log \sum_c q_c\, \sigma(-l_c)
    $$

    A task that is not binary has the value $\sum_c q_c l_c$; the paper has binary tasks alone.

    All tasks reach everything but the vectors. A vector belongs to one task.

    Args:
        schema: Fields and tasks of one output each.
        embedding_dim: Width d of a field's embedding and of a task's vector.
        num_experts: Number of experts E, at least 2.
        expert_dims: Layer widths of an expert.
        num_critics: Number of critics C, at least 1.
        gate_dim: Hidden width of a gate.
        dropout: On every hidden layer of the experts.
        options: Those of `Gated`, for the last layer of the experts' gate. The critics' gate remains a softmax: the output
            needs the logarithms of its shares, and a share of 0 has none.

    Shape:
        batch of B rows -> {task: (B,)}.

    Raises:
        ValueError: if `num_experts` is below 2, or `num_critics` or `gate_dim` below 1.

    Differs from the authors' code:
        Meta-learning is left out. Numeric fields enter the mean as their value times a vector.

    Differs from other implementations:
        The critics' probabilities are summed (MTReclib takes their mean, so that none can exceed 1/C), a gate has a hidden
        layer (MTReclib's has none), and there is no batch norm.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        num_experts: int = 8,
        expert_dims: tuple[int, ...] = (64, 64),
        num_critics: int = 5,
        gate_dim: int = 64,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if num_experts < 2:
            raise ValueError(f"num_experts must be at least 2, found {num_experts}")
        if num_critics < 1 or gate_dim < 1:
            raise ValueError(f"num_critics and gate_dim must be at least 1, found {num_critics} and {gate_dim}")
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        width = self.embedding.numbers_dim
        self.numeric = nn.Linear(width, embedding_dim, bias=False) if width else None
        self.experts = MLPs(num_experts, self.embedding.output_dim, expert_dims, dropout)
        self.critics = Units(nn.Linear(self.experts.output_dim, 1) for _ in range(num_critics))
        self.task_vectors = TaskVectors(len(schema.tasks), embedding_dim)
        self.expert_gate = nn.Sequential(
            nn.Linear(2 * embedding_dim, gate_dim), nn.ReLU(), self.gate_options.make(gate_dim, num_experts, bias=True)
        )
        # one critic needs no gate
        self.critic_gate = (
            nn.Sequential(nn.Linear(2 * embedding_dim, gate_dim), nn.ReLU(), nn.Linear(gate_dim, num_critics))
            if num_critics > 1
            else None
        )

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        others = [task.name for task in schema.tasks if task.num_outputs > 1]
        return f"needs tasks of one output alone, and {', '.join(others)} has several" if others else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        embedded = self.embedding(batch)
        (first_BEH,) = embedded.linear(self.experts.first)
        experts_BEH = self.experts.after_first(first_BEH)
        read_BTR = self._read_by_gates(embedded)
        mixed_BTH = self._weights(read_BTR) @ experts_BEH
        critics_BTC = linear_on_one(self.critics, mixed_BTH).squeeze(-1)
        shares = critics_BTC.new_zeros(1) if self.critic_gate is None else self.critic_gate(read_BTR).log_softmax(-1)
        return {
            task.name: mixture_logit(logits_BC, log_share_BC)
            if get(task.kind).is_binary
            else (log_share_BC.exp() * logits_BC).sum(-1)
            for task, logits_BC, log_share_BC in zip(
                self.schema.tasks, critics_BTC.unbind(1), shares.expand_as(critics_BTC).unbind(1), strict=True
            )
        }

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """See `Architecture.gates`: the gate of the experts."""
        weights_BTE = self._weights(self._read_by_gates(self.embedding(batch)))
        return self.by_task(weights_BTE)

    def _weights(self, read_BTR: Tensor) -> Tensor:
        """(B, T, E), of the experts."""
        return cast(Gate, self.expert_gate[-1]).weights(self.expert_gate(read_BTR))

    def _read_by_gates(self, embedded: Embedded) -> Tensor:
        """(B, T, R = 2d): the mean embedding of the row, then the vector of the task."""
        sum_Bd = embedded.sum()
        if self.numeric is not None:
            sum_Bd = sum_Bd + self.numeric(embedded.numbers())
        mean_Bd = sum_Bd / (len(self.embedding.fields) + self.embedding.numbers_dim)
        vectors_Td = self.task_vectors()
        shape = (len(mean_Bd), *vectors_Td.shape)
        return torch.cat([mean_Bd.unsqueeze(1).expand(shape), vectors_Td.expand(shape)], dim=-1)


def mixture_logit(logits_BC: Tensor, log_share_BC: Tensor) -> Tensor:
    """The logit of the sum over c of share * sigmoid(logit): (B, C), (B, C) -> (B,)."""
    yes_B = (log_share_BC + F.logsigmoid(logits_BC)).logsumexp(-1)
    no_B = (log_share_BC + F.logsigmoid(-logits_BC)).logsumexp(-1)
    return yes_B - no_B


class TaskVectors(nn.Module):
    """A vector per task.

    Args:
        num_tasks: T.
        dim: d.
    """

    def __init__(self, num_tasks: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.ParameterList(torch.empty(dim) for _ in range(num_tasks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 1), as in MTReclib: with the 0.05 of fields' embeddings, tasks would begin with almost equal gates."""
        for vector in self.vectors:
            nn.init.normal_(vector)

    def forward(self) -> Tensor:
        """(T, d)."""
        return torch.stack(list(self.vectors))
