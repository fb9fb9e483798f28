"""Gates: how tasks, or experts above, weigh experts. One block for all architectures that have gates, and its options.

Axes: B batch, D input, G gates, E experts, O outputs of a gate's Linear; in DSelect-k: k selectors, m bits, C codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures import Architecture, Schema
from architectures.layers import Units
from benchmark.settings.registry import Neutral

LEAST_KEPT = 1e-6  # of a row's weights, after dropout: below, dividing by it would blow up the gradient
SELECTOR_RANGE = 0.05  # of the initial values of selectors' weights: those of Keras, which the authors' code has
SELECTORS, GAMMA = 2, 1.0  # gate_k and gate_gamma, unless a dselect_k gate is given others


class Gate(nn.Linear):
    """A softmax gate: a Linear without bias, as in the papers of MMoE and PLE, and the softmax of its outputs.

    Args:
        input_dim: D.
        num_experts: E.
        dropout: In training, the probability that an expert's weight on a row is set to 0; the others' are scaled up to
            sum to 1. A row on which nothing would be left keeps its weights.
        num_outputs: O, where that is not E.
        bias: Whether the Linear has one.
    """

    def __init__(
        self, input_dim: int, num_experts: int, dropout: float, *, num_outputs: int | None = None, bias: bool = False
    ) -> None:
        super().__init__(input_dim, num_experts if num_outputs is None else num_outputs, bias=bias)
        self.num_experts, self.dropout = num_experts, dropout

    def weights(self, outputs_BO: Tensor) -> Tensor:
        """The Linear's outputs (B, O), or those of several gates, (B, G, O) -> the weights of the experts, (B, E) or (B, G, E)."""
        weights_BE = self.selection(outputs_BO)
        if not self.training or not self.dropout:
            return weights_BE
        kept_BE = weights_BE * (torch.rand_like(weights_BE) >= self.dropout)
        total_B1 = kept_BE.sum(dim=-1, keepdim=True)
        is_some_B1 = total_B1 > LEAST_KEPT
        return torch.where(is_some_B1, kept_BE / total_B1.clamp(min=LEAST_KEPT), weights_BE)

    def selection(self, outputs_BO: Tensor) -> Tensor:
        """The weights, without dropout."""
        return outputs_BO.softmax(dim=-1)


class DSelectK(Gate):
    r"""The DSelect-k gate: smooth, and a mixture of at most k experts once its selectors have settled.

    Hazimeh, Zhao, Chowdhery, Sathiamoorthy, Chen, Mazumder, Hong, Chi: DSelect-k: Differentiable Selection in the Mixture
    of Experts with Applications to Multi-Task Learning, NeurIPS 2021, arXiv 2106.03760. Each of $k$ selectors writes the
    number of an expert in $m = \lceil \log_2 E \rceil$ soft bits; this is the gate conditioned on the example:

    $$
    a_e = \sum_i \operatorname{softmax}(w)_i \prod_c \begin{cases} S(z_{ic}) & \text{if bit } c \text{ of } e \text{ is } 1 \\
    1 - S(z_{ic}) & \text{if it is } 0 \end{cases}, \qquad [z, w] = W x + b
    $$

    $$
    S(t) = -\frac{2}{\gamma^3} t^3 + \frac{3}{2 \gamma} t + \frac{1}{2} \quad \text{for } |t| \le \gamma / 2,
    \qquad 0 \text{ below}, \qquad 1 \text{ above}
    $$

    The first bit is the most significant. Where $|z_{ic}| \ge \gamma / 2$ a bit is hard, and has no gradient on that row.
    Experts may not change places, as their numbers are codes.

    Args:
        input_dim: D.
        num_experts: E.
        dropout: As in `Gate`.
        k: Number of selectors, from 1 to E.
        gamma: Width of the smooth part of S.

    Raises:
        ValueError: for more selectors than experts.

    Differs from the authors' code:
        Where E is not a power of 2, some codes have no expert. The authors' code loses their weight, and adds a penalty that
        is infinite where a selector settles on such a code. Here code $e \ge E$ is expert $e - E$, so weights sum to 1
        everywhere; the first experts start with twice the weight of the others. The regulariser of entropy, which is off
        by default there, is left out. Initial values are the same: uniform up to $\gamma / 100$ for $z$, .05 for $w$.
    """

    def __init__(self, input_dim: int, num_experts: int, dropout: float, k: int, gamma: float) -> None:
        if k > num_experts:
            raise ValueError(f"gate_k must be at most the number of a gate's experts, {num_experts}, found {k}")
        self.k, self.num_bits, self.gamma = k, (num_experts - 1).bit_length(), gamma  # first: for reset_parameters
        super().__init__(input_dim, num_experts, dropout, num_outputs=k * (self.num_bits + 1), bias=True)

    def reset_parameters(self) -> None:
        """All experts start with nearly equal weights."""
        num_z = self.k * self.num_bits
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter[:num_z], -self.gamma / 100, self.gamma / 100)
            nn.init.uniform_(parameter[num_z:], -SELECTOR_RANGE, SELECTOR_RANGE)

    def selection(self, outputs_BO: Tensor) -> Tensor:
        """See `Gate.selection`."""
        z_BX, w_Bk = outputs_BO.split([self.k * self.num_bits, self.k], dim=-1)
        bits_Bkm = smooth_step(z_BX.unflatten(-1, (self.k, self.num_bits)), self.gamma)
        codes_BkC = torch.ones_like(bits_Bkm[..., :1])
        for bit_Bk1 in bits_Bkm.split(1, dim=-1):  # code 2 c, then 2 c + 1, for every code c so far
            codes_BkC = torch.stack([codes_BkC * (1 - bit_Bk1), codes_BkC * bit_Bk1], dim=-1).flatten(-2)
        codes_BC: Tensor = (w_Bk.softmax(dim=-1).unsqueeze(-1) * codes_BkC).sum(dim=-2)
        if (num_spare := codes_BC.shape[-1] - self.num_experts) == 0:
            return codes_BC
        spare_BE = F.pad(codes_BC[..., self.num_experts :], (0, self.num_experts - num_spare))
        return codes_BC[..., : self.num_experts] + spare_BE


