from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics import hypervolume, multi_task_gain, pareto_front, relative_gain

# single-task AUC, AUC and MSE, and a multi-task model's
BASE, MODEL, HIGHER = (0.75, 0.68, 0.90), (0.76, 0.67, 0.85), (True, True, False)
points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8)


def parts(chance: float) -> list[float | None]:
    return [
        relative_gain(m, b, higher_is_better=h, chance=chance if h else 0.0)
        for m, b, h in zip(MODEL, BASE, HIGHER, strict=True)
    ]


def test_multi_task_gain_worked_elsewhere() -> None:
    assert multi_task_gain(parts(0.0)) == pytest.approx(1.806100, abs=5e-7)


def test_gain_over_a_coin_worked_elsewhere() -> None:
    assert parts(0.5) == pytest.approx([4.0, -5.5556, 5.5556], abs=5e-5)
    assert multi_task_gain(parts(0.5)) == pytest.approx(1.3333, abs=5e-5)


def test_gain_is_undefined_over_a_baseline_at_chance() -> None:
    assert relative_gain(0.6, 0.5, higher_is_better=True, chance=0.5) is None
    assert multi_task_gain([1.0, None]) is None
    assert multi_task_gain([]) is None


def test_gain_is_positive_where_the_error_falls() -> None:
    gain = relative_gain(0.9, 1.0, higher_is_better=False)
    assert gain is not None and math.isclose(gain, 10.0)


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
