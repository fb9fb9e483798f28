"""PCGrad against exact values, and its own stream of randomness."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.weightings.pcgrad import PCGrad
from tests.benchmark.weightings.gradients import JACOBIANS, gram

# Five Jacobians. D's conflict meets dependent gradients, so there the order of projections matters; E is badly scaled.
# the weights under every order of projections
WEIGHTS = {
    "A": [[2.2222222222222223, 1.5789473684210527]],
    "B": [[1.5833333333333335, 1.0, 1.2456140350877192]],
    "C": [[1.0, 1.0]],
    "D": [[1.2, 1.0, 4.0], [1.0, 1.1, 4.0]],
    "E": [[65.0, 1.006896551724138]],
}


def weights_of(gram_AA: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    weighting = PCGrad(tuple(Task(f"t{number}", BINARY) for number in range(len(gram_AA))))
    losses_A = torch.ones(len(gram_AA))
    return weighting.weights(gram_AA, losses_A, losses_A.bool())


@pytest.mark.parametrize("case", JACOBIANS)
def test_weights_are_exact_in_some_order(case: str) -> None:
    found = [weights_of(gram(JACOBIANS[case]), seed).tolist() for seed in range(20)]
    for weights in found:
        assert any(weights == pytest.approx(expected, rel=1e-12) for expected in WEIGHTS[case])
    for expected in WEIGHTS[case]:
        assert any(weights == pytest.approx(expected, rel=1e-12) for weights in found), "every order is drawn"


def test_the_update_is_that_of_the_paper_s_loop_on_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        jacobian = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        possible = []
        for orders in (
            (a, b, c) for a in permutations([1, 2]) for b in permutations([0, 2]) for c in permutations([0, 1])
        ):
            total = torch.zeros(4, dtype=torch.float64)
            for i, order in enumerate(orders):
                projected = jacobian[i].clone()
                for j in order:
                    inner = projected @ jacobian[j]
                    if inner < 0:
                        projected -= inner / jacobian[j].square().sum() * jacobian[j]
                total += projected
            possible.append(total)
        update = weights_of(jacobian @ jacobian.T) @ jacobian
        assert any(torch.allclose(update, expected, rtol=1e-10) for expected in possible)


def test_without_conflict_it_is_the_sum() -> None:
    assert weights_of(gram([[1, 0, 1], [0, 1, 1], [1, 1, 0]])).tolist() == [1, 1, 1]


def test_a_gradient_of_zero_is_harmless() -> None:
    assert weights_of(gram([[0, 0], [1, -1], [-1, 0]])).tolist() == pytest.approx([1.0, 1.5, 2.0])


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("case", JACOBIANS)
def test_a_common_scale_leaves_the_weights_alone(case: str, factor: float) -> None:
    matrix = gram(JACOBIANS[case])
    torch.testing.assert_close(weights_of(factor * matrix), weights_of(matrix), rtol=1e-9, atol=0)


def test_it_draws_nothing_from_the_global_stream() -> None:
    torch.manual_seed(0)
    weighting = PCGrad(tuple(Task(f"t{number}", BINARY) for number in range(3)))
    before = torch.random.get_rng_state()
    weighting.weights(gram(JACOBIANS["D"]), torch.ones(3), torch.ones(3).bool())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gradient_whose_square_underflows_is_not_projected_on() -> None:
    tasks = (Task("a", BINARY), Task("b", BINARY))
    gram_TT = torch.tensor([[1.0, -1e-40], [-1e-40, 0.0]], dtype=torch.float64)
    weights_T = PCGrad(tasks).weights(gram_TT, torch.ones(2), torch.ones(2, dtype=torch.bool))
    assert weights_T.tolist() == pytest.approx([1.0, 1.0])
