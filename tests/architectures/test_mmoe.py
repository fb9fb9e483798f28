from __future__ import annotations

import pytest
import torch

from architectures import Architecture
from benchmark.contracts.toys import build, make_batch
from benchmark.schema import Batch
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL = {"embedding_dim": 8, "num_experts": 4, "expert_dims": (16,), "tower_dims": (8,)}


def tower_inputs(model: Architecture, batch: Batch) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = model.towers.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(batch)
    hook.remove()
    return seen[0]


def test_parameter_count() -> None:
    assert count_parameters(build("mmoe", C0, **SMALL)) == 2658


def test_reach() -> None:
    expected = {
        r"embedding\..*|experts\..*": "like share",
        r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.0\..*": "like",
        r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.1\..*": "share",
    }
    assert_reach(build("mmoe", C0), make_batch(C0, 64), expected)


def test_it_is_its_equations() -> None:
    model, batch = build("mmoe", C0, expert_dims=(16, 12)), make_batch(C0, 8)
    x = model.embedding(batch).dense()
    experts = [model.experts.layers[1][e](model.experts.layers[0][e](x).relu()).relu() for e in range(8)]
    expected = {}
    for t, task in enumerate(C0.task_names):
        gate = (x @ model.task_gates[t].weight.t()).softmax(dim=1)
        mixed = sum(gate[:, e, None] * expert for e, expert in enumerate(experts))
        expected[task] = model.towers.output[t](model.towers.hidden.layers[0][t](mixed).relu())[:, 0]
    assert_equal_outputs(model(batch), expected)


def test_experts_may_change_places_with_their_gate_rows() -> None:
    model, other, batch = build("mmoe", C0, **SMALL), build("mmoe", C0, seed=1, **SMALL), make_batch(C0, 8)
    state = swap_two(model.state_dict(), r"experts\.layers\.\d\.(\d)")
    for t in range(2):
        state[f"task_gates.{t}.weight"] = state[f"task_gates.{t}.weight"][[1, 0, 2, 3]]
    other.load_state_dict(state)
    assert_equal_outputs(other(batch), model(batch))


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped, batch = build("mmoe", C0), build("mmoe", C0, seed=1), make_batch(C0, 8)
    patterns = (r"task_gates\.(\d)", r"towers\.hidden\.layers\.\d\.(\d)", r"towers\.output\.(\d)")
    swapped.load_state_dict(swap_two(model.state_dict(), *patterns))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


def test_with_tied_gates_all_towers_read_the_same() -> None:
    model, batch = build("mmoe", C0), make_batch(C0, 8)
    before_BTH = tower_inputs(model, batch)
    assert not torch.allclose(before_BTH[:, 0], before_BTH[:, 1])
    model.task_gates[1].load_state_dict(model.task_gates[0].state_dict())
    tied_BTH = tower_inputs(model, batch)
    torch.testing.assert_close(tied_BTH[:, 0], tied_BTH[:, 1])


def test_zero_gates_give_the_mean_of_the_experts() -> None:
    model, batch = build("mmoe", C0), make_batch(C0, 8)
    for gate in model.task_gates:
        torch.nn.init.zeros_(gate.weight)
    (first_BEH,) = model.embedding(batch).linear(model.experts.first)
    mean_BH = model.experts.after_first(first_BEH).mean(1)
    torch.testing.assert_close(tower_inputs(model, batch), torch.stack([mean_BH, mean_BH], dim=1))


def test_with_equal_experts_it_is_shared_bottom() -> None:
    mmoe, shared = build("mmoe", C0), build("shared_bottom", C0, bottom_dims=(64,))
    for expert in mmoe.experts.first:
        expert.load_state_dict(shared.bottom.first[0].state_dict())
    mmoe.towers.load_state_dict(shared.towers.state_dict())
    batch = make_batch(C0, 8)
    assert_equal_outputs(mmoe(batch), shared(batch))


def test_gates_are_those_that_feed_the_towers() -> None:
    model, batch = build("mmoe", C0), make_batch(C0, 8)
    gates = model.gates(batch)
    assert list(gates) == ["like", "share"]
    assert list(gates["like"]) == [f"expert {e}" for e in range(8)]
    (first_BEH,) = model.embedding(batch).linear(model.experts.first)
    weights_BE = torch.stack(list(gates["share"].values()), dim=1)
    mixed_BH = torch.einsum("be,beh->bh", weights_BE, model.experts.after_first(first_BEH))
    torch.testing.assert_close(tower_inputs(model, batch)[:, 1], mixed_BH)


def test_one_expert_is_refused() -> None:
    with pytest.raises(ValueError, match="num_experts must be at least 2, found 1"):
        build("mmoe", C0, num_experts=1)
