from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from architectures import Architecture
from architectures.funnel_softmax import Funnel, FunnelSoftmax, cells_of, count_cells, funnels_of
from benchmark.contracts.toys import (
    BUY,
    CART,
    CLICK,
    LIKE,
    SECONDS,
    build,
    make_batch,
    make_schema,
    task_losses,
    training_loss,
)
from benchmark.kinds import BINARY
from benchmark.rows import Batch, Features
from benchmark.schema import Task
from benchmark.training.targets import TaskLosses
from tests.architectures.loops import assert_is_by_batch, cross_entropy, embed, linear, mlp, unit
from tests.toys import assert_equal_outputs, assert_reach, count_parameters

SAVE = Task("save", BINARY, given="click")  # a sibling of cart
CHAIN = make_schema(CLICK, CART, BUY)
MIXED = make_schema(CLICK, SECONDS, CART, BUY)
TREE = make_schema(CLICK, CART, SAVE, BUY)
SMALL: dict[str, Any] = {"embedding_dim": 8, "bottom_dims": (16,), "tower_dims": (8,)}


def lively(schema: Any, **parameters: Any) -> Architecture:
    """With scores far from equal."""
    model = build("funnel_softmax", schema, **parameters)
    with torch.no_grad():
        model.funnels[0].score.weight *= 20
    return model


def by_hand(model: Architecture, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """One row at a time, in probabilities: a chain of three beside a regression."""
    values: dict[str, list[Tensor]] = {task: [] for task in MIXED.task_names}
    loss = torch.zeros((), dtype=torch.float64)
    for row in range(len(batch)):
        click, seconds, cart, buy = batch.labels[row].double()
        bottom = mlp(unit(model.bottom, 0), embed(model.embedding, batch, row))
        p = linear(model.funnels[0].score, mlp(unit(model.hidden, 0), bottom)).softmax(dim=0)
        assert model.funnels[0].cells_CK.sum(dim=1).tolist() == [0, 1, 2, 3]
        value = linear(model.towers.output[0], mlp(unit(model.hidden, 1), bottom))[0]
        values["click"].append((p[1] + p[2] + p[3]).logit())
        values["cart"].append((p[2] + p[3]).logit())
        values["buy"].append(p[3].logit())
        values["seconds"].append(value)
        loss = loss - p[int(click + cart + buy)].log() + (value - seconds) ** 2
    return {task: torch.stack(value) for task, value in values.items()}, loss / len(batch)


def test_it_is_its_equations_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("architectures.funnel_softmax.LEFT", 0.0)
    assert_is_by_batch(lively(MIXED, **SMALL), make_batch(MIXED, 12), by_hand)


def test_parameter_count() -> None:
    schema = make_schema(CLICK, LIKE, CART, cardinalities=(5, 5, 5, 5), num_numeric=0)
    bottom, hidden = 33 * 16, 17 * 8  # the hidden layer of a tower
    assert count_parameters(build("funnel_softmax", schema, **SMALL)) == bottom + 2 * hidden + 9 * 3 + 9


def test_reach() -> None:
    expected = {
        r"embedding\..*|bottom\..*": "click seconds cart buy",
        r"hidden\.layers\.\d\.0\..*|funnels\.0\..*": "click cart buy",
        r"hidden\.layers\.\d\.1\..*|towers\..*": "seconds",
    }
    assert_reach(build("funnel_softmax", MIXED), make_batch(MIXED, 64), expected)


def test_the_losses_of_a_funnel_sum_to_the_cross_entropy_of_its_cells() -> None:
    model, batch = lively(CHAIN), make_batch(CHAIN, 64)
    _, (scores_BC,) = model._read(batch)
    expected = F.cross_entropy(scores_BC, batch.labels.sum(dim=1).long())
    torch.testing.assert_close(training_loss(model, batch), expected)


def test_each_loss_is_of_the_label_given_those_before() -> None:
    model, batch = lively(CHAIN), make_batch(CHAIN, 64)
    outputs, auxiliaries = model.training_step(batch)
    losses_T, *_ = TaskLosses(CHAIN.tasks, (True, True, True))(outputs, auxiliaries, batch)
    assert {name: auxiliary.task for name, auxiliary in auxiliaries.items()} == {
        "likelihood_cart": "cart",
        "likelihood_buy": "buy",
    }
    click, cart, buy = (value.sigmoid() for value in model(batch).values())
    o_click, o_cart, o_buy = batch.labels.t()
    expected = [
        cross_entropy(click, o_click).mean(),
        (o_click * cross_entropy(cart / click, o_cart)).mean(),
        (o_cart * cross_entropy(buy / cart, o_buy)).mean(),
    ]
    torch.testing.assert_close(losses_T, torch.stack(expected), rtol=1e-4, atol=2e-6)


def test_outputs_in_training_are_those_of_evaluation_and_the_childrens_are_detached() -> None:
    model, batch = lively(MIXED), make_batch(MIXED, 32)
    outputs, _ = model.training_step(batch)
    assert_equal_outputs(outputs, model(batch), 0)
    assert [task for task, output in outputs.items() if output.requires_grad] == ["click", "seconds"]


def test_a_batch_without_clicks_gives_children_no_loss_and_no_gradient() -> None:
    model, batch = lively(CHAIN), make_batch(CHAIN, 64)
    batch = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels))
    outputs, auxiliaries = model.training_step(batch)
    losses_T, *_ = TaskLosses(CHAIN.tasks, (True, True, True))(outputs, auxiliaries, batch)
    assert (losses_T[1:] >= 0).all()
    assert (losses_T[1:] < 2e-6).all()
    losses_T[1:].sum().backward()
    assert not any(parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_what_is_not_observed_is_summed_over() -> None:
    """On rows with cart unknown and click known, and on rows with cart known and click not."""
    funnel = Funnel((CLICK, CART), 4)
    scores = torch.randn(2, 3, dtype=torch.float64)
    observed = torch.tensor([[True, False], [False, True]])
    found = funnel.losses(scores, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), observed)
    p = scores.softmax(dim=1)
    expected = torch.stack([-(p[0, 1] + p[0, 2]).log(), p.new_zeros(()), p.new_zeros(()), -p[1, 2].log()])
    torch.testing.assert_close(found.flatten(), expected)


