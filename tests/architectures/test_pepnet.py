from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture, Batch
from architectures.pepnet import PEPNet
from architectures.scaling import ScalingGates
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema, training_loss
from tests.architectures.loops import assert_is_by_row, embed, linear, mlp, sigmoid
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two, with_columns

SMALL: dict[str, Any] = {"embedding_dim": 8, "tower_dims": (16, 8), "gate_dim": 4}
THREE = make_schema(LIKE, SECONDS, SHARE)
FORMS: list[dict[str, Any]] = [
    {},
    {"prior_fields": ("c2",), "domain_fields": ("c1", "c0")},
    {"scale_embeddings": False},
    {"tower_dims": (6,)},
]


def factors(gates: ScalingGates, layer: int, unit: int, read: Tensor) -> Tensor:
    """2 sigmoid(W2 relu(W1 v + b1) + b2)."""
    return 2 * sigmoid(linear(gates.output[layer][unit], mlp([gates.hidden[layer][unit]], read)))


def of_row(model: Any, batch: Batch, row: int) -> list[Tensor]:
    """The equations."""

    def chosen(fields: Any) -> list[Tensor]:
        return [table.weight[int(batch.categorical[row, table.positions_F[0]])] for table in fields.tables]

    o = x = embed(model.embedding, batch, row)
    if model.embedding_gate is not None:
        o = factors(model.embedding_gate, 0, 0, torch.cat([*chosen(model.domain), x.detach()])) * x
    read, outputs = torch.cat([*chosen(model.prior), o.detach()]), []
    for t in range(len(model.schema.tasks)):
        hidden = o
        for number, layer in enumerate(model.hidden.layers):
            hidden = factors(model.task_gates, number, t, read) * mlp([layer[t]], hidden)
        outputs.append(linear(model.towers.output[t], hidden)[0])
    return outputs


@pytest.mark.parametrize("form", FORMS)
def test_it_is_its_equations(form: dict[str, Any]) -> None:
    assert_is_by_row(build("pepnet", THREE, **SMALL | form), make_batch(THREE, 6), of_row)


def test_parameter_count() -> None:
    embeddings = 32 * 4 + 4 + 4 * 32 + 32  # EPNet's gate, D = 32
    gates = 2 * (2 * (48 * 4 + 4) + (4 * 16 + 16) + (4 * 8 + 8))  # which read two priors of 8 too
    networks = 2 * ((32 * 16 + 16) + (16 * 8 + 8) + (8 + 1))
    priors = 2 * 5 * 8
    assert count_parameters(build("pepnet", C0, **SMALL)) == embeddings + gates + networks + priors == 2742
    without = build("pepnet", C0, scale_embeddings=False, **SMALL)
    assert count_parameters(without) == gates + networks + priors


def test_reach() -> None:
    own = r"(hidden\.layers\.\d|task_gates\.(hidden|output)\.\d|towers\.output)\.{}\..*"
    expected = {
        r"(embedding|prior|domain|embedding_gate)\..*": "like share",
        own.format(0): "like",
        own.format(1): "share",
    }
    model = build("pepnet", C0, domain_fields=("c2",), **SMALL)
    assert_reach(model, make_batch(C0, 64), expected)


def neutral(model: Architecture) -> Architecture:
    """With gates that give 1."""
    for gates in (model.embedding_gate, model.task_gates):
        for parameter in gates.output.parameters():
            torch.nn.init.zeros_(parameter)
    return model


def test_with_neutral_gates_it_is_a_network_per_task_on_one_embedding() -> None:
    model, batch = neutral(build("pepnet", C0, **SMALL)), make_batch(C0, 32)
    x_BTD = model.embedding(batch).dense().unsqueeze(1).expand(-1, 2, -1)
    assert_equal_outputs(model(batch), model.towers(model.hidden(x_BTD)))


def test_gates_do_not_train_the_embeddings_of_the_input() -> None:
    model, batch = build("pepnet", C0, **SMALL), make_batch(C0, 64)
    training_loss(model, batch).backward()
    assert all(table.weight.grad.any() for table in model.prior.tables)
    with_gates = model.embedding.small.weight.grad.clone()
    model.zero_grad()
    for gates in (model.embedding_gate, model.task_gates):
        gates.register_forward_hook(lambda module, inputs, output: [layer.detach() for layer in output])
    training_loss(model, batch).backward()
    torch.testing.assert_close(model.embedding.small.weight.grad, with_gates)
    assert all(table.weight.grad is None for table in model.prior.tables)


def test_one_domain_is_a_bias() -> None:
    named, none = build("pepnet", C0, domain_fields=("c3",), **SMALL), build("pepnet", C0, seed=1, **SMALL)
    batch = make_batch(C0, 32)
    codes = batch.categorical.clone()
    codes[:, 3] = 2
    batch = with_columns(batch, categorical=codes)
    state = {key: value for key, value in named.state_dict().items() if not key.startswith("domain")}
    key = "embedding_gate.hidden.0.0"
    weight = state[f"{key}.weight"]
    state[f"{key}.bias"] = state[f"{key}.bias"] + weight[:, :8] @ named.domain.tables[0].weight[2]
    state[f"{key}.weight"] = weight[:, 8:]
    none.load_state_dict(state)
    assert_equal_outputs(none(batch), named(batch))


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped, batch = build("pepnet", C0, **SMALL), build("pepnet", C0, seed=1, **SMALL), make_batch(C0, 8)
    patterns = (r"hidden\.layers\.\d\.(\d)", r"task_gates\.(?:hidden|output)\.\d\.(\d)", r"towers\.output\.(\d)")
    swapped.load_state_dict(swap_two(model.state_dict(), *patterns))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


@pytest.mark.parametrize(
    ("roles", "fields"),
    [
        ({"user": "c0", "item": "c1"}, ["c0", "c1"]),
        ({"user": None, "item": "c1"}, ["c1"]),
        ({"user": "c2", "item": None}, ["c2"]),
    ],
)
def test_the_priors_are_user_and_item_where_none_is_named(roles: dict[str, Any], fields: list[str]) -> None:
    model = build("pepnet", dataclasses.replace(C0, **roles))
    assert [table.fields[0].name for table in model.prior.tables] == fields


def test_what_it_requires() -> None:
    assert PEPNet.requires(C0) is None
    schema = dataclasses.replace(C0, user=None, item=None)
    assert PEPNet.requires(schema) == "needs a user field or an item field, which its gates read"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prior_fields": ("age",)}, "prior_fields must name categorical fields, found 'age'; known: c0, c1, c2, c3"),
        ({"domain_fields": ("tab",)}, "domain_fields must name categorical fields, found 'tab'"),
        ({"domain_fields": ("c2",), "scale_embeddings": False}, "domain_fields must be empty without scale_embeddings"),
        ({"gate_dim": 0}, "gate_dim must be at least 1, found 0"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("pepnet", C0, **parameters)
