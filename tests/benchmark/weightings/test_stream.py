"""The stream of a method's own random numbers: seed and step, as a part of the state, and never on a GPU."""

from __future__ import annotations

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.settings.registry import weightings
from benchmark.weightings import Stream, Weighting


def make(name: str) -> Weighting:
    tasks = tuple(Task(task, BINARY) for task in "abc")
    weighting: Weighting = weightings.build(weightings.config(name), tasks)
    return weighting


RANDOM = [name for name in weightings.names() if any(isinstance(module, Stream) for module in make(name).modules())]


def test_it_counts_the_steps_of_a_seed_that_torch_s_stream_decides() -> None:
    torch.manual_seed(3)
    first = Stream()
    second = Stream()
    seed = int(first.position[0])
    assert [first.advance() for _ in range(3)] == [(seed, 0), (seed, 1), (seed, 2)]
    assert second.advance() != (seed, 0)
    torch.manual_seed(3)
    assert Stream().advance() == (seed, 0)


def test_a_restored_one_goes_on() -> None:
    stream, other = Stream(), Stream()
    stream.advance()
    other.advance()  # what it has counted before is forgotten
    other.load_state_dict(stream.state_dict())
    assert other.advance() == stream.advance()
    assert other.position.tolist() == [int(stream.position[0]), 2]


def test_the_methods_that_draw_random_numbers_have_one() -> None:
    assert {"graddrop", "gradvac", "pcgrad", "random"} <= set(RANDOM)


@pytest.mark.parametrize("name", RANDOM)
def test_it_stays_on_the_cpu_and_as_it_is_when_its_method_moves(name: str) -> None:
    weighting = make(name)
    position = dict(weighting.named_buffers())["stream.position"]
    before = position.tolist()
    weighting.to("meta").half()
    assert weighting.last_weights_T.device.type == "meta"
    after = dict(weighting.named_buffers())["stream.position"]
    assert after is position
    assert after.tolist() == before
