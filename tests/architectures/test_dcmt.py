from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.dcmt import DCMT, weighted_loss
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema, training_loss
from benchmark.rows import Batch, Features
from benchmark.schema import Task
from tests.architectures.loops import assert_is_by_batch, cross_entropy, embed, linear, mlp, unit
from tests.toys import assert_reach, count_parameters

CHAIN = make_schema(CLICK, CART, BUY)
SMALL: dict[str, Any] = {"embedding_dim": 8, "tower_dims": (16, 8)}
OWN = r"(hidden\.layers\.\d|towers\.output)\.{}\..*"


def lively(**parameters: Any) -> Architecture:
    """With logits far from 0."""
    model = build("dcmt", CHAIN, **parameters)
    with torch.no_grad():
        for layer in (*model.towers.output, *model.twins):
            layer.weight *= 20
    return model


def extras(model: Architecture, batch: Batch) -> dict[str, Tensor]:
    return {name: auxiliary.value for name, auxiliary in model.training_step(batch)[1].items()}


def by_hand(model: Architecture, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """One row at a time, in probabilities."""
    probabilities: dict[str, list[Tensor]] = {task: [] for task in CHAIN.task_names}
    loss, zero = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    factual, factual_weights = [zero, zero], [zero, zero]  # of cart and of buy
    counterfactual, counterfactual_weights = [zero, zero], [zero, zero]
    for row in range(len(batch)):
        x, labels = embed(model.embedding, batch, row), batch.labels[row].double()
        parent, clicked = torch.ones((), dtype=torch.float64), 1.0
        for t, task in enumerate(CHAIN.task_names):
            hidden = mlp(unit(model.hidden, t), x)
            conditional = linear(model.towers.output[t], hidden)[0].sigmoid()
            joint = parent * conditional
            loss = loss + cross_entropy(joint, labels[t]) / len(batch)
            if t > 0:
                twin = linear(model.twins[t - 1], hidden)[0].sigmoid()
                q = parent.item()
                if clicked == 1:
                    factual[t - 1] = factual[t - 1] + cross_entropy(conditional, labels[t]) / q
                    factual_weights[t - 1] = factual_weights[t - 1] + 1 / q
                else:
                    counterfactual[t - 1] = counterfactual[t - 1] + cross_entropy(twin, 1 - labels[t]) / (1 - q)
                    counterfactual_weights[t - 1] = counterfactual_weights[t - 1] + 1 / (1 - q)
                loss = loss + model.consistency_weight * (1 - (conditional + twin)).abs() / len(batch)
            probabilities[task].append(joint)
            parent, clicked = joint, labels[t].item()
    for t in range(2):
        loss = loss + model.causal_weight * factual[t] / factual_weights[t]
        loss = loss + model.causal_weight * counterfactual[t] / counterfactual_weights[t]
    return {task: torch.stack(values).logit() for task, values in probabilities.items()}, loss


def test_it_is_its_equations_row_by_row() -> None:
    model = lively(causal_weight=0.7, consistency_weight=0.3, **SMALL)
    assert_is_by_batch(model, make_batch(CHAIN, 16), by_hand)


def test_parameter_count() -> None:
    schema = make_schema(CLICK, CART, cardinalities=(5, 5, 5, 5), num_numeric=0)
    network = 33 * 16 + 17 * 8 + 9
    assert count_parameters(build("dcmt", schema, **SMALL)) == 2 * network + 9
    assert count_parameters(build("esmm", schema, **SMALL)) == 2 * network


def test_reach() -> None:
    expected = {
        r"embedding\..*": "click cart buy",
        OWN.format(0): "click cart buy",
        OWN.format(1): "cart buy",
        OWN.format(2): "buy",
        r"twins\..*": "",
    }
    assert_reach(build("dcmt", CHAIN), make_batch(CHAIN, 64), expected)


def test_what_the_extra_losses_reach() -> None:
    model = lively()
    _, auxiliaries = model.training_step(make_batch(CHAIN, 64))
    names, parameters = zip(*model.named_parameters(), strict=True)
    reached = {}
    for loss, auxiliary in auxiliaries.items():
        found = torch.autograd.grad(
            auxiliary.value, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        reached[loss] = {name for name, gradient in zip(names, found, strict=True) if gradient.any()}
        assert auxiliary.task == loss.split("_")[1]
    for number, child in ((1, "cart"), (2, "buy")):
        body = {
            "embedding.small.weight",
            *(f"hidden.layers.{n}.{number}.{p}" for n in range(3) for p in ("weight", "bias")),
        }
        output = {f"towers.output.{number}.{p}" for p in ("weight", "bias")}
        twin = {f"twins.{number - 1}.{p}" for p in ("weight", "bias")}
        assert reached[f"factual_{child}"] == body | output
        assert reached[f"counterfactual_{child}"] == body | twin
        assert reached[f"consistency_{child}"] == body | output | twin


def test_outputs_are_those_of_esmm_and_without_weights_so_is_the_loss() -> None:
    esmm, batch = build("esmm", CHAIN), make_batch(CHAIN, 64)
    model = build("dcmt", CHAIN)
    without = build("dcmt", CHAIN, causal_weight=0.0, consistency_weight=0.0)
    assert without.state_dict().keys() == esmm.state_dict().keys()
    torch.testing.assert_close(model(batch), esmm(batch), rtol=0, atol=0)
    torch.testing.assert_close(without.training_step(batch), (esmm(batch), {}), rtol=0, atol=0)


def test_the_weighted_loss_is_that_of_weights_in_probabilities() -> None:
    logit, propensity = torch.randn(2, 50, dtype=torch.float64) * 3
    label, chosen = (torch.rand(2, 50) < 0.5).double()
    weight = chosen / propensity.sigmoid()
    expected = (weight * cross_entropy(logit.sigmoid(), label)).sum() / weight.sum()
    torch.testing.assert_close(weighted_loss(logit, label, propensity, chosen > 0), expected)


def test_the_weighted_loss_without_rows_is_zero_and_is_finite_for_rare_ones() -> None:
    logit, label = torch.tensor([1.0, -2.0]), torch.tensor([1.0, 0.0])
    assert weighted_loss(logit, label, torch.zeros(2), torch.zeros(2).bool()) == 0
    first = weighted_loss(logit, label, torch.tensor([-500.0, 0.0]), torch.ones(2).bool())
    torch.testing.assert_close(first, torch.tensor(1.0).exp().reciprocal().log1p())  # the rare row has all the weight


def test_the_losses_do_not_grow_with_the_batch() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    torch.testing.assert_close(extras(model, batch.take(torch.arange(64).repeat(2))), extras(model, batch))


def test_they_are_over_rows_where_both_are_observed() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    observed = batch.observed.clone()
    observed[20:40, 1] = observed[40:, 0] = False
    found = extras(model, dataclasses.replace(batch, observed=observed))
    expected = extras(model, batch.cut(0, 20))
    for loss in ("factual_cart", "counterfactual_cart", "consistency_cart"):
        torch.testing.assert_close(found[loss], expected[loss])


@pytest.mark.parametrize(("label", "empty"), [(0.0, "factual_cart"), (1.0, "counterfactual_cart")])
def test_without_clicks_or_with_clicks_alone(label: float, empty: str) -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    found = extras(model, dataclasses.replace(batch, labels=torch.full_like(batch.labels, label)))
    assert found[empty] == 0
    assert all(value.isfinite() for value in found.values())


def test_the_consistency_is_zero_where_the_twin_is_the_opposite() -> None:
    model = lively()
    for twin, output in zip(model.twins, model.towers.output[1:], strict=True):
        twin.load_state_dict({name: -value for name, value in output.state_dict().items()})
    found = extras(model, make_batch(CHAIN, 64))
    assert max(found["consistency_cart"], found["consistency_buy"]) < 1e-9


def test_the_twin_learns_the_constant_one() -> None:
    """As the docstring says: it sees no other label."""
    schema = make_schema(CLICK, CART, cardinalities=(3,), num_numeric=0)
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(3, (600, 1), generator=generator).int()
    click = (torch.rand(600, generator=generator) < torch.tensor([0.5, 0.2, 0.8])[cells[:, 0].long()]).float()
    cart = click * (torch.rand(600, generator=generator) < 0.5)
    batch = Batch(
        Features(schema.fields, cells, torch.zeros(600, 0)),
        torch.stack([click, cart], dim=1),
        torch.ones(600, 2).bool(),
    )
    model = build("dcmt", schema, tower_dims=(16,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        training_loss(model, batch).backward()
        optimizer.step()
    twin = model.twins[0](model._hidden(batch)[:, 1]).sigmoid()
    assert twin.min() > 0.99
    conditional = model(batch)["cart"].sigmoid() / model(batch)["click"].sigmoid()
    torch.testing.assert_close(conditional.mean(), torch.tensor(0.5), rtol=0, atol=0.05)


@pytest.mark.parametrize("name", ["causal_weight", "consistency_weight"])
def test_negative_weights_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0, found -1"):
        build("dcmt", CHAIN, **{name: -1.0})


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        ((CLICK, dataclasses.replace(SECONDS, given="click")), "'seconds' is not binary"),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (DCMT.requires(make_schema(*tasks)) or "")
