"""AITM: adaptive information transfer along a chain of tasks.

Axes: B batch, D input, T tasks, U = 2 tokens, K width of a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units
from benchmark.kinds import KINDS


@register("aitm")
class AITM(Architecture):
    r"""Adaptive information transfer: each step of a chain mixes its own features with what the step before passes on.

    Xi, Chen, Yan, Zhang, Zhu, Zhuang, Chen: Modeling the Sequential Dependence among Audience Multi-step Conversions
    with Multi-task Learning in Targeted Advertising, KDD 2021, doi 10.1145/3447548.3467071, arXiv 2105.08489. For the
    tasks $t = 1, \dots, T$ in the order of the schema, and as in the authors' code:

    $$
    z_1 = q_1, \qquad z_t = \sum_{u \in \{q_t,\, p_{t-1}\}} w_u\, V u, \qquad y_t = v_t^\top z_t + b_t
    $$

    $$
    w_u = \operatorname{softmax}_u\left(\frac{\langle Q u, K u\rangle}{\sqrt{k}}\right)
    $$

    - $q_t$ (k,): the output of the network of task $t$ on the embedded input $x$ (D,);
    - $p_t$ (k,): what $t$ passes on: ReLU(Linear($z_t$)), with dropout. $z_t$ goes down the chain, not $q_t$;
    - $Q$, $K$, $V$ (k, k): without bias, the same for all steps, initialised with standard deviation 0.01;
    - $w_u$: the weight of token $u$;
    - $v_t$ (k,), $b_t$: the output layer of task $t$.

    The extra loss `calibrator` says that a later step cannot be more probable than the earlier one:

    $$
    \alpha \sum_{t \ge 2} \operatorname{mean}\big(\max(\sigma(y_t) - \sigma(y_{t-1}),\, 0)\big)
    $$

    The mean is over the rows on which both tasks are observed. The loss is taken only between neighbours of which the
    later is given the earlier, because only there does the claim hold. Other neighbours still exchange information, in
    the order of the tasks. Without a pair of this sort there is no extra loss.

    All tasks reach the embedding. Task $t$ reaches the networks of the tasks up to $t$, what they pass on, its own
    output layer and, from the second task on, $Q$, $K$, $V$. The calibrator reaches whatever its tasks do.

    Args:
        schema: Fields and tasks: at least two, all binary.
        embedding_dim: Width of a field's embedding.
        tower_dims: Layer widths of a task's network; the last is k. By default two tasks together have the first layer
            of shared_bottom; the authors use 128, 64, 32.
        calibrator_weight: Weight alpha of the calibrator. 0: no extra loss.
        dropout: On every hidden layer and on what a task passes on (the authors use .1, .3, .3).

    Shape:
        batch of B rows -> {task: (B,)}; each is the logit given exposure, so a funnel child's output is the joint.

    Differs from other implementations:
        The calibrator exists (MTReclib, MMLRec and torch-rechub have none) and is a mean (PaddleRec's sum grows with the
        batch). $Q$, $K$, $V$ have no bias and are common to all steps (torch-rechub's are not).

    Differs from the authors' code:
        Labels may be missing. The authors' L2 penalty on $Q$, $K$, $V$ is left to the trainer's weight decay.
    """

    capacity = ("tower_dims",)

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        tower_dims: tuple[int, ...] = (256, 64, 32),
        calibrator_weight: float = 0.6,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        if calibrator_weight < 0:
            raise ValueError(f"calibrator_weight must be at least 0, found {calibrator_weight}")
        self.calibrator_weight = calibrator_weight
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(len(schema.tasks), self.embedding.output_dim, tower_dims, dropout)
        width = self.hidden.output_dim
        self.passes = Units(MLPs(1, width, (width,), dropout) for _ in schema.tasks[1:])
        self.transfer = Transfer(width)
        self.towers = Towers(schema.tasks, width, ())
        self.pairs = [
            (before.name, task.name)
            for before, task in zip(schema.tasks, schema.tasks[1:], strict=False)
            if task.given == before.name
        ]

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """See `Architecture.requires`."""
        if len(schema.tasks) < 2:
            return "needs a chain: at least two tasks"
        others = [task.name for task in schema.tasks if not KINDS[task.kind].is_binary]
        return f"needs binary tasks alone, and {', '.join(others)} is not" if others else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_BTH,) = self.embedding(batch).linear(self.hidden.first)
        own_BTK = self.hidden.after_first(first_BTH)
        chain = [own_BTK[:, 0]]
        for step, passes in enumerate(self.passes, start=1):
            passed_B1K = passes(chain[-1].unsqueeze(1))
            chain.append(self.transfer(torch.cat([own_BTK[:, step : step + 1], passed_B1K], dim=1)))
        return self.towers(torch.stack(chain, dim=1))

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """See `Architecture.training_step`: `calibrator`, where the tasks are a funnel."""
        outputs = self(batch)
        if not self.pairs or self.calibrator_weight == 0:
            return outputs, {}
        excess = torch.stack([self._excess(outputs, batch, before, after) for before, after in self.pairs]).sum()
        return outputs, {"calibrator": Auxiliary(self.calibrator_weight * excess)}

    def _excess(self, outputs: dict[str, Tensor], batch: Batch, before: str, after: str) -> Tensor:
        """By how much, on average, `after` is more probable than `before`. A scalar."""
        columns = [self.schema.task_names.index(name) for name in (before, after)]
        observed_B = batch.observed[:, columns].all(dim=1)
        excess_B = F.relu(outputs[after].sigmoid() - outputs[before].sigmoid())
        return batch.mean(excess_B, observed_B, columns[1])


class Transfer(nn.Module):
    """Mixes tokens, each weighted by the product of its own query and key.

    Args:
        width: K.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_KK, self.key_KK, self.value_KK = (nn.Parameter(torch.empty(width, width)) for _ in range(3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal with deviation 0.01, as the authors have it."""
        for weight_KK in self.parameters():
            nn.init.normal_(weight_KK, std=0.01)

    def forward(self, tokens_BUK: Tensor) -> Tensor:
        """(B, U, K) -> (B, K)."""
        query_BUK, key_BUK = tokens_BUK @ self.query_KK, tokens_BUK @ self.key_KK
        score_BU = (query_BUK * key_BUK).sum(-1) / tokens_BUK.shape[-1] ** 0.5
        return torch.einsum("bu,buk->bk", score_BU.softmax(dim=1), tokens_BUK @ self.value_KK)
