from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics import hypervolume, multi_task_gain, pareto_front, relative_gain

# single-task AUC, AUC and MSE, a multi-task model's, and the constant's
BASE, MODEL, CONSTANT = (0.75, 0.68, 0.90), (0.76, 0.67, 0.85), (0.5, 0.5, 1.0)
points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8)


def test_the_gain_of_an_auc_is_relaimpr() -> None:
    """Yan et al. 2014: ((AUC - .5) / (AUC of the base - .5) - 1) x 100 %."""
    assert relative_gain(0.76, 0.75, 0.5) == pytest.approx(100 * (0.26 / 0.25 - 1))
    assert relative_gain(0.67, 0.68, 0.5) == pytest.approx(-5.5556, abs=5e-5)


def test_the_gain_of_an_mse_is_the_relative_change_of_r_squared() -> None:
    squared = 1 - np.array([0.85, 0.90]) / 1.0
    assert relative_gain(0.85, 0.90, 1.0) == pytest.approx(100 * (squared[0] / squared[1] - 1)) == pytest.approx(50)
    assert relative_gain(0.95, 0.90, 1.0) < 0


def test_no_unit_decides_the_gain() -> None:
    assert relative_gain(262.0, 300.0, 410.0) == pytest.approx(relative_gain(2.62, 3.0, 4.1))


def test_the_multi_task_gain_is_the_mean_of_the_tasks() -> None:
    parts = [relative_gain(*of) for of in zip(MODEL, BASE, CONSTANT, strict=True)]
    assert parts == pytest.approx([4.0, -5.5556, 50.0], abs=5e-5)
    assert multi_task_gain(parts) == pytest.approx(16.1481, abs=5e-5)


def test_hypervolume_worked_elsewhere() -> None:
    assert hypervolume([(0.2, 0.6), (0.5, 0.3)], (1.0, 1.0)) == pytest.approx(0.47)


def test_points_no_better_than_the_reference_add_nothing() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0.0
    assert hypervolume([(1.0, 0.0), (0.0, 1.0), (2.0, -1.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([(-1.0, 2.0), (0.5, 0.5)], (1.0, 1.0)) == 0.25


@given(points)
def test_hypervolume_of_whole_numbers_counts_cells(of: list[tuple[int, int]]) -> None:
    cells = sum(any(x <= i and y <= j for x, y in of) for i in range(5) for j in range(5))
    assert hypervolume(of, (5, 5)) == cells


@given(points)
def test_the_front_is_what_no_other_point_beats(of: list[tuple[int, int]]) -> None:
    def beaten(point: tuple[int, int]) -> bool:
        return any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in of)

    assert sorted(pareto_front(of)) == [n for n, point in enumerate(of) if not beaten(point)]
