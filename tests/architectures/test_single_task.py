from __future__ import annotations

import torch
from torch import nn

from benchmark.contracts.toys import LIKE, SHARE, build, make_batch, make_schema, training_loss
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two


def test_parameter_count() -> None:
    assert count_parameters(build("single_task", C0, embedding_dim=8, hidden_dims=(16,), tower_dims=(8,))) == 1346


def test_no_task_reaches_anothers_parameters() -> None:
    model = build("single_task", C0)
    assert_reach(model, make_batch(C0, 64), {r"networks\.0\..*": "like", r"networks\.1\..*": "share"})
    like = model(make_batch(C0, 64))["like"].sum()
    gradients = torch.autograd.grad(like, list(model.networks[1].parameters()), allow_unused=True)
    assert all(gradient is None for gradient in gradients)


def test_all_tasks_start_from_the_same_table() -> None:
    model = build("single_task", C0)
    first, second = (network.embedding.small.weight for network in model.networks)
    assert torch.equal(first, second)
    assert first is not second


def test_training_side_by_side_is_training_apart() -> None:
    both = build("single_task", C0)
    apart = [build("single_task", make_schema(task, cardinalities=(5,) * 4, num_numeric=0)) for task in (LIKE, SHARE)]
    for model, network in zip(apart, both.networks, strict=True):
        model.networks[0].load_state_dict(network.state_dict())
    batch = make_batch(C0, 64)

    def train(model: nn.Module, columns: slice) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        part = type(batch)(batch.categorical, batch.numeric, batch.labels[:, columns], batch.observed[:, columns])
        for _ in range(5):
            optimizer.zero_grad()
            training_loss(model, part).backward()
            optimizer.step()

    train(both, slice(0, 2))
    for task, model in enumerate(apart):
        train(model, slice(task, task + 1))
        torch.testing.assert_close(model.networks[0].state_dict(), both.networks[task].state_dict())


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped, batch = build("single_task", C0), build("single_task", C0, seed=1), make_batch(C0, 8)
    swapped.load_state_dict(swap_two(model.state_dict(), r"networks\.(\d)"))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})
