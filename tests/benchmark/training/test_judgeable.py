"""What validation cannot judge is known from its labels, before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.datasets import Data
from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import CategoricalField, Schema, Split, Task
from benchmark.training.judgeable import check_judgeable, undefined

CLICK, SECONDS = Task("click", BINARY), Task("seconds", REGRESSION)
BUY = Task("buy", BINARY, given="click")
TASKS = (CLICK, BUY, SECONDS)
FINE = {"click": [0, 1, 1, 0], "buy": [0, 1, 0, 0], "seconds": [1, 2, 3, 4]}
NAN = np.nan


def make(user: str | None = "user", **labels: list[float]) -> Data:
    """Four rows of train that are as they should be, and the same of validation, but for these labels."""

    def split(columns: dict[str, list[float]]) -> Split:
        codes = np.array([[1], [1], [2], [2]], np.int32)
        return Split(codes, np.zeros((4, 0), np.float32), np.array(list(columns.values()), dtype=np.float64).T)

    schema = Schema((CategoricalField("user", 3),), (), TASKS, user=user)
    return Data(schema, split(FINE), split(FINE | labels), split(FINE), fingerprint="x")


@pytest.mark.parametrize("monitor", ["mean", "click.auc", "buy.auc[buy|click]", "seconds.mse", "click.gauc"])
def test_what_can_be_judged_is_accepted(monitor: str) -> None:
    check_judgeable(make(), monitor)


@pytest.mark.parametrize(
    ("monitor", "labels", "reason"),
    [
        ("mean", {"buy": [0, 0, 0, 0]}, "buy.auc is undefined there (one class only: all 4 labels are 0)"),
        ("mean", {"buy": [NAN] * 4}, "buy.auc is undefined there (no observed label)"),
        ("mean", {"seconds": [5, 5, NAN, 5]}, "seconds.r2 is undefined there (constant target: all 3 labels are 5)"),
        ("click.auc", {"click": [1, 1, NAN, 1]}, "click.auc is undefined there (one class only: all 3 labels are 1)"),
        ("click.gauc", {"click": [0, 0, 1, 1]}, "click.gauc is undefined there (no user has both classes)"),
        ("buy.auc[buy|click]", {"buy": [0, 1, 1, 0]}, "(one class only: all 2 labels are 1)"),
        ("buy.log_loss[buy|click]", {"click": [0, 0, 0, 0], "buy": [0] * 4}, "(no observed label)"),
        ("seconds.mse", {"seconds": [NAN] * 4}, "seconds.mse is undefined there (no observed label)"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_reason(
    monitor: str, labels: dict[str, list[float]], reason: str
) -> None:
    with pytest.raises(
        ValueError, match=f"^trainer.monitor={monitor}".replace("[", r"\[").replace("|", r"\|")
    ) as caught:
        check_judgeable(make(**labels), monitor)
    assert reason in str(caught.value)


def test_the_ways_out_are_named_and_work() -> None:
    data = make(buy=[0, 0, 0, 0])
    with pytest.raises(ValueError, match="cannot be judged on the 4 rows of validation") as caught:
        check_judgeable(data, "mean")
    assert str(caught.value).endswith(
        "; take another dataset.split_seed (where that draws validation), trainer.monitor=click.auc, "
        "trainer.monitor=seconds.mse or dataset.tasks without buy"
    )
    for monitor in ("click.auc", "seconds.mse"):
        check_judgeable(data, monitor)


def test_where_nothing_can_be_judged_only_another_split_is_left() -> None:
    data = make(click=[0] * 4, buy=[0] * 4, seconds=[NAN] * 4)
    with pytest.raises(
        ValueError, match=r"click\.auc is undefined there .*, buy\.auc is .*, seconds\.r2 is "
    ) as caught:
        check_judgeable(data, "mean")
    assert str(caught.value).endswith("; take another dataset.split_seed (where that draws validation)")


def test_a_monitor_of_users_needs_users() -> None:
    with pytest.raises(ValueError, match=r"click.gauc is undefined there \(the data set has no users\)"):
        check_judgeable(make(user=None), "click.gauc")


def test_a_constant_target_has_an_error_and_no_share_of_its_variance() -> None:
    data = make(seconds=[5, 5, 5, 5])
    assert list(undefined(data, [(SECONDS, "mse"), (SECONDS, "r2")])) == [(SECONDS, "r2")]
    check_judgeable(data, "seconds.mse")
