"""PE-MTL: bounds, MGDA as the special case, and the exact minimum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.pe_mtl import PEMTL
from tests.benchmark.weightings.gradients import (
    EDGES,
    JACOBIANS,
    check_rounding,
    check_symmetry_and_scale,
    gram,
    random_rows,
    weights_of,
)


@pytest.mark.parametrize("case", JACOBIANS)
def test_without_bounds_it_is_mgda(case: str) -> None:
    matrix = gram(JACOBIANS[case])
    assert weights_of("pe_mtl", matrix, share=0.0) == pytest.approx(weights_of("mgda", matrix), abs=1e-15)


def test_a_bound_that_binds_and_one_that_does_not() -> None:
    matrix = gram(JACOBIANS["A"])  # MGDA has 0.6 and 0.4
    assert weights_of("pe_mtl", matrix, share=0.5) == pytest.approx([0.6, 0.4])
    assert weights_of("pe_mtl", matrix, bounds={"t1": 0.45}, share=0.0) == pytest.approx([0.55, 0.45])
    assert weights_of("pe_mtl", matrix, bounds={"t0": 0.7}) == pytest.approx([0.7, 0.3])


def test_bounds_of_sum_one_are_the_weights() -> None:
    bounds = {"t0": 0.2, "t1": 0.5, "t2": 0.3}
    assert weights_of("pe_mtl", gram(JACOBIANS["B"]), bounds=bounds) == pytest.approx([0.2, 0.5, 0.3])
    assert weights_of("pe_mtl", gram(JACOBIANS["B"]), share=1.0) == pytest.approx([1 / 3] * 3)


def test_it_does_not_depend_on_order_or_scale() -> None:
    check_symmetry_and_scale("pe_mtl")


@pytest.mark.parametrize("num_tasks", [3, 5])
def test_it_is_as_short_as_a_general_solver_s(num_tasks: int) -> None:
    for seed in range(5):
        rows = np.array(random_rows(num_tasks, 8, seed, spread=1.0))
        matrix = rows @ rows.T
        weights = np.array(weights_of("pe_mtl", torch.tensor(matrix), bounds={"t0": 0.3}, share=0.4))
        least = np.array([0.3] + [0.4 * 0.7 / (num_tasks - 1)] * (num_tasks - 1))
        assert weights.sum() == pytest.approx(1)
        assert (weights >= least - 1e-15).all()
        other = minimize(
            lambda w, matrix=matrix: w @ matrix @ w,
            np.full(num_tasks, 1 / num_tasks),
            bounds=[(bound, None) for bound in least],
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14},
        )
        assert weights @ matrix @ weights <= other.fun * (1 + 1e-9)


def test_bounds_are_of_the_tasks_with_a_label() -> None:
    tasks = tuple(Task(name, BINARY) for name in ("a", "b", "c"))
    weighting = PEMTL(tasks, bounds={"c": 0.9})
    active_T = torch.tensor([True, False, True])
    assert weighting.weights(gram([[1.0, 0.0], [0.0, 1.0]]), torch.ones(2), active_T).tolist() == pytest.approx(
        [0.1, 0.9]
    )
    active_T = torch.tensor([True, True, False])
    assert weighting.weights(gram([[1.0, 0.0], [0.0, 9.0]]), torch.ones(2), active_T).tolist() == pytest.approx(
        [0.75, 0.25]
    )


@pytest.mark.parametrize("case", EDGES)
def test_weights_are_finite_and_positive(case: str) -> None:
    weights = weights_of("pe_mtl", gram(EDGES[case]))
    assert min(weights) > 0
    assert math.isfinite(sum(weights))


def test_a_zero_gradient_does_not_stop_the_others() -> None:
    assert weights_of("pe_mtl", gram(EDGES["a zero"])) == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bounds": {"t2": 0.1}}, r"weighting\.bounds: unknown task 't2'"),
        ({"bounds": {"t0": -0.1}}, r"weighting\.bounds\.t0 must be a number of at least 0, found -0\.1"),
        ({"bounds": {"t0": math.nan}}, r"weighting\.bounds\.t0 must be a number of at least 0"),
        ({"bounds": {"t0": 0.6, "t1": 0.6}}, r"weighting\.bounds must have a sum of at most 1, found 1\.2"),
        ({"share": 1.1}, r"weighting\.share must be between 0 and 1, found 1\.1"),
    ],
)
def test_bounds_that_cannot_be_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weights_of("pe_mtl", gram(JACOBIANS["A"]), **parameters)


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("pe_mtl", case)
