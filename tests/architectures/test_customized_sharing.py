from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from architectures import Architecture
from benchmark.contracts.toys import build, make_batch
from tests.architectures.loops import assert_is_by_input, mlp, tower, unit
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL = {"embedding_dim": 8, "bottom_dims": (16,), "tower_dims": (8,)}


def by_loop(model: Architecture, x: Tensor) -> list[Tensor]:
    shared = mlp(unit(model.bottoms, 2), x)
    return [tower(model.towers, t, torch.cat([shared, mlp(unit(model.bottoms, t), x)])) for t in range(2)]


@pytest.mark.parametrize("bottom_dims", [(16,), (16, 12)])
@pytest.mark.parametrize("tower_dims", [(), (8,)])
def test_it_is_its_equation(bottom_dims: tuple[int, ...], tower_dims: tuple[int, ...]) -> None:
    model = build("customized_sharing", C0, bottom_dims=bottom_dims, tower_dims=tower_dims)
    assert_is_by_input(model, make_batch(C0, 8), by_loop)


def test_parameter_count() -> None:
    assert count_parameters(build("customized_sharing", C0, **SMALL)) == 2130


def test_reach() -> None:
    own = r"(bottoms\.layers\.\d|towers\.hidden\.layers\.\d|towers\.output)\.{}\..*"
    expected = {
        r"embedding\..*|bottoms\.layers\.\d\.2\..*": "like share",
        own.format(0): "like",
        own.format(1): "share",
    }
    assert_reach(build("customized_sharing", C0), make_batch(C0, 64), expected)


def tower_inputs(model: Architecture) -> list[nn.Linear]:
    """The Linear of each tower that reads the bottoms."""
    return list(model.towers.hidden.layers[0])


def test_without_the_own_bottoms_it_is_shared_bottom() -> None:
    model, shared = build("customized_sharing", C0), build("shared_bottom", C0, bottom_dims=(256, 64))
    batch = make_batch(C0, 32)
    for layer, (alone,) in zip(model.bottoms.layers, shared.bottom.layers, strict=True):
        alone.load_state_dict(layer[2].state_dict())
    for wide, narrow in zip(tower_inputs(model), tower_inputs(shared), strict=True):
        wide.weight.data[:, 64:] = 0
        narrow.weight.data, narrow.bias.data = wide.weight.data[:, :64].clone(), wide.bias.data
    shared.towers.output.load_state_dict(model.towers.output.state_dict())
    assert_equal_outputs(shared(batch), model(batch))


def test_without_the_shared_bottom_it_is_single_task_on_one_embedding() -> None:
    model, single = build("customized_sharing", C0), build("single_task", C0, hidden_dims=(256, 64))
    batch = make_batch(C0, 32)
    for t, network in enumerate(single.networks):
        for layer, (alone,) in zip(model.bottoms.layers, network.hidden.layers, strict=True):
            alone.load_state_dict(layer[t].state_dict())
        wide, narrow = tower_inputs(model)[t], network.tower.hidden.layers[0][0]
        wide.weight.data[:, :64] = 0
        narrow.weight.data, narrow.bias.data = wide.weight.data[:, 64:].clone(), wide.bias.data
        network.tower.output[0].load_state_dict(model.towers.output[t].state_dict())
    assert_equal_outputs(single(batch), model(batch))


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped = build("customized_sharing", C0), build("customized_sharing", C0, seed=1)
    units = r"(?:bottoms\.layers\.\d|towers\.hidden\.layers\.\d|towers\.output)\.(\d)"
    swapped.load_state_dict(swap_two(model.state_dict(), units))
    batch = make_batch(C0, 32)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


@pytest.mark.parametrize("bottom_dims", [(), (16, 0)])
def test_widths_are_checked(bottom_dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="layer widths must be at least one number of at least 1"):
        build("customized_sharing", C0, bottom_dims=bottom_dims)
