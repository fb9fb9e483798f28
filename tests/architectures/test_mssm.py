from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import LIKE, SHARE, build, make_batch, make_schema
from benchmark.schema import Schema
from tests.architectures.loops import assert_is_by_input, mlp, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "level_dims": (16, 12), "tower_dims": (8,)}
WITH_NUMBERS = make_schema(LIKE, SHARE)


def by_loop(model: Architecture, x: Tensor) -> list[Tensor]:
    """One field, one sub-network and one connection at a time."""
    dim, num_categorical = model.embedding.embedding_dim, len(model.embedding.fields)
    fields = list(x[: num_categorical * dim].split(dim)) if num_categorical else []
    for n, number in enumerate(x[num_categorical * dim :]):
        fields.append(number * model.numbers.weight[n] + model.numbers.bias[n])
    units = []
    for selection, layer in zip(model.selections, model.first, strict=True):
        weights = [(g * e).sum().tanh().clamp(min=0) for g, e in zip(selection.weight, fields, strict=True)]
        units.append(mlp([layer], torch.cat([w * e for w, e in zip(weights, fields, strict=True)])))
    for readers in model.levels:
        read = []
        for reader in readers:
            gates = ((1.1 + 0.1) * reader.gates.log_alpha[0].sigmoid() - 0.1).clamp(0, 1)
            read.append(sum(m * (w @ u) for m, w, u in zip(gates, reader.weight, units, strict=True)).clamp(min=0))
        units = read
    return [tower(model.towers, t, u) for t, u in enumerate(units)]


@pytest.mark.parametrize("schema", [C0, WITH_NUMBERS], ids=["C0", "with numbers"])
@pytest.mark.parametrize("level_dims", [(16, 12), (16, 12, 10)])
def test_it_is_its_equations(schema: Schema, level_dims: tuple[int, ...]) -> None:
    model = build("mssm", schema, **SMALL | {"level_dims": level_dims}).eval()
    spread_gates(model)
    assert_is_by_input(model, make_batch(schema, 8), by_loop)


def spread_gates(model: Architecture) -> None:
    """Some gates closed, some open, some between."""
    for readers in model.levels:
        for reader in readers:
            torch.nn.init.normal_(reader.gates.log_alpha[0], std=3)


def test_parameter_count() -> None:
    assert count_parameters(build("mssm", C0, **SMALL)) == 3130
    assert count_parameters(build("mssm", C0, **SMALL | {"level_dims": (16, 16, 12)})) == 3130 + 3 * 3 * (16 * 16 + 16)


def test_reach() -> None:
    own = r"(levels\.1|towers\.hidden\.layers\.\d|towers\.output)\.{}\..*"
    expected = {
        r"embedding\..*|selections\..*|first\..*|levels\.0\..*": "like share",
        own.format(0): "like",
        own.format(1): "share",
    }
    assert_reach(build("mssm", C0, **SMALL | {"level_dims": (16, 16, 12)}), make_batch(C0, 64), expected)


def weights_of(model: Architecture) -> Tensor:
    """(B, S, F): what the sub-networks take of the fields."""
    fields_BFd = model._fields(make_batch(model.schema, 200))
    return torch.stack([(fields_BFd * s.weight).sum(2).tanh().relu() for s in model.selections], dim=1)


def test_about_half_of_the_selections_start_at_zero() -> None:
    weights_BSF = weights_of(build("mssm", C0))
    assert weights_BSF.min() == 0
    assert 0.8 < weights_BSF.max() < 1
    assert 0.3 < (weights_BSF == 0).double().mean() < 0.7


def test_with_own_connections_alone_tasks_meet_in_the_embedding_alone() -> None:
    model, batch = build("mssm", C0, **SMALL).eval(), make_batch(C0, 64)
    for t, reader in enumerate(model.levels[0]):
        torch.nn.init.constant_(reader.gates.log_alpha[0], -10)
        reader.gates.log_alpha[0].data[t] = 10
        assert reader.gates()[0].sum(1).tolist() == [12 * (s == t) for s in range(3)]
    model(batch)["like"].sum().backward()
    assert [selection.weight.grad.any().item() for selection in model.selections] == [True, False, False]
    assert [layer.weight.grad.any().item() for layer in model.first] == [True, False, False]


def test_closed_gates_leave_outputs_that_are_the_same_on_all_rows() -> None:
    model = build("mssm", C0).eval()
    for reader in model.levels[0]:
        torch.nn.init.constant_(reader.gates.log_alpha[0], -10)
    output_B = model(make_batch(C0, 32))["like"]
    assert torch.equal(output_B, output_B[:1].expand(32))


def test_fields_may_change_places_with_their_weights() -> None:
    model, other = build("mssm", C0, **SMALL).eval(), build("mssm", C0, seed=1, **SMALL).eval()
    state = dict(model.state_dict())
    state["embedding.small.weight"] = swapped(state["embedding.small.weight"], 5, dim=0)
    for name, value in state.items():
        if name.startswith("selections"):
            state[name] = swapped(value, 1, dim=0)
        elif name.startswith("first") and name.endswith("weight"):
            state[name] = swapped(value, 8, dim=1)
    other.load_state_dict(state)
    batch, mirrored = make_batch(C0, 32), make_batch(C0, 32)
    mirrored.categorical[:, :2] = batch.categorical[:, [1, 0]]
    assert_equal_outputs(other(mirrored), model(batch))


def swapped(value: Tensor, width: int, dim: int) -> Tensor:
    """The first two blocks of this width change places."""
    first, second, *rest = value.split(width, dim=dim)
    return torch.cat([second, first, *rest], dim=dim)


def test_swapping_tasks_swaps_outputs() -> None:
    model, other, batch = build("mssm", C0).eval(), build("mssm", C0, seed=1).eval(), make_batch(C0, 32)
    spread_gates(model)
    units = r"(?:selections|first|levels\.0|towers\.hidden\.layers\.\d|towers\.output)\.(\d)"
    state = swap_two(model.state_dict(), units)
    for name in state:
        if name.startswith("levels"):
            state[name] = state[name][[1, 0, 2]]
    other.load_state_dict(state)
    outputs = model(batch)
    assert_equal_outputs(other(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_training_draws_the_gates_anew_and_evaluation_does_not() -> None:
    model, batch = build("mssm", C0), make_batch(C0, 8)
    assert not torch.equal(model(batch)["like"], model(batch)["like"])
    model.eval()
    assert torch.equal(model(batch)["like"], model(batch)["like"])


def test_the_extra_loss_closes_gates() -> None:
    model = build("mssm", C0, l0_weight=0.5)
    _, auxiliaries = model.training_step(make_batch(C0, 8))
    (auxiliary,) = auxiliaries.values()
    # two readers of three sub-networks of 64 units, sigmoid(2 - 2/3 log(1 / 11)) each
    assert auxiliary.value.item() == pytest.approx(0.5 * 2 * 3 * 64 * 0.973371, rel=1e-4)
    auxiliary.value.backward()
    for reader in model.levels[0]:
        assert ((reader.gates.log_alpha[0].grad > 0) & (reader.gates.log_alpha[0].grad <= 0.5 / 4)).all()


def test_wrong_parameters_are_refused() -> None:
    for level_dims in ((), (64,), (64, 0)):
        with pytest.raises(ValueError, match="level_dims must be at least two widths"):
            build("mssm", C0, level_dims=level_dims)
    with pytest.raises(ValueError, match="l0_weight must be at least 0, found -1"):
        build("mssm", C0, l0_weight=-1.0)
