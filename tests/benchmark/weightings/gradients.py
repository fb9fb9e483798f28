"""Gradients that tests give to weightings, and the weights that come back."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.settings.registry import weightings
from benchmark.weightings import GramWeighting

# Five Jacobians. The first two rows of D are parallel, so its Gram matrix is singular; C and E are badly scaled.
JACOBIANS: dict[str, list[list[float]]] = {
    "A": [[-4.0, 1, 1], [6, 1, 1]],
    "B": [[1.0, 2, 0, -1], [-2, 1, 1, 0], [0.5, -1, 3, 2]],
    "C": [[1.0, 0], [0, 100]],
    "D": [[1.0, 2], [2, 4], [-1, 0]],
    "E": [[1.0, 0.5], [-100, 40]],
}

# What breaks careless solvers; each row is a task's gradient.
EDGES: dict[str, list[list[float]]] = {
    "one task": [[3.0, -4.0]],
    "all zero": [[0.0, 0.0], [0.0, 0.0]],
    "a zero": [[1.0, 2.0], [0.0, 0.0], [-2.0, 1.0]],
    "a zero and a small one": [[1e-9, 0.0], [0.0, 0.0]],
    "equal": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
    "parallel": [[1.0, 2.0], [3.0, 6.0]],
    "opposite": [[1.0, 2.0], [-1.0, -2.0]],
    "opposite and unequal": [[1.0, 2.0], [-3.0, -6.0]],
    "opposite among three": [[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]],
    "around the origin": [[1.0, 0.0], [-1.0, 1.0], [-1.0, -2.0]],
    "a million apart": [[1.0, 0.3], [-8e5, 6e5]],
    "a million apart and opposite": [[1.0, 0.0, 0.0], [-1e6, 0.0, 0.0], [0.0, 1e3, 1.0]],
    "tiny": [[1e-20, 0.0], [-1e-20, 1e-20]],
    "huge": [[1e20, 0.0], [-1e20, 1e20]],
    "ten tasks in two dimensions": [[(-1.0) ** t * (t + 1), 5.0 - t] for t in range(10)],
}


def gram(rows: list[list[float]]) -> Tensor:
    """(A, A) inner products of the rows."""
    jacobian = torch.tensor(rows, dtype=torch.float64)
    return jacobian @ jacobian.T


def rounded(gram_AA: Tensor, seed: int) -> Tensor:
    """A Gram matrix with errors as large as those of float32 gradients."""
    norms_A = gram_AA.diagonal().sqrt()
    errors_AA = 1e-7 * torch.randn(gram_AA.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return gram_AA + (errors_AA + errors_AA.T) * norms_A * norms_A[:, None]


def random_rows(num_tasks: int, num_parameters: int, seed: int, *, spread: float = 0.0) -> list[list[float]]:
    """Gradients of normal numbers, times powers of ten between 0 and `spread`."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num_tasks, num_parameters, generator=generator, dtype=torch.float64)
    powers = spread * torch.rand(num_tasks, 1, generator=generator, dtype=torch.float64)
    return (rows * 10**powers).tolist()  # type: ignore[no-any-return]


def weights_of(name: str, gram_AA: Tensor, **parameters: object) -> list[float]:
    """The weights of a registered method, for tasks t0, t1, ..."""
    tasks = tuple(Task(f"t{number}", BINARY) for number in range(len(gram_AA)))
    weighting = weightings.build(weightings.config(name, **parameters), tasks)
    assert isinstance(weighting, GramWeighting)
    found_A = weighting.weights(gram_AA, torch.ones(len(gram_AA)), torch.ones(len(gram_AA), dtype=torch.bool))
    assert found_A.dtype == torch.float64
    return found_A.tolist()  # type: ignore[no-any-return]


def update_of(name: str, rows: list[list[float]], **parameters: object) -> Tensor:
    """The update of a registered method."""
    weights_A = torch.tensor(weights_of(name, gram(rows), **parameters), dtype=torch.float64)
    return weights_A @ torch.tensor(rows, dtype=torch.float64)


def check_rounding(name: str, case: str, **parameters: object) -> None:
    """Gradients that float32 has rounded, dependent ones among them, give nearly the update of the exact ones."""
    rows_AP = torch.tensor(EDGES[case], dtype=torch.float64)
    exact_P = update_of(name, EDGES[case], **parameters)
    for seed in range(5):
        weights = weights_of(name, rounded(rows_AP @ rows_AP.T, seed), **parameters)
        update_P = torch.tensor(weights, dtype=torch.float64) @ rows_AP
        torch.testing.assert_close(update_P, exact_P, rtol=0, atol=1e-4 * float(rows_AP.norm(dim=1).max()))


def check_symmetry_and_scale(name: str, **parameters: object) -> None:
    """Tasks in another order have the same weights, and so has a common scale of all gradients; equal ones have equal."""

    def found(gram_AA: Tensor) -> Tensor:
        return torch.tensor(weights_of(name, gram_AA, **parameters), dtype=torch.float64)

    order = torch.tensor([2, 0, 3, 1])
    for seed in range(10):
        matrix = gram(random_rows(4, 6, seed, spread=3.0))
        weights = found(matrix)
        torch.testing.assert_close(found(matrix[order][:, order]), weights[order], rtol=1e-8, atol=1e-14)
        for factor in (1e-12, 1e12):
            torch.testing.assert_close(found(factor * matrix), weights, rtol=1e-8, atol=1e-14)
    alike = found(gram(EDGES["equal"]))
    torch.testing.assert_close(alike, alike.mean().expand(3), rtol=1e-12, atol=0)
    two_alike = found(gram([[1.0, 2.0, 0.0], [0.0, -3.0, 1.0], [1.0, 2.0, 0.0]]))
    torch.testing.assert_close(two_alike[0], two_alike[2], rtol=1e-12, atol=0)
