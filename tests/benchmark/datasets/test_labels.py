"""Labels on their way from the reader to the loss: which are refused, which are filled in, and what precision they keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmark.datasets import Data
from benchmark.datasets.prepare import prepare
from benchmark.datasets.shop import Shop
from benchmark.datasets.table import SPLITS, fill_children, label_bytes
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.training.batches import TrainingRows
from benchmark.training.targets import TargetScale
from tests.benchmark.datasets.toy import CLICK, SECONDS, assert_same_rows, made, table


def test_only_chosen_labels_enter() -> None:
    data = made(tasks=("seconds",))
    assert data.schema.task_names == ("seconds",)
    np.testing.assert_array_equal(data.train.labels, np.array([[1.5], [2], [np.nan], [3]], np.float32))


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("click", [1, 1, 1, np.nan, 0, 0, 0, 0], "task 'click': all 3 labels in train are of one class, 1"),
        ("click", [np.nan] * 4 + [0, 1, 0, 1], "task 'click': no label is observed in train"),
        ("click", [0, 1, 2, 3, 1, 0, 1, 0], "task 'click': a binary label is 0 or 1, found 2 others, first 2"),
        ("click", [0, 1, 1, 1, 0, 0, 0, 0], "task 'purchase' is given 'click' and cannot be greater, but is on 1 rows"),
        (
            "purchase",
            [1, 1, 0, np.nan, 0, 0, 1, 1],
            "task 'purchase' is given 'click' and cannot be greater, but is on 2",
        ),
        (
            "purchase",
            [0, 1, 0, 0, 0, 0, 1, 0],
            "task 'purchase' is given 'click', but on 1 rows it is observed and 'click'",
        ),
        ("seconds", [np.inf] + [1.0] * 7, "task 'seconds': labels must be finite, found 1"),
    ],
)
def test_labels_are_checked(task: str, labels: list[float], message: str) -> None:
    wrong = table()
    wrong.labels[task] = np.array(labels)
    tasks = ("seconds",) if task == "seconds" else ("click", "purchase")
    with pytest.raises(ValueError, match=message):
        made(lambda: wrong, tasks)


def test_a_child_may_be_unknown_where_its_parent_is_known() -> None:
    fine = table()
    fine.labels["purchase"][1] = np.nan
    fine.labels["purchase"][2] = 1
    assert np.isnan(made(lambda: fine, ("click", "purchase")).train.labels[1, 1])


EPOCH = 1_700_000_000  # seconds since 1970


@pytest.mark.parametrize("form", [np.int64, np.float64])
def test_large_regression_labels_keep_their_last_digit(form: type) -> None:
    fine = table()
    fine.labels["seconds"] = EPOCH + np.arange(8, dtype=form)
    data = made(lambda: fine, ("seconds",))
    assert data.train.labels[:, 0].tolist() == [EPOCH, EPOCH + 1, EPOCH + 2, EPOCH + 3]
    (batch,) = TrainingRows(data.train, TargetScale.of(data.train, (SECONDS,)), torch.device("cpu")).slices()
    expected = (np.arange(4) - 1.5) / np.arange(4).std()
    np.testing.assert_allclose(batch.labels[:, 0].numpy(), expected, rtol=1e-6)


def test_labels_that_float32_has_rounded_already_are_refused() -> None:
    wrong = table()
    wrong.labels["seconds"] = (EPOCH + 300 * np.arange(8)).astype(np.float32)
    with pytest.raises(
        ValueError,
        match=r"^label 'seconds': came as float32, which has steps of 128 at 1.7e\+09, while the labels have a standard "
        r"deviation of 345 in train; give float64$",
    ):
        made(lambda: wrong, ("seconds",))
    assert made(lambda: wrong).schema.task_names == ("click",)
    wrong.labels["seconds"] = (EPOCH + 300_000 * np.arange(8)).astype(np.float32)
    assert made(lambda: wrong, ("seconds",)).train.labels[0, 0] == np.float32(EPOCH)


def drawn_shop(labels: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> tuple[Data, np.ndarray]:
    """A small drawn log whose labels were given otherwise, and where nothing was clicked."""
    shop = Shop(num_users=40, num_items=30, num_rows=3000)
    drawn, _ = shop.draw()
    made.calls += 1  # type: ignore[attr-defined]
    changed = dataclasses.replace(drawn, labels=labels(drawn.labels))
    data = prepare(shop, read=lambda: changed, source={"call": made.calls})  # type: ignore[attr-defined]
    return data, drawn.labels["click"] == 0


def test_a_child_that_is_empty_where_its_parent_is_0_is_as_if_zeros_were_given() -> None:
    given, unclicked = drawn_shop(dict)
    empty, _ = drawn_shop(
        lambda labels: labels | {"purchase": np.where(labels["click"] == 0, np.nan, labels["purchase"])}
    )
    for name in SPLITS:
        assert_same_rows(getattr(empty, name), getattr(given, name))
    assert empty.facts == given.facts | {"zeros_filled_in": {"purchase": int(unclicked.sum())}}
    assert empty.fingerprint != given.fingerprint, "the fingerprint is of what was parsed"


def test_zeros_go_down_a_chain_and_nowhere_else() -> None:
    nan = np.nan
    chain = (CLICK, Task("cart", BINARY, given="click"), Task("buy", BINARY, given="cart"), SECONDS)
    labels_RT = np.array([
        [0, nan, nan, nan], [1, 0, nan, 5], [1, nan, nan, 5], [nan, nan, nan, nan], [1, 1, nan, 5], [1, 1, 1, nan],
    ])  # fmt: skip
    filled_RT = fill_children(labels_RT, chain)
    expected = [[0, 0, 0, nan], [1, 0, 0, 5], [1, nan, nan, 5], [nan] * 4, [1, 1, nan, 5], [1, 1, 1, nan]]
    np.testing.assert_array_equal(labels_RT, expected)
    assert filled_RT.sum(axis=0).tolist() == [0, 1, 2, 0]


def test_a_child_that_is_only_ever_1_or_empty_has_both_classes() -> None:
    fine = table()
    fine.labels["purchase"] = np.array([np.nan, 1, np.nan, np.nan, np.nan, np.nan, 1, np.nan])
    data = made(lambda: fine, ("click", "purchase"))
    np.testing.assert_array_equal(data.train.labels[:, 1], [0, 1, np.nan, np.nan])
    assert data.facts["zeros_filled_in"] == {"purchase": 3}


def content(label: np.ndarray) -> bytes:
    return b"".join(label_bytes(label))


def test_labels_that_float32_cannot_tell_apart_have_a_fingerprint_of_their_own() -> None:
    start = np.array([1.7e9, 1.7e9 + 40.0, 1.7e9 + 90.0, np.nan])
    assert content(start) != content(start + 8.0)
    assert (start.astype(np.float32) == (start + 8.0).astype(np.float32))[:3].all()
    fine = np.array([0.5, 1.25, np.nan])
    assert content(fine) == fine.astype("<f4").tobytes()  # as it always was
