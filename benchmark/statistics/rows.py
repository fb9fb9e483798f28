r"""Seeds and test rows together: how far a difference of two methods would move on other test rows.

An interval over seeds says what another training would give on these test rows. Here is the other half: the test rows are a
sample of clusters (users), drawn as a whole. For run $s$ of a method and cluster $g$, $u_{sg}$ is the part of $g$ in the
deviation of the metric of the run from its expectation (the rows' influence values, summed over the cluster). For MSE, and
for AUC:

$$
u_{sg} = \frac{c(G)}{R} \sum_{i \in g} (e_{si}^2 - \text{MSE}_s)
$$

$$
u_{sg} = \frac{c(G_1)}{P} \sum_{\text{positive } i \in g} (V_{si} - \text{AUC}_s)
+ \frac{c(G_0)}{Q} \sum_{\text{negative } i \in g} (W_{si} - \text{AUC}_s)
$$

$c(n) = \sqrt{n / (n - 1)}$; $e_{si}$ is the error of run $s$ on row $i$; $V_{si}$ is the share of negatives below positive
$i$, $W_{si}$ that of positives above negative $i$, ties half (midranks). There are $R$ rows, $P$ positive and $Q$ negative.
There are $G$ clusters: $G_1$ have a positive and $G_0$ a negative.

Without clusters (each row a cluster) the variance of AUC is the one of DeLong, DeLong and Clarke-Pearson (1988,
doi:10.2307/2531595). With clusters it is the one of Obuchowski (1997, doi:10.2307/2533958), except for one factor: the
product of a cluster's positives and negatives has $c(G_1)\, c(G_0)$ here, $G / (G - 1)$ there.

The difference of the means of two methods $a$ and $b$ over their seeds varies, by its rows, with

$$
\text{variance} = \sum_g (\operatorname{mean}_s u_{asg} - \operatorname{mean}_s u_{bsg})^2
$$

The interaction of a seed with a cluster is divided by the number of seeds in this variance. It is also part of the
squared error over seeds, which was seen on the same rows, so it must be counted only once (two-way clusters: Cameron,
Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136). Seeds of two methods count as unrelated, as in `arms`:

$$
\text{shared} = \sum_{\text{methods}} \frac{1}{S} \sum_g \operatorname{var}_s u_{sg}
$$

$$
\text{combined} = \max(\text{seeds} + \text{variance} - \text{shared},\ \text{seeds},\ \text{variance})
$$

The sum over methods is over those of more than one seed.

Suffixes: R rows, S runs (seeds) of a method, G clusters, P positives, Q negatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from benchmark.statistics.delong import placements
from benchmark.statistics.intervals import Interval
from benchmark.statistics.planning import POWER


@dataclass(frozen=True, slots=True, eq=False)
class Deviations:
    """By cluster, the deviation of the metric of a method's runs from its expectation.

    Args:
        parts_SG: u from the module's docstring, in the metric's unit. Each run's values sum to 0, except for the
            factors c.
        rows: R.
        df: Degrees of freedom of their squares: G - 1; for an AUC, the smaller of G_1 - 1 and G_0 - 1.
    """

    parts_SG: np.ndarray
    rows: int
    df: int


@dataclass(frozen=True, slots=True)
class RowError:
    """How precisely the test rows determine a difference of two methods' means over seeds.

    Args:
        variance: Variance of the difference from its rows, with these runs.
        shared: The part that the squared error over seeds also contains; 0 if both methods have one run.
        df: Degrees of freedom of the variance.
        clusters: G, the number of clusters with a row.
        rows: R.
    """

    variance: float
    shared: float
    df: int
    clusters: int
    rows: int

    @property
    def error(self) -> float:
        """The standard error of the difference from its rows, with these runs."""
        return math.sqrt(self.variance)

    @property
    def floor(self) -> float:
        """The same with infinitely many seeds: the part that more seeds do not remove. From two seeds it is rough, even 0."""
        return math.sqrt(max(self.variance - self.shared, 0.0))


def auc_deviations(labels_R: np.ndarray, scores_SR: np.ndarray, clusters_R: np.ndarray | None = None) -> Deviations:
    """The rows' deviations of an AUC, in S R log R.

    Args:
        labels_R: (R,) of 0 and 1.
        scores_SR: (S, R) scores, one row per run, higher for the positive class.
        clusters_R: (R,) integers, one per cluster; None: every row is its own cluster.

    Raises:
        ValueError: if shapes differ, labels are not 0 and 1, a score is not finite, or fewer than two clusters have a
            positive, or a negative.
    """
    labels_R, scores_SR, cluster_R, count = _checked(labels_R, scores_SR, clusters_R)
    positive_R = labels_R == 1
    if not (positive_R | (labels_R == 0)).all():
        raise ValueError("labels must be 0 or 1")
    places_P, places_Q = cluster_R[positive_R], cluster_R[~positive_R]
    spread = [len(np.unique(places)) for places in (places_P, places_Q)]
    if min(spread) < 2:
        what = "rows" if clusters_R is None else "clusters"
        raise ValueError(f"a class needs at least two {what}, found {spread[0]} positive and {spread[1]} negative")
    parts_SG = np.zeros((len(scores_SR), count))
    for part_G, scores_R in zip(parts_SG, scores_SR, strict=True):
        for placement, places, having in zip(
            placements(positive_R, scores_R), (places_P, places_Q), spread, strict=True
        ):
            part_G += _summed(placement, places, count, having)
    return Deviations(parts_SG, len(labels_R), min(spread) - 1)


def mse_deviations(labels_R: np.ndarray, outputs_SR: np.ndarray, clusters_R: np.ndarray | None = None) -> Deviations:
    """The rows' deviations of a mean squared error.

    Args:
        labels_R: (R,) targets.
        outputs_SR: (S, R) outputs in the target's unit, one row per run.
        clusters_R: (R,) integers, one per cluster; None: every row is its own cluster.

    Raises:
        ValueError: if shapes differ, a number is not finite, or there are fewer than two clusters.
    """
    labels_R, outputs_SR, cluster_R, count = _checked(labels_R, outputs_SR, clusters_R)
    if count < 2:
        raise ValueError(f"expected at least two {'rows' if clusters_R is None else 'clusters'}, found {count}")
    squares_SR = np.square(outputs_SR - labels_R)
    parts_SG = np.stack([_summed(squares_R, cluster_R, count, count) for squares_R in squares_SR])
    return Deviations(parts_SG, len(labels_R), count - 1)


def row_error(first: Deviations, second: Deviations) -> RowError:
    """How precisely the rows determine `first - second`. The methods may have different numbers of runs on the same rows.

    Args:
        first: Deviations of one method.
        second: Deviations of the other method.

    Raises:
        ValueError: if the two are not of the same rows and clusters.
    """
    shapes = [(each.rows, each.parts_SG.shape[1], each.df) for each in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"both methods must have the same rows, clusters and labels, found {shapes[0][0]} rows in {shapes[0][1]} "
            f"clusters and {shapes[1][0]} rows in {shapes[1][1]} clusters"
        )
    difference_G = first.parts_SG.mean(axis=0) - second.parts_SG.mean(axis=0)
    shared = sum(
        float(each.parts_SG.var(axis=0, ddof=1).sum()) / len(each.parts_SG)
        for each in (first, second)
        if len(each.parts_SG) > 1
    )
    return RowError(float(np.square(difference_G).sum()), shared, first.df, len(difference_G), first.rows)


def combined_error(seed_error: float, seed_df: float, rows: RowError) -> tuple[float, float]:
    """Standard error of a difference over seeds and test rows, and its degrees of freedom by Satterthwaite.

    Args:
        seed_error: Standard error of the difference over seeds.
        seed_df: Its degrees of freedom.
        rows: The row error of the same difference.
    """
    seeds = seed_error**2
    total = max(seeds + rows.variance - rows.shared, seeds, rows.variance)
    if total == 0:
        return 0.0, seed_df + rows.df
    df = total**2 / (seeds**2 / seed_df + rows.variance**2 / rows.df)
    return math.sqrt(total), min(df, seed_df + rows.df)


def combined_interval(
    difference: float, seed_error: float, seed_df: float, rows: RowError, *, n: int, confidence: float = 0.95
) -> Interval:
    """The interval of a difference over seeds and test rows, never narrower than the interval over seeds alone.

    Args:
        difference: The difference of the two methods' means over seeds.
        seed_error: Its standard error over seeds.
        seed_df: Degrees of freedom of this error.
        rows: The result of `row_error`.
        n: Number of seeds, which the interval reports.
        confidence: Probability that the interval covers the difference of the methods on all rows.
    """
    error, df = combined_error(seed_error, seed_df, rows)
    half = float(stdtrit(df, (1 + confidence) / 2)) * error
    # rows add degrees of freedom and could make an interval from few seeds narrower
    half = max(half, float(stdtrit(seed_df, (1 + confidence) / 2)) * seed_error)
    return Interval(difference, difference - half, difference + half, n, confidence)


def least_visible_difference(rows: RowError, level: float, power: float = POWER) -> float:
    """The smallest difference that any number of seeds can find on these rows with this power, in the metric's unit.

        (t_{1 - level / 2} + t_power) floor

    Args:
        rows: The result of `row_error`.
        level: Error of the two-sided test.
        power: Probability with which the difference is found.

    Raises:
        ValueError: if level or power is not between 0 and 1.
    """
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must be above 0 and below 1, found {value}")
    return float(stdtrit(rows.df, 1 - level / 2) + stdtrit(rows.df, power)) * rows.floor


def _checked(
    labels_R: np.ndarray, values_SR: np.ndarray, clusters_R: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The arrays as float64, the clusters numbered from 0, and how many there are."""
    labels_R, values_SR = np.asarray(labels_R, dtype=np.float64), np.asarray(values_SR, dtype=np.float64)
    lengths_fit = clusters_R is None or np.shape(clusters_R) == labels_R.shape
    if labels_R.ndim != 1 or values_SR.ndim != 2 or not len(values_SR) or not lengths_fit:
        raise ValueError(
            "expected labels (rows,), values (runs, rows) of at least one run and clusters (rows,), found "
            f"{labels_R.shape}, {values_SR.shape} and {None if clusters_R is None else np.shape(clusters_R)}"
        )
    if values_SR.shape[1] != len(labels_R):
        raise ValueError(f"expected values of {len(labels_R)} rows, as labels are, found {values_SR.shape[1]}")
    if not (np.isfinite(labels_R).all() and np.isfinite(values_SR).all()):
        raise ValueError("labels and values must be finite")
    if clusters_R is None:
        return labels_R, values_SR, np.arange(len(labels_R)), len(labels_R)
    names, cluster_R = np.unique(clusters_R, return_inverse=True)
    return labels_R, values_SR, cluster_R, len(names)


def _summed(values: np.ndarray, places: np.ndarray, count: int, having: int) -> np.ndarray:
    """(G,) sums over clusters of a mean's deviations, from rows in `having` clusters."""
    deviations = (values - values.mean()) / len(values)
    sums: np.ndarray = np.bincount(places, deviations, minlength=count)
    return math.sqrt(having / (having - 1)) * sums
