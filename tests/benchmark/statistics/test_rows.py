"""Seeds and test rows together: against DeLong, formulas by hand, the bootstrap of clusters, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from benchmark.statistics import delong
from benchmark.statistics.rows import (
    Deviations,
    RowError,
    auc_deviations,
    combined_error,
    combined_interval,
    least_visible_difference,
    mse_deviations,
    row_error,
)


def scored(rng: np.random.Generator, rows: int, runs: int, *, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores of some runs with ties."""
    labels = (rng.random(rows) < 0.3).astype(float)
    return labels, np.round(rng.normal(size=(runs, rows)) + shift * labels, 1)


def clustered(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Users of unequal sizes, each with a taste that moves labels and scores: labels, scores of (3, R), (2, R), users."""
    users = np.repeat(np.arange(clusters), rng.integers(1, 12, clusters))
    taste = rng.normal(size=(4, clusters))[:, users]
    labels = (rng.normal(size=len(users)) + taste[0] > 0.8).astype(float)
    first = labels + 0.6 * taste[0] + 0.8 * taste[1] + rng.normal(size=(3, len(users)))
    second = labels + 0.6 * taste[0] + 0.8 * taste[2] + rng.normal(size=(2, len(users)))
    return labels, first, second, users


def test_one_run_each_without_clusters_is_delong_s_variance() -> None:
    rng = np.random.default_rng(0)
    labels, first = scored(rng, 300, 1)
    second = np.round(first + rng.normal(size=first.shape), 1)
    (a, c), (_, b) = delong(labels, first[0], second[0]).covariance
    found = row_error(auc_deviations(labels, first), auc_deviations(labels, second))
    assert found.variance == pytest.approx(a + b - 2 * c, rel=1e-12)
    assert (found.shared, found.clusters, found.rows) == (0.0, 300, 300)
    assert found.df == min(labels.sum(), (1 - labels).sum()) - 1


def test_clusters_are_obuchowski_s_variance_but_for_one_factor() -> None:
    """All pairs written out, of one AUC: the other scorer is a constant, whose placements are all a half."""
    rng = np.random.default_rng(1)
    labels, first, _, users = clustered(rng, 60)
    scores = first[0]
    auc = roc_auc_score(labels, scores)
    above = (scores[labels == 1][:, None] > scores[labels == 0]).astype(float)
    p, q = above.shape
    p_sums, q_sums = np.zeros(60), np.zeros(60)
    np.add.at(p_sums, users[labels == 1], above.mean(axis=1) - auc)
    np.add.at(q_sums, users[labels == 0], above.mean(axis=0) - auc)
    p_count, q_count = (len(np.unique(users[labels == value])) for value in (1, 0))
    p_factor, q_factor = p_count / (p_count - 1), q_count / (q_count - 1)
    expected = p_factor * (p_sums**2).sum() / p**2 + q_factor * (q_sums**2).sum() / q**2
    expected += math.sqrt(p_factor * q_factor) * 2 * (p_sums * q_sums).sum() / (p * q)  # there 60 / 59
    constant = auc_deviations(labels, np.zeros((1, len(labels))), users)
    found = row_error(auc_deviations(labels, first[:1], users), constant)
    assert found.variance == pytest.approx(expected, rel=1e-10)
    assert found.df == min(p_count, q_count) - 1


def test_squared_errors_by_hand() -> None:
    labels = np.array([0.0, 1.0, 2.0, 3.0])
    first = np.array([[1.0, 1.0, 2.0, 3.0], [0.0, 3.0, 2.0, 3.0]])  # squares 1 0 0 0 and 0 4 0 0: means .5 2 0 0
    second = np.array([[0.0, 1.0, 2.0, 4.0]])  # squares 0 0 0 1
    found = row_error(mse_deviations(labels, first), mse_deviations(labels, second))
    differences = np.array([0.5, 2.0, 0.0, -1.0])
    assert found.variance == pytest.approx(np.var(differences, ddof=1) / 4, rel=1e-12)
    # of a row, between the two runs: variances of .5 -+ .5, 2 -+ 2, each run's mean taken off
    centred = np.array([[0.75, -0.25, -0.25, -0.25], [-1.0, 3.0, -1.0, -1.0]])
    assert found.shared == pytest.approx(np.var(centred, axis=0, ddof=1).sum() / 16 * 4 / 3 / 2, rel=1e-12)
    assert found.df == 3
    # two users: sums of the centred differences, .375 - (.5, 2, 0, -1), are -1.75 and 1.75
    by_user = row_error(*(mse_deviations(labels, outputs, np.array([7, 7, -1, -1])) for outputs in (first, second)))
    assert by_user.variance == pytest.approx(2 * 1.75**2 / 16 * 2 / 1, rel=1e-12)
    assert (by_user.df, by_user.clusters, by_user.rows) == (1, 2, 4)


@pytest.mark.parametrize("metric", ["auc", "mse"])
def test_the_bootstrap_of_clusters_agrees(metric: str) -> None:
    rng = np.random.default_rng(2)
    labels, first, second, users = clustered(rng, 400)
    of = auc_deviations if metric == "auc" else mse_deviations
    found = row_error(of(labels, first, users), of(labels, second, users))
    rows_of = [np.flatnonzero(users == user) for user in range(400)]

    def value(rows: np.ndarray) -> float:
        if metric == "mse":
            return float(((first - labels) ** 2)[:, rows].mean() - ((second - labels) ** 2)[:, rows].mean())
        positive, parts = labels[rows] == 1, []
        for scores in (*first, *second):
            ranks = np.empty(len(rows))
            ranks[np.argsort(scores[rows], kind="stable")] = np.arange(len(rows))  # of ties only copies of one row
            p = positive.sum()
            parts.append((ranks[positive].sum() - p * (p - 1) / 2) / (p * (len(rows) - p)))
        return float(np.mean(parts[:3]) - np.mean(parts[3:]))

    drawn = [value(np.concatenate([rows_of[user] for user in rng.integers(0, 400, 400)])) for _ in range(2500)]
    assert found.error == pytest.approx(np.std(drawn), rel=0.05)
    alone = row_error(of(labels, first), of(labels, second))
    assert alone.error < 0.93 * found.error  # rows of a user are alike


@pytest.mark.parametrize("of", [auc_deviations, mse_deviations])
def test_the_order_of_rows_runs_and_users_and_the_sign_change_nothing(of: type) -> None:
    rng = np.random.default_rng(3)
    labels, first, second, users = clustered(rng, 50)
    found = row_error(of(labels, first, users), of(labels, second, users))
    order = rng.permutation(len(labels))
    names = rng.permutation(50)[users]
    turned = row_error(
        of(labels[order], second[::-1, order], names[order]), of(labels[order], first[:, order], names[order])
    )
    assert (turned.variance, turned.shared) == pytest.approx((found.variance, found.shared), rel=1e-10)
    one, other = (combined_interval(sign * 0.1, 0.02, 8, rows, n=5) for sign, rows in ((1, found), (-1, turned)))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), rel=1e-10)
    same = row_error(of(labels, first, users), of(labels, first, users))
    assert same.variance == 0


def test_scores_that_order_rows_alike_have_no_row_error() -> None:
    labels, first = scored(np.random.default_rng(4), 200, 1)
    assert row_error(auc_deviations(labels, first), auc_deviations(labels, 3 * first + 1)).variance == 0


def test_what_the_seeds_do_to_single_rows_is_counted_once() -> None:
    """Runs that differ by noise alone: the more runs, the less is left; the floor is what the methods' means leave."""
    rng = np.random.default_rng(5)
    labels = rng.normal(size=4000)
    fixed = 0.3 * rng.normal(size=4000)  # the first method errs by this in every run

    def found(runs: int) -> RowError:
        noise = rng.normal(size=(2, runs, 4000))
        return row_error(
            mse_deviations(labels, labels + fixed + 0.5 * noise[0]), mse_deviations(labels, labels + 0.5 * noise[1])
        )

    few, many = found(2), found(40)
    # e = f + n / 2: the mean over runs of e^2 is f^2 + 1/4 a row
    truth = np.var(fixed**2) / 4000
    assert many.floor**2 == pytest.approx(truth, rel=0.1)
    assert few.variance > 4 * truth and few.floor**2 == pytest.approx(truth, rel=0.7)
    # seeds alone see the interaction; rows and seeds together count it once
    seeds = few.shared
    error, _ = combined_error(math.sqrt(seeds), 2, few)
    assert error**2 == pytest.approx(few.variance, rel=1e-9)


def test_the_combined_interval_covers() -> None:
    """Users and seeds both matter, five seeds each: covers in 95 % of studies; seeds alone in far fewer."""
    rng = np.random.default_rng(6)
    studies, seeds, clusters = 1000, 5, 80
    covered = np.zeros((studies, 3))
    users = np.repeat(np.arange(clusters), 4)
    # e = bias of the run + user's + a row's of the run: E e^2 = bias^2 + s_bias^2 + s_user^2 + s_row^2
    truth = (0.3**2 + 0.2**2 + 0.5**2 + 0.6**2) - (0.1**2 + 0.2**2 + 0.4**2 + 0.6**2)
    for study in range(studies):
        outputs = [
            bias
            + 0.2 * rng.normal(size=(seeds, 1))
            + spread * rng.normal(size=clusters)[users]
            + 0.6 * rng.normal(size=(seeds, len(users)))
            for bias, spread in ((0.3, 0.5), (0.1, 0.4))
        ]
        labels = np.zeros(len(users))
        values = [np.square(each).mean(axis=1) for each in outputs]
        difference = float(values[0].mean() - values[1].mean())
        parts = [np.var(each, ddof=1) / seeds for each in values]
        seed_error, seed_df = math.sqrt(sum(parts)), sum(parts) ** 2 / sum(part**2 / (seeds - 1) for part in parts)
        rows = row_error(*(mse_deviations(labels, each, users) for each in outputs))
        for number, found in enumerate(
            (
                combined_interval(difference, seed_error, seed_df, rows, n=seeds),
                combined_interval(difference, seed_error, seed_df, RowError(0.0, 0.0, 1, 2, 2), n=seeds),
                combined_interval(difference, 0.0, seed_df, rows, n=seeds),
            )
        ):
            assert found.low is not None and found.high is not None
            covered[study, number] = found.low <= truth <= found.high
    both, of_seeds, of_rows = covered.mean(axis=0)
    assert 0.93 <= both <= 0.97
    assert of_seeds < 0.9 and of_rows < 0.9


def test_the_combined_error_by_hand() -> None:
    rows = RowError(variance=16.0, shared=4.0, df=20, clusters=21, rows=100)
    error, df = combined_error(3.0, 8, rows)
    assert error == pytest.approx(math.sqrt(9 + 16 - 4))
    assert df == pytest.approx(21**2 / (81 / 8 + 256 / 20))
    found = combined_interval(1.0, 3.0, 8, rows, n=5, confidence=0.9)
    assert (found.low, found.high) == pytest.approx(t.interval(0.9, df, loc=1.0, scale=error))
    assert (found.n, found.confidence) == (5, 0.9)
    # the whole is no smaller than either part
    assert combined_error(1.0, 8, rows)[0] == 4.0
    assert combined_error(5.0, 8, RowError(4.0, 6.0, 20, 21, 100))[0] == 5.0
    # one part alone
    assert combined_error(3.0, 8, RowError(0.0, 0.0, 20, 21, 100)) == pytest.approx((3.0, 8))
    assert combined_error(0.0, 8, RowError(4.0, 0.0, 20, 21, 100)) == pytest.approx((2.0, 20))
    assert combined_error(0.0, 8, RowError(0.0, 0.0, 20, 21, 100)) == (0.0, 28)


def test_the_least_visible_difference() -> None:
    rows = RowError(variance=5.0, shared=1.0, df=10**7, clusters=10**7 + 1, rows=10**8)
    assert least_visible_difference(rows, 0.05) == pytest.approx(2 * (norm.ppf(0.975) + norm.ppf(0.8)), rel=1e-5)
    few = RowError(variance=4.0, shared=0.0, df=9, clusters=10, rows=50)
    assert least_visible_difference(few, 0.01, 0.9) == pytest.approx(2 * (t.ppf(0.995, 9) + t.ppf(0.9, 9)))
    assert least_visible_difference(RowError(1.0, 2.0, 9, 10, 50), 0.05) == 0.0
    with pytest.raises(ValueError, match=r"level must be above 0 and below 1, found 5"):
        least_visible_difference(few, 5)


LABELS = np.array([0.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("labels", "values", "users", "match"),
    [
        (LABELS, np.zeros(4), None, r"values \(runs, rows\) of at least one run"),
        (LABELS, np.zeros((0, 4)), None, r"found \(4,\), \(0, 4\)"),
        (LABELS, np.zeros((1, 3)), None, "values of 4 rows, as labels are, found 3"),
        (LABELS, np.zeros((1, 4)), np.zeros(3), r"and \(3,\)"),
        (LABELS, np.full((1, 4), np.nan), None, "must be finite"),
        (2 * LABELS, np.zeros((1, 4)), None, "labels must be 0 or 1"),
        (LABELS, np.zeros((1, 4)), np.array([0, 5, 1, 5]), "at least two clusters, found 1 positive and 2 negative"),
    ],
)
def test_bad_input_is_refused(labels: np.ndarray, values: np.ndarray, users: np.ndarray | None, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        auc_deviations(labels, values, users)


def test_one_cluster_and_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two clusters, found 1"):
        mse_deviations(LABELS, np.zeros((1, 4)), np.zeros(4))
    one, other = Deviations(np.zeros((1, 4)), 4, 3), Deviations(np.zeros((1, 3)), 4, 2)
    with pytest.raises(ValueError, match="found 4 rows in 4 clusters and 4 rows in 3 clusters"):
        row_error(one, other)
