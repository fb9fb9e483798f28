"""The step: chosen by the weighting's class, in any float type, and what it leaves for the watch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from architectures import Architecture, Batch
from benchmark.contracts.toys import LIKE, SECONDS, build, make_batch, make_schema
from benchmark.settings.config import TrainerConfig
from benchmark.training.gradients import GradientEngine
from benchmark.training.optimizer import Optimizer, Schedule
from benchmark.training.step import EagerStep, LossBackward, make_step
from benchmark.training.targets import TaskLosses
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting
from tests.toys import with_columns

SCHEMA = make_schema(LIKE, SECONDS)
OBSERVED = (True, True)


class Sum(LossWeighting):
    """The weighted sum, which counts its calls in place once the update is done, as FAMO changes its weights."""

    weights_T: Tensor

    def __init__(self) -> None:
        super().__init__(SCHEMA.tasks)
        self.register_buffer("weights_T", torch.ones(2))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return (self.weights_T * losses_T).sum()

    def after_step(self, losses_T: Tensor, recompute: Callable[[], Tensor]) -> None:
        self.seen.append((losses_T, recompute()))
        self.weights_T.add_(1)


class Ones(GramWeighting):
    def __init__(self) -> None:
        super().__init__(SCHEMA.tasks)

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return torch.ones(len(gram_AA), dtype=torch.float64)


class Total(JacobianWeighting):
    def __init__(self) -> None:
        super().__init__(SCHEMA.tasks)

    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        return gradients_AP.sum(dim=0)


def make(
    weighting: Weighting, dtype: torch.dtype = torch.float32, *, log_conflicts: bool = False
) -> tuple[Architecture, EagerStep]:
    model = build("mmoe", SCHEMA).to(dtype)
    config = TrainerConfig(learning_rate=0.01)
    optimizer = Optimizer(model, weighting, config)
    losses, schedule = TaskLosses(SCHEMA.tasks, OBSERVED), Schedule(optimizer, config, 10)
    step = make_step(model, weighting, losses, optimizer, schedule=schedule, log_conflicts=log_conflicts)
    assert isinstance(step, EagerStep)
    return model, step


def batch_of(rows: int, numeric: torch.dtype = torch.float32) -> Batch:
    batch = make_batch(SCHEMA, rows)
    return with_columns(batch, numeric=batch.numeric.to(numeric))


@pytest.mark.parametrize(
    ("weighting", "backward"), [(Sum, LossBackward), (Ones, GradientEngine), (Total, GradientEngine)]
)
def test_the_weighting_s_class_decides_the_backward(weighting: type[Weighting], backward: type) -> None:
    assert type(make(weighting())[1].backward) is backward


@pytest.mark.parametrize("weighting", [Sum, Ones, Total])
def test_a_float64_model_trains_on_float32_labels(weighting: type[Weighting]) -> None:
    """To within float32's rounding as the float32 model does; and its losses are of its own type."""
    (double, step), (_, other) = make(weighting(), torch.float64), make(weighting())
    losses = []
    for _ in range(20):
        outcome, expected = step(batch_of(64, torch.float64)), other(batch_of(64))
        assert outcome.losses_T.dtype is torch.float64
        torch.testing.assert_close(outcome.losses_T.float(), expected.losses_T, rtol=1e-3, atol=1e-4)
        losses.append(float(outcome.losses_T.sum()))
    assert losses[-1] < losses[0]
    assert {p.dtype for p in double.parameters()} == {torch.float64}


def test_gradients_of_a_float64_model_are_those_of_float64_labels() -> None:
    batch = batch_of(64, torch.float64)
    found = []
    for labels in (batch.labels, batch.labels.double()):
        model, step = make(Ones(), torch.float64)
        step(Batch(batch.features, labels, batch.observed))
        found.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_its_outcome_is_of_this_update_whatever_the_weighting_does_after_it() -> None:
    weighting = Sum()
    _, step = make(weighting)
    first, second = step(batch_of(32)), step(batch_of(32))
    assert first.weights_T.tolist() == [1, 1]
    assert second.weights_T.tolist() == [2, 2]
    assert first.active_T.tolist() == [True, True]
    assert not first.losses_T.requires_grad
    (before, after), (again, _) = weighting.seen
    assert torch.equal(before, first.losses_T)
    assert torch.equal(after, again)  # the same batch, after the update
    assert after.sum() < before.sum()


def test_a_plain_step_finds_nothing_out_and_a_gradient_step_what_is_shared() -> None:
    assert make(Sum())[1].state_dict() == {"step": 0, "backward": {}}
    (_, step), (_, other) = make(Ones()), make(Ones())
    step(batch_of(32))
    assert step.state_dict()["backward"]["reached"][0]
    other.load_state_dict(step.state_dict())
    assert other.state_dict() == step.state_dict()


def test_logging_conflicts_changes_no_result_and_compares_every_tenth_step() -> None:
    torch.manual_seed(0)
    (model, step), (plain_model, plain) = make(Sum(), log_conflicts=True), make(Sum())
    seen = []
    for _ in range(12):
        batch = batch_of(32)
        seen.append(step(batch).gram_TT)
        assert plain(batch).gram_TT is None
    assert [number for number, gram_TT in enumerate(seen) if gram_TT is not None] == [0, 10]
    for found, expected in zip(model.parameters(), plain_model.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_what_is_observed_is_what_a_gradient_method_compares() -> None:
    torch.manual_seed(0)
    batch = batch_of(32)
    observed, compared = make(Sum(), log_conflicts=True)[1](batch).gram_TT, make(Ones())[1](batch).gram_TT
    assert observed is not None
    torch.testing.assert_close(observed, compared, rtol=1e-5, atol=0)


def test_an_observer_resumes_with_its_findings_and_its_step() -> None:
    torch.manual_seed(0)
    (_, step), (_, other) = make(Sum(), log_conflicts=True), make(Sum(), log_conflicts=True)
    for _ in range(3):
        step(batch_of(32))
    other.load_state_dict(step.state_dict())
    assert other.state_dict() == step.state_dict()
    assert other(batch_of(32)).gram_TT is None
