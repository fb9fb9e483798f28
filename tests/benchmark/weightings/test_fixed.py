"""Equal and fixed weights."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.equal import Equal
from benchmark.weightings.fixed import Fixed

TASKS = (Task("click", BINARY), Task("purchase", BINARY, given="click"))
LOSSES, ACTIVE = torch.tensor([0.5, 0.25]), torch.tensor([True, True])


def test_equal_is_the_sum() -> None:
    assert float(Equal(TASKS)(LOSSES, ACTIVE)) == 0.75


def test_weights_go_by_name_and_are_one_unless_said() -> None:
    weighting = Fixed(TASKS, weights={"purchase": 5})
    assert float(weighting(LOSSES, ACTIVE)) == 0.5 + 5 * 0.25
    assert weighting.weights_T.tolist() == [1, 5]
    assert Fixed(TASKS).weights_T.tolist() == [1, 1]


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"weighting\.weights: unknown task 'purchas'; did you mean purchase\? known: click"
    ):
        Fixed(TASKS, weights={"purchas": 1})


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"weighting\.weights\.click must be a number of at least 0"):
        Fixed(TASKS, weights={"click": weight})
