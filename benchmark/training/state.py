"""Everything besides the config that a resumed run needs, in one object, as plain values and tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmark.seeding import derive, seeded
from benchmark.training.optimizer import Optimizer, Schedule
from benchmark.training.selection import Selection
from benchmark.training.step import Step
from benchmark.training.watch import Watch
from benchmark.weightings import Weighting

_OWN = ("epoch", "position", "seconds", "entries", "shared_parameters")  # keys of a state, besides its parts


class Streams:
    """The random numbers of training: the order of batches, and torch's global generators, which dropout draws from.

    Args:
        seed: The run's.
        device: Where it trains.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._order = torch.Generator().manual_seed(derive(seed, "shuffle"))
        self._epoch_start = self._order.get_state()
        self._is_in_use = False
        with seeded(seed, "dropout"):
            self._global = self._read()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside, torch's global generators continue this training's streams; afterwards they are restored."""
        with torch.random.fork_rng():
            self._write()
            self._is_in_use = True
            try:
                yield
            finally:
                self._global, self._is_in_use = self._read(), False

    def order(self) -> torch.Generator:
        """The generator of the batch order, reset to the start of the running epoch, so that it draws the same order again."""
        return self._order.set_state(self._epoch_start)

    def end_epoch(self) -> None:
        """The next order is drawn from the generator's current position."""
        self._epoch_start = self._order.get_state()

    def state_dict(self) -> dict[str, Tensor]:
        """The positions of the generators; for the order, at the start of the running epoch."""
        return {"order": self._epoch_start, **(self._read() if self._is_in_use else self._global)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self._global = {name: value for name, value in state.items() if name != "order"}
        self._epoch_start = state["order"]
        if self._is_in_use:
            self._write()

    def _read(self) -> dict[str, Tensor]:
        found = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state(self.device)
        return found

    def _write(self) -> None:
        torch.set_rng_state(self._global["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self._global["cuda"], self.device)


class Stateful(Protocol):
    """An object with its own state, such as modules, optimizers and schedulers."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values by name."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """The inverse of `state_dict`."""


class State:
    """All that training changes. Two trainings with one config and equal states continue equally, to the last bit.

    Args:
        model: The architecture.
        weighting: The loss weighting.
        optimizer: The optimizer.
        schedule: The schedule of the learning rate.
        step: With its findings, such as which parameters are shared.
        selection: The chosen validations and their weights.
        watch: The sums of the running epoch, and the number of steps.
        streams: The random numbers.

    Attributes:
        epoch: Finished epochs.
        position: Finished batches of the running epoch.
        seconds: Time spent in training steps since the last validation.
        entries: As in `Record.epochs`.
        shared_parameters: Number of parameters that two or more tasks reached at the start; None: not yet counted.
    """

    def __init__(
        self, *, model: nn.Module, weighting: Weighting, optimizer: Optimizer, schedule: Schedule, step: Step,
        selection: Selection, watch: Watch, streams: Streams,
    ) -> None:  # fmt: skip
        self.selection, self.watch, self.streams = selection, watch, streams
        # in the order of restoring: an optimizer reads its parameters
        self._parts: dict[str, Stateful] = {
            "model": model, "weighting": weighting, "optimizer": optimizer, "schedule": schedule, "step": step,
            "selection": selection, "watch": watch, "streams": streams,
        }  # fmt: skip
        self.epoch = 0
        self.position = 0
        self.seconds = 0.0
        self.entries: list[dict[str, Any]] = []
        self.shared_parameters: int | None = None

    def note(self, entry: dict[str, Any]) -> None:
        """Notes a finished validation and its entry."""
        self.entries.append(entry)
        self.seconds = 0.0

    def end_epoch(self) -> None:
        """Ends the running epoch."""
        self.epoch, self.position = self.epoch + 1, 0
        self.watch.reset()
        self.streams.end_epoch()

    def snapshot(self) -> dict[str, Any]:
        """A copy, by name: tensors on the CPU, each with memory of its own, and values as JSON has them.

        So safetensors and JSON together can store it, without pickle.
        """
        found = {name: getattr(self, name) for name in _OWN}
        for part, held in self._parts.items():
            found |= {f"{part}.{key}": value for key, value in held.state_dict().items()}
        return {key: _copy(value) for key, value in found.items()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Returns to the moment of the snapshot. Model and weighting change in place; the optimizer's moments are new tensors.

        Args:
            snapshot: From a training with the same config, data, device and number of threads.
        """
        states: dict[str, dict[str, Any]] = {name: {} for name in self._parts}
        for key, value in snapshot.items():
            part, dot, name = key.partition(".")
            if dot:
                states[part][name] = _copy(value)
            else:
                setattr(self, key, _copy(value))
        for part, held in self._parts.items():
            held.load_state_dict(states[part])


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    return copy.deepcopy(value)
