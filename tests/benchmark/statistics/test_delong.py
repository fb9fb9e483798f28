from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from benchmark.statistics import delong

Y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
S1 = np.array([0.9, 0.8, 0.4, 0.6, 0.5, 0.3, 0.2, 0.7, 0.1, 0.35])
S2 = np.array([0.7, 0.6, 0.5, 0.3, 0.4, 0.45, 0.2, 0.65, 0.1, 0.55])


def test_worked_elsewhere() -> None:
    found = delong(Y, S1, S2)
    assert (found.first, found.second) == pytest.approx((0.875, 0.7083333))
    assert np.array(found.covariance) == pytest.approx(
        np.array([[0.0136574, 0.0136574], [0.0136574, 0.0344907]]), abs=5e-8
    )
    assert (found.z, found.p) == pytest.approx((1.1547005, 0.2482131), abs=5e-8)
    assert found.low < found.difference < found.high


@given(st.integers(0, 10_000))
def test_midranks_equal_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate(([1, 1, 0, 0], rng.integers(0, 2, 20)))
    scores = rng.integers(0, 8, (2, 24))  # with ties
    found = delong(labels, *scores)
    above = np.array([np.sign(s[labels == 1][:, None] - s[labels == 0]) / 2 + 0.5 for s in scores])
    aucs = [roc_auc_score(labels, s) for s in scores]
    assert (found.first, found.second) == pytest.approx(aucs)
    p, q = above.shape[1:]
    expected = np.cov(above.mean(axis=2)) / p + np.cov(above.mean(axis=1)) / q
    assert np.array(found.covariance) == pytest.approx(expected, abs=1e-12)


def test_two_scorers_that_rank_alike_do_not_differ() -> None:
    found = delong(Y, S1, 2 * S1 + 3)
    assert found.z is None and found.p == 1.0 and found.difference == found.low == found.high == 0.0


def test_opposite_scorers_without_spread_are_not_judged() -> None:
    with pytest.raises(ValueError, match="the AUCs 1 and 0 differ, but"):
        delong(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))


@pytest.mark.parametrize(
    ("labels", "scores", "match"),
    [
        (Y, S1[:-1], "must have one length"),
        (Y * 2, S1, "labels must be 0 or 1"),
        (Y, np.where(S1 > 0.8, np.nan, S1), "scores finite"),
        (np.array([1] + [0] * 9), S1, "found 1 positive and 9 negative"),
    ],
)
def test_bad_input_is_refused(labels: np.ndarray, scores: np.ndarray, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        delong(labels, scores, S2)
