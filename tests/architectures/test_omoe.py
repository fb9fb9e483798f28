from __future__ import annotations

import pytest
import torch

from architectures import Architecture
from benchmark.contracts.toys import SCHEMAS, build, make_batch, training_loss
from benchmark.schema import Batch, Schema
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL = {"embedding_dim": 8, "num_experts": 4, "expert_dims": (16,), "tower_dims": (8,)}


def tower_inputs(model: Architecture, batch: Batch) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = model.towers.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(batch)
    hook.remove()
    return seen[0]


def tied(omoe: Architecture, schema: Schema, **parameters: object) -> Architecture:
    """An MMoE whose gates are all copies of OMoE's, and whose other parameters are OMoE's."""
    mmoe, state = build("mmoe", schema, seed=1, **parameters), omoe.state_dict()
    gate_ED = state.pop("gate.weight")
    state |= {f"task_gates.{t}.weight": gate_ED.clone() for t in range(len(schema.tasks))}
    mmoe.load_state_dict(state)
    return mmoe


def test_parameter_count() -> None:
    assert count_parameters(build("omoe", C0, **SMALL)) == 2530


def test_reach() -> None:
    expected = {
        r"embedding\..*|experts\..*|gate\..*": "like share",
        r"towers\.(hidden\.layers\.\d|output)\.0\..*": "like",
        r"towers\.(hidden\.layers\.\d|output)\.1\..*": "share",
    }
    assert_reach(build("omoe", C0), make_batch(C0, 64), expected)


def test_it_is_its_equations() -> None:
    model, batch = build("omoe", C0, expert_dims=(16, 12)), make_batch(C0, 8)
    x = model.embedding(batch).dense()
    experts = [model.experts.layers[1][e](model.experts.layers[0][e](x).relu()).relu() for e in range(8)]
    gate = (x @ model.gate.weight.t()).softmax(dim=1)
    mixed = sum(gate[:, e, None] * expert for e, expert in enumerate(experts))
    towers = model.towers
    expected = {
        task: towers.output[t](towers.hidden.layers[0][t](mixed).relu())[:, 0] for t, task in enumerate(C0.task_names)
    }
    assert_equal_outputs(model(batch), expected)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("parameters", [{}, SMALL, {"expert_dims": (16, 12), "tower_dims": ()}])
def test_it_is_mmoe_with_tied_gates(schema: Schema, parameters: dict[str, object]) -> None:
    omoe, batch = build("omoe", schema, **parameters), make_batch(schema, 32)
    assert_equal_outputs(omoe(batch), tied(omoe, schema, **parameters)(batch))


def test_its_gate_gets_the_sum_of_the_tied_gates_gradients() -> None:
    omoe, batch = build("omoe", C0, **SMALL), make_batch(C0, 64)
    mmoe = tied(omoe, C0, **SMALL)
    for model in (omoe, mmoe):
        training_loss(model, batch).backward()
    summed_ED = sum(gate.weight.grad for gate in mmoe.task_gates)
    torch.testing.assert_close(omoe.gate.weight.grad, summed_ED, rtol=1e-4, atol=1e-7)


def test_all_towers_read_one_mixture_in_training_with_dropout_too() -> None:
    inputs_BTH = tower_inputs(build("omoe", C0, dropout=0.5).train(), make_batch(C0, 8))
    assert torch.equal(inputs_BTH[:, 0], inputs_BTH[:, 1])


def test_experts_may_change_places_with_their_gate_rows() -> None:
    model, other, batch = build("omoe", C0, **SMALL), build("omoe", C0, seed=1, **SMALL), make_batch(C0, 8)
    state = swap_two(model.state_dict(), r"experts\.layers\.\d\.(\d)")
    state["gate.weight"] = state["gate.weight"][[1, 0, 2, 3]]
    other.load_state_dict(state)
    assert_equal_outputs(other(batch), model(batch))


def test_with_equal_experts_it_is_shared_bottom() -> None:
    omoe, shared = build("omoe", C0), build("shared_bottom", C0, bottom_dims=(64,))
    for expert in omoe.experts.first:
        expert.load_state_dict(shared.bottom.first[0].state_dict())
    omoe.towers.load_state_dict(shared.towers.state_dict())
    batch = make_batch(C0, 8)
    assert_equal_outputs(omoe(batch), shared(batch))


def test_the_gate_is_the_one_that_feeds_the_towers() -> None:
    model, batch = build("omoe", C0), make_batch(C0, 8)
    gates = model.gates(batch)
    assert list(gates) == ["like+share"]
    assert list(gates["like+share"]) == [f"expert {e}" for e in range(8)]
    (first_BEH,) = model.embedding(batch).linear(model.experts.first)
    weights_BE = torch.stack(list(gates["like+share"].values()), dim=1)
    mixed_BH = torch.einsum("be,beh->bh", weights_BE, model.experts.after_first(first_BEH))
    torch.testing.assert_close(tower_inputs(model, batch)[:, 1], mixed_BH)


def test_one_expert_is_refused() -> None:
    with pytest.raises(ValueError, match="num_experts must be at least 2, found 1"):
        build("omoe", C0, num_experts=1)
