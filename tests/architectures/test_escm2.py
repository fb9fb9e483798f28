from __future__ import annotations

import dataclasses
import re
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from architectures import Architecture
from architectures.escm2 import ESCM2, doubly_robust
from architectures.funnel import and_logit
from benchmark.contracts.toys import BUY, CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema, training_loss
from benchmark.rows import Batch
from benchmark.schema import Task
from tests.architectures.loops import assert_is_by_batch, cross_entropy, embed, mix, mlp, tower, unit
from tests.toys import assert_equal_outputs, assert_reach, count_parameters

CHAIN = make_schema(CLICK, CART, BUY)
WITH_VALUE = make_schema(CLICK, CART, SECONDS)
FORMS = ("ips", "dr")
OWN = r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.{}\..*"
SMALL = {"embedding_dim": 8, "num_experts": 4, "expert_dims": (16,), "tower_dims": (8,)}

Form = Literal["ips", "dr"]


def lively(form: Form = "ips", **parameters: Any) -> Architecture:
    """With logits far from 0."""
    model = build("escm2", CHAIN, form=form, **parameters)
    with torch.no_grad():
        for layer in model.towers.output:
            layer.weight *= 20
    return model


def by_hand(model: Architecture, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """One row at a time, in probabilities."""
    probabilities: dict[str, list[Tensor]] = {task: [] for task in CHAIN.task_names}
    loss = torch.zeros((), dtype=torch.float64)
    for row in range(len(batch)):
        x, labels = embed(model.embedding, batch, row), batch.labels[row].double()
        experts = [mlp(unit(model.experts, e), x) for e in range(len(model.experts.first))]
        parent, clicked = torch.ones(()), torch.ones(())
        for t, task in enumerate(CHAIN.task_names):
            conditional = tower(model.towers, t, mix(model.task_gates[t], x, experts)).sigmoid()
            joint = parent * conditional
            loss = loss + cross_entropy(joint, labels[t])
            if t > 0:
                weight = clicked / max(parent.item(), model.propensity_floor)
                error = cross_entropy(conditional, labels[t])
                risk = weight * error
                if model.imputes:
                    imputed = tower(model.imputation_towers, t - 1, mix(model.imputation_gates[t - 1], x, experts))
                    first, second = (imputed.detach(), error.detach()) if model.detach_imputation else (imputed, error)
                    risk = first + weight * (error - first) + weight * (second - imputed) ** 2
                loss = loss + model.counterfactual_weight * risk
            probabilities[task].append(joint)
            parent, clicked = joint, labels[t]
    return {task: torch.stack(values).logit() for task, values in probabilities.items()}, loss / len(batch)


@pytest.mark.parametrize(("form", "detaches"), [("ips", False), ("dr", False), ("dr", True)])
def test_it_is_its_equations_row_by_row(form: Form, detaches: bool) -> None:
    model = lively(form, counterfactual_weight=0.7, detach_imputation=detaches, **SMALL)
    batch = make_batch(CHAIN, 12)
    model.propensity_floor = model(batch)["click"].sigmoid().median().item()  # some rows below it, some above
    assert_is_by_batch(model, batch, by_hand)


@pytest.mark.parametrize(("form", "parameters"), [("ips", 2658), ("dr", 2658 + 32 * 4 + 17 * 8 + 9)])
def test_parameter_count(form: Form, parameters: int) -> None:
    schema = make_schema(CLICK, CART, cardinalities=(5, 5, 5, 5), num_numeric=0)
    assert count_parameters(build("escm2", schema, form=form, **SMALL)) == parameters


@pytest.mark.parametrize("form", FORMS)
def test_reach(form: Form) -> None:
    expected = {
        r"embedding\..*|experts\..*": "click cart buy",
        OWN.format(0): "click cart buy",
        OWN.format(1): "cart buy",
        OWN.format(2): "buy",
        r"imputation_.*": "",
    }
    assert_reach(build("escm2", CHAIN, form=form), make_batch(CHAIN, 64), expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_extra_losses_reach_their_child_and_what_is_shared(form: Form) -> None:
    model = lively(form)
    _, auxiliaries = model.training_step(make_batch(CHAIN, 64))
    assert {name: auxiliary.task for name, auxiliary in auxiliaries.items()} == {
        "counterfactual_cart": "cart",
        "counterfactual_buy": "buy",
    }
    names, parameters = zip(*model.named_parameters(), strict=True)
    for number, auxiliary in enumerate(auxiliaries.values(), start=1):
        found = torch.autograd.grad(
            auxiliary.value, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(names, found, strict=True):
            unit = int(next((part for part in reversed(name.split(".")) if part.isdigit()), 0))
            is_shared = name.startswith(("embedding", "experts"))
            is_own = unit == (number - 1 if name.startswith("imputation") else number)
            assert bool(gradient.any()) == (is_shared or is_own), name


@pytest.mark.parametrize("form", FORMS)
def test_without_weight_it_is_esmm_on_the_experts_of_mmoe_step_for_step(form: Form) -> None:
    model, mmoe = build("escm2", CHAIN, form=form, counterfactual_weight=0.0), build("mmoe", CHAIN)
    assert model.state_dict().keys() == mmoe.state_dict().keys()
    for step in range(5):
        batch = make_batch(CHAIN, 64, seed=step)
        assert model.training_step(batch)[1] == {}
        logits = mmoe(batch)
        joint = torch.stack([logits["click"], and_logit(logits["click"], logits["cart"]), torch.zeros(64)])
        joint[2] = and_logit(joint[1].clone(), logits["buy"])
        loss = sum(
            (F.binary_cross_entropy_with_logits(joint[t], batch.labels[:, t]) for t in range(3)), torch.zeros(())
        )
        torch.testing.assert_close(training_loss(model, batch), loss)
        for each, value in ((model, training_loss(model, batch)), (mmoe, loss)):
            each.zero_grad()
            value.backward()
            with torch.no_grad():
                for parameter in each.parameters():
                    parameter -= 0.1 * parameter.grad
    torch.testing.assert_close(model.state_dict(), mmoe.state_dict())


@pytest.mark.parametrize("form", FORMS)
def test_the_weight_does_not_move_the_gradient_of_the_first_tower(form: Form) -> None:
    found = []
    for weight in (0.1, 1.0):
        model = lively(form, counterfactual_weight=weight)
        training_loss(model, make_batch(CHAIN, 64)).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    own = [name for name in found[0] if re.fullmatch(OWN.format(0), name)]
    assert len(own) == 5
    for name in own:
        torch.testing.assert_close(found[0][name], found[1][name])
    assert not torch.allclose(found[0]["experts.layers.0.0.weight"], found[1]["experts.layers.0.0.weight"])


def test_to_the_conversion_the_first_term_of_dr_is_ips() -> None:
    error, imputed = torch.rand(2, 50, dtype=torch.float64)
    weight = torch.where(torch.rand(50) < 0.3, 10 * torch.rand(50), 0.0).double()
    error.requires_grad_()
    both = doubly_robust(error, imputed, weight, detach=False)
    (found,) = torch.autograd.grad((both - weight * (error - imputed) ** 2).sum(), error, retain_graph=True)
    torch.testing.assert_close(found, weight)
    (found,) = torch.autograd.grad(both.sum(), error)
    torch.testing.assert_close(found, weight * (1 + 2 * (error - imputed)).detach())
    (found,) = torch.autograd.grad(doubly_robust(error, imputed, weight, detach=True).sum(), error)
    torch.testing.assert_close(found, weight)


@pytest.mark.parametrize(("rate", "detaches", "best"), [(0.25, False, 0.7), (0.04, False, -0.05), (0.04, True, 0.7)])
def test_a_floor_above_the_rate_moves_the_best_imputation(rate: float, detaches: bool, best: float) -> None:
    """The mean of the weights is 1 or 0.4, the true error 0.7: 0.7 - 0.6 / 0.8 is -0.05."""
    weight = torch.zeros(100, dtype=torch.float64)
    weight[: round(100 * rate)] = 1 / max(rate, 0.1)
    error, imputed = torch.tensor(0.7).double(), torch.tensor(best).double().requires_grad_()
    risk = doubly_robust(error, imputed, weight, detach=detaches).mean()
    (gradient,) = torch.autograd.grad(risk, imputed)
    assert gradient.item() == pytest.approx(0, abs=1e-7)
    if best < 0:
        assert risk.item() == pytest.approx(0.7 - 0.6**2 / 1.6)


def test_labels_of_rows_without_a_click_are_not_used() -> None:
    model, batch = lively(), make_batch(CHAIN, 64)
    before = model.training_step(batch)[1]["counterfactual_cart"].value
    labels = batch.labels.clone()
    labels[:, 1] = torch.where(labels[:, 0] == 0, 1.0, labels[:, 1])
    after = model.training_step(dataclasses.replace(batch, labels=labels))[1]["counterfactual_cart"].value
    assert before == after > 0


@pytest.mark.parametrize("form", FORMS)
def test_without_clicks(form: Form) -> None:
    model, batch = lively(form), make_batch(CHAIN, 64)
    batch = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels))
    value = model.training_step(batch)[1]["counterfactual_cart"].value
    if form == "ips":
        assert value == 0
        return
    first_BEH, gates_BCE = model.embedding(batch).linear(model.experts.first, model.imputation_gates)
    imputed = model.imputation_towers(gates_BCE.softmax(-1) @ model.experts.after_first(first_BEH))
    torch.testing.assert_close(value, 0.1 * imputed["cart"].mean())


@pytest.mark.parametrize("form", FORMS)
def test_the_mean_is_over_rows_where_both_are_observed(form: Form) -> None:
    model, batch = lively(form), make_batch(CHAIN, 64)
    observed = batch.observed.clone()
    observed[20:40, 1] = observed[40:, 0] = False
    found = model.training_step(dataclasses.replace(batch, observed=observed))[1]["counterfactual_cart"]
    torch.testing.assert_close(found.value, model.training_step(batch.cut(0, 20))[1]["counterfactual_cart"].value)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_finite_where_a_click_is_next_to_impossible(form: Form) -> None:
    model, batch = build("escm2", CHAIN, form=form), make_batch(CHAIN, 64)
    torch.nn.init.constant_(model.towers.output[0].bias, -200.0)
    loss = training_loss(model, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_a_task_outside_the_funnel_has_its_towers_output() -> None:
    model, batch = build("escm2", WITH_VALUE, form="dr"), make_batch(WITH_VALUE, 8)
    first_BEH, gates_BTE = model.embedding(batch).linear(model.experts.first, model.task_gates)
    logits = model.towers(gates_BTE.softmax(-1) @ model.experts.after_first(first_BEH))
    outputs, auxiliaries = model.training_step(batch)
    assert list(auxiliaries) == ["counterfactual_cart"]
    assert_equal_outputs({"seconds": outputs["seconds"]}, {"seconds": logits["seconds"]})
    assert (outputs["cart"] <= outputs["click"]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_experts": 1}, "num_experts must be at least 2, found 1"),
        ({"counterfactual_weight": -1.0}, "counterfactual_weight must be at least 0, found -1"),
        ({"propensity_floor": 0.0}, "propensity_floor must be above 0 and at most 1, found 0"),
        ({"propensity_floor": 1.5}, "propensity_floor must be above 0 and at most 1, found 1.5"),
        ({"detach_imputation": True}, "detach_imputation=true needs form=dr, .* found form=ips"),
        ({"form": "both"}, "form='both' is not known; known: ips, dr"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("escm2", CHAIN, **parameters)


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((CLICK, LIKE), "needs a funnel: a task that is given another"),
        ((CLICK, dataclasses.replace(SECONDS, given="click")), "'seconds' is not binary"),
    ],
)
def test_what_it_requires(tasks: tuple[Task, ...], reason: str) -> None:
    assert reason in (ESCM2.requires(make_schema(*tasks)) or "")
