from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from tests.architectures.loops import assert_is_by_input, mix, mlp, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "level_dims": (16, 12), "num_task_experts": 2, "tower_dims": (8,)}
THREE = make_schema(LIKE, SECONDS, SHARE)


def by_loop(model: Architecture, x: Tensor, num_own: int, num_shared: int, *, residual: bool) -> list[Tensor]:
    """The equations, one expert and one gate at a time."""
    num_tasks, units = len(model.schema.tasks), list(range(len(model.schema.tasks) + int(num_shared > 0)))
    owners = [unit for unit in units for _ in range(num_own if unit < num_tasks else num_shared)]
    streams = dict.fromkeys(units, x)
    for number, level in enumerate(model.levels):
        experts = [mlp([level.experts[e]], streams[owner]) for e, owner in enumerate(owners)]
        fused = {}
        for unit in units if number + 1 < len(model.levels) else units[:num_tasks]:
            fused[unit] = mix(level.gates[unit], streams[unit], experts)
            own = [expert for expert, owner in zip(experts, owners, strict=True) if owner == unit]
            if residual and len(own) == 1:
                fused[unit] = fused[unit] + own[0]
            elif residual:
                fused[unit] = fused[unit] + sum(c * e for c, e in zip(level.residuals[unit].weight, own, strict=True))
        streams = fused
    return [tower(model.towers, t, streams[t]) for t in range(num_tasks)]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(
    ("level_dims", "num_own", "num_shared"),
    [((6,), 2, 2), ((6, 5), 2, 1), ((6, 5), 1, 2), ((6, 5, 4), 1, 1), ((6, 5), 2, 0), ((6, 5), 1, 0)],
)
def test_it_is_its_equations(level_dims: tuple[int, ...], num_own: int, num_shared: int, residual: bool) -> None:
    sizes = {"level_dims": level_dims, "num_task_experts": num_own, "num_shared_experts": num_shared}
    model = build("adatt", THREE, embedding_dim=3, residual=residual, **sizes, tower_dims=(4,))
    loop = partial(by_loop, num_own=num_own, num_shared=num_shared, residual=residual)
    assert_is_by_input(model, make_batch(THREE, 6), loop)


# the first: experts 5 (528 + 204), gates 3 x 32 x 5 + 2 x 16 x 5, residuals 2 x 2 on both levels, towers 2 x 113. The
# authors also learn the residual weight of the single shared expert, which here is 1, so they have 4535.
@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ({"num_shared_experts": 1}, 4534),
        ({"num_shared_experts": 0}, 3546),
        ({"num_shared_experts": 2}, 5396),
        ({"num_shared_experts": 2, "residual": False}, 5386),
        ({"num_task_experts": 1, "num_shared_experts": 0}, 1882),
    ],
)
def test_parameter_count(sizes: dict[str, Any], count: int) -> None:
    assert count_parameters(build("adatt", C0, **SMALL | sizes)) == count


@pytest.mark.parametrize("num_shared", [0, 2])
@pytest.mark.parametrize("num_levels", [1, 2, 3])
def test_reach(num_levels: int, num_shared: int) -> None:
    sizes = {"level_dims": (16,) * num_levels, "num_shared_experts": num_shared}
    model = build("adatt", C0, **SMALL | sizes)
    below = rf"levels\.[{''.join(map(str, range(num_levels - 1)))}]\.(gates|residuals)\..*|" if num_levels > 1 else ""
    own = r"levels\.{}\.(gates|residuals)\.{}\..*|towers\.(hidden\.layers\.\d|output)\.{}\..*"
    expected = {
        rf"{below}embedding\..*|levels\.\d\.experts\..*": "like share",
        own.format(num_levels - 1, 0, 0): "like",
        own.format(num_levels - 1, 1, 1): "share",
    }
    assert_reach(model, make_batch(C0, 64), expected)


@pytest.mark.parametrize(("num_shared", "numbers"), [(2, [3, 2]), (0, [2, 2])])
def test_the_shared_unit_fuses_on_every_level_but_the_last(num_shared: int, numbers: list[int]) -> None:
    model = build("adatt", C0, **SMALL, num_shared_experts=num_shared)
    assert [len(level.gates) for level in model.levels] == numbers
    assert [len(level.residuals) for level in model.levels] == numbers