def test_losses_are_means_over_the_rows_that_are_observed() -> None:
    model, batch = lively(CHAIN), make_batch(CHAIN, 64)
    observed = batch.observed.clone()
    observed[20:, 1:] = False
    partly = dataclasses.replace(batch, observed=observed)
    found, *_ = TaskLosses(CHAIN.tasks, (True, False, False))(*model.training_step(partly), partly)
    alone, *_ = TaskLosses(CHAIN.tasks, (True, True, True))(*model.training_step(batch.cut(0, 20)), batch.cut(0, 20))
    torch.testing.assert_close(found[1:], alone[1:])


def test_siblings_have_a_cell_for_every_combination() -> None:
    assert cells_of(TREE.tasks) == [
        (0, 0, 0, 0),
        (1, 0, 0, 0),
        (1, 0, 1, 0),
        (1, 1, 0, 0),
        (1, 1, 0, 1),
        (1, 1, 1, 0),
        (1, 1, 1, 1),
    ]
    model, batch = lively(TREE).double(), make_batch(TREE, 64)
    _, (scores_BC,) = model._read(batch)
    p = scores_BC.softmax(dim=1)
    expected = {
        "click": p[:, 1:].sum(1),
        "cart": p[:, 3:].sum(1),
        "save": p[:, [2, 5, 6]].sum(1),
        "buy": p[:, [4, 6]].sum(1),
    }
    assert_equal_outputs(model(batch), {task: value.logit() for task, value in expected.items()}, 1e-9)
    cells = [cells_of(TREE.tasks).index(tuple(int(label) for label in row)) for row in batch.labels.tolist()]
    likelihood = F.cross_entropy(scores_BC, torch.tensor(cells))
    torch.testing.assert_close(training_loss(model, batch), likelihood, rtol=1e-5, atol=1e-5)


def test_a_child_is_never_more_probable_than_its_parent() -> None:
    outputs = lively(TREE)(make_batch(TREE, 200))
    for child, parent in (("buy", "cart"), ("cart", "click"), ("save", "click")):
        assert (outputs[child] <= outputs[parent] + 1e-6).all()


def test_every_funnel_has_its_own_cells_and_outputs_keep_the_order_of_tasks() -> None:
    order = Task("order", BINARY, given="like")
    schema = make_schema(LIKE, CLICK, order, CART, SECONDS)
    assert funnels_of(schema) == [[LIKE, order], [CLICK, CART]]
    model = build("funnel_softmax", schema)
    assert [funnel.score.out_features for funnel in model.funnels] == [3, 3]
    assert [task.name for task in model.towers.tasks] == ["seconds"]
    assert list(model(make_batch(schema, 4))) == list(schema.task_names)


def test_it_is_finite_where_a_cell_is_impossible() -> None:
    model, batch = build("funnel_softmax", CHAIN), make_batch(CHAIN, 64)
    with torch.no_grad():
        model.funnels[0].score.bias.copy_(torch.tensor([300.0, -300.0, 0.0, -300.0]))
    loss = training_loss(model, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(output.isfinite().all() for output in model(batch).values())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_with_room_for_every_cell_it_finds_the_cells_rates() -> None:
    schema = make_schema(CLICK, CART, cardinalities=(3,), num_numeric=0)
    rates = ((50, 25), (20, 2), (80, 60))  # of 100 exposures: clicks, and carts among them
    rows = [(code, int(i < clicks), int(i < carts)) for code, (clicks, carts) in enumerate(rates) for i in range(100)]
    codes, *labels = torch.tensor(rows).t()
    features = Features(schema.fields, codes[:, None].int(), torch.zeros(300, 0))
    batch = Batch(features, torch.stack(labels, dim=1).float(), torch.ones(300, 2).bool())
    model = build("funnel_softmax", schema, bottom_dims=(16,), tower_dims=(16,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first = task_losses(model, batch, model(batch))["cart"]
    for _ in range(300):
        optimizer.zero_grad()
        training_loss(model, batch).backward()
        optimizer.step()
    outputs = model(batch)
    found = torch.stack([outputs[task].sigmoid()[::100] for task in ("click", "cart")], dim=1)
    torch.testing.assert_close(found, torch.tensor(rates) / 100, rtol=0, atol=0.01)
    assert task_losses(model, batch, outputs)["cart"] < first


@pytest.mark.parametrize("tasks", [CHAIN.tasks, TREE.tasks, (CLICK, SAVE), (CLICK, CART, BUY, SAVE)])
def test_cells_are_counted_without_making_them(tasks: tuple[Task, ...]) -> None:
    assert count_cells(tasks) == len(cells_of(tasks))


def test_a_funnel_of_very_many_cells_is_refused_at_once() -> None:
    many = [Task(f"after{number}", BINARY, given="click") for number in range(40)]
    reason = FunnelSoftmax.requires(make_schema(CLICK, *many))
    assert reason == f"needs a funnel of at most 64 combinations of labels, and there are {1 + 2**40}"


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        ((CLICK, dataclasses.replace(SECONDS, given="click")), "'seconds' is not binary"),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (FunnelSoftmax.requires(make_schema(*tasks)) or "")
