"""An attribute that would hide a method of its class is refused where it is set."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from torch import nn

from architectures import Architecture
from benchmark.schema import Schema, Task
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting

SCHEMA = Schema((), (), (Task("click", "binary"),))
HOOKS = {
    base: [name for name, method in vars(base).items() if not name.startswith("_") and callable(getattr(base, name))]
    for base in (Architecture, Weighting, LossWeighting, GramWeighting, JacobianWeighting)
}


class Net(Architecture):
    def __init__(self, name: str, value: Any) -> None:
        super().__init__(SCHEMA)
        setattr(self, name, value)


def test_the_hooks_are_these() -> None:
    assert sorted(HOOKS[Architecture]) == ["forward", "frozen", "gates", "requires", "training_step"]
    assert sorted(HOOKS[Weighting]) == ["after_step", "on_epoch_end", "param_groups"]
    assert (HOOKS[LossWeighting], HOOKS[GramWeighting], HOOKS[JacobianWeighting]) == (
        ["forward"],
        ["weights"],
        ["prepare", "combine"],
    )


@pytest.mark.parametrize("value", [3, nn.ModuleList([nn.Linear(2, 1)]), nn.Parameter(torch.ones(2)), torch.ones(2)])
@pytest.mark.parametrize("hook", [*HOOKS[Architecture], "modules", "parameters"])
def test_an_attribute_that_hides_a_hook_of_an_architecture_is_named(hook: str, value: Any) -> None:
    owner = "Architecture" if hook in HOOKS[Architecture] else "Module"
    line = f"Net: self.{hook} ({type(value).__name__}) hides the method {owner}.{hook}; give the attribute another name"
    with pytest.raises(ValueError, match=re.escape(line)):
        Net(hook, value)


@pytest.mark.parametrize("base", [LossWeighting, GramWeighting, JacobianWeighting])
def test_an_attribute_that_hides_a_hook_of_a_weighting_is_named(base: type[Weighting]) -> None:
    class Method(base):  # type: ignore[misc, valid-type]
        """With no method of its own."""

    made = Method(SCHEMA.tasks)
    for hook in (*HOOKS[Weighting], *HOOKS[base]):
        with pytest.raises(ValueError, match=rf"Method: self\.{hook} \(float\) hides the method \w+\.{hook};"):
            setattr(made, hook, 0.5)
    made.weights_of_tasks = torch.ones(1)
    if base is LossWeighting:
        made.weights = 0.5  # no method there


def test_a_function_may_take_a_methods_place_and_other_names_are_free() -> None:
    made = Net("experts", nn.ModuleList())
    made.forward = lambda batch: {}  # type: ignore[method-assign]
    assert inspect.isfunction(made.forward)
    made.width = 3
    assert (made.width, made.schema) == (3, SCHEMA)