@pytest.mark.parametrize(("num_own", "num_shared"), [(4, 0), (3, 2)])
def test_one_level_without_residual_is_mmoe(num_own: int, num_shared: int) -> None:
    sizes = {"num_task_experts": num_own, "num_shared_experts": num_shared}
    adatt = build("adatt", C0, level_dims=(64,), residual=False, **sizes)
    mmoe, batch = build("mmoe", C0, num_experts=8), make_batch(C0, 64)
    state = {
        key.replace("levels.0.experts", "experts.layers.0").replace("levels.0.gates", "task_gates"): value
        for key, value in adatt.state_dict().items()
    }
    mmoe.load_state_dict(state)
    assert_equal_outputs(mmoe(batch), adatt(batch), 1e-5)


def test_residual_weights_of_zero_are_no_residual() -> None:
    model, without = build("adatt", C0, **SMALL), build("adatt", C0, seed=1, **SMALL, residual=False)
    for level in model.levels:
        for residual in level.residuals:
            torch.nn.init.zeros_(residual.weight)
    without.load_state_dict({key: value for key, value in model.state_dict().items() if "residuals" not in key})
    batch = make_batch(C0, 8)
    assert_equal_outputs(without(batch), model(batch))


def test_residual_weights_start_within_their_bounds() -> None:
    model = build("adatt", C0, num_task_experts=4, num_shared_experts=100)
    for level in model.levels:
        for residual in level.residuals:
            bound = len(residual.weight) ** -0.5
            assert residual.weight.abs().max() <= bound
    shared = model.levels[0].residuals[-1].weight
    assert shared.min() < -0.08
    assert shared.max() > 0.08


def test_the_residual_of_a_single_expert_is_that_expert() -> None:
    model = build("adatt", C0, **SMALL | {"num_task_experts": 1, "num_shared_experts": 1})
    names = [name for name, _ in model.named_parameters()]
    assert not any("residuals" in name for name in names)
    assert not any("residuals" in name for name in model.state_dict())


def test_swapping_tasks_swaps_outputs() -> None:
    one = SMALL | {"num_task_experts": 1, "num_shared_experts": 2}
    model, swapped, batch = build("adatt", C0, **one), build("adatt", C0, seed=1, **one), make_batch(C0, 64)
    patterns = (
        r"levels\.\d\.(?:experts|gates|residuals)\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    state = swap_two(model.state_dict(), *patterns)
    for key in [key for key in state if ".gates." in key]:
        state[key] = state[key][[1, 0, 2, 3]]
    swapped.load_state_dict(state)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]}, 1e-5)


@pytest.mark.parametrize(
    ("num_shared", "names"),
    [(1, ["like 0", "like 1", "share 0", "share 1", "shared 0"]), (0, ["like 0", "like 1", "share 0", "share 1"])],
)
def test_gates_of_zero_weigh_all_experts_alike(num_shared: int, names: list[str]) -> None:
    model, batch = build("adatt", C0, **SMALL, num_shared_experts=num_shared), make_batch(C0, 8)
    for gate in model.levels[-1].gates:
        torch.nn.init.zeros_(gate.weight)
    gates = model.gates(batch)
    assert {task: list(weights) for task, weights in gates.items()} == {"like": names, "share": names}
    for weights in gates.values():
        expected = torch.full((len(names), 8), 1 / len(names))
        torch.testing.assert_close(torch.stack(list(weights.values())), expected)


@pytest.mark.parametrize(("num_own", "num_shared"), [(0, 4), (1, -1)])
def test_too_few_experts_are_refused(num_own: int, num_shared: int) -> None:
    with pytest.raises(ValueError, match=f"found {num_own} and {num_shared}"):
        build("adatt", C0, num_task_experts=num_own, num_shared_experts=num_shared)


def test_a_level_of_one_expert_is_refused() -> None:
    with pytest.raises(
        ValueError, match="num_task_experts must be at least 2 for one task without shared experts, found 1"
    ):
        build("adatt", make_schema(LIKE), num_task_experts=1, num_shared_experts=0)


@pytest.mark.parametrize("level_dims", [(), (64, 0)])
def test_widths_are_checked(level_dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="level_dims must be at least one width"):
        build("adatt", C0, level_dims=level_dims)
