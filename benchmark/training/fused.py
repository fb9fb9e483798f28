"""Adam and AdamW by the fused kernels of torch, called directly.

Constructing an optimizer of `torch.optim` imports torch's compiler, which takes each process as long as importing torch itself.
The kernels are what `torch.optim.Adam(fused=True)` calls, so the parameters are the same to the last bit; tests hold them to it.
The kernels' names are private in torch: without them, and for a schedule of learning rates, `torch.optim` is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_KERNELS = {"adam": "_fused_adam_", "adamw": "_fused_adamw_"}
_DEFAULTS = {"betas": (0.9, 0.999), "eps": 1e-8}  # those of torch.optim


def is_available() -> bool:
    """Does this torch have the kernels?"""
    return all(hasattr(torch, name) for name in _KERNELS.values())


class FusedAdam:
    """Adam or AdamW, with as much of the interface of `torch.optim.Optimizer` as training uses.

    Papers: "Adam: A Method for Stochastic Optimization", D. Kingma and J. Ba, ICLR 2015, arXiv 1412.6980; "Decoupled Weight Decay
    Regularization", I. Loshchilov and F. Hutter, ICLR 2019, arXiv 1711.05101.

    Args:
        groups: As `torch.optim.Adam` takes them: params, weight_decay, and perhaps lr, betas, eps.
        lr: The learning rate of groups without one.
        name: adam or adamw.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], lr: float, name: str) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, **_DEFAULTS, **group} for group in groups]
        self._kernel = getattr(torch, _KERNELS[name])
        self._parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        self._state: dict[int, dict[str, Tensor]] = {}  # by the number of the parameter

    @torch.no_grad()
    def step(self) -> None:
        """One update from the parameters' gradients. A parameter without a gradient is left alone."""
        first = 0
        for group in self.param_groups:
            kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
            for number, parameter in enumerate(group["params"], first):
                if parameter.grad is not None:
                    kinds.setdefault((parameter.device, parameter.dtype), []).append(number)
            for numbers in kinds.values():
                self._update(group, numbers)
            first += len(group["params"])

    def _update(self, group: Mapping[str, Any], numbers: Sequence[int]) -> None:
        parameters = [self._parameters[number] for number in numbers]
        states = [self._state_of(number) for number in numbers]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        beta1, beta2 = group["betas"]
        self._kernel(
            parameters, [parameter.grad for parameter in parameters], [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states], [], steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"], eps=group["eps"],
            amsgrad=False, maximize=False, grad_scale=None, found_inf=None,
        )  # fmt: skip

    def _state_of(self, number: int) -> dict[str, Tensor]:
        if number not in self._state:
            parameter = self._parameters[number]
            self._state[number] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        return self._state[number]

    def state_dict(self) -> dict[str, Any]:
        """As of `torch.optim.Adam`: the state by the number of the parameter, and the groups without their parameters."""
        groups = [{key: value for key, value in group.items() if key != "params"} for group in self.param_groups]
        return {"state": {number: dict(state) for number, state in self._state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for group, values in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group |= values
        self._state = {
            number: {name: value.to(self._parameters[number].device) for name, value in state.items()}
            for number, state in state_dict["state"].items()
        }
