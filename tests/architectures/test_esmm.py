from __future__ import annotations

import dataclasses

import pytest
import torch

from architectures.esmm import ESMM
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema, training_loss
from benchmark.rows import Batch, Features
from benchmark.schema import Task
from tests.toys import assert_equal_outputs, assert_reach

CHAIN = make_schema(CLICK, CART, BUY)


def network(number: int) -> str:
    return rf"(hidden\.layers\.\d|towers\.output)\.{number}\..*"


def test_a_childs_loss_reaches_its_ancestors() -> None:
    expected = {
        r"embedding\..*": "click cart buy",
        network(0): "click cart buy",
        network(1): "cart buy",
        network(2): "buy",
    }
    assert_reach(build("esmm", CHAIN), make_batch(CHAIN, 64), expected)


def test_detach_parent_keeps_it_from_them() -> None:
    model, batch = build("esmm", CHAIN, detach_parent=True), make_batch(CHAIN, 64)
    expected = {r"embedding\..*": "click cart buy", network(0): "click", network(1): "cart", network(2): "buy"}
    assert_reach(model, batch, expected)
    assert_equal_outputs(model(batch), build("esmm", CHAIN)(batch), 0)


def test_outputs_are_products_along_the_chain() -> None:
    model, batch = build("esmm", CHAIN).double(), make_batch(CHAIN, 64)
    for layer in model.towers.output:
        torch.nn.init.normal_(layer.weight, std=5)  # far from one half
    (first_BTH,) = model.embedding(batch).linear(model.hidden.first)
    logits = model.towers(model.hidden.after_first(first_BTH))
    steps = torch.stack([logits[task].sigmoid() for task in CHAIN.task_names])
    found = torch.stack([value.sigmoid() for value in model(batch).values()])
    torch.testing.assert_close(found, steps.cumprod(0), rtol=1e-9, atol=1e-12)


def test_a_child_is_never_more_probable_than_its_parent() -> None:
    outputs = build("esmm", CHAIN)(make_batch(CHAIN, 200))
    assert (outputs["buy"] <= outputs["cart"]).all()
    assert (outputs["cart"] <= outputs["click"]).all()


def test_a_task_outside_the_funnel_has_its_networks_output() -> None:
    schema = make_schema(CLICK, CART, SECONDS)
    model, batch = build("esmm", schema), make_batch(schema, 8)
    (first_BTH,) = model.embedding(batch).linear(model.hidden.first)
    logits = model.towers(model.hidden.after_first(first_BTH))
    outputs = model(batch)
    assert torch.equal(outputs["seconds"], logits["seconds"])
    assert torch.equal(outputs["click"], logits["click"])
    assert not torch.equal(outputs["cart"], logits["cart"])


def test_with_room_for_every_cell_it_finds_the_cells_rates() -> None:
    schema = make_schema(CLICK, CART, cardinalities=(3,), num_numeric=0)
    # of 100 exposures of each cell: clicks, and carts among them
    rates = ((50, 25), (20, 2), (80, 60))
    rows = [(cell, int(i < clicks), int(i < carts)) for cell, (clicks, carts) in enumerate(rates) for i in range(100)]
    cells, *labels = torch.tensor(rows).t()
    features = Features(schema.fields, cells[:, None].int(), torch.zeros(300, 0))
    batch = Batch(features, torch.stack(labels, dim=1).float(), torch.ones(300, 2).bool())
    model = build("esmm", schema, tower_dims=(16,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        training_loss(model, batch).backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model(batch)
    found = torch.stack([outputs[task].sigmoid()[::100] for task in ("click", "cart")], dim=1)
    torch.testing.assert_close(found, torch.tensor(rates) / 100, rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        (
            (CLICK, dataclasses.replace(SECONDS, given="click")),
            "needs a funnel of binary tasks, and 'seconds' is not binary",
        ),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (ESMM.requires(make_schema(*tasks)) or "")
