from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.layers import FeatureEmbedding
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.rows import Batch
from tests.architectures.loops import embed, mix, mlp, tower, unit
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {
    "embedding_dim": 8,
    "expert_dims": (16,),
    "num_task_experts": 2,
    "num_shared_experts": 2,
    "tower_dims": (8,),
}
THREE = make_schema(LIKE, SECONDS, SHARE)


def apart(model: Architecture) -> None:
    """Tables start alike; this moves them apart, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, FeatureEmbedding):
            weight = module.small.weight
            weight.data += torch.randn(weight.shape, generator=generator).to(weight)


def of_row(model: Architecture, batch: Batch, row: int, num_own: int, num_shared: int, *, stops: bool) -> list[Tensor]:
    """The equation, one task, one expert at a time. What stops a gradient is computed without a graph."""
    num_tasks, outputs = len(model.schema.tasks), []
    owners = [*(task for task in range(num_tasks) for _ in range(num_own)), *[num_tasks] * num_shared]
    tables = [*model.task_embeddings, model.embedding]
    for task in range(num_tasks):
        experts = []
        for e, owner in enumerate(owners):
            with torch.set_grad_enabled(not stops or owner in (task, num_tasks)):
                experts.append(mlp(unit(model.experts, e), embed(tables[owner], batch, row)))
        both = embed(tables[task], batch, row) + embed(model.embedding, batch, row)
        outputs.append(tower(model.towers, task, mix(model.task_gates[task], both, experts)))
    return outputs


def by_equations(model: Architecture, batch: Batch, num_own: int, num_shared: int, *, stops: bool) -> list[Tensor]:
    """(B,) for each task."""
    rows = [of_row(model, batch, row, num_own, num_shared, stops=stops) for row in range(len(batch))]
    return [torch.stack(outputs) for outputs in zip(*rows, strict=True)]


def gradients(outputs: list[Tensor], parameters: list[Tensor]) -> list[tuple[Tensor, ...]]:
    """Those of each task's outputs, which are weighted so that rows do not cancel."""
    return [
        torch.autograd.grad(
            output, parameters, torch.linspace(1, 2, len(output)).to(output), retain_graph=True, materialize_grads=True
        )
        for output in outputs
    ]


@pytest.mark.parametrize(("expert_dims", "num_own", "num_shared"), [((6,), 2, 2), ((6, 5), 1, 2), ((6, 5), 2, 1)])
def test_it_is_its_equation_task_by_task(expert_dims: tuple[int, ...], num_own: int, num_shared: int) -> None:
    sizes = {"expert_dims": expert_dims, "num_task_experts": num_own, "num_shared_experts": num_shared}
    model = build("stem", THREE, embedding_dim=3, **sizes, tower_dims=(4,)).double()
    apart(model)
    batch = make_batch(THREE, 5)
    outputs, expected = list(model(batch).values()), by_equations(model, batch, num_own, num_shared, stops=True)
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
    parameters = list(model.parameters())
    torch.testing.assert_close(gradients(outputs, parameters), gradients(expected, parameters), rtol=1e-10, atol=1e-10)


def test_what_stops_gradients_leaves_the_outputs_as_they_are() -> None:
    model = build("stem", THREE, **SMALL).double()
    apart(model)
    batch = make_batch(THREE, 5)
    outputs, expected = list(model(batch).values()), by_equations(model, batch, 2, 2, stops=False)
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
    parameters = list(model.task_embeddings[0].parameters())
    leaked = gradients(expected, parameters)
    assert all(gradient.any() for of_task in leaked for gradient in of_task), (
        "without a stop, all tasks reach the table"
    )


