from __future__ import annotations

import dataclasses

import torch

from benchmark.contracts.toys import LIKE, SHARE, build, make_batch, make_schema
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters

SCHEMA = make_schema(LIKE, SHARE)


def test_parameter_count() -> None:
    assert count_parameters(build("embedding_sum", C0, embedding_dim=8)) == 2 * (8 + 1)
    assert count_parameters(build("embedding_sum", SCHEMA, embedding_dim=8)) == 2 * (8 + 1) + 2 * 8


def test_reach() -> None:
    expected = {
        r"embedding\..*|numeric\..*": "like share",
        r"towers\.output\.0\..*": "like",
        r"towers\.output\.1\..*": "share",
    }
    assert_reach(build("embedding_sum", SCHEMA), make_batch(SCHEMA, 64), expected)


def test_it_is_its_equation() -> None:
    model, batch = build("embedding_sum", SCHEMA), make_batch(SCHEMA, 100)
    table, starts = model.embedding.small.weight, (0, 3, 8)
    total = sum(table[batch.categorical[:, f].long() + start] for f, start in enumerate(starts))
    total = total + sum(batch.numeric[:, j, None] * model.numeric.weight[:, j] for j in range(2))
    expected = {task: model.towers.output[t](total)[:, 0] for t, task in enumerate(SCHEMA.task_names)}
    assert_equal_outputs(model(batch), expected, 1e-5)


def test_what_one_field_adds_does_not_depend_on_the_others() -> None:
    model, batch = build("embedding_sum", SCHEMA), make_batch(SCHEMA, 50)

    def with_value(value: int) -> torch.Tensor:
        categorical = batch.categorical.clone()
        categorical[:, 1] = value
        return model(dataclasses.replace(batch, categorical=categorical))["like"]

    change_B = with_value(3) - with_value(2)
    assert with_value(2).std() > 0.05
    torch.testing.assert_close(change_B, change_B[:1].expand(50), rtol=0, atol=1e-6)


def test_the_order_of_fields_is_irrelevant() -> None:
    turned = dataclasses.replace(SCHEMA, categorical=SCHEMA.categorical[::-1])
    batch = make_batch(SCHEMA, 50)
    mirrored = dataclasses.replace(batch, categorical=batch.categorical.flip(1).contiguous())
    # tables start by the name of their field
    assert_equal_outputs(build("embedding_sum", SCHEMA)(batch), build("embedding_sum", turned)(mirrored))
