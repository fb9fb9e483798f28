from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import build, make_batch
from benchmark.schema import Batch
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "num_shared_experts": 2, "num_task_experts": 2, "tower_dims": (8,)}


def by_equations(model: Architecture, batch: Batch, num_shared: int, num_own: int) -> dict[str, Tensor]:
    """Equations 2 to 7 of the paper, one expert and one gate at a time."""
    tasks = model.schema.task_names
    streams = [model.embedding(batch).dense()] * (len(tasks) + 1)
    for level in model.levels:
        own = [[level.experts[t * num_own + e](streams[t]).relu() for e in range(num_own)] for t in range(len(tasks))]
        first_shared = len(tasks) * num_own
        shared = [level.experts[first_shared + e](streams[-1]).relu() for e in range(num_shared)]
        mixed = [mix(gate.weight, streams[t], own[t] + shared) for t, gate in enumerate(level.task_gates)]
        everything = [expert for experts in own for expert in experts] + shared
        streams = mixed + [mix(gate.weight, streams[-1], everything) for gate in level.shared_gate]
    hidden, output = model.towers.hidden.layers[0], model.towers.output
    return {task: output[t](hidden[t](streams[t]).relu())[:, 0] for t, task in enumerate(tasks)}


def mix(weight: Tensor, stream: Tensor, experts: list[Tensor]) -> Tensor:
    share = (stream @ weight.t()).softmax(dim=1)
    assert share.shape[1] == len(experts)
    return torch.stack([share[:, e, None] * expert for e, expert in enumerate(experts)]).sum(0)


@pytest.mark.parametrize(("level_dims", "count"), [((16,), 3714), ((16, 12), 5194)])
def test_parameter_count(level_dims: tuple[int, ...], count: int) -> None:
    assert count_parameters(build("ple", C0, level_dims=level_dims, **SMALL)) == count


@pytest.mark.parametrize("level_dims", [(16,), (16, 12), (16, 12, 10)])
@pytest.mark.parametrize(("num_shared", "num_own"), [(2, 2), (1, 3), (3, 1), (2, 0), (0, 2)])
def test_it_is_its_equations(level_dims: tuple[int, ...], num_shared: int, num_own: int) -> None:
    sizes = {"level_dims": level_dims, "num_shared_experts": num_shared, "num_task_experts": num_own}
    model, batch = build("ple", C0, **sizes), make_batch(C0, 64)
    assert_equal_outputs(model(batch), by_equations(model, batch, num_shared, num_own), 1e-5)


# through the shared stream every task reaches all but the own experts of the last level and own gates of the last two
OWN_0, OWN_1 = "(experts\\.[01]|task_gates\\.0)", "(experts\\.[23]|task_gates\\.1)"
ALWAYS = {
    r"embedding\..*|levels\.\d\.(experts\.[45]|shared_gate\.0)\..*": "like share",
    r"towers\.(hidden\.layers\.\d|output)\.0\..*": "like",
    r"towers\.(hidden\.layers\.\d|output)\.1\..*": "share",
}
REACH = {
    1: {rf"levels\.0\.{OWN_0}\..*": "like", rf"levels\.0\.{OWN_1}\..*": "share"},
    2: {
        r"levels\.0\.experts\.[0-3]\..*": "like share",
        rf"levels\.0\.task_gates\.0\..*|levels\.1\.{OWN_0}\..*": "like",
        rf"levels\.0\.task_gates\.1\..*|levels\.1\.{OWN_1}\..*": "share",
    },
    3: {
        r"levels\.0\.(experts\.[0-3]|task_gates\.\d)\..*|levels\.1\.experts\.[0-3]\..*": "like share",
        rf"levels\.1\.task_gates\.0\..*|levels\.2\.{OWN_0}\..*": "like",
        rf"levels\.1\.task_gates\.1\..*|levels\.2\.{OWN_1}\..*": "share",
    },
}


@pytest.mark.parametrize("num_levels", REACH)
def test_reach(num_levels: int) -> None:
    model = build("ple", C0, level_dims=(16,) * num_levels, **SMALL)
    assert_reach(model, make_batch(C0, 64), ALWAYS | REACH[num_levels])


def test_without_shared_experts_tasks_meet_in_the_embedding_alone() -> None:
    model = build("ple", C0, **SMALL | {"num_shared_experts": 0})
    own = r"levels\.\d\.(experts\.[{}]|task_gates\.{})\..*|towers\.(hidden\.layers\.\d|output)\.{}\..*"
    expected = {r"embedding\..*": "like share", own.format("01", 0, 0): "like", own.format("23", 1, 1): "share"}
    assert_reach(model, make_batch(C0, 64), expected)


@pytest.mark.parametrize("num_shared", [0, 2])
def test_the_last_level_has_no_shared_gate(num_shared: int) -> None:
    model = build("ple", C0, **SMALL | {"num_shared_experts": num_shared})
    assert [len(level.shared_gate) for level in model.levels] == [int(num_shared > 0), 0]


def test_one_level_without_own_experts_is_mmoe() -> None:
    ple = build("ple", C0, level_dims=(64,), num_shared_experts=8, num_task_experts=0)
    mmoe, batch = build("mmoe", C0), make_batch(C0, 64)
    state = {
        key.replace("levels.0.experts", "experts.layers.0").replace("levels.0.task_gates", "task_gates"): value
        for key, value in ple.state_dict().items()
    }
    mmoe.load_state_dict(state)
    assert_equal_outputs(mmoe(batch), ple(batch), 1e-5)


def test_swapping_tasks_swaps_outputs() -> None:
    one = SMALL | {"num_task_experts": 1}
    model, swapped, batch = build("ple", C0, **one), build("ple", C0, seed=1, **one), make_batch(C0, 64)
    patterns = (
        r"levels\.\d\.(?:experts|task_gates)\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    state = swap_two(model.state_dict(), *patterns)
    state["levels.0.shared_gate.0.weight"] = state["levels.0.shared_gate.0.weight"][[1, 0, 2, 3]]
    swapped.load_state_dict(state)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]}, 1e-5)


def test_gates_are_those_of_the_last_level_and_feed_the_towers() -> None:
    model, batch = build("ple", C0, **SMALL), make_batch(C0, 8)
    for gate in model.levels[-1].task_gates:
        torch.nn.init.zeros_(gate.weight)
    gates = model.gates(batch)
    assert {task: list(weights) for task, weights in gates.items()} == {
        "like": ["like 0", "like 1", "shared 0", "shared 1"],
        "share": ["share 0", "share 1", "shared 0", "shared 1"],
    }
    torch.testing.assert_close(torch.stack(list(gates["share"].values())), torch.full((4, 8), 0.25))


@pytest.mark.parametrize(("num_shared", "num_own"), [(0, 0), (1, 0), (0, 1), (-1, 4), (4, -1)])
def test_too_few_experts_are_refused(num_shared: int, num_own: int) -> None:
    with pytest.raises(ValueError, match=f"found {num_shared} and {num_own}"):
        build("ple", C0, num_shared_experts=num_shared, num_task_experts=num_own)


@pytest.mark.parametrize("level_dims", [(), (64, 0)])
def test_widths_are_checked(level_dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="level_dims must be at least one width"):
        build("ple", C0, level_dims=level_dims)
