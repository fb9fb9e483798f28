r"""Tests between methods whose spreads over seeds are estimated together.

An arm is one method's values of one number (an AUC, the gain over tasks), one per seed. With five seeds an arm's own
variance has four degrees of freedom, and an arm whose spread is small by accident would get a verdict. So what is common to
the variances of all arms is estimated (empirical Bayes, Smyth 2004, doi:10.2202/1544-6115.1027), and a spread below it is
raised towards it. With $f_i = n_i - 1$, $\psi$ the digamma and $\psi'$ the trigamma function,

$$
e_i = \log s_i^2 - \psi(f_i / 2) + \log(f_i / 2)
$$

$$
\psi'(d_0 / 2) = \operatorname{var}(e) - \operatorname{mean} \psi'(f_i / 2)
$$

$$
s_0^2 = \exp\left(\operatorname{mean} e + \psi(d_0 / 2) - \log(d_0 / 2)\right)
$$

$$
d_i = \min(d_0, f_i / 2), \qquad v_i = \max\left(s_i^2, \frac{d_i s_0^2 + f_i s_i^2}{d_i + f_i}\right)
$$

$v_i$ has $d_i + f_i$ degrees of freedom. Where $\operatorname{var}(e)$ is no larger than the mean of $\psi'$, $d_0$ is
infinite and $s_0^2$ the mean of the $s_i^2$. A contrast $\sum_i c_i m_i$ of means has the squared error
$\sum_i c_i^2 v_i / n_i$ and Satterthwaite's degrees of freedom, at most $\sum_i f_i$. With two arms this is Welch's test.
Fewer than four arms say too little of their spreads: $d_i = 0$.

Two things differ from Smyth: the common variance counts at most half as much as an arm's own seeds, and it never lowers
a spread. Both are needed here, where spreads of methods do differ and all are compared with one baseline: without them,
a family of three seeds errs in 9 to 13 %.

Simulations (`tests/benchmark/statistics/test_arms.py`) give the error in families of 4 to 10 methods and 1 to 4 tasks
against one baseline, with Holm and 3 to 8 seeds. A false claim has probability 5 %, and up to 8 % if the true spreads
of methods differ as much as samples of five seeds do (the largest is six times the smallest). With five seeds and a
family of 36 tests, it finds .38 to .58 of KuaiRand's tuned effects; the paired t test finds .17 to .26. Runs are not
paired by seed: on our records, pairing costs half of the degrees of freedom and gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import polygamma, psi, stdtr, stdtrit

from benchmark.statistics.intervals import FEWEST, Interval, spread
from benchmark.statistics.planning import PAIRED, Degrees

FEWEST_ARMS = 4
"""Arms below which variances are not shared."""

MOST_WEIGHT = 0.5
"""The largest weight of the common variance, relative to the degrees of freedom of an arm's own values."""

_SAME = 1e-12
"""Up to this error, relative to the difference, values count as the same except for rounding."""

_FLOOR = 1e-5
"""The smallest variance, as a share of the median: a variance of zero is a tie and has no logarithm."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One method's values of one number.

    Args:
        n: The number of values.
        mean: Their mean.
        variance: Their variance, with n - 1 in the denominator; NaN for one value.
    """

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Arm:
        """From at least one value."""
        n, mean, sd = spread(values)
        return cls(n, mean, sd**2)


@dataclass(frozen=True, slots=True)
class Prior:
    """What the arms have in common: $d_0$ degrees of freedom, and the variance $s_0^2$ that they are shrunk to."""

    df: float
    variance: float


def fit_prior(variances: Iterable[float], dfs: Iterable[float]) -> Prior:
    """Fits $d_0$ and $s_0^2$ to the variances of arms.

    Args:
        variances: $s_i^2$, not all of them zero.
        dfs: $f_i$, above 0.
    """
    s2, f = np.asarray([*variances], dtype=np.float64), np.asarray([*dfs], dtype=np.float64)
    s2 = np.maximum(s2, _FLOOR * (np.median(s2) or np.median(s2[s2 > 0])))
    e = np.log(s2) - psi(f / 2) + np.log(f / 2)
    excess = float(e.var(ddof=1) - polygamma(1, f / 2).mean()) if len(e) > 1 else 0.0
    if excess <= 0:
        return Prior(math.inf, float(s2.mean()))
    df = 2 * _inverse_trigamma(excess)
    return Prior(df, math.exp(e.mean() + psi(df / 2) - math.log(df / 2)))


