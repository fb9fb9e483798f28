"""Hard-concrete gates beside numbers of the paper's distribution."""

from __future__ import annotations

import math

import pytest
import torch

from architectures.hard_concrete import HardConcrete


def gates(value: float, *shape: int) -> HardConcrete:
    return HardConcrete(1, *shape, start=value)


def test_in_evaluation_a_gate_has_neither_noise_nor_temperature() -> None:
    values = [gates(value, 1).eval()().item() for value in (0.0, 1.0, -1.0, 9.0, -9.0)]
    expected = [1.2 / (1 + math.exp(-value)) - 0.1 for value in (0.0, 1.0, -1.0)]
    assert values == pytest.approx([*expected, 1.0, 0.0], abs=1e-6)
    assert expected[0] == pytest.approx(0.5)


def test_in_training_a_gate_is_the_papers_function_of_torchs_global_stream() -> None:
    made = gates(0.7, 5)
    torch.manual_seed(3)
    found = made()[0]
    torch.manual_seed(3)
    noise = torch.rand(1, 5)[0].tolist()
    stretched = [1.2 / (1 + math.exp(-(math.log(u) - math.log(1 - u) + 0.7) * 1.5)) - 0.1 for u in noise]
    assert found.tolist() == pytest.approx([min(1.0, max(0.0, value)) for value in stretched], abs=1e-6)


@pytest.mark.parametrize(("value", "closed", "full"), [(0.0, 0.168, 0.168), (1.0, 0.0692, 0.355), (2.0, 0.0266, 0.599)])
def test_draws_are_zero_and_one_as_often_as_the_distribution_says(value: float, closed: float, full: float) -> None:
    made = gates(value, 200_000)
    drawn = made()
    assert (drawn == 0).float().mean().item() == pytest.approx(closed, abs=0.004)
    assert (drawn == 1).float().mean().item() == pytest.approx(full, abs=0.004)
    assert made.expected_open().item() / 200_000 == pytest.approx(1 - closed, abs=0.001)


def test_the_expected_number_is_bounded_and_rises_with_every_gate() -> None:
    for value in (-30.0, -1.0, 0.0, 2.0):
        made = gates(value, 4)
        made.expected_open().backward()
        (log_alpha,) = made.log_alpha
        assert 0 <= made.expected_open().item() <= 4
        assert log_alpha.grad is not None
        assert ((log_alpha.grad > 0) & (log_alpha.grad <= 0.25)).all()


def test_a_draw_at_the_edge_of_the_uniform_has_a_finite_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)
    made = gates(0.0, 3)
    made().sum().backward()
    assert made.log_alpha[0].grad is not None
    assert made.log_alpha[0].grad.isfinite().all()
