"""Which epoch counts: ties, patience, and the two selections of one run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Metrics, Task
from benchmark.training.selection import Selection

LIKED = Task("liked", BINARY)
RATING = Task("rating", REGRESSION)
TASKS = (LIKED, RATING)


def values(auc: float | None, mse: float, r2: float | None = None) -> Metrics:
    return {"liked": {"auc": auc}, "rating": {"mse": mse, "r2": 1 - mse if r2 is None else r2}}


class Run:
    """A model whose one weight is the number of the epoch."""

    def __init__(self, monitor: str = "mean", patience: int = 2) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        self.selection = Selection(TASKS, monitor, patience)
        self.epoch = 0

    def see(self, *epochs: Metrics) -> Run:
        for validation in epochs:
            self.epoch += 1
            with torch.no_grad():
                self.model.weight.fill_(self.epoch)
            self.selection.update(self.epoch, validation, self.model)
        return self

    @property
    def is_exhausted(self) -> bool:
        return self.selection.is_exhausted

    def weight_of(self, epoch: int) -> float:
        return float(self.selection.state(epoch)["weight"])


def test_a_tie_goes_to_the_earlier_epoch() -> None:
    selection = Run().see(values(0.7, 0.5), values(0.7, 0.5), values(0.7, 0.5)).selection
    assert selection.best == 1
    assert selection.best_per_task == {"liked": 1, "rating": 1}


def test_each_task_has_its_own_best_by_auc_or_by_mse() -> None:
    run = Run().see(values(0.6, 0.5), values(0.7, 0.9), values(0.65, 0.4))
    assert run.selection.best_per_task == {"liked": 2, "rating": 3}
    assert run.selection.best == 3  # (0.3 + 0.6) / 2


def test_the_criterion_is_the_mean_of_2_auc_minus_1_and_r2() -> None:
    run = Run()
    assert run.selection.update(1, values(0.7, 0.5, r2=0.2), run.model) == pytest.approx((0.4 + 0.2) / 2)


@pytest.mark.parametrize(("monitor", "best"), [("liked.auc", 2), ("rating.mse", 1), ("rating.r2", 1)])
def test_a_monitor_of_one_metric_decides_the_joint_epoch_alone(monitor: str, best: int) -> None:
    assert Run(monitor).see(values(0.6, 0.5), values(0.7, 0.9)).selection.best == best


def test_patience_counts_from_the_last_improvement_of_anything() -> None:
    run = Run(patience=2).see(values(0.7, 0.5))
    assert not run.see(values(0.6, 0.6)).is_exhausted
    # the joint criterion falls further, but one task has its best epoch so far: the count starts anew
    assert not run.see(values(0.3, 0.49)).is_exhausted
    assert run.selection.best == 1
    assert not run.see(values(0.6, 0.6)).is_exhausted
    assert run.see(values(0.7, 0.5)).is_exhausted  # equal to the best is no improvement


def test_patience_counts_an_improvement_of_the_joint_criterion_alone() -> None:
    run = Run(patience=1).see(values(0.80, 1.0), values(0.5, 0.5))
    assert run.selection.best == 1
    assert run.see(values(0.79, 0.51)).selection.best == 3  # neither task's best, yet the best mean
    assert run.selection.best_per_task == {"liked": 1, "rating": 2}
    assert not run.is_exhausted


def test_the_weights_of_every_chosen_epoch_are_kept_and_no_others() -> None:
    run = Run().see(values(0.8, 1.0), values(0.5, 0.5), values(0.79, 0.51), values(0.6, 0.9))
    assert [run.weight_of(epoch) for epoch in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(KeyError):
        run.selection.state(4)
    run.see(values(0.9, 0.1))
    assert run.weight_of(5) == 5
    with pytest.raises(KeyError):
        run.selection.state(1)


def test_a_task_whose_metric_is_undefined_falls_back_to_the_joint_epoch() -> None:
    run = Run("rating.r2").see(values(None, 0.9), values(None, 0.5), values(None, 0.7))
    assert run.selection.best_per_task == {"rating": 2}
    run.selection.finish()
    assert run.selection.best_per_task == {"rating": 2, "liked": 2}


def test_a_monitor_that_needs_an_undefined_metric_says_so() -> None:
    with pytest.raises(ValueError, match=r"trainer.monitor=mean needs liked.auc, which is undefined"):
        Run().see(values(None, 0.5))