@pytest.mark.parametrize("task", [0, 1, 2])
def test_a_loss_changes_the_tables_of_its_task_and_the_shared_ones(task: int) -> None:
    model, batch = build("stem", THREE, **SMALL), make_batch(THREE, 64)
    apart(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    embeddings = [*model.task_embeddings, model.embedding]
    before = [embedding.small.weight.clone() for embedding in embeddings]
    experts = [weight.detach().clone() for weight in model.experts.parameters()]
    list(model(batch).values())[task].square().sum().backward()
    optimizer.step()
    moved = [not torch.equal(old, new.small.weight) for old, new in zip(before, embeddings, strict=True)]
    assert moved == [number in (task, 3) for number in range(4)]
    moved = [not torch.equal(old, new) for old, new in zip(experts, model.experts.parameters(), strict=True)]
    assert moved == [e // 2 in (task, 3) for e in range(8) for _ in ("weight", "bias")]


def test_a_task_reads_the_tables_of_all_tasks() -> None:
    model, batch = build("stem", THREE, **SMALL), make_batch(THREE, 8)
    before = model(batch)
    with torch.no_grad():
        model.task_embeddings[0].small.weight += 1
    for task, output in model(batch).items():
        assert (output != before[task]).all(), task


def test_reach() -> None:
    own = r"task_embeddings\.{0}\..*|experts\.layers\.\d\.{1}\..*|(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.{0}\..*"
    expected = {
        r"embedding\..*|experts\.layers\.\d\.[45]\..*": "like share",
        own.format(0, "[01]"): "like",
        own.format(1, "[23]"): "share",
    }
    assert_reach(build("stem", C0, **SMALL | {"expert_dims": (16, 12)}), make_batch(C0, 64), expected)


def test_parameter_count() -> None:
    model = build("stem", C0, **SMALL)
    assert count_parameters(model) == 3842
    assert sum(p.numel() for p in model.parameters()) == 3842 + 3 * 4 * 5 * 8  # T + 1 sets of tables


def test_tables_start_alike() -> None:
    model = build("stem", C0)
    tables = [model.embedding.small.weight, *(embedding.small.weight for embedding in model.task_embeddings)]
    assert len({id(table) for table in tables}) == 3
    assert all(torch.equal(table, tables[0]) for table in tables)


def test_as_long_as_tables_are_alike_it_is_mmoe_with_doubled_gates() -> None:
    stem, mmoe, batch = build("stem", C0), build("mmoe", C0, num_experts=12), make_batch(C0, 64)
    state = {key: value for key, value in stem.state_dict().items() if not key.startswith("task_embeddings")}
    mmoe.load_state_dict({key: 2 * value if key.startswith("task_gates") else value for key, value in state.items()})
    assert_equal_outputs(mmoe(batch), stem(batch), 1e-5)


def test_swapping_tasks_swaps_outputs() -> None:
    one = SMALL | {"num_task_experts": 1}
    model, swapped, batch = build("stem", C0, **one), build("stem", C0, seed=1, **one), make_batch(C0, 64)
    apart(model)
    patterns = (
        r"(?:task_embeddings|task_gates)\.(\d)",
        r"experts\.layers\.\d\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    state = swap_two(model.state_dict(), *patterns)
    for key in [key for key in state if key.startswith("task_gates")]:
        state[key] = state[key][[1, 0, 2, 3]]
    swapped.load_state_dict(state)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]}, 1e-5)


def test_experts_may_change_places_with_their_gate_rows() -> None:
    model, other, batch = build("stem", C0, **SMALL), build("stem", C0, seed=1, **SMALL), make_batch(C0, 8)
    apart(model)
    state = swap_two(model.state_dict(), r"experts\.layers\.\d\.(\d)")
    for key in [key for key in state if key.startswith("task_gates")]:
        state[key] = state[key][[1, 0, 2, 3, 4, 5]]
    other.load_state_dict(state)
    assert_equal_outputs(other(batch), model(batch))


def test_gates_of_zero_weigh_all_experts_alike() -> None:
    model, batch = build("stem", C0, **SMALL), make_batch(C0, 8)
    for gate in model.task_gates:
        torch.nn.init.zeros_(gate.weight)
    names = ["like 0", "like 1", "share 0", "share 1", "shared 0", "shared 1"]
    gates = model.gates(batch)
    assert {task: list(weights) for task, weights in gates.items()} == {"like": names, "share": names}
    for weights in gates.values():
        torch.testing.assert_close(torch.stack(list(weights.values())), torch.full((6, 8), 1 / 6))


@pytest.mark.parametrize(("num_own", "num_shared"), [(0, 4), (4, 0)])
def test_too_few_experts_are_refused(num_own: int, num_shared: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, found {num_own} and {num_shared}"):
        build("stem", C0, num_task_experts=num_own, num_shared_experts=num_shared)
