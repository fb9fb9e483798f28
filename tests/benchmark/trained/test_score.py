"""The score language: what it means, what it refuses, and that nothing but ValueError ever comes out of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.trained.score import Conditional, Node, Number, Power, Prediction, Product, Score, Sum, default, parse

CLICK = Task("click", BINARY)
BUY = Task("buy", BINARY, given="click")
LIKE = Task("like", BINARY)
STAY = Task("stay", REGRESSION, unit="seconds")
TASKS = (CLICK, BUY, LIKE, STAY)
PREDICTIONS = {
    "click": np.array([0.5, 0.25, 0.0, 1.0]),
    "buy": np.array([0.25, 0.5, 0.0, 0.0]),
    "like": np.array([0.1, 0.2, 0.3, 0.4]),
    "stay": np.array([-1.0, 0.0, 4.0, 9.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("click", [0.5, 0.25, 0.0, 1.0]),
        ("stay", [-1, 0, 4, 9]),
        ("buy|click", [0.5, 1.0, 0.0, 0.0]),  # .5 / .25 is clipped, 0 / 0 is 0
        ("click*buy|click", [0.25, 0.25, 0.0, 0.0]),
        ("stay^0.5", [0, 0, 2, 3]),  # a negative base counts as 0
        ("stay^2", [0, 0, 16, 81]),
        ("(2 + 3 * stay) ^ 1", [0, 2, 14, 29]),
        ("like + 2 * click ^ 2", [0.6, 0.325, 0.3, 2.4]),
        ("-10 * like + .5e1", [4, 3, 2, 1]),
        ("((like))^0", [1, 1, 1, 1]),
    ],
)
def test_means_what_it_says(text: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse(text, TASKS).evaluate(PREDICTIONS), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9^9^9", r"unexpected '\^' at column 2"),
        ("click^9^9", r"unexpected '\^' at column 8"),
        ("__import__('os')", r"unexpected '\(' at column 11"),
        ("click.__class__", r"unexpected '\.' at column 6"),
        ("click - like", "unexpected '-' at column 7"),
        ("click like", "unexpected 'l' at column 7"),
        ("click +", "ends too early"),
        ("(click", "ends too early"),
        ("click)", r"unexpected '\)' at column 6"),
        (" ", "ends too early"),
        ("clikc", "unknown task 'clikc'; did you mean click[?] known: buy, click, like, stay"),
        ("like|click", "like|click is not a step of a funnel of binary tasks; known: buy|click"),
        ("click^11", "exponents must be from 0 to 10, found 11"),
        ("click^-1", "exponents must be from 0 to 10, found -1"),
        ("click^1e999", "exponents must be from 0 to 10, found inf"),
        ("1e13 * click", "numbers must be from .* found 1e.13"),
        ("1e999 * click", "numbers must be from .* found inf"),
        ("1 + 2", "names no task; known: click, buy, like, stay"),
        ("(" * 21 + "click" + ")" * 21, "at most 20 deep, found 21"),
        ("click + " * 100 + "click", "at most 500 characters, found 805"),
    ],
)
def test_errors_are_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text, TASKS)
    assert "\n" not in str(caught.value)


def test_a_regression_child_has_no_conditional() -> None:
    dwell = Task("dwell", REGRESSION, given="click")
    with pytest.raises(ValueError, match=r"funnel of binary tasks"):
        parse("dwell|click", (CLICK, dwell))


def test_default_is_the_last_child_or_the_only_task() -> None:
    assert str(default((CLICK, BUY, STAY))) == "buy"
    assert str(default((STAY,))) == "stay"
    with pytest.raises(ValueError, match=r"tasks are click, like, stay; for example --score 'click \* like'"):
        default((CLICK, LIKE, STAY))


def test_nan_and_overflow_pass_through_in_silence() -> None:
    nan = {name: np.array([math.nan, 1e200]) for name in PREDICTIONS}
    values = parse("like * stay^2 + buy|click", TASKS).evaluate(nan)
    assert math.isnan(values[0])
    assert values[1] == math.inf


numbers = st.floats(-1e12, 1e12)
leaves = st.one_of(
    st.builds(Number, numbers),
    st.sampled_from([Prediction(task.name) for task in TASKS]),
    st.just(Conditional("buy", "click")),
)


def _grow(below: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(below, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Power, below, st.floats(0, 10)), st.builds(Product, several), st.builds(Sum, several))


@given(st.recursive(leaves, _grow, max_leaves=8))
def test_what_is_printed_reads_back_and_evaluates_the_same(node: Node) -> None:
    score = Score(Product((Prediction("click"), node)))
    again = parse(str(score), TASKS)
    assert again == score
    np.testing.assert_array_equal(again.evaluate(PREDICTIONS), score.evaluate(PREDICTIONS))


@given(st.one_of(st.text(), st.text("click|buy+*^()0.9e- \n_", max_size=60)))
def test_any_text_is_a_score_or_a_value_error(text: str) -> None:
    try:
        score = parse(text, TASKS)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  any other exception fails the test
    else:
        assert score.evaluate(PREDICTIONS).shape == (4,)
