from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import build, make_batch
from tests.architectures.loops import assert_is_by_input, mix, mlp, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "num_experts": 4, "level_dims": (16, 12), "tower_dims": (8,)}


def by_loop(model: Architecture, x: Tensor) -> list[Tensor]:
    """One expert and one gate at a time; every gate reads x."""
    first, *upper = model.experts.layers
    experts = [mlp([layer], x) for layer in first]
    for gates, layers in zip(model.expert_gates, upper, strict=True):
        experts = [
            mlp([layer], mix(gate, x, experts)) for gate, layer in zip(gates, layers, strict=True)
        ]  # fmt: skip
    return [tower(model.towers, t, mix(gate, x, experts)) for t, gate in enumerate(model.task_gates)]


@pytest.mark.parametrize("level_dims", [(16,), (16, 12), (16, 12, 10)])
def test_it_is_its_equations(level_dims: tuple[int, ...]) -> None:
    assert_is_by_input(build("ml_mmoe", C0, **SMALL | {"level_dims": level_dims}), make_batch(C0, 8), by_loop)


def test_parameter_count() -> None:
    assert count_parameters(build("ml_mmoe", C0, **SMALL)) == 3922


def test_reach() -> None:
    own = r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.{}\..*"
    expected = {
        r"embedding\..*|experts\..*|expert_gates\..*": "like share",
        own.format(0): "like",
        own.format(1): "share",
    }
    assert_reach(build("ml_mmoe", C0, **SMALL), make_batch(C0, 64), expected)


def test_one_level_is_mmoe() -> None:
    model, mmoe, batch = build("ml_mmoe", C0, level_dims=(64,)), build("mmoe", C0, seed=1), make_batch(C0, 32)
    mmoe.load_state_dict(model.state_dict())
    assert_equal_outputs(mmoe(batch), model(batch))


def test_experts_of_a_level_may_change_places_with_their_gates() -> None:
    model, other, batch = build("ml_mmoe", C0, **SMALL), build("ml_mmoe", C0, seed=1, **SMALL), make_batch(C0, 32)
    # above, a gate belongs to the expert that reads through it, and its columns to the experts below
    state = swap_two(model.state_dict(), r"experts\.layers\.\d\.(\d)", r"expert_gates\.0\.(\d)")
    for name in state:
        if "gates" in name:
            state[name] = state[name][[1, 0, 2, 3]]
    other.load_state_dict(state)
    assert_equal_outputs(other(batch), model(batch))


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped, batch = build("ml_mmoe", C0), build("ml_mmoe", C0, seed=1), make_batch(C0, 32)
    units = r"(?:task_gates|towers\.hidden\.layers\.\d|towers\.output)\.(\d)"
    swapped.load_state_dict(swap_two(model.state_dict(), units))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_gates_are_those_of_the_last_level() -> None:
    model = build("ml_mmoe", C0, **SMALL)
    for gate in model.task_gates:
        torch.nn.init.zeros_(gate.weight)
    gates = model.gates(make_batch(C0, 8))
    assert {task: list(weights) for task, weights in gates.items()} == {
        task: [f"expert {e}" for e in range(4)] for task in ("like", "share")
    }
    torch.testing.assert_close(torch.stack(list(gates["share"].values())), torch.full((4, 8), 0.25))


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="num_experts must be at least 2, found 1"):
        build("ml_mmoe", C0, num_experts=1)
    for level_dims in ((), (64, 0)):
        with pytest.raises(ValueError, match="level_dims must be at least one width of at least 1"):
            build("ml_mmoe", C0, level_dims=level_dims)
