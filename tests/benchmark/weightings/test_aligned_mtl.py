"""Aligned-MTL against exact values and the singular value decomposition that defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

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

# of the scale `min`
WEIGHTS = {
    "A": [0.5590719156565607, 0.40826106809915186],
    "B": [0.35530162806828675, 0.27470081892913667, 0.23487391013572528],
    "C": [0.5, 0.005],
    "D": [0.04810725974662552, 0.09621451949325084, 0.36470763182184857],
    "E": [0.5033979680471456, 0.007324290741552565],
}


@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_exact(case: str) -> None:
    assert weights_of("aligned_mtl", gram(JACOBIANS[case])) == pytest.approx(WEIGHTS[case], rel=1e-12)


def decomposed(rows: list[list[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(A, R) left singular vectors of the gradients, and (R,) singular values that are not zero, in descending order."""
    left, values, _ = np.linalg.svd(np.array(rows), full_matrices=False)
    rank = int(np.linalg.matrix_rank(np.array(rows)))
    return left[:, :rank], values[:rank]


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_those_of_the_singular_value_decomposition(case: str, scale: str) -> None:
    """The weighting takes eigenvalues of the Gram matrix; this takes singular values of the gradients themselves."""
    left, values = decomposed(JACOBIANS[case])
    length = {"min": values[-1], "median": values[len(values) // 2], "rmse": np.sqrt((values**2).mean())}[scale]
    expected = length * left @ np.diag(1 / values) @ left.T @ np.ones(len(left)) / len(left)
    found = weights_of("aligned_mtl", gram(JACOBIANS[case]), scale=scale)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_it_does_not_depend_on_order_or_scale(scale: str) -> None:
    check_symmetry_and_scale("aligned_mtl", scale=scale)


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
@pytest.mark.parametrize(("num_tasks", "num_parameters"), [(2, 5), (3, 5), (4, 2), (10, 30)])
def test_the_update_is_that_of_the_decomposed_gradients(scale: str, num_tasks: int, num_parameters: int) -> None:
    for seed in range(5):
        rows = np.array(random_rows(num_tasks, num_parameters, seed))
        left, values, right = np.linalg.svd(rows, full_matrices=False)
        length = {"min": values[-1], "median": values[len(values) // 2], "rmse": np.sqrt((values**2).mean())}[scale]
        update = length * np.ones(num_tasks) / num_tasks @ left @ right
        np.testing.assert_allclose(update_of("aligned_mtl", rows.tolist(), scale=scale).numpy(), update, rtol=1e-8)


def test_rounding_of_equal_gradients_does_not_shrink_the_update() -> None:
    matrix = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-8]], dtype=torch.float64)
    assert weights_of("aligned_mtl", matrix) == pytest.approx([0.5, 0.5], rel=1e-6)


def test_orthogonal_gradients_a_million_apart_both_count() -> None:
    assert weights_of("aligned_mtl", gram([[1.0, 0.0], [0.0, 1e6]])) == pytest.approx([0.5, 0.5e-6])


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_weights_are_finite(case: str, scale: str) -> None:
    assert torch.tensor(weights_of("aligned_mtl", gram(EDGES[case]), scale=scale)).isfinite().all()


def test_a_zero_gradient_is_left_out() -> None:
    others = weights_of("aligned_mtl", gram([[1.0, 2.0], [-2.0, 0.5]]))
    with_zero = weights_of("aligned_mtl", gram([[1.0, 2.0], [0.0, 0.0], [-2.0, 0.5]]))
    assert with_zero == pytest.approx([others[0], sum(others) / 2, others[1]])


@pytest.mark.parametrize("case", EDGES)
def test_float32_gradients_are_exact_enough(case: str) -> None:
    check_rounding("aligned_mtl", case)
