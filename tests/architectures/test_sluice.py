from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.settings.registry import architectures
from tests.architectures.loops import assert_is_by_input, linear, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "hidden_dim": 16, "tower_dims": (8,)}
THREE = make_schema(LIKE, SECONDS, SHARE)


def of_row(model: Any, x: Tensor) -> list[Tensor]:
    """The equations, with a loop over the pairs of subspaces."""
    tasks, num_parts = range(len(model.schema.tasks)), model.num_subspaces
    width = model.hidden.output_dim // num_parts
    streams, mixed = [x for _ in tasks], [torch.zeros(model.hidden.output_dim).to(x) for _ in tasks]
    for number, (layer, stitch) in enumerate(zip(model.hidden.layers, model.stitches, strict=True)):
        own = [linear(layer[k], streams[k]).relu() for k in tasks]
        parts = [own[k][s * width : (s + 1) * width] for k in tasks for s in range(num_parts)]
        streams = []
        for k in tasks:
            stitched = [
                sum((stitch.rows[k][s, u] * part for u, part in enumerate(parts)), torch.zeros_like(parts[0]))
                for s in range(num_parts)
            ]
            streams.append(torch.cat(stitched))
            mixed[k] = mixed[k] + model.layer_mix.weights[k][number] * streams[k]
    return [tower(model.towers, k, mixed[k]) for k in tasks]


def set_stitches(model: Any, matrix: Tensor) -> None:
    """The same matrix, (T S, T S), after every layer."""
    for stitch in model.stitches:
        for rows, values in zip(stitch.rows, matrix.chunk(len(stitch.rows)), strict=True):
            rows.data = values.clone()


def read_the_last_layer_alone(model: Any) -> None:
    for weight in model.layer_mix.weights:
        torch.nn.init.zeros_(weight)
        weight.data[-1] = 1.0


def cross_stitch_with(model: Any, matrix: Tensor) -> Any:
    """A cross-stitch network with the layers and towers of a sluice network."""
    layers = len(model.hidden.layers)
    other = build("cross_stitch", C0, embedding_dim=8, hidden_dims=(16,) * layers, tower_dims=(8,))
    other.hidden.load_state_dict(model.hidden.state_dict())
    other.towers.load_state_dict(model.towers.state_dict())
    for stitch in other.stitches:
        for row, values in zip(stitch.rows, matrix, strict=True):
            row.data = values.clone()
    return other


@pytest.mark.parametrize(("num_layers", "num_subspaces"), [(1, 1), (2, 2), (3, 4)])
def test_it_is_its_equations(num_layers: int, num_subspaces: int) -> None:
    model = build("sluice", THREE, num_layers=num_layers, num_subspaces=num_subspaces, **SMALL)
    for parameter in [*model.stitches.parameters(), *model.layer_mix.parameters()]:
        torch.nn.init.normal_(parameter)
    assert_is_by_input(model, make_batch(THREE, 5), of_row)


def test_parameter_count() -> None:
    assert count_parameters(build("sluice", C0, **SMALL)) == 1926


def test_reach() -> None:
    expected = {
        r"embedding\..*|hidden\..*|stitches\.0\..*": "like share",
        r"(stitches\.1\.rows|layer_mix\.weights|towers\.hidden\.layers\.\d|towers\.output)\.0.*": "like",
        r"(stitches\.1\.rows|layer_mix\.weights|towers\.hidden\.layers\.\d|towers\.output)\.1.*": "share",
    }
    assert_reach(build("sluice", C0, **SMALL), make_batch(C0, 64), expected)


def test_identity_stitches_and_the_last_layer_are_single_task() -> None:
    single = build("single_task", C0, embedding_dim=8, hidden_dims=(16, 16), tower_dims=(8,))
    model, batch = build("sluice", C0, own_weight=1.0, **SMALL), make_batch(C0, 32)
    read_the_last_layer_alone(model)
    for task, network in enumerate(single.networks):
        for layer, own in zip(model.hidden.layers, network.hidden.layers, strict=True):
            layer[task].load_state_dict(own[0].state_dict())
        model.towers.hidden.layers[0][task].load_state_dict(network.tower.hidden.layers[0][0].state_dict())
        model.towers.output[task].load_state_dict(network.tower.output[0].state_dict())
    assert_equal_outputs(model(batch), single(batch))


