from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.resflow import ResFlow
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema
from benchmark.rows import Batch
from benchmark.schema import Task
from tests.toys import assert_equal_outputs, assert_reach, count_parameters

CHAIN = make_schema(CLICK, CART, BUY)
TREE = make_schema(CLICK, SECONDS, CART, dataclasses.replace(BUY, given="click"))
C0 = make_schema(CLICK, CART, cardinalities=(5, 5, 5, 5), num_numeric=0)
NO_RESIDUALS = {"feature_residuals": False, "logit_residuals": False}


def network(number: int) -> str:
    return rf"(hidden\.layers\.\d|towers\.output)\.{number}\..*"


def slow(model: Architecture, batch: Batch) -> dict[str, Tensor]:
    """The equations, row by row and task by task."""
    rows: dict[str, list[Tensor]] = {task: [] for task in model.schema.task_names}
    for x in model.embedding(batch).dense():
        features: dict[str, list[Tensor]] = {}
        logits: dict[str, Tensor] = {}
        for t, task in enumerate(model.schema.tasks):
            of_parent = features.get(task.given or "")
            own, stream = [], x
            for level, layers in enumerate(model.hidden.layers):
                own.append((layers[t].weight @ stream + layers[t].bias).clamp(min=0))
                stream = own[-1] if of_parent is None else own[-1] + of_parent[level]
            features[task.name] = own
            output = model.towers.output[t]
            logit = (output.weight @ stream + output.bias)[0]
            logits[task.name] = logit if task.given is None else logit + logits[task.given]
            rows[task.name].append(logits[task.name])
    return {task: torch.stack(values) for task, values in rows.items()}


def gradients(model: Architecture, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    loss = sum((t + 1) * output.square().sum() for t, output in enumerate(outputs.values()))
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


@pytest.mark.parametrize("schema", [CHAIN, TREE], ids=["a chain", "a tree, and a task beside it"])
def test_it_is_its_equations(schema: Any) -> None:
    model, batch = build("resflow", schema, tower_dims=(12, 8)).double(), make_batch(schema, 16)
    expected = slow(model, batch)
    torch.testing.assert_close(model(batch), expected, rtol=1e-10, atol=1e-10)
    found = gradients(model, model(batch))
    torch.testing.assert_close(found, gradients(model, expected), rtol=1e-10, atol=1e-10)


def test_without_residuals_it_is_separate_networks() -> None:
    model, batch = build("resflow", CHAIN, **NO_RESIDUALS), make_batch(CHAIN, 32)
    x = model.embedding(batch).dense()
    expected = {}
    for t, task in enumerate(CHAIN.task_names):
        hidden = x
        for layers in model.hidden.layers:
            hidden = layers[t](hidden).relu()
        expected[task] = model.towers.output[t](hidden)[:, 0]
    assert_equal_outputs(model(batch), expected)
    assert_reach(
        model, batch, {r"embedding\..*": "click cart buy", **{network(t): CHAIN.task_names[t] for t in range(3)}}
    )


def test_a_parent_whose_features_and_logit_are_zero_changes_nothing() -> None:
    model, separate, batch = build("resflow", CHAIN), build("resflow", CHAIN, **NO_RESIDUALS), make_batch(CHAIN, 32)
    assert not torch.allclose(model(batch)["cart"], separate(batch)["cart"])
    for each in (model, separate):
        for layer in (*(layers[0] for layers in each.hidden.layers), each.towers.output[0]):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    assert torch.equal(model(batch)["cart"], separate(batch)["cart"])


def test_the_childs_logit_is_its_parents_plus_the_residual() -> None:
    model, batch = build("resflow", CHAIN), make_batch(CHAIN, 32)
    before = model(batch)
    torch.nn.init.zeros_(model.towers.output[1].weight)
    torch.nn.init.constant_(model.towers.output[1].bias, -2.0)
    after = model(batch)
    torch.testing.assert_close(after["cart"], after["click"] - 2)
    torch.testing.assert_close(after["click"], before["click"])
    torch.testing.assert_close(after["buy"] - after["cart"], before["buy"] - before["cart"])


def test_a_childs_loss_reaches_its_ancestors() -> None:
    expected = {
        r"embedding\..*": "click cart buy",
        network(0): "click cart buy",
        network(1): "cart buy",
        network(2): "buy",
    }
    assert_reach(build("resflow", CHAIN), make_batch(CHAIN, 64), expected)


def test_parameter_count() -> None:
    # two networks of 32 x 16 + 16, 16 x 12 + 12 and 12 + 1: residuals have none
    assert count_parameters(build("resflow", C0, embedding_dim=8, tower_dims=(16, 12))) == 2 * (528 + 204 + 13)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        ((CLICK, dataclasses.replace(SECONDS, given="click")), "'seconds' is not binary"),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (ResFlow.requires(make_schema(*tasks)) or "")


def test_no_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="layer widths must be at least one number of at least 1"):
        build("resflow", CHAIN, tower_dims=())
