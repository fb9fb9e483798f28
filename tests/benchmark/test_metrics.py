"""Metrics against scikit-learn on random and degenerate input, and the conditional metrics of a funnel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

import benchmark.pieces
from benchmark import metrics
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.schema import Task

CLICK = Task("click", BINARY)
PURCHASE = Task("purchase", BINARY, given="click")
SECONDS = Task("play", REGRESSION, unit="seconds", transform=Transform.LOG1P)
STARS = Task("rating", REGRESSION, unit="stars")

# few distinct values, so that ties are common
binary_rows = st.lists(st.tuples(st.integers(-4, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60)
number = st.floats(-100, 100).map(lambda value: round(value, 3))
regression_rows = st.lists(st.tuples(number, number), min_size=2, max_size=60)


def one(
    task: Task, output: np.ndarray, label: np.ndarray, users: np.ndarray | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    found, undefined = metrics.evaluate([task], {task.name: output}, np.asarray(label, dtype=float)[:, None], users)
    return found[task.name], undefined


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))


@given(binary_rows)
def test_binary_metrics_equal_those_of_sklearn(rows: list[tuple[int, bool, int]]) -> None:
    logits, labels, _ = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found, undefined = one(CLICK, logits, labels)
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, sigmoid(logits), labels=[0, 1]))
    assert found["positive_rate"] == labels.mean()
    if len(set(labels)) == 2:
        assert found["auc"] == pytest.approx(reference.roc_auc_score(labels, logits), abs=1e-12)
    else:
        assert found["auc"] is None
        assert "one class only" in undefined["click.auc"]
    if labels.any():
        assert found["calibration"] == pytest.approx(sigmoid(logits).sum() / labels.sum())
    else:
        assert "no positive label" in undefined["click.calibration"]


@given(binary_rows)
def test_gauc_is_the_mean_auc_of_users_weighted_by_their_rows(rows: list[tuple[int, bool, int]]) -> None:
    logits, labels, users = (np.array(column) for column in zip(*rows, strict=True))
    found, undefined = one(CLICK, logits, labels, users)
    mine = {user: users == user for user in set(users.tolist()) if len(set(labels[users == user].tolist())) == 2}
    assert found["gauc_users"] == len(mine)
    assert found["gauc_rows"] == pytest.approx(sum(m.sum() for m in mine.values()) / len(users))
    if mine:
        aucs = [reference.roc_auc_score(labels[m], logits[m]) for m in mine.values()]
        assert found["gauc"] == pytest.approx(np.average(aucs, weights=[m.sum() for m in mine.values()]), abs=1e-12)
    else:
        assert undefined["click.gauc"] == "no user has both classes"


@given(regression_rows)
def test_regression_metrics_equal_those_of_sklearn(rows: list[tuple[float, float]]) -> None:
    values, labels = (np.array(column) for column in zip(*rows, strict=True))
    found, undefined = one(STARS, values, labels)
    assert found["mse"] == pytest.approx(reference.mean_squared_error(labels, values))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(labels, values))
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(labels, values))
    if len(set(labels.tolist())) > 1:
        assert found["r2"] == pytest.approx(reference.r2_score(labels, values))
    else:
        assert "constant target" in undefined["rating.r2"]


@given(binary_rows, st.data())
def test_rows_without_a_label_change_nothing(rows: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    logits, labels, users = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    extra = np.array(data.draw(st.lists(st.integers(-4, 4), min_size=1, max_size=5)), dtype=float)
    with_unlabelled = one(
        CLICK,
        np.concatenate([extra, logits]),
        np.concatenate([np.full(len(extra), np.nan), labels]),
        np.concatenate([np.zeros(len(extra)), users]).astype(int),
    )
    assert with_unlabelled == one(CLICK, logits, labels, users.astype(int))


def test_users_alone_do_not_rank_across_users() -> None:
    found, _ = one(CLICK, np.array([0.0, 1, 10, 11]), np.array([0, 1, 0, 1]), np.array([3, 3, -1, -1]))
    assert found["gauc"] == 1.0
    assert found["auc"] == 0.75


@pytest.mark.parametrize("task", [CLICK, STARS])
def test_nothing_observed_is_undefined_with_the_reason(task: Task) -> None:
    for label in (np.full(3, np.nan), np.zeros(0)):
        found, undefined = one(task, np.zeros(len(label)), label)
        assert found
        assert set(found.values()) == {None}
        assert set(undefined.values()) == {"no observed label"}
        assert set(undefined) == {f"{task.name}.{metric}" for metric in found}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_undefined(bad: float) -> None:
    found, undefined = one(CLICK, np.array([0.5, bad, 1]), np.array([0, 1, 1]))
    assert found["auc"] is None
    assert undefined["click.auc"] == "1 of 3 outputs are not finite"


def test_a_value_that_overflows_is_undefined() -> None:
    found, undefined = one(STARS, np.array([1e200, 0]), np.array([1, 2]))
    assert found["mse"] is None
    assert "not finite" in undefined["rating.mse"]


def test_log_loss_is_exact_far_out() -> None:
    found, _ = one(CLICK, np.array([800.0, -800.0]), np.array([0, 1]))
    assert found["log_loss"] == 800.0


def test_a_transformed_target_has_its_error_in_the_unit_too() -> None:
    seconds, predicted = np.array([0.0, 10, 100]), np.array([1.0, 7, 130])
    found, _ = one(SECONDS, np.log1p(predicted), np.log1p(seconds))
    assert found["mae[seconds]"] == pytest.approx(np.abs(seconds - predicted).mean())
    assert found["mae"] == pytest.approx(np.abs(np.log1p(seconds) - np.log1p(predicted)).mean())
    assert "mae[stars]" not in one(STARS, predicted, seconds)[0]


def _and_logit(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(-np.logaddexp(np.logaddexp(-a, -b), -a - b))


def test_conditional_metrics_of_a_coherent_funnel_are_those_of_its_conditional_head() -> None:
    rng = np.random.default_rng(0)
    click, conversion = rng.normal(size=(2, 5000))
    clicked = rng.random(5000) < sigmoid(click)
    bought = clicked & (rng.random(5000) < sigmoid(conversion))
    labels = np.stack([clicked, bought], axis=1).astype(float)
    outputs = {"click": click, "purchase": _and_logit(click, conversion)}
    found = metrics.evaluate([CLICK, PURCHASE], outputs, labels)[0]["purchase"]
    head = one(CLICK, conversion[clicked], bought[clicked])[0]
    for metric in ("auc", "log_loss", "calibration"):
        assert found[f"{metric}[purchase|click]"] == pytest.approx(head[metric], rel=1e-9)
    assert found["rows[purchase|click]"] == clicked.sum()
    assert found["incoherent[purchase|click]"] == 0.0
    assert found["auc"] == pytest.approx(reference.roc_auc_score(bought, outputs["purchase"]))


def test_an_incoherent_funnel_is_said_to_be_one_and_stays_finite() -> None:
    outputs = {"click": np.array([0.0, 0, 0, -50]), "purchase": np.array([1.0, -1, 50, 50])}
    labels = np.array([[1, 1], [1, 0], [0, 0], [1, 1]], dtype=float)
    found = metrics.evaluate([CLICK, PURCHASE], outputs, labels)[0]["purchase"]
    assert found["incoherent[purchase|click]"] == 0.75
    capped, coherent = 1 - 1e-6, sigmoid(np.array(-1.0)) / 0.5
    expected = -(2 * np.log(capped) + np.log1p(-coherent)) / 3
    assert found["log_loss[purchase|click]"] == pytest.approx(expected, rel=1e-9)
    assert found["auc[purchase|click]"] == 1.0


def test_a_conditional_metric_without_a_clicked_row() -> None:
    outputs = {"click": np.zeros(2), "purchase": np.zeros(2)}
    found, undefined = metrics.evaluate([CLICK, PURCHASE], outputs, np.zeros((2, 2)))
    assert found["purchase"]["rows[purchase|click]"] == 0.0
    assert undefined["purchase.auc[purchase|click]"] == "no observed label"


def test_a_regression_child_is_divided_by_the_probability_of_its_parent() -> None:
    dwell = Task("dwell", REGRESSION, given="click")
    outputs = {"click": np.zeros(3), "dwell": np.array([1.0, 2, 9])}
    labels = np.array([[1, 3], [1, 4], [0, 0]], dtype=float)
    found = metrics.evaluate([CLICK, dwell], outputs, labels)[0]["dwell"]
    assert found["mse[dwell|click]"] == 0.5  # 2 and 4 against 3 and 4
    assert found["rows[dwell|click]"] == 2


def test_constant_outputs_are_the_mean_of_train() -> None:
    labels = np.array([[1, 2.0, 1], [0, np.nan, 1], [0, 4, 1], [np.nan, 6, np.nan]])
    always = Task("always", BINARY)
    outputs = metrics.constant_outputs([CLICK, STARS, always], labels, 2)
    assert sigmoid(outputs["click"]) == pytest.approx([1 / 3, 1 / 3])
    assert outputs["rating"].tolist() == [4.0, 4.0]
    assert np.isfinite(outputs["always"]).all()
    found, _ = metrics.evaluate(
        [CLICK, STARS, always], metrics.constant_outputs([CLICK, STARS, always], labels, 4), labels
    )
    assert found["click"]["auc"] == 0.5
    assert found["click"]["calibration"] == pytest.approx(1)
    assert found["rating"]["r2"] == pytest.approx(0)


def test_the_criterion_is_oriented() -> None:
    found: metrics.Metrics = {"click": {"auc": 0.8, "log_loss": 0.4}, "rating": {"mse": 2.0, "r2": 0.2}}
    tasks = [CLICK, STARS]
    assert metrics.criterion(found, tasks, "mean") == pytest.approx((0.6 + 0.2) / 2)
    assert metrics.criterion(found, tasks, "click.auc") == 0.8
    assert metrics.criterion(found, tasks, "click.log_loss") == -0.4
    assert metrics.criterion(found, tasks, "rating.mse") == -2.0


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("auc", "click.auc"),
        ("likes.auc", "mean, click.auc, purchase.auc, rating.mse"),
        ("click.mse", "auc, log_loss"),
        ("click.calibration", "auc, log_loss"),  # best at 1: no direction
        ("click.auc[purchase|click]", "auc"),
    ],
)
def test_a_bad_monitor_is_refused_with_what_is_known(monitor: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"trainer\.monitor") as error:
        metrics.check_monitor(monitor, [CLICK, PURCHASE, STARS])
    assert said in str(error.value)


@pytest.mark.parametrize("monitor", ["mean", "click.gauc", "purchase.auc[purchase|click]", "play.mae[seconds]"])
def test_a_good_monitor_passes(monitor: str) -> None:
    metrics.check_monitor(monitor, [CLICK, PURCHASE, SECONDS])


@pytest.mark.parametrize("monitor", ["mean", "click.auc", "click.gauc"])
def test_an_undefined_monitor_is_an_error(monitor: str) -> None:
    found, _ = metrics.evaluate([CLICK], {"click": np.zeros(2)}, np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"needs click\.g?auc, which is undefined"):
        metrics.criterion(found, [CLICK], monitor)


def test_every_key_is_listed_and_has_a_direction() -> None:
    rng = np.random.default_rng(0)
    tasks = [CLICK, PURCHASE, SECONDS]
    outputs = {task.name: rng.normal(size=20) for task in tasks}
    found, _ = metrics.evaluate(tasks, outputs, rng.integers(0, 2, (20, 3)).astype(float), rng.integers(0, 3, 20))
    for task in tasks:
        assert list(found[task.name]) == metrics.metric_names(task)
        assert metrics.direction(metrics.headline_name(task)) != 0
    assert metrics.direction("auc[purchase|click]") == 1
    assert metrics.direction("mae[seconds]") == -1
    with pytest.raises(ValueError, match="known: auc"):
        metrics.direction("accuracy")


def test_notes_have_the_values_of_their_metrics_and_are_left_out_without_them() -> None:
    of_clicks = {"gauc_users": 804.0, "gauc_rows": 0.9132}
    about_users = "GAUC is over the 804 users with both classes, who have 91.3% of the rows."
    about_rows = "Conditional metrics, [purchase|click], are over the 2,104 test rows where click is 1."
    assert metrics.notes(CLICK, of_clicks.get) == [about_users]
    assert metrics.notes(PURCHASE, {**of_clicks, "rows[purchase|click]": 2104.0}.get) == [about_users, about_rows]
    assert metrics.notes(PURCHASE, {"gauc_users": 804.0, "rows": 3.0}.get) == []
    assert metrics.notes(STARS, {**of_clicks, "rows[purchase|click]": 1.0}.get) == []


def test_a_note_speaks_of_metrics_that_there_are() -> None:
    asked: set[str] = set()
    for task in (CLICK, PURCHASE, SECONDS):
        assert metrics.notes(task, asked.add) == []  # type: ignore[arg-type]
    assert asked == {"gauc_users", "gauc_rows", "rows[purchase|click]"}
    assert asked <= set(metrics.metric_names(PURCHASE))


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        ({}, np.zeros((2, 1)), "no output of task 'click'"),
        ({"click": np.zeros(3)}, np.zeros((2, 1)), r"must be \(2,\), found \(3,\)"),
        ({"click": np.zeros(2)}, np.zeros((2, 2)), r"labels must be \(rows, 1\)"),
    ],
)
def test_wrong_shapes_are_refused(outputs: dict[str, np.ndarray], labels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.evaluate([CLICK], outputs, labels)


@given(binary_rows)
def test_auc_is_unchanged_by_a_monotone_map_and_mirrored_by_a_change_of_sign(rows: list[tuple[int, bool, int]]) -> None:
    logits, labels, _ = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(len(set(labels)) == 2)
    auc = one(CLICK, logits, labels)[0]["auc"]
    assert one(CLICK, logits**3, labels)[0]["auc"] == auc
    assert one(CLICK, -logits, labels)[0]["auc"] == pytest.approx(1 - auc)


def test_gauc_takes_no_loop_over_users() -> None:
    rng = np.random.default_rng(0)
    scores, labels, users = rng.normal(size=200_000), rng.random(200_000) < 0.3, rng.integers(0, 50_000, 200_000)
    lines = 0

    def count(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        metrics.auc_by_user(scores, labels, users)
    finally:
        sys.settrace(before)
    assert 5 < lines < 1_000  # of Python, for 50,000 users


def test_aucs_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    scores, labels = np.round(rng.normal(size=3000), 1), (rng.random(3000) < 0.3).astype(float)
    users = rng.integers(-40, 60, 3000)
    whole = metrics.auc_by_user(scores, labels, users)
    auc = one(CLICK, scores, labels)[0]["auc"]
    for piece in (7, 100, 2999):
        monkeypatch.setattr(benchmark.pieces, "PIECE", piece)
        for found, expected in zip(metrics.auc_by_user(scores, labels, users), whole, strict=True):
            np.testing.assert_array_equal(found, expected)
        assert one(CLICK, scores, labels)[0]["auc"] == auc
    assert auc == metrics.auc_by_user(scores, labels, np.zeros(3000, int))[0][0]