def smooth_step(values: Tensor, gamma: float) -> Tensor:
    """S of `DSelectK`: from exactly 0 at -gamma/2 to exactly 1 at gamma/2, with slope 0 there."""
    t = (values / gamma).clamp(-0.5, 0.5)
    return (1.5 - 2 * t * t) * t + 0.5


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The options of `Gated`, which all gates of an architecture have in common."""

    kind: str
    k: int
    gamma: float
    dropout: float

    def make(self, input_dim: int, num_experts: int, *, bias: bool = False) -> Gate:
        """A gate over this many experts; `bias`: whether a softmax gate has one. A dselect_k gate always has."""
        if self.kind == "dselect_k":
            return DSelectK(input_dim, num_experts, self.dropout, self.k, self.gamma)
        return Gate(input_dim, num_experts, self.dropout, bias=bias)


class Gates(Units[Gate]):
    """G gates of one shape over one set of experts, each with Parameters of its own.

    Args:
        num_gates: G.
        input_dim: D.
        num_experts: E.
        options: The architecture's.
    """

    def __init__(self, num_gates: int, input_dim: int, num_experts: int, options: GateOptions) -> None:
        super().__init__(options.make(input_dim, num_experts) for _ in range(num_gates))

    def weights(self, outputs_BGO: Tensor) -> Tensor:
        """The Linears' outputs, from one product, (B, G, O) -> the weights of the experts, (B, G, E)."""
        return self[0].weights(outputs_BGO)


class Gated(Architecture):
    """Options of all architectures whose gates weigh experts.

    Args:
        schema: Fields and tasks.
        gate: How a gate weighs experts: `softmax`, or `dselect_k`, which ends with at most `gate_k` experts per row
            (Hazimeh et al., NeurIPS 2021, arXiv 2106.03760).
        gate_k: Selectors of a dselect_k gate; at most the number of experts that a gate sees.
        gate_gamma: Width of the smooth part of the step of a dselect_k gate. The smaller, the sooner a choice is hard.
        gate_dropout: In training, the probability that a gate leaves out an expert on a row; its other weights are scaled
            up to sum to 1. Zhao et al. (Recommending What Video to Watch Next, RecSys 2019, doi 10.1145/3298689.3346997)
            use .1 against gates that ignore most experts. Here every row, gate and expert is drawn separately.

    Raises:
        ValueError: for a value out of its range.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        gate: Annotated[Literal["softmax", "dselect_k"], Neutral("softmax")] = "softmax",
        gate_k: Annotated[int, Neutral(SELECTORS)] = SELECTORS,
        gate_gamma: Annotated[float, Neutral(GAMMA)] = GAMMA,
        gate_dropout: Annotated[float, Neutral(0.0)] = 0.0,
    ) -> None:
        super().__init__(schema)
        if gate not in ("softmax", "dselect_k"):
            raise ValueError(f"gate must be softmax or dselect_k, found {gate!r}")
        if gate_k < 1:
            raise ValueError(f"gate_k must be at least 1, found {gate_k}")
        if not gate_gamma > 0:
            raise ValueError(f"gate_gamma must be above 0, found {gate_gamma}")
        if gate != "dselect_k" and (gate_k, gate_gamma) != (SELECTORS, GAMMA):
            raise ValueError(
                f"gate_k and gate_gamma need gate=dselect_k; found gate_k={gate_k}, gate_gamma={gate_gamma:g} with gate={gate}"
            )
        if not 0 <= gate_dropout < 1:
            raise ValueError(f"gate_dropout must be at least 0 and below 1, found {gate_dropout}")
        self.gate_options = GateOptions(gate, gate_k, gate_gamma, gate_dropout)

    def by_task(self, weights_BTE: Tensor, experts: Sequence[str] | None = None) -> dict[str, dict[str, Tensor]]:
        """`Architecture.gates` of one gate per task over the same experts, which are numbered unless they have names."""
        names = experts or [f"expert {e}" for e in range(weights_BTE.shape[2])]
        return {
            task: {name: weights_BTE[:, t, e] for e, name in enumerate(names)}
            for t, task in enumerate(self.schema.task_names)
        }


def check_experts(num_task_experts: int, num_shared_experts: int) -> None:
    """Refuses numbers of a task's own and of shared experts that leave its gate nothing to choose.

    Raises:
        ValueError: if one is negative, or both are below two together.
    """
    if min(num_shared_experts, num_task_experts) < 0 or num_shared_experts + num_task_experts < 2:
        raise ValueError(
            "num_shared_experts and num_task_experts must be at least 0 and together at least 2 (a gate over one "
            f"expert is constant), found {num_shared_experts} and {num_task_experts}"
        )
