from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema
from architectures.metaheac import MetaHeac, mixture_logit
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.kinds import BINARY
from tests.architectures.loops import assert_is_by_row, embed, linear, mix, mlp, sigmoid, softmax, unit
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {
    "embedding_dim": 8, "num_experts": 4, "expert_dims": (16, 16), "num_critics": 3, "gate_dim": 4,
}  # fmt: skip
THREE = make_schema(LIKE, SECONDS, SHARE)


def lively(schema: Schema = C0, **parameters: Any) -> Architecture:
    """With gates and vectors so large that they matter."""
    model = build("metaheac", schema, **SMALL | parameters)
    for gate in (model.expert_gate, model.critic_gate):
        if gate is not None:
            torch.nn.init.normal_(gate[2].weight)
    for vector in model.task_vectors.vectors:
        torch.nn.init.normal_(vector)
    return model


def of_row(model: Any, batch: Batch, row: int) -> list[Tensor]:
    """The equations, with probabilities."""
    x = embed(model.embedding, batch, row)
    numbers = batch.numeric[row].to(x)
    vectors = list(x[: len(x) - len(numbers)].view(-1, 8))
    vectors += [number * model.numeric.weight[:, j] for j, number in enumerate(numbers)]
    mean = sum(vectors, torch.zeros_like(vectors[0])) / len(vectors)
    experts = [mlp(unit(model.experts, e), x) for e in range(len(model.experts.first))]
    outputs = []
    for task, vector in zip(model.schema.tasks, model.task_vectors.vectors, strict=True):
        read, gate = torch.cat([mean, vector]), model.critic_gate
        mixed = mix(model.expert_gate[2], mlp([model.expert_gate[0]], read), experts)
        logits = torch.cat([linear(critic, mixed) for critic in model.critics])
        shares = read.new_ones(1) if gate is None else softmax(linear(gate[2], mlp([gate[0]], read)))
        if task.kind == BINARY:
            probability = (shares * sigmoid(logits)).sum()
            outputs.append((probability / (1 - probability)).log())
        else:
            outputs.append((shares * logits).sum())
    return outputs


@pytest.mark.parametrize("schema", [C0, THREE, make_schema(LIKE, SHARE, cardinalities=(), num_numeric=4)])
@pytest.mark.parametrize("form", [{}, {"num_critics": 1}, {"expert_dims": (6,)}])
def test_it_is_its_equations(schema: Schema, form: dict[str, Any]) -> None:
    assert_is_by_row(lively(schema, **form), make_batch(schema, 6), of_row)


def test_parameter_count() -> None:
    experts, critics, vectors = 4 * ((32 * 16 + 16) + (16 * 16 + 16)), 3 * (16 + 1), 2 * 8
    gates = 2 * (16 * 4 + 4) + (4 * 4 + 4) + (4 * 3 + 3)
    assert count_parameters(build("metaheac", C0, **SMALL)) == experts + critics + vectors + gates == 3438


def test_reach() -> None:
    expected = {
        r"(embedding|experts|critics|expert_gate|critic_gate)\..*": "like share",
        r"task_vectors\.vectors\.0": "like",
        r"task_vectors\.vectors\.1": "share",
    }
    assert_reach(build("metaheac", C0), make_batch(C0, 64), expected)


def test_vectors_start_with_deviation_one() -> None:
    model = build("metaheac", C0, embedding_dim=512)
    assert [vector.std().item() for vector in model.task_vectors.vectors] == pytest.approx([1.0, 1.0], rel=0.1)


def test_tasks_with_equal_vectors_have_equal_outputs() -> None:
    model, batch = lively(), make_batch(C0, 8)
    assert not torch.allclose(model(batch)["like"], model(batch)["share"])
    model.task_vectors.vectors[1].data.copy_(model.task_vectors.vectors[0])
    torch.testing.assert_close(model(batch)["like"], model(batch)["share"])


def test_equal_critics_are_one() -> None:
    model, single, batch = lively(), lively(num_critics=1), make_batch(C0, 8)
    for critic in model.critics:
        critic.load_state_dict(model.critics[0].state_dict())
    state = {k: v for k, v in model.state_dict().items() if not re.match(r"critic_gate|critics\.[12]", k)}
    single.load_state_dict(state)
    assert_equal_outputs(model(batch), single(batch), 1e-5)


def test_a_probability_can_be_near_one() -> None:
    model = lively()
    for critic in model.critics:
        torch.nn.init.constant_(critic.bias, 20.0)
    assert all(output.sigmoid().min() > 0.99 for output in model(make_batch(C0, 8)).values())


def test_the_logit_of_a_mixture_is_exact_and_finite() -> None:
    logits, log_shares = 5 * torch.randn(500, 4, dtype=torch.float64), torch.randn(500, 4).double().log_softmax(-1)
    expected = (log_shares.exp() * logits.sigmoid()).sum(-1).logit()
    torch.testing.assert_close(mixture_logit(logits, log_shares), expected, rtol=1e-9, atol=1e-9)
    far = torch.tensor([[-200.0, -180.0], [200.0, 180.0], [-200.0, 200.0]], requires_grad=True)
    found = mixture_logit(far, torch.full((3, 2), 0.5).log())
    torch.testing.assert_close(found, torch.tensor([-180.6931, 180.6931, 0.0]), rtol=1e-5, atol=1e-4)
    found.sum().backward()
    assert far.grad.isfinite().all()


def test_swapping_vectors_swaps_outputs() -> None:
    model, swapped, batch = lively(), build("metaheac", C0, seed=1, **SMALL), make_batch(C0, 8)
    swapped.load_state_dict(swap_two(model.state_dict(), r"task_vectors\.vectors\.(\d)"))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_experts_and_critics_may_change_places_with_their_gate_rows() -> None:
    model, other, batch = lively(), build("metaheac", C0, seed=1, **SMALL), make_batch(C0, 8)
    state = swap_two(model.state_dict(), r"experts\.layers\.\d\.(\d)", r"critics\.(\d)")
    for gate, order in (("expert_gate", [1, 0, 2, 3]), ("critic_gate", [1, 0, 2])):
        for kind in ("weight", "bias"):
            state[f"{gate}.2.{kind}"] = state[f"{gate}.2.{kind}"][order]
    other.load_state_dict(state)
    assert_equal_outputs(other(batch), model(batch), 1e-5)


def test_gates_are_those_of_the_experts() -> None:
    model, batch = lively(), make_batch(C0, 8)
    assert {task: list(shares) for task, shares in model.gates(batch).items()} == {
        task: [f"expert {e}" for e in range(4)] for task in ("like", "share")
    }
    torch.nn.init.zeros_(model.expert_gate[2].weight)
    torch.nn.init.zeros_(model.expert_gate[2].bias)
    torch.testing.assert_close(torch.stack(list(model.gates(batch)["like"].values())), torch.full((4, 8), 0.25))


def test_what_it_requires() -> None:
    assert MetaHeac.requires(THREE) is None
    tasks = [dataclasses.replace(LIKE), dataclasses.replace(SHARE)]
    object.__setattr__(tasks[1], "num_outputs", 3)  # no built-in kind has several
    assert MetaHeac.requires(make_schema(*tasks)) == "needs tasks of one output alone, and share has several"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_experts": 1}, "num_experts must be at least 2, found 1"),
        ({"num_critics": 0}, "num_critics and gate_dim must be at least 1, found 0 and 64"),
        ({"gate_dim": 0}, "num_critics and gate_dim must be at least 1, found 5 and 0"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("metaheac", C0, **parameters)