def _inverse_trigamma(value: float) -> float:
    """X with trigamma(x) = value, by Newton's method on 1 / trigamma, which is convex: it approaches from one side."""
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, x))
        step = now * (1 - now / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-10 * x:
            break
    return x


@dataclass(frozen=True, slots=True)
class Contrast:
    r"""A weighted sum of the arms' means, and how well it is known.

    Args:
        value: $\sum_i c_i m_i$.
        error: Its standard error; 0 where no arm varies; NaN where an arm has fewer than `FEWEST` values.
        df: Degrees of freedom of the error.
        n: The fewest values of an arm in the sum, or the number of pairs.
        sd: Standard deviation of the same sum for single runs.
        degrees: What `df` would be with other numbers of seeds.
    """

    value: float
    error: float
    df: float
    n: int
    sd: float = math.nan
    degrees: Degrees = PAIRED

    @classmethod
    def paired(cls, differences: Iterable[float], test_train_ratio: float = 0.0) -> Contrast:
        """The mean of at least one paired difference, as in `paired_t_test`.

        Args:
            differences: One per pair.
            test_train_ratio: As for `paired_t_test`.
        """
        n, mean, sd = spread(differences)
        error = sd * math.sqrt(1 / n + test_train_ratio) if n >= FEWEST else math.nan
        return cls(mean, 0.0 if error <= _SAME * abs(mean) else error, n - 1, n, sd)

    def turned(self) -> Contrast:
        """The same contrast with its sign reversed."""
        return replace(self, value=-self.value)

    @property
    def p(self) -> float | None:
        """Two-sided p of no difference; None if nothing varies or too little is known."""
        return 2 * float(stdtr(self.df, -abs(self.value) / self.error)) if self.error > 0 else None

    def p_equivalence(self, margin: float) -> float | None:
        """The larger p of the two one-sided tests that the value is inside `±margin` (Schuirmann 1987); None as for `p`.

        It is below `alpha` exactly if the interval at `1 - 2 alpha` is inside the margin.
        """
        return float(stdtr(self.df, (abs(self.value) - margin) / self.error)) if self.error > 0 else None

    def interval(self, confidence: float = 0.95, *, adjusted: bool = False) -> Interval:
        """The interval that agrees with `p`: no ends below `FEWEST` values, and no width if nothing varies."""
        if self.error == 0:
            return Interval(self.value, self.value, self.value, self.n, confidence, adjusted)
        if not self.error > 0:
            return Interval(self.value, None, None, self.n, confidence, adjusted)
        half = float(stdtrit(self.df, (1 + confidence) / 2)) * self.error
        return Interval(self.value, self.value - half, self.value + half, self.n, confidence, adjusted)


class Arms:
    """All methods' values of one number, and the common part of their variances.

    Args:
        values: {method: its values}, at least one each. Methods with fewer than `FEWEST` values are left out of the
            fit.
        left_out: Other methods to leave out of the fit, such as methods that are not ranked.
    """

    def __init__(self, values: Mapping[str, Iterable[float]], left_out: Collection[str] = ()) -> None:
        self.arms = {
            method: Arm.of(values[method]) for method in sorted(values)
        }  # sorted, so that no sum depends on the order of records
        self.fitted = {m: arm for m, arm in self.arms.items() if arm.n >= FEWEST and m not in left_out}

    @cached_property
    def prior(self) -> Prior:
        """The common part of the arms; none if fewer than four vary."""
        arms = self.fitted.values()
        if sum(arm.variance > 0 for arm in arms) < FEWEST_ARMS:
            return Prior(0.0, 0.0)
        return fit_prior([arm.variance for arm in arms], [arm.n - 1 for arm in arms])

    def moderated(self, method: str) -> tuple[float, float]:
        """$v_i$ and its degrees of freedom."""
        arm, f = self.arms[method], self.arms[method].n - 1
        shared = min(self.prior.df, MOST_WEIGHT * f)
        shrunk = (shared * self.prior.variance + f * arm.variance) / (shared + f)
        return max(arm.variance, shrunk), shared + f

    def contrast(self, weights: Mapping[str, float]) -> Contrast:
        """A weighted sum of means: `{"mmoe/equal": 1, "single_task/equal": -1}`.

        Args:
            weights: {method: $c_i$}.
        """
        arms = {method: self.arms[method] for method in weights}
        value = math.fsum(weights[method] * arm.mean for method, arm in arms.items())
        fewest = min(arm.n for arm in arms.values())
        if fewest < FEWEST:
            return Contrast(value, math.nan, math.nan, fewest)
        known = {method: self.moderated(method) for method in weights}
        parts = {method: weights[method] ** 2 * known[method][0] / arm.n for method, arm in arms.items()}
        squared = math.fsum(parts.values())
        inverse = math.fsum(part**2 / known[method][1] for method, part in parts.items())
        most = sum(arm.n - 1 for arm in {**self.fitted, **arms}.values())
        df = min(squared**2 / inverse, most) if inverse > 0 else float(most)
        error = math.sqrt(squared)
        if error <= _SAME * abs(value):  # the same except for rounding
            return Contrast(value, 0.0, df, fewest)
        return Contrast(value, error, df, fewest, *self._planned(weights))

    def _planned(self, weights: Mapping[str, float]) -> tuple[float, Degrees]:
        """Spread of a single run, and degrees of freedom for a number of seeds."""
        parts = [weight**2 * self.moderated(method)[0] for method, weight in weights.items()]
        factor = math.fsum(parts) ** 2 / math.fsum(part**2 for part in parts)
        many = len(self.fitted.keys() | weights.keys())
        return math.sqrt(math.fsum(parts)), Degrees(factor, self.prior.df, MOST_WEIGHT, many)
