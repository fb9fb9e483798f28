from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture, Batch
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.settings.registry import architectures
from tests.architectures.loops import assert_is_by_input, linear, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "hidden_dims": (16, 12), "tower_dims": (8,)}
THREE = make_schema(LIKE, SECONDS, SHARE)


def of_row(model: Any, x: Tensor) -> list[Tensor]:
    """The equations, with a loop over the pairs of tasks."""
    tasks = range(len(model.schema.tasks))
    streams = [x for _ in tasks]
    for layer, stitch in zip(model.hidden.layers, model.stitches, strict=True):
        own = [linear(layer[k], streams[k]).relu() for k in tasks]
        streams = [sum((stitch.rows[k][j] * own[j] for j in tasks), torch.zeros_like(own[k])) for k in tasks]
    return [tower(model.towers, k, streams[k]) for k in tasks]


def stitch_with(model: Architecture, *matrices: list[list[float]]) -> None:
    for stitch, matrix in zip(model.stitches, matrices, strict=True):
        for row, values in zip(stitch.rows, matrix, strict=True):
            row.data = torch.tensor(values)


def tower_inputs(model: Architecture, batch: Batch) -> Tensor:
    seen: list[Tensor] = []
    hook = model.towers.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(batch)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("hidden_dims", [(16,), (16, 12, 10)])
def test_it_is_its_equations(hidden_dims: tuple[int, ...]) -> None:
    model = build("cross_stitch", THREE, **SMALL | {"hidden_dims": hidden_dims})
    for stitch in model.stitches:
        for row in stitch.rows:
            torch.nn.init.normal_(row)
    assert_is_by_input(model, make_batch(THREE, 6), of_row)


def test_parameter_count() -> None:
    assert count_parameters(build("cross_stitch", C0, **SMALL)) == 1698


def test_reach() -> None:
    expected = {
        r"embedding\..*|hidden\..*|stitches\.0\..*": "like share",
        r"(stitches\.1\.rows|towers\.hidden\.layers\.\d|towers\.output)\.0.*": "like",
        r"(stitches\.1\.rows|towers\.hidden\.layers\.\d|towers\.output)\.1.*": "share",
    }
    assert_reach(build("cross_stitch", C0, **SMALL), make_batch(C0, 64), expected)


def test_identity_stitches_are_single_task() -> None:
    single = build("single_task", C0, embedding_dim=8, hidden_dims=(16, 12), tower_dims=(8,))
    model, batch = build("cross_stitch", C0, own_weight=1.0, **SMALL), make_batch(C0, 32)
    for task, network in enumerate(single.networks):
        for layer, own in zip(model.hidden.layers, network.hidden.layers, strict=True):
            layer[task].load_state_dict(own[0].state_dict())
        model.towers.hidden.layers[0][task].load_state_dict(network.tower.hidden.layers[0][0].state_dict())
        model.towers.output[task].load_state_dict(network.tower.output[0].state_dict())
    assert_equal_outputs(model(batch), single(batch))


def test_stitches_start_with_the_own_weight_and_rows_that_sum_to_one() -> None:
    expected = torch.tensor([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    for stitch in build("cross_stitch", THREE).stitches:
        torch.testing.assert_close(torch.stack(list(stitch.rows)), expected)


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped = build("cross_stitch", C0, **SMALL), build("cross_stitch", C0, seed=1, **SMALL)
    stitch_with(model, [[0.9, 0.3], [-0.2, 1.1]], [[0.8, 0.1], [0.4, 0.7]])
    patterns = (
        r"hidden\.layers\.\d\.(\d)",
        r"stitches\.\d\.rows\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    state = swap_two(model.state_dict(), *patterns)
    swapped.load_state_dict({key: value.flip(0) if "rows" in key else value for key, value in state.items()})
    batch = make_batch(C0, 32)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_a_last_stitch_of_the_mean_feeds_all_towers_the_same() -> None:
    model, batch = build("cross_stitch", C0, **SMALL), make_batch(C0, 32)
    before_BTH = tower_inputs(model, batch)
    assert not torch.allclose(before_BTH[:, 0], before_BTH[:, 1])
    stitch_with(model, [[0.9, 0.1], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5]])
    same_BTH = tower_inputs(model, batch)
    torch.testing.assert_close(same_BTH[:, 0], same_BTH[:, 1])


@pytest.mark.parametrize("own_weight", [-0.1, 1.1])
def test_an_own_weight_outside_zero_to_one_is_refused(own_weight: float) -> None:
    with pytest.raises(ValueError, match=f"own_weight must be from 0 to 1, found {own_weight}"):
        build("cross_stitch", C0, own_weight=own_weight)


def test_one_task_is_refused_with_the_reason() -> None:
    requires = architectures.get("cross_stitch").requires
    assert requires(make_schema(LIKE)) == "needs at least two tasks: a stitch mixes the networks of several"