@pytest.mark.parametrize("num_subspaces", [1, 2])
def test_a_stitch_that_treats_subspaces_alike_is_cross_stitch(num_subspaces: int) -> None:
    model, batch = build("sluice", C0, num_subspaces=num_subspaces, **SMALL), make_batch(C0, 32)
    read_the_last_layer_alone(model)
    matrix = torch.tensor([[0.8, 0.3], [-0.1, 1.2]])
    set_stitches(model, torch.kron(matrix, torch.eye(num_subspaces)))
    assert_equal_outputs(model(batch), cross_stitch_with(model, matrix)(batch))


def test_where_stitches_and_layer_weights_start() -> None:
    model = build("sluice", C0, **SMALL)
    expected = torch.full((4, 4), 0.1 / 3).fill_diagonal_(0.9)
    for stitch in model.stitches:
        torch.testing.assert_close(torch.cat(list(stitch.rows)), expected)
    for weight in model.layer_mix.weights:
        torch.testing.assert_close(weight, torch.tensor([0.5, 0.5]))


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped = build("sluice", C0, **SMALL), build("sluice", C0, seed=1, **SMALL)
    set_stitches(model, torch.randn(4, 4))
    model.layer_mix.weights[0].data = torch.tensor([0.3, 0.9])
    patterns = (
        r"hidden\.layers\.\d\.(\d)",
        r"stitches\.\d\.rows\.(\d)",
        r"layer_mix\.weights\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    state = swap_two(model.state_dict(), *patterns)
    # the columns of the other task come first
    swapped.load_state_dict({k: v[:, [2, 3, 0, 1]] if "rows" in k else v for k, v in state.items()})
    batch = make_batch(C0, 32)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


@pytest.mark.parametrize("num_subspaces", [2, 4])
def test_the_extra_loss_is_that_of_every_pair_of_units_in_different_subspaces(num_subspaces: int) -> None:
    model = build("sluice", C0, num_subspaces=num_subspaces, orthogonality_weight=0.25, **SMALL).double()
    _, auxiliaries = model.training_step(make_batch(C0, 4))
    width = 16 // num_subspaces
    expected = 0.0
    for layer in model.hidden.layers:
        for unit in layer:
            for i in range(16):
                for j in range(i + 1, 16):
                    if i // width != j // width:
                        expected += 0.25 * (unit.weight[i] @ unit.weight[j]).item() ** 2
    assert list(auxiliaries) == ["orthogonality"]
    assert auxiliaries["orthogonality"].task is None
    assert auxiliaries["orthogonality"].value.item() == pytest.approx(expected, rel=1e-12)


def test_the_extra_loss_does_not_depend_on_the_order_of_units_and_is_zero_for_orthogonal_weights() -> None:
    model, batch = build("sluice", C0, **SMALL), make_batch(C0, 4)
    before = model.training_step(batch)[1]["orthogonality"].value
    for layer in model.hidden.layers:
        for unit in layer:
            unit.weight.data = unit.weight[[7, 6, 5, 4, 3, 2, 1, 0, *range(8, 16)]]
    torch.testing.assert_close(model.training_step(batch)[1]["orthogonality"].value, before)
    for layer in model.hidden.layers:
        for unit in layer:
            torch.nn.init.orthogonal_(unit.weight)
    assert model.training_step(batch)[1]["orthogonality"].value < 1e-10


@pytest.mark.parametrize("without", [{"num_subspaces": 1}, {"orthogonality_weight": 0.0}])
def test_without_pairs_or_weight_there_is_no_extra_loss(without: dict[str, Any]) -> None:
    assert build("sluice", C0, **SMALL | without).training_step(make_batch(C0, 4))[1] == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_layers": 0}, "must be at least 1, found 256, 0 and 2"),
        ({"num_subspaces": 0}, "must be at least 1, found 256, 2 and 0"),
        ({"num_subspaces": 3}, "num_subspaces must divide hidden_dim=256, found 3"),
        ({"own_weight": 1.5}, "own_weight must be from 0 to 1, found 1.5"),
        ({"orthogonality_weight": -1.0}, "orthogonality_weight must be at least 0, found -1.0"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("sluice", C0, **wrong)


def test_one_task_is_refused_with_the_reason() -> None:
    requires = architectures.get("sluice").requires
    assert requires(make_schema(LIKE)) == "needs at least two tasks: a stitch mixes the networks of several"
