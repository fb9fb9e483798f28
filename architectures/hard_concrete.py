"""Gates that can close for good and still have a gradient.

Axes: G groups of gates (one per unit that owns them).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOW, HIGH = -0.1, 1.1  # gamma and zeta: a draw is stretched to this range, then cut off at 0 and 1
TEMPERATURE = 2 / 3  # beta


class HardConcrete(nn.Module):
    r"""Hard-concrete gates: numbers from 0 to 1 that are exactly 0 or exactly 1 with a probability above 0.

    Louizos, Welling, Kingma: Learning Sparse Neural Networks through L0 Regularization, ICLR 2018, arXiv 1712.01312, with
    its constants $\beta = 2/3$, $\gamma = -0.1$, $\zeta = 1.1$:

    $$
    z = \min(1, \max(0, q\,(\zeta - \gamma) + \gamma)), \qquad
    q = \sigma\left(\frac{\log u - \log(1 - u) + \alpha}{\beta}\right), \qquad u \sim U(0, 1)
    $$

    In training every forward draws $u$ for every gate, from torch's global generator, as dropout does. In evaluation
    $q = \sigma(\alpha)$. All rows of a batch have the same gates. $\alpha$ is the parameter `log_alpha`, the paper's
    $\log\alpha$.

    Args:
        num_groups: G. Each group has a Parameter of its own.
        shape: The gates of a group.
        start: Where every $\alpha$ starts. 0: a gate is .5 on average, and 0 in one draw out of six. 2: it is above .8 on
            average, and 0 in three draws out of a hundred.
    """

    def __init__(self, num_groups: int, *shape: int, start: float) -> None:
        super().__init__()
        self.start = start
        self.log_alpha = nn.ParameterList(nn.Parameter(torch.empty(shape)) for _ in range(num_groups))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All at the start."""
        for log_alpha in self.log_alpha:
            nn.init.constant_(log_alpha, self.start)

    def forward(self) -> Tensor:
        """The gates, G times their shape: drawn in training, fixed in evaluation."""
        log_alpha = torch.stack(list(self.log_alpha))
        if self.training:
            log_alpha = (torch.rand_like(log_alpha).logit() + log_alpha) / TEMPERATURE
        return (log_alpha.sigmoid() * (HIGH - LOW) + LOW).clamp(0, 1)

    def expected_open(self) -> Tensor:
        r"""How many gates are above 0 in a draw, on average: the sum of $\sigma(\alpha - \beta \log(-\gamma/\zeta))$."""
        log_alpha = torch.stack(list(self.log_alpha))
        return (log_alpha - TEMPERATURE * math.log(-LOW / HIGH)).sigmoid().sum()
