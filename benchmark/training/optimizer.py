"""The update of a step: Adam or AdamW, with one call of the fused kernel for many tensors.

A unit of an architecture keeps its own Parameters, so a model has dozens of small ones, and the loop over them costs
more than the arithmetic. Here, the parameters of one group are views of one buffer, and the optimizer sees the buffer.
Adam is elementwise, so the update is the same as for the separate tensors, with a zero gradient for tensors without
one.

Large embedding tables may have their own optimizer, given in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.embeddings import embeddings, large_tables
from benchmark.settings.config import TrainerConfig
from benchmark.training import fused
from benchmark.training.fused import FusedAdam
from benchmark.weightings import Weighting

# Tensors above this many scalars (large embedding tables) stay alone: copying their gradients would cost more.
MOST_PACKED = 1 << 20

MakeOptimizer = Callable[[list[nn.Parameter], float], torch.optim.Optimizer]
"""Makes an optimizer from parameters and learning rate: a class of `torch.optim`, or a function."""


class Pack:
    """Parameters as views of one buffer, `flat`.

    They are laid out by the shape of their rows: Linears of the same input width are adjacent, so that stacking them
    for one product copies nothing (see `architectures._first_layer.join`).

    Args:
        parameters: At least one, all of one type and device. Their `.data` moves into the buffer, and must then only
            change in place. Autograd does not notice updates of the buffer: do not use a graph from before a step after
            it.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        def width(parameter: Tensor) -> tuple[int, ...]:
            return tuple(parameter.shape[1:])

        self.parameters = sorted(parameters, key=width)
        self.flat = nn.Parameter(torch.cat([p.detach().flatten() for p in self.parameters]))
        start = 0
        for parameter in self.parameters:
            parameter.data = self.flat.data[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        self._places = [p.data_ptr() for p in self.parameters]

    def gather(self) -> None:
        """Sets the buffer's gradient from the parameters' gradients; a missing gradient counts as zero.

        Raises:
            RuntimeError: if a parameter got other memory, because it would not be trained.
        """
        if [p.data_ptr() for p in self.parameters] != self._places:
            raise RuntimeError(
                "a parameter's .data was replaced during training; change it in place: p.data.copy_(...), p.data.mul_(...)"
            )
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self.flat.grad = torch.cat([gradient.flatten() for gradient in gradients])


class Optimizer:
    """Adam or AdamW, fused. Embeddings have their own weight decay, and the weighting has its own groups.

    Args:
        model: Its parameters move into buffers and keep their values. Frozen ones (without `requires_grad`) stay out.
        weighting: The loss weighting. Its `param_groups` are used as they are, without weight decay unless they set
            one.
        config: The choice of optimizer and its settings.
        make_large: Makes the optimizer of the large tables (see `large_tables`), if the model has any, from them and
            the learning rate. It sets its own weight decay and gets dense gradients. None: large tables are updated
            like all others.
    """

    def __init__(
        self, model: nn.Module, weighting: Weighting, config: TrainerConfig, make_large: MakeOptimizer | None = None
    ) -> None:
        embedding_ids = {id(table.weight) for table in embeddings(model)}
        large_ids = {id(table.weight) for table in large_tables(model)} if make_large is not None else set()
        apart: list[nn.Parameter] = []
        decays: dict[float, list[nn.Parameter]] = {}  # with equal decays, one group
        for parameter in (p for p in model.parameters() if p.requires_grad):
            if id(parameter) in large_ids:
                apart.append(parameter)
                continue
            is_embedding = id(parameter) in embedding_ids
            decay = config.embedding_weight_decay if is_embedding else config.weight_decay
            decays.setdefault(decay, []).append(parameter)
        self.packs: list[Pack] = []
        groups: list[dict[str, Any]] = [
            {"params": self._packed(parameters), "weight_decay": decay} for decay, parameters in decays.items()
        ]
        groups += [{"weight_decay": 0.0, **group} for group in weighting.param_groups()]
        groups = [{**group, "params": params} for group in groups if (params := list(group["params"]))]
        alone = [p for group in groups for p in group["params"]]
        self._with_gradients = apart + alone + [p for pack in self.packs for p in pack.parameters]
        self.adam: torch.optim.Optimizer | FusedAdam
        if config.scheduler == "none" and fused.is_available():
            self.adam = FusedAdam(groups, config.learning_rate, config.optimizer)
        else:  # torch's schedules take torch's optimizers
            kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
            self.adam = kind(groups, lr=config.learning_rate, fused=True)
        self.large = make_large(apart, config.learning_rate) if make_large is not None and apart else None

    @property
    def parts(self) -> tuple[torch.optim.Optimizer | FusedAdam, ...]:
        """The optimizers: the model's and, if there is one, the large tables'."""
        return (self.adam,) if self.large is None else (self.adam, self.large)

    def _packed(self, parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """The buffers of small tensors, one per type and device, and the large tensors."""
        kinds: dict[object, list[nn.Parameter]] = {}
        for parameter in parameters:
            if parameter.numel() <= MOST_PACKED:
                kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
        packs = [Pack(alike) for alike in kinds.values()]
        self.packs += packs
        return [pack.flat for pack in packs] + [p for p in parameters if p.numel() > MOST_PACKED]

    def zero_grad(self) -> None:
        """Removes all gradients."""
        for parameter in self._with_gradients:
            parameter.grad = None

    def step(self) -> None:
        """One update from the parameters' gradients."""
        for pack in self.packs:
            pack.gather()
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Tensors as `<part>.<number of the parameter>.<name>`, and the groups' learning rates. The config has the rest."""
        found: dict[str, Any] = {
            "learning_rates": [[group["lr"] for group in part.param_groups] for part in self.parts]
        }
        for number, part in enumerate(self.parts):
            for parameter, values in part.state_dict()["state"].items():
                found |= {f"{number}.{parameter}.{name}": value for name, value in values.items()}
        return found

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`. Keeps the tensors themselves if type and device fit."""
        wholes = [part.state_dict() for part in self.parts]
        for whole, rates in zip(wholes, state["learning_rates"], strict=True):
            whole["state"] = {}
            for group, rate in zip(whole["param_groups"], rates, strict=True):
                group["lr"] = rate
        for key, value in state.items():
            if key != "learning_rates":
                number, parameter, name = key.split(".", 2)
                wholes[int(number)]["state"].setdefault(int(parameter), {})[name] = value
        for part, whole in zip(self.parts, wholes, strict=True):
            part.load_state_dict(whole)

    @property
    def learning_rate(self) -> float:
        """The current learning rate of the model's groups."""
        return float(self.adam.param_groups[0]["lr"])


class Schedule:
    """The learning rates of all parts of an optimizer, step by step.

    Args:
        optimizer: The optimizer.
        config: none: constant rates; cosine: from the initial rates to 0.
        num_steps: Steps until 0.
    """

    def __init__(self, optimizer: Optimizer, config: TrainerConfig, num_steps: int) -> None:
        parts = optimizer.parts if config.scheduler == "cosine" else ()
        self.parts = [
            torch.optim.lr_scheduler.CosineAnnealingLR(part, num_steps)
            for part in parts
            if isinstance(part, torch.optim.Optimizer)  # all are, see `Optimizer`
        ]

    def step(self) -> None:
        """Sets the rates of the next step."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Plain values as `<part>.<name>`."""
        return {f"{n}.{name}": value for n, part in enumerate(self.parts) for name, value in part.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for number, part in enumerate(self.parts):
            mark = f"{number}."
            part.load_state_dict({key.removeprefix(mark): v for key, v in state.items() if key.startswith(mark)})
