from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.aitm import AITM
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.schema import Batch, Task
from tests.toys import assert_equal_outputs, assert_reach

CHAIN = make_schema(CLICK, CART, BUY)


def lively(**parameters: Any) -> Architecture:
    """With a transfer so large that it matters: from its initial values hardly anything passes."""
    model = build("aitm", CHAIN, **parameters)
    for weight_KK in model.transfer.parameters():
        torch.nn.init.normal_(weight_KK)
    return model


def calibrator(model: Architecture, batch: Batch) -> Tensor:
    return model.training_step(batch)[1]["calibrator"].value


def test_it_is_its_equations() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    x = model.embedding(batch).dense()
    own = []
    for t in range(3):
        hidden = x
        for layer in model.hidden.layers:
            hidden = layer[t](hidden).relu()
        own.append(hidden)
    query, key, value = model.transfer.query_KK, model.transfer.key_KK, model.transfer.value_KK
    chain = [own[0]]
    for t in (1, 2):
        tokens = [own[t], model.passes[t - 1].layers[0][0](chain[-1]).relu()]
        scores = [((u @ query) * (u @ key)).sum(1) / 32**0.5 for u in tokens]
        weights = torch.stack(scores, dim=1).softmax(dim=1)
        chain.append(sum(weights[:, n, None] * (u @ value) for n, u in enumerate(tokens)))
    expected = {task: model.towers.output[t](chain[t])[:, 0] for t, task in enumerate(CHAIN.task_names)}
    assert_equal_outputs(model(batch), expected, 1e-4)


def test_reach() -> None:
    own = r"hidden\.layers\.\d\.{}\..*"
    expected = {
        r"embedding\..*": "click cart buy",
        own.format(0): "click cart buy",
        own.format(1) + r"|passes\.0\..*|transfer\..*": "cart buy",
        own.format(2) + r"|passes\.1\..*|towers\.output\.2\..*": "buy",
        r"towers\.output\.0\..*": "click",
        r"towers\.output\.1\..*": "cart",
    }
    assert_reach(build("aitm", CHAIN), make_batch(CHAIN, 64), expected)


def test_tokens_may_change_places() -> None:
    transfer, tokens_BUK = lively().transfer, torch.randn(8, 2, 32)
    torch.testing.assert_close(transfer(tokens_BUK), transfer(tokens_BUK.flip(1)))


def test_of_two_equal_tokens_it_is_the_value() -> None:
    transfer, token_BK = lively().transfer, torch.randn(8, 32)
    found = transfer(torch.stack([token_BK, token_BK], dim=1))
    torch.testing.assert_close(found, token_BK @ transfer.value_KK, rtol=1e-4, atol=1e-4)


def test_initial_values_of_the_transfer() -> None:
    deviations = [weight_KK.std().item() for weight_KK in build("aitm", CHAIN).transfer.parameters()]
    assert deviations == pytest.approx([0.01] * 3, rel=0.1)


def test_the_calibrator_is_the_mean_excess_of_a_child_over_its_parent() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    outputs, auxiliaries = model.training_step(batch)
    assert_equal_outputs(outputs, model(batch), 0)
    click, cart, buy = (outputs[task].sigmoid() for task in CHAIN.task_names)
    expected = 0.6 * ((cart - click).relu().mean() + (buy - cart).relu().mean())
    assert expected > 0
    assert auxiliaries["calibrator"].task is None
    torch.testing.assert_close(auxiliaries["calibrator"].value, expected)


def test_the_calibrator_is_zero_where_outputs_are_coherent() -> None:
    model, batch = build("aitm", CHAIN), make_batch(CHAIN, 64)
    for layer, bias in zip(model.towers.output, (9.0, 0.0, -9.0), strict=True):
        torch.nn.init.constant_(layer.bias, bias)
    assert calibrator(model, batch) == 0


def test_the_calibrator_does_not_grow_with_the_batch() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    twice = Batch(*(torch.cat([getattr(batch, f.name)] * 2) for f in dataclasses.fields(batch)))
    torch.testing.assert_close(calibrator(model, twice), calibrator(model, batch))


def test_the_calibrator_is_over_rows_where_both_are_observed() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    observed = batch.observed.clone()
    observed[20:, 2] = observed[40:, 0] = False
    click, cart, buy = (value.sigmoid() for value in model(batch).values())
    expected = 0.6 * ((cart - click)[:40].relu().mean() + (buy - cart)[:20].relu().mean())
    torch.testing.assert_close(calibrator(model, dataclasses.replace(batch, observed=observed)), expected)


def test_there_is_none_without_weight_or_funnel() -> None:
    batch, plain = make_batch(CHAIN, 8), build("aitm", CHAIN, calibrator_weight=0.0)
    outputs, auxiliaries = plain.training_step(batch)
    assert auxiliaries == {}
    assert_equal_outputs(outputs, build("aitm", CHAIN)(batch), 0)
    no_funnel = make_schema(LIKE, SHARE)
    assert build("aitm", no_funnel).training_step(make_batch(no_funnel, 8))[1] == {}


def test_it_holds_between_neighbours_only_where_one_is_given_the_other() -> None:
    model = build("aitm", make_schema(CLICK, LIKE, CART, BUY))  # cart is given click, and like stands between
    assert model.pairs == [("cart", "buy")]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="calibrator_weight must be at least 0, found -1"):
        build("aitm", CHAIN, calibrator_weight=-1.0)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [((CLICK,), "at least two tasks"), ((CLICK, SECONDS), "binary tasks alone, and seconds is not")],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (AITM.requires(make_schema(*tasks)) or "")
