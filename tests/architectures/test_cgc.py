from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import build, make_batch
from tests.architectures.loops import assert_is_by_input, mix, mlp, tower, unit
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {
    "embedding_dim": 8, "expert_dims": (16,), "num_shared_experts": 2, "num_task_experts": 2, "tower_dims": (8,),
}  # fmt: skip


def by_loop(model: Architecture, x: Tensor) -> list[Tensor]:
    """Equations 2 to 5 of the paper for one row."""
    own, num_tasks, outputs = model.num_task_experts, len(model.schema.tasks), []
    shared = [num_tasks * own + e for e in range(model.num_shared_experts)]
    for t in range(num_tasks):
        seen = [t * own + e for e in range(own)] + shared
        experts = [mlp(unit(model.experts, e), x) for e in seen]
        outputs.append(tower(model.towers, t, mix(model.task_gates[t], x, experts)))
    return outputs


@pytest.mark.parametrize("expert_dims", [(16,), (16, 12)])
@pytest.mark.parametrize(("num_shared", "num_own"), [(2, 2), (1, 3), (3, 1), (2, 0), (0, 2)])
def test_it_is_its_equations(expert_dims: tuple[int, ...], num_shared: int, num_own: int) -> None:
    sizes = {"expert_dims": expert_dims, "num_shared_experts": num_shared, "num_task_experts": num_own}
    assert_is_by_input(build("cgc", C0, **SMALL | sizes), make_batch(C0, 8), by_loop)


def test_parameter_count() -> None:
    assert count_parameters(build("cgc", C0, **SMALL)) == 3714


def test_reach() -> None:
    own = r"experts\.layers\.0\.[{}]\..*|(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.{}\..*"
    expected = {
        r"embedding\..*|experts\.layers\.0\.[45]\..*": "like share",
        own.format("01", 0): "like",
        own.format("23", 1): "share",
    }
    assert_reach(build("cgc", C0, **SMALL), make_batch(C0, 64), expected)


@pytest.mark.parametrize(("num_shared", "num_own"), [(2, 2), (1, 3), (2, 0), (0, 2)])
def test_ple_with_one_level_is_cgc(num_shared: int, num_own: int) -> None:
    counts, batch = {"num_shared_experts": num_shared, "num_task_experts": num_own}, make_batch(C0, 32)
    cgc, ple = build("cgc", C0, **counts), build("ple", C0, seed=1, level_dims=(64,), **counts)
    for ours, theirs in (("experts.layers.0", "levels.0.experts"), ("task_gates", "levels.0.task_gates")):
        ple.get_submodule(theirs).load_state_dict(cgc.get_submodule(ours).state_dict())
    ple.towers.load_state_dict(cgc.towers.state_dict())
    ple.embedding.load_state_dict(cgc.embedding.state_dict())
    assert count_parameters(cgc) == count_parameters(ple)
    assert all(torch.equal(ple(batch)[task], output) for task, output in cgc(batch).items())
    torch.testing.assert_close(ple.gates(batch), cgc.gates(batch))


def test_without_own_experts_it_is_mmoe() -> None:
    cgc, mmoe = build("cgc", C0, num_shared_experts=8, num_task_experts=0), build("mmoe", C0, seed=1)
    mmoe.load_state_dict(cgc.state_dict())
    batch = make_batch(C0, 32)
    assert_equal_outputs(mmoe(batch), cgc(batch))


def test_experts_of_other_tasks_change_nothing() -> None:
    model, batch = build("cgc", C0, **SMALL), make_batch(C0, 8)
    before = model(batch)
    for number in (2, 3):  # those of share
        torch.nn.init.zeros_(model.experts.first[number].weight)
    after = model(batch)
    assert torch.equal(after["like"], before["like"])
    assert not torch.allclose(after["share"], before["share"])


def test_swapping_tasks_swaps_outputs() -> None:
    one = SMALL | {"num_task_experts": 1}
    model, swapped, batch = build("cgc", C0, **one), build("cgc", C0, seed=1, **one), make_batch(C0, 32)
    units = r"(?:experts\.layers\.\d|task_gates|towers\.hidden\.layers\.\d|towers\.output)\.(\d)"
    swapped.load_state_dict(swap_two(model.state_dict(), units))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_zero_gates_weigh_all_seen_experts_alike() -> None:
    model = build("cgc", C0, **SMALL)
    for gate in model.task_gates:
        torch.nn.init.zeros_(gate.weight)
    gates = model.gates(make_batch(C0, 8))
    assert {task: list(weights) for task, weights in gates.items()} == {
        "like": ["like 0", "like 1", "shared 0", "shared 1"],
        "share": ["share 0", "share 1", "shared 0", "shared 1"],
    }
    torch.testing.assert_close(torch.stack(list(gates["share"].values())), torch.full((4, 8), 0.25))


@pytest.mark.parametrize(("num_shared", "num_own"), [(0, 0), (1, 0), (0, 1), (-1, 4), (4, -1)])
def test_too_few_experts_are_refused(num_shared: int, num_own: int) -> None:
    with pytest.raises(ValueError, match=f"found {num_shared} and {num_own}"):
        build("cgc", C0, num_shared_experts=num_shared, num_task_experts=num_own)
