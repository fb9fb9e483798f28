from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from benchmark.contracts.toys import (
    BUY,
    CART,
    CLICK,
    LIKE,
    SECONDS,
    SHARE,
    build,
    make_batch,
    make_schema,
    training_loss,
)
from benchmark.rows import Batch
from benchmark.schema import Task
from tests.architectures.loops import assert_is_by_batch, cross_entropy, embed, linear, mlp, unit
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters

CHAIN = make_schema(CLICK, CART, BUY)
MIXED = make_schema(CLICK, CART, SECONDS)
SMALL: dict[str, Any] = {"embedding_dim": 8, "bottom_dims": (16,), "tower_dims": (8,), "relation_dims": (8,)}


def by_hand(model: Architecture, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """One row at a time, for click, cart given click, and seconds, which reads both."""
    values: dict[str, list[Tensor]] = {task: [] for task in MIXED.task_names}
    loss = torch.zeros((), dtype=torch.float64)
    for row in range(len(batch)):
        click, cart, seconds = batch.labels[row].double()
        s = mlp(unit(model.bottom, 0), embed(model.embedding, batch, row))
        h = [mlp(unit(model.hidden, t), s) for t in range(3)]
        r = [h[0]]
        r.append(mlp(unit(model.relations[0], 0), torch.cat([h[1], r[0]])))
        r.append(mlp(unit(model.relations[1], 0), torch.cat([h[2], r[0], r[1]])))
        y = [linear(model.towers[t].output[0], r[t])[0] for t in range(3)]
        for t, task in enumerate(values):
            values[task].append(y[t])
        loss = loss + cross_entropy(y[0].sigmoid(), click) + cross_entropy(y[1].sigmoid(), cart)
        loss = loss + (y[2] - seconds) ** 2
    return {task: torch.stack(value) for task, value in values.items()}, loss / len(batch)


@pytest.mark.parametrize("relation_dims", [(8,), (12, 5)])
def test_it_is_its_equations_row_by_row(relation_dims: tuple[int, ...]) -> None:
    model = build("dbmtl", MIXED, **SMALL | {"relation_dims": relation_dims, "tower_dims": (9, 8)})
    assert_is_by_batch(model, make_batch(MIXED, 12), by_hand)


def test_parameter_count() -> None:
    assert count_parameters(build("dbmtl", C0, **SMALL)) == 818 + 16 * 8 + 8  # shared_bottom's and one relation


def test_a_childs_loss_reaches_its_ancestors() -> None:
    expected = {
        r"embedding\..*|bottom\..*|hidden\.layers\.\d\.0\..*": "click cart buy",
        r"hidden\.layers\.\d\.1\..*|relations\.0\..*": "cart buy",
        r"hidden\.layers\.\d\.2\..*|relations\.1\..*|towers\.2\..*": "buy",
        r"towers\.0\..*": "click",
        r"towers\.1\..*": "cart",
    }
    assert_reach(build("dbmtl", CHAIN), make_batch(CHAIN, 64), expected)


@pytest.mark.parametrize(
    ("tasks", "parents"),
    [
        ((CLICK, CART, BUY), [[], [0], [1]]),
        ((LIKE, SECONDS, SHARE), [[], [0], [0, 1]]),
        ((LIKE, CLICK, CART, SECONDS), [[], [0], [1], [0, 1, 2]]),
        ((SECONDS,), [[]]),
    ],
)
def test_parents_are_the_given_task_or_all_earlier_ones(tasks: tuple[Task, ...], parents: list[list[int]]) -> None:
    model = build("dbmtl", make_schema(*tasks))
    assert model.parents == parents
    assert len(model.relations) == sum(map(bool, parents))


def test_with_relations_that_pass_the_own_layer_alone_it_is_shared_bottom() -> None:
    model, shared, batch = build("dbmtl", CHAIN), build("shared_bottom", CHAIN), make_batch(CHAIN, 32)
    shared.load_state_dict(build("shared_bottom", CHAIN, seed=1).state_dict())
    with torch.no_grad():
        for relation in model.relations:
            relation.first[0].weight.copy_(torch.eye(32, 64))  # the own hidden layer comes first
            relation.first[0].bias.zero_()
    for found, wanted in (
        (model.embedding, shared.embedding),
        (model.bottom, shared.bottom),
        (model.hidden, shared.towers.hidden),
    ):
        found.load_state_dict(wanted.state_dict())
    for tower, output in zip(model.towers, shared.towers.output, strict=True):
        tower.output[0].load_state_dict(output.state_dict())
    assert_equal_outputs(model(batch), shared(batch))


def test_a_roots_output_does_not_depend_on_its_children() -> None:
    model, batch = build("dbmtl", CHAIN), make_batch(CHAIN, 8)
    before = model(batch)
    with torch.no_grad():
        for module in (*model.relations, *model.towers[1:], model.hidden.first[1]):
            for parameter in module.parameters():
                parameter += 1
    after = model(batch)
    assert torch.equal(before["click"], after["click"])
    assert not torch.allclose(before["cart"], after["cart"])


def test_ancestors_get_a_gradient_from_the_last_loss_alone() -> None:
    model, batch = build("dbmtl", CHAIN), make_batch(CHAIN, 64)
    model(batch)["buy"].sum().backward()
    assert all(model.hidden.first[t].weight.grad.any() for t in range(3))
    assert model.training_step(batch)[1] == {}
    assert training_loss(model, batch).isfinite()


def test_without_widths_of_relations_it_is_refused() -> None:
    with pytest.raises(ValueError, match="layer widths must be at least one number of at least 1, found"):
        build("dbmtl", CHAIN, relation_dims=())
