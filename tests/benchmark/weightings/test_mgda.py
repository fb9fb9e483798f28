"""MGDA against exact values and what its update promises."""

from __future__ import annotations

import pytest
import torch

from tests.benchmark.weightings.gradients import (
    EDGES,
    JACOBIANS,
    check_rounding,
    check_symmetry_and_scale,
    gram,
    random_rows,
    update_of,
    weights_of,
)

WEIGHTS = {
    "A": [0.6, 0.4],
    "B": [0.47058823529411764, 0.29411764705882354, 0.23529411764705882],
    "C": [10000 / 10001, 1 / 10001],
    "D": [0.25, 0.0, 0.75],
    "E": [0.9930917206929535, 0.006908279307046447],
}


@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_exact(case: str) -> None:
    assert weights_of("mgda", gram(JACOBIANS[case])) == pytest.approx(WEIGHTS[case], rel=1e-12, abs=1e-15)


def test_it_does_not_depend_on_order_or_scale() -> None:
    check_symmetry_and_scale("mgda")


@pytest.mark.parametrize("num_tasks", [2, 3, 10])
def test_no_task_gains_less_than_the_square_of_the_update(num_tasks: int) -> None:
    for seed in range(10):
        rows = random_rows(num_tasks, 20, seed)
        update = update_of("mgda", rows)
        gains = torch.tensor(rows, dtype=torch.float64) @ update
        assert gains.min() >= (1 - 1e-10) * update @ update > 0


@pytest.mark.parametrize("case", ["opposite", "opposite and unequal", "opposite among three", "around the origin"])
def test_where_no_direction_helps_all_tasks_the_update_is_zero(case: str) -> None:
    assert update_of("mgda", EDGES[case]).abs().max() < 1e-14


def test_where_the_shortest_gradient_is_the_shortest_combination_it_is_alone() -> None:
    assert weights_of("mgda", gram([[1.0, 0.0], [3.0, 1.0]])) == [1, 0]
    assert weights_of("mgda", gram([[3.0, 1.0], [1.0, 0.0]])) == [0, 1]


@pytest.mark.parametrize("case", EDGES)
def test_weights_are_finite_and_positive(case: str) -> None:
    weights = weights_of("mgda", gram(EDGES[case]))
    assert min(weights) >= 0
    assert sum(weights) >= 1 - 1e-12


def test_a_zero_gradient_does_not_stop_the_others() -> None:
    assert weights_of("mgda", gram(EDGES["a zero"])) == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("mgda", case)
