from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema
from architectures.poso import POSO
from benchmark.contracts.toys import LIKE, SCHEMAS, SECONDS, SHARE, build, make_batch, make_schema, training_loss
from tests.architectures.loops import assert_is_by_row, embed, linear, mlp, sigmoid, tower
from tests.toys import C0, assert_reach, count_parameters

SMALL: dict[str, Any] = {"embedding_dim": 8, "bottom_dims": (16,), "tower_dims": (8,), "gate_dim": 4}
THREE = make_schema(LIKE, SECONDS, SHARE)
SUITED = {title: schema for title, schema in SCHEMAS.items() if schema.user is not None}


def lively(schema: Schema = C0, **parameters: Any) -> Architecture:
    """With gates that have left their start."""
    model = build("poso", schema, **SMALL | parameters)
    for parameter in model.bottom_gates.output.parameters():
        torch.nn.init.normal_(parameter)
    return model


def of_row(model: Any, batch: Batch, row: int) -> list[Tensor]:
    """Equation 11 for every layer of the bottom, then the towers."""
    code = torch.cat([t.weight[int(batch.categorical[row, t.positions_F[0]])] for t in model.personal.tables])
    hidden, gates = embed(model.embedding, batch, row), model.bottom_gates
    for number, (layer,) in enumerate(model.bottom.layers):
        gate = sigmoid(linear(gates.output[number][0], mlp([gates.hidden[number][0]], code)))
        hidden = 2 * gate * mlp([layer], hidden)
    return [tower(model.towers, t, hidden) for t in range(len(model.schema.tasks))]


@pytest.mark.parametrize("form", [{}, {"bottom_dims": (16, 12, 6)}, {"personal_fields": ("c2", "c1")}])
def test_it_is_its_equations(form: dict[str, Any]) -> None:
    assert_is_by_row(lively(THREE, **form), make_batch(THREE, 6), of_row)


@pytest.mark.parametrize("schema", SUITED.values(), ids=SUITED)
@pytest.mark.parametrize("parameters", [{}, {"bottom_dims": (16, 12, 6), "tower_dims": ()}])
def test_it_starts_as_shared_bottom(schema: Schema, parameters: dict[str, Any]) -> None:
    poso, shared = build("poso", schema, **parameters), build("shared_bottom", schema, **parameters)
    batch = make_batch(schema, 32)
    assert all(torch.equal(poso(batch)[task], output) for task, output in shared(batch).items())
    for model in (poso, shared):
        training_loss(model, batch).backward()
    ours = dict(poso.named_parameters())
    for name, parameter in shared.named_parameters():
        torch.testing.assert_close(ours[name].grad, parameter.grad, rtol=1e-5, atol=1e-7)


def test_parameter_count() -> None:
    shared_bottom, code, gate = 818, 5 * 8, (8 * 4 + 4) + (4 * 16 + 16)
    assert count_parameters(build("poso", C0, **SMALL)) == shared_bottom + code + gate == 974


def test_reach() -> None:
    expected = {
        r"(embedding|personal|bottom|bottom_gates)\..*": "like share",
        r"towers\.(hidden\.layers\.\d|output)\.0\..*": "like",
        r"towers\.(hidden\.layers\.\d|output)\.1\..*": "share",
    }
    assert_reach(lively(), make_batch(C0, 64), expected)


def test_closed_gates_leave_nothing_of_the_row() -> None:
    model, batch = lively(), make_batch(C0, 8)
    for layer in model.bottom_gates.output[-1]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -200.0)
    for output in model(batch).values():
        torch.testing.assert_close(output, output[:1].expand(8))


def test_factors_depend_on_the_personal_fields_alone() -> None:
    model, batch = lively(personal_fields=("c2",)), make_batch(C0, 32)
    (factors_B1H,) = model.bottom_gates(torch.cat(model.personal(batch), dim=1))
    for value in range(5):
        same = factors_B1H[batch.categorical[:, 2] == value]
        torch.testing.assert_close(same, same[:1].expand_as(same))
    assert len(factors_B1H.detach().round(decimals=4).unique(dim=0)) == len(batch.categorical[:, 2].unique()) > 1


@pytest.mark.parametrize(("user_fields", "read"), [((), ["c3"]), (("c3", "n0", "c1"), ["c3", "c1"])])
def test_where_no_personal_field_is_named_they_are_those_of_the_user(
    user_fields: tuple[str, ...], read: list[str]
) -> None:
    schema = dataclasses.replace(
        make_schema(LIKE, SHARE, cardinalities=(5, 5, 5, 5)), user="c3", user_fields=user_fields
    )
    model = build("poso", schema)
    assert [table.fields[0].name for table in model.personal.tables] == read  # the categorical ones


def test_what_it_requires() -> None:
    assert POSO.requires(C0) is None
    assert POSO.requires(dataclasses.replace(C0, user=None)) == "needs a user field, which its gates read"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"personal_fields": ("age",)}, "personal_fields must name categorical fields, found 'age'; known: c0, c1"),
        ({"personal_fields": ("c1", "c1")}, "personal_fields must name each field once, found c1, c1"),
        ({"gate_dim": 0}, "gate_dim must be at least 1, found 0"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("poso", C0, **parameters)
