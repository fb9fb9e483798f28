from __future__ import annotations

import re

import pytest
import torch

from architectures.layers import MLPs, linear_on_one
from architectures.scaling import FieldEmbedding, ScalingGates, scaled
from benchmark.contracts.toys import LIKE, make_batch, make_schema

SCHEMA = make_schema(LIKE, cardinalities=(3, 5, 60_000))


def test_linears_on_one_input_are_what_each_gives_alone() -> None:
    units = [torch.nn.Linear(4, 3) for _ in range(2)]
    inputs_BTI = torch.randn(6, 5, 4)
    expected = torch.stack([unit(inputs_BTI) for unit in units], dim=-2)
    torch.testing.assert_close(linear_on_one(units, inputs_BTI), expected)


def test_a_field_is_looked_up_in_a_table_of_its_own() -> None:
    embedding, batch = FieldEmbedding(SCHEMA, ("c2", "c0"), 4, what="fields"), make_batch(SCHEMA, 8)
    assert embedding.output_dim == 8
    assert [table.is_large for table in embedding.tables] == [True, False]
    for table, found, column in zip(embedding.tables, embedding(batch), (2, 0), strict=True):
        assert torch.equal(found, table.weight[batch.categorical[:, column].long()])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("age",), "fields must name categorical fields, found 'age'; known: c0, c1, c2"),
        (("n0",), "fields must name categorical fields, found 'n0'; known: c0, c1, c2"),
        (("c0", "c0"), "fields must name each field once, found c0, c0"),
    ],
)
def test_wrong_names_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FieldEmbedding(SCHEMA, names, 4, what="fields")


def test_factors_are_between_zero_and_two_and_one_in_the_middle() -> None:
    gates, inputs_BV = ScalingGates(2, 3, 4, (5, 6)), torch.randn(7, 3)
    factors = gates(inputs_BV)
    assert [tuple(layer.shape) for layer in factors] == [(7, 2, 5), (7, 2, 6)]
    assert all(0 < layer.min() < layer.max() < 2 for layer in factors)
    for parameter in gates.output.parameters():
        torch.nn.init.zeros_(parameter)
    assert all((layer == 1).all() for layer in gates(inputs_BV))


def test_a_gate_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="gate_dim must be at least 1, found 0"):
        ScalingGates(1, 3, 0, (5,))


def test_scaled_by_one_it_is_the_mlp_and_by_zero_it_is_the_last_bias() -> None:
    mlps = MLPs(2, 3, (5, 4))
    first_BUH = torch.randn(7, 2, 5)
    one, zero = [[torch.full((7, 2, width), value) for width in (5, 4)] for value in (1.0, 0.0)]
    assert torch.equal(scaled(mlps, first_BUH, one), mlps.after_first(first_BUH))
    biases_UH = torch.stack([layer.bias for layer in mlps.layers[1]]).relu()
    torch.testing.assert_close(scaled(mlps, first_BUH, [zero[0], one[1]]), biases_UH.expand(7, 2, 4))
    assert (scaled(mlps, first_BUH, [one[0], zero[1]]) == 0).all()
