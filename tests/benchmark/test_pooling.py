"""Pooling against loops over rows and entries, written from the equations, in float64: outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.pooling import (
    AttentionPooling,
    BagEmbedding,
    SequencePooling,
    mean_of_each,
    sum_of_each,
    to_each,
)

DIM = 3
LENGTHS = ([2, 0, 1, 5], [0, 0, 3], [1], [4, 0], [0, 0])


def bounds_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def values(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


class Table:
    """A plain table of a categorical field of 9 values, and each row's own value of it."""

    def __init__(self, own: Tensor) -> None:
        self.weight, self.codes_B = values(9, DIM, seed=5), own

    def rows(self, codes: Tensor) -> Tensor:
        return self.weight[codes]

    def own(self) -> Tensor:
        return self.weight[self.codes_B]


def draw(lengths: list[int]) -> tuple[Table, Tensor, Tensor]:
    rng = np.random.default_rng(3)
    own, codes = rng.integers(0, 9, len(lengths)), rng.integers(0, 9, sum(lengths))
    return Table(torch.from_numpy(own)), torch.from_numpy(codes), bounds_of(lengths)


def assert_same(outputs: Tensor, expected: Tensor, parameters: list[Tensor]) -> None:
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    factors = torch.linspace(1, 2, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    found = torch.autograd.grad((outputs * factors).sum(), parameters, materialize_grads=True)
    wanted = torch.autograd.grad((expected * factors).sum(), parameters, materialize_grads=True, allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def stacked(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows)


def loop(pool: Callable[[Tensor], Tensor], entries: Tensor, lengths: list[int]) -> Tensor:
    """`pool` of each row's entries (L, d)."""
    return stacked([pool(part) if len(part) else part.sum(0) for part in entries.split(lengths)])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_sums_and_means_are_those_of_a_loop(lengths: list[int]) -> None:
    entries, bounds = values(sum(lengths), DIM), bounds_of(lengths)
    assert_same(sum_of_each(entries, bounds), loop(lambda part: part.sum(0), entries, lengths), [entries])
    assert_same(mean_of_each(entries, bounds), loop(lambda part: part.mean(0), entries, lengths), [entries])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_entry_gets_its_rows_vector(lengths: list[int]) -> None:
    rows = values(len(lengths), DIM)
    expected = [row for row, length in zip(rows, lengths, strict=True) for _ in range(length)]
    found = to_each(rows, bounds_of(lengths))
    assert_same(found, stacked(expected) if expected else rows[:0], [rows])


@pytest.mark.parametrize("lengths", [[2, 0, 3]])
def test_their_gradients_are_right(lengths: list[int]) -> None:
    entries, rows, bounds = values(5, DIM), values(3, DIM), bounds_of(lengths)
    assert torch.autograd.gradcheck(lambda e: sum_of_each(e, bounds), (entries,))
    assert torch.autograd.gradcheck(lambda r: to_each(r, bounds), (rows,))


@pytest.mark.parametrize("is_mean", [True, False])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_bag_is_the_mean_or_the_sum_of_its_rows(lengths: list[int], is_mean: bool) -> None:
    _, codes, bounds = draw(lengths)
    module = BagEmbedding(9, DIM, is_mean=is_mean).double()
    weight = module.table.weight
    expected = loop(lambda part: part.mean(0) if is_mean else part.sum(0), weight[codes], lengths)
    assert_same(module(codes.int(), bounds), expected, [weight])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_sequence_is_the_mean_of_its_rows_of_the_shared_table(lengths: list[int]) -> None:
    table, codes, bounds = draw(lengths)
    expected = loop(lambda part: part.mean(0), table.weight[codes], lengths)
    assert_same(SequencePooling(DIM)(table, codes, bounds), expected, [table.weight])


def din(module: Any, history: list[Tensor], own: Tensor) -> Tensor:
    """DIN for one row, number by number: v = sum over j of (w . PReLU(W [q; e; q - e; q * e] + b) + c) e_j."""
    weight, bias = module.hidden.weight, module.hidden.bias
    slope = module.activation.weight
    total = own * 0
    for entry in history:
        inputs = [
            *own,
            *entry,
            *(q - e for q, e in zip(own, entry, strict=True)),
            *(q * e for q, e in zip(own, entry, strict=True)),
        ]
        activation = module.output.bias[0]
        for unit in range(len(weight)):
            hidden = bias[unit] + sum(w * x for w, x in zip(weight[unit], inputs, strict=True))
            activation = activation + module.output.weight[0, unit] * (hidden if hidden > 0 else slope[0] * hidden)
        total = total + activation * entry
    return total


@pytest.mark.parametrize("lengths", LENGTHS)
def test_attention_is_dins_sum_over_entries(lengths: list[int]) -> None:
    table, codes, bounds = draw(lengths)
    torch.manual_seed(0)
    module = AttentionPooling(DIM, hidden_dim=4).double()
    rows = zip(codes.split(lengths), table.codes_B, strict=True)
    expected = stacked([din(module, [*table.weight[its]], table.weight[own]) for its, own in rows])
    assert_same(module(table, codes, bounds), expected, [table.weight, *module.parameters()])


def test_attention_depends_on_the_own_value_and_keeps_the_intensity() -> None:
    table, codes, bounds = draw([3])
    module = AttentionPooling(DIM).double()
    once = module(table, codes, bounds)
    twice = module(table, codes.repeat(2), bounds * 2)
    torch.testing.assert_close(twice, 2 * once)  # no softmax: twice the entries are twice the interest
    table.codes_B = (table.codes_B + 1) % 9
    assert not torch.allclose(module(table, codes, bounds), once)


def test_initial_values_come_from_the_generator_alone() -> None:
    def drawn(module: nn.Module, seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        module.reset_parameters()  # type: ignore[operator]
        return [parameter.detach().clone() for parameter in module.parameters()]

    for make in (lambda: BagEmbedding(50, DIM), lambda: AttentionPooling(DIM)):
        first, same, other = drawn(make(), 0), drawn(make(), 0), drawn(make(), 1)
        assert all(torch.equal(one, two) for one, two in zip(first, same, strict=True))
        assert not torch.equal(first[0], other[0])
