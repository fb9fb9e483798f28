"""Random weights: their distribution, and their own stream of randomness."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.random import BLOCK, Random
from tests.benchmark.weightings.taking import weights_of

LOSSES = torch.tensor([0.5, 2.0, 0.1])


def make(names: str = "abc", seed: int = 0) -> Random:
    torch.manual_seed(seed)
    return Random(tuple(Task(name, BINARY) for name in names))


def draws(weighting: Random, steps: int, active_T: Tensor | None = None) -> Tensor:
    """(steps, T) weights."""
    return torch.stack([weights_of(weighting, LOSSES, active_T) for _ in range(steps)])


def test_the_weights_of_every_step_are_positive_sum_to_one_and_are_new() -> None:
    weights_ST = draws(make(), 50)
    assert (weights_ST > 0).all()
    torch.testing.assert_close(weights_ST.sum(1), torch.ones(50))
    assert len({tuple(weights) for weights in weights_ST.tolist()}) == 50


def test_the_weights_are_the_softmax_of_standard_normal_numbers() -> None:
    logs_ST = draws(make(), 2000).log()
    differences = (logs_ST[:, 0] - logs_ST[:, 1]).double()  # of two normal numbers: variance 2
    assert float(differences.mean()) == pytest.approx(0, abs=4 * (2 / 2000) ** 0.5)
    assert float(differences.var()) == pytest.approx(2, abs=4 * 2 * (2 / 2000) ** 0.5)
    torch.testing.assert_close(draws(make(), 2000).mean(0), torch.full((3,), 1 / 3), rtol=0, atol=0.02)


@pytest.mark.parametrize("step", [0, 3, 255, 256, 1000])
def test_a_step_s_draw_follows_from_seed_and_step_alone(step: int) -> None:
    weighting, other = make(), make(seed=1)
    all_ST = draws(weighting, 1002)
    other.stream.position.copy_(torch.tensor([int(weighting.stream.position[0]), step]))
    assert torch.equal(draws(other, 2), all_ST[step : step + 2])
    assert other.stream.advance() == (int(weighting.stream.position[0]), step + 2)


def test_the_numbers_are_those_of_numpy_in_blocks() -> None:
    weighting = make()
    weighting.stream.position.copy_(torch.tensor([7, 2 * BLOCK + 5]))
    normal_T = [np.random.default_rng([7, 2, crc32(name)]).standard_normal(BLOCK)[5] for name in (b"a", b"b", b"c")]
    torch.testing.assert_close(weights_of(weighting, LOSSES), torch.tensor(normal_T).softmax(0).float())


def test_they_do_not_depend_on_the_losses_nor_on_the_tasks_positions() -> None:
    weights_ST = draws(make(), 3)
    other = make("cab")
    other_ST = torch.stack([weights_of(other, 1e3 * LOSSES) for _ in range(3)])
    torch.testing.assert_close(other_ST, weights_ST[:, [2, 0, 1]])


def test_the_softmax_is_over_the_tasks_with_a_label() -> None:
    active = torch.tensor([True, False, True])
    weights_T, all_T = draws(make(), 1, active)[0], draws(make(), 1)[0]
    assert weights_T[1] == 0
    torch.testing.assert_close(weights_T[[0, 2]], all_T[[0, 2]] / all_T[[0, 2]].sum())
    assert draws(make(), 1, torch.zeros(3, dtype=torch.bool)).tolist() == [[0, 0, 0]]


def test_other_seeds_give_other_weights_and_the_same_seed_the_same() -> None:
    assert torch.equal(draws(make(), 5), draws(make(), 5))
    assert not torch.equal(draws(make(), 5), draws(make(seed=1), 5))
