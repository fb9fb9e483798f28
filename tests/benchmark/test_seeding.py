"""Streams of randomness: named, stable, and independent of each other."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.seeding import derive, initialise, seeded


def test_a_stream_s_seed_is_stable_over_versions() -> None:
    # records made before would no longer be reproduced
    assert derive(0, "split") == 6812300375708456965
    assert derive(3, "init", "towers.output.0") == 5430680598076752400


def test_streams_differ_by_seed_by_name_and_by_where_a_name_ends() -> None:
    seeds = [derive(0, "a"), derive(1, "a"), derive(0, "b"), derive(0, "a", "b"), derive(0, "ab"), derive(10, "")]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_as_it_was_afterwards() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with seeded(0, "dropout"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(0, "dropout"):
        assert torch.equal(torch.rand(3), inside)


class Net(nn.Module):
    def __init__(self, *, wide: bool) -> None:
        super().__init__()
        if wide:
            self.extra = nn.Linear(5, 5)
        self.trunk = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_a_module_more_does_not_move_the_values_of_the_others() -> None:
    plain, more = Net(wide=False), Net(wide=True)
    initialise(plain, 0)
    initialise(more, 0)
    assert all(torch.equal(value, more.state_dict()[name]) for name, value in plain.state_dict().items())
    initialise(more, 1)
    assert not torch.equal(plain.trunk[0].weight, more.trunk[0].weight)


def test_modules_of_one_shape_start_apart() -> None:
    twins = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    initialise(twins, 0)
    assert not torch.equal(twins[0].weight, twins[1].weight)  # type: ignore[arg-type]


def test_a_module_s_seed_name_stands_in_for_its_path() -> None:
    twins = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    for twin in twins:
        twin.seed_name = "shared"  # type: ignore[assignment]
    initialise(twins, 0)
    assert torch.equal(twins[0].weight, twins[1].weight)  # type: ignore[arg-type]


def test_a_parent_that_draws_for_its_children_has_the_last_word() -> None:
    class Parent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Linear(2, 2)

        def reset_parameters(self) -> None:
            nn.init.ones_(self.child.weight)

    parent = Parent()
    initialise(parent, 0)
    assert torch.equal(parent.child.weight, torch.ones(2, 2))
