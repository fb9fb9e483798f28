from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.chorus_cvr import ChorusCVR
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema
from benchmark.rows import Batch
from benchmark.schema import Task
from tests.toys import assert_equal_outputs, assert_reach, count_parameters

CHAIN = make_schema(CLICK, CART, BUY)
C0 = make_schema(CLICK, CART, cardinalities=(5, 5, 5, 5), num_numeric=0)
NONE = {"negative_weight": 0.0, "ipw_weight": 0.0, "alignment_weight": 0.0}


def cross_entropy(logit: Tensor, label: float) -> Tensor:
    return -label * logit.sigmoid().log() - (1 - label) * (1 - logit.sigmoid()).log()


def network(model: Architecture, hidden: str, towers: str, number: int, x: Tensor) -> Tensor:
    for layers in getattr(model, hidden).layers:
        x = (layers[number].weight @ x + layers[number].bias).clamp(min=0)
    output = getattr(model, towers).output[number]
    return (output.weight @ x + output.bias)[0]


def slow(model: Architecture, batch: Batch, floor: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs and extra losses by the equations, row by row, in probabilities."""
    outputs: dict[str, list[Tensor]] = {task: [] for task in model.schema.task_names}
    sums = {f"{loss}_{task}": [] for task in ("cart", "buy") for loss in ("negative", "ipw", "alignment")}
    for x, labels in zip(model.embedding(batch).dense(), batch.labels.tolist(), strict=True):
        joint = network(model, "hidden", "towers", 0, x)
        outputs["click"].append(joint)
        for number, task in enumerate(("cart", "buy")):
            o, r, p = labels[number], labels[number + 1], joint.sigmoid()
            c = network(model, "hidden", "towers", number + 1, x)
            u = network(model, "complement_hidden", "complement_towers", number, x)
            both, negative = p * c.sigmoid(), p * u.sigmoid()
            sums[f"negative_{task}"].append(cross_entropy((negative / (1 - negative)).log(), o * (1 - r)))
            clicked = o / max(p.item(), floor)
            weight = clicked + (1 - o) / max(1 - p.item(), floor)
            sums[f"ipw_{task}"].append(clicked * (cross_entropy(c, r) + cross_entropy(u, 1 - r)))
            soft = cross_entropy(c, 1 - u.sigmoid().item()) + cross_entropy(u, 1 - c.sigmoid().item())
            sums[f"alignment_{task}"].append(weight * soft)
            joint = (both / (1 - both)).log()
            outputs[task].append(joint)
    means = {name: torch.stack(values).mean() for name, values in sums.items()}
    return {task: torch.stack(values) for task, values in outputs.items()}, means


def auxiliaries(model: Architecture, batch: Batch) -> dict[str, Tensor]:
    return {name: auxiliary.value for name, auxiliary in model.training_step(batch)[1].items()}


def gradients(model: Architecture, outputs: dict[str, Tensor], losses: dict[str, Tensor]) -> list[Tensor]:
    whole = sum(t * output.square().sum() for t, output in enumerate(outputs.values(), start=1))
    whole = whole + sum(n * loss for n, loss in enumerate(losses.values(), start=1))
    return list(torch.autograd.grad(whole, list(model.parameters())))


@pytest.mark.parametrize("floor", [0.01, 0.55], ids=["no floor acts", "the floor acts"])
def test_it_is_its_equations(floor: float) -> None:
    model = build("chorus_cvr", CHAIN, tower_dims=(12, 8), propensity_floor=floor).double()
    batch = make_batch(CHAIN, 24)
    outputs, losses = slow(model, batch, floor)
    found = auxiliaries(model, batch)
    torch.testing.assert_close(model(batch), outputs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.training_step(batch)[0], outputs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found, losses, rtol=1e-10, atol=1e-10)
    expected = gradients(model, outputs, losses)
    torch.testing.assert_close(gradients(model, model(batch), found), expected, rtol=1e-10, atol=1e-10)


def test_without_its_losses_it_is_esmm() -> None:
    model, esmm, batch = build("chorus_cvr", CHAIN, **NONE), build("esmm", CHAIN), make_batch(CHAIN, 32)
    assert count_parameters(model) == count_parameters(esmm)
    outputs, losses = model.training_step(batch)
    assert losses == {}
    assert_equal_outputs(outputs, esmm(batch), 0)


def test_a_loss_without_weight_is_left_out() -> None:
    model, batch = build("chorus_cvr", CHAIN, alignment_weight=0.0, ipw_weight=0.5), make_batch(CHAIN, 32)
    whole = auxiliaries(build("chorus_cvr", CHAIN), batch)
    found = auxiliaries(model, batch)
    assert list(found) == ["negative_cart", "ipw_cart", "negative_buy", "ipw_buy"]
    torch.testing.assert_close(found["ipw_buy"], whole["ipw_buy"] / 2)


def test_the_alignment_moves_the_two_to_a_sum_of_one() -> None:
    schema = make_schema(CLICK, CART)
    model, batch = build("chorus_cvr", schema, negative_weight=0.0, ipw_weight=0.0), make_batch(schema, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    torch.nn.init.constant_(model.towers.output[1].bias, 2.0)
    torch.nn.init.constant_(model.complement_towers.output[0].bias, 1.0)

    def excess() -> float:
        x = model.embedding(batch).dense()
        own = torch.stack([network(model, "hidden", "towers", 1, row) for row in x])
        other = torch.stack([network(model, "complement_hidden", "complement_towers", 0, row) for row in x])
        return (own.sigmoid() + other.sigmoid() - 1).abs().mean().item()

    before = excess()
    for _ in range(60):
        optimizer.zero_grad()
        sum(auxiliaries(model, batch).values()).backward()
        optimizer.step()
    assert excess() < 0.2 * before


def test_a_constant_model_has_losses_known_by_hand() -> None:
    schema = make_schema(CLICK, CART)
    model = build("chorus_cvr", schema).double()
    for towers in (model.towers, model.complement_towers):
        for layer in towers.output:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    batch = make_batch(schema, 4)
    labels = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    found = auxiliaries(model, dataclasses.replace(batch, labels=labels))
    # every probability is .5: weights are 2, and p(click, not buy) is .25, of which one row of four is a positive
    expected = {
        "negative_cart": (math.log(4) + 3 * math.log(4 / 3)) / 4,
        "ipw_cart": 2 * 2 * 2 * math.log(2) / 4,
        "alignment_cart": 2 * 2 * math.log(2),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected)


def test_without_clicks_nothing_is_known_of_conversions() -> None:
    model, batch = build("chorus_cvr", CHAIN), make_batch(CHAIN, 16)
    found = auxiliaries(model, dataclasses.replace(batch, labels=torch.zeros_like(batch.labels)))
    assert found["ipw_cart"] == found["ipw_buy"] == 0
    assert found["alignment_cart"] > 0


def test_rows_without_a_label_are_left_out() -> None:
    model, batch = build("chorus_cvr", CHAIN), make_batch(CHAIN, 32)
    observed = batch.observed.clone()
    observed[20:, 1] = False
    found = auxiliaries(model, dataclasses.replace(batch, observed=observed))
    expected = auxiliaries(model, batch.cut(0, 20))
    torch.testing.assert_close(found, expected)


def reached(model: Architecture, loss: Tensor) -> set[str]:
    """The networks that a loss reaches."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    at = [name for name, grad in zip(names, found, strict=True) if grad is not None and grad.any()]
    return {f"{name.split('.')[0]} {name.split('.')[-2]}" for name in at if "hidden" in name}


def test_reach() -> None:
    model, batch = build("chorus_cvr", CHAIN), make_batch(CHAIN, 64)
    expected = {
        r"embedding\..*": "click cart buy",
        r"complement_.*": "",
        r"(hidden\.layers\.\d|towers\.output)\.0\..*": "click cart buy",
        r"(hidden\.layers\.\d|towers\.output)\.1\..*": "cart buy",
        r"(hidden\.layers\.\d|towers\.output)\.2\..*": "buy",
    }
    assert_reach(model, batch, expected)
    losses = auxiliaries(model, batch)
    assert reached(model, losses["negative_buy"]) == {"hidden 0", "hidden 1", "complement_hidden 1"}
    assert reached(model, losses["ipw_buy"]) == {"hidden 2", "complement_hidden 1"}
    assert reached(model, losses["alignment_cart"]) == {"hidden 1", "complement_hidden 0"}


def test_parameter_count() -> None:
    # two networks of tasks and one of the complement, each of 32 x 16 + 16, 16 x 12 + 12 and 12 + 1
    assert count_parameters(build("chorus_cvr", C0, embedding_dim=8, tower_dims=(16, 12))) == 3 * (528 + 204 + 13)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ipw_weight": -1.0}, "ipw_weight must be at least 0, found -1"),
        ({"propensity_floor": 0.0}, "propensity_floor must be above 0 and at most 1, found 0"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("chorus_cvr", CHAIN, **parameters)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        ((CLICK, dataclasses.replace(SECONDS, given="click")), "'seconds' is not binary"),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (ChorusCVR.requires(make_schema(*tasks)) or "")
