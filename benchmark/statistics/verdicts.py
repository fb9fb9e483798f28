"""Verdicts: what a family of comparisons says, one word each.

A family contains every comparison that may be quoted: all methods times all tasks of one data set against the baseline,
on each task's headline metric. Runs are paired if their data differ, because a seed's data then move all methods alike.
They are not paired if all have the same rows (`benchmark.statistics.arms`). Two kinds of claim are made, each with an
error of `alpha` over the family:

- better or worse: the test's p, adjusted by Holm, is below `alpha`. With probability `1 - alpha`, no claim is false.
- equivalent: both one-sided tests place the difference inside the margin; the larger p, adjusted by Holm over the
  family's equivalence tests, is below `alpha`. Both kinds need this adjustment: ten chances of a false "equivalent" are
  as bad as ten of a false "better". One Holm adjustment over both kinds would weaken every "better" and gain little,
  because both nulls of one comparison are never true at once.

Precedence: a significant difference inside the margin is "better" or "worse" with `within_margin`. It exists, but by
the declared margin it is too small to matter. "equivalent" is for differences that are not shown to exist.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.statistics.arms import Arms, Contrast
from benchmark.statistics.comparison import Comparison, Endpoint, Verdict
from benchmark.statistics.intervals import FEWEST
from benchmark.statistics.significance import SAME, holm, too_few

Measured = Mapping[tuple[str, str], Mapping[str, Mapping[Any, float]]]
"""{(task, metric): {method: {pair: value}}}; a pair is the data, split and seed that two runs share."""


@dataclass(frozen=True)
class Family:
    """Comparisons judged together.

    Args:
        comparisons: In order: endpoint by endpoint, methods by name.
        tests: Number of tests for which p values are adjusted.
        alpha: Probability of any false "better" or "worse", and of any false "equivalent".
    """

    comparisons: tuple[Comparison, ...]
    tests: int
    alpha: float = 0.05
    _index: dict[tuple[str, str], Comparison] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {(c.task, c.method): c for c in self.comparisons})

    def get(self, task: str, method: str) -> Comparison | None:
        """The comparison of this method on this task; None if it is not in the family."""
        return self._index.get((task, method))

    def of(self, verdict: Verdict) -> tuple[Comparison, ...]:
        """The comparisons with this verdict."""
        return tuple(c for c in self.comparisons if c.verdict is verdict)


def judge(
    comparisons: Sequence[Comparison], *, alpha: float = 0.05, tests: int | None = None, looks: int = 1
) -> Family:
    """Gives every comparison its verdict, as one family.

    Only actual tests count: excluded methods, identical methods and methods with fewer than `FEWEST` pairs have none. A
    comparison that is excluded only because a value is lost counts with the p of the other runs, and gets no verdict. So
    a lost value on one task does not change the adjusted p of another.

    Args:
        comparisons: Not judged yet.
        alpha: The family's error.
        tests: Number of tests that could have been made, if these comparisons were picked by their results.
        looks: How often the family is judged, as announced in advance; each look has its share of the error (Bonferroni).
    """
    assert 0 < alpha < 1
    settled = [_without_test(c) for c in comparisons]
    tested = [c for c, done in zip(comparisons, settled, strict=True) if done is None]
    ps = [_known(_estimate(c).p) for c in tested]
    qs = [_known(_estimate(c).p_equivalence(c.margin)) for c in tested]
    withheld = [c for c in comparisons if c.withheld]
    count = max(tests or 0, len(tested) + len(withheld))
    all_ps = [*ps, *(1.0 if c.estimate is None else _or_one(c.estimate.p) for c in withheld)]
    all_qs = [*qs, *(1.0 if c.estimate is None else _or_one(c.estimate.p_equivalence(c.margin)) for c in withheld)]
    rows = zip(tested, ps, _adjusted(all_ps, count, looks), qs, _adjusted(all_qs, count, looks), strict=False)
    judged = iter(
        replace(
            c, verdict=_verdict(c, p_adjusted, q_adjusted, alpha), tests=count, alpha=alpha, looks=looks, p=p,
            p_adjusted=p_adjusted, p_equivalence=q, p_equivalence_adjusted=q_adjusted,
        )
        for c, p, p_adjusted, q, q_adjusted in rows
    )  # fmt: skip
    return Family(
        tuple(
            next(judged) if done is None else replace(done, tests=count, alpha=alpha, looks=looks) for done in settled
        ),
        count,
        alpha,
    )


def _adjusted(ps: Sequence[float], tests: int, looks: int) -> list[float]:
    return [min(1.0, looks * p) for p in holm(ps, tests)]


def _estimate(comparison: Comparison) -> Contrast:
    assert comparison.estimate is not None
    return comparison.estimate


def _or_one(p: float | None) -> float:
    """A test that cannot be made finds nothing."""
    return 1.0 if p is None else p


def _known(p: float | None) -> float:
    assert p is not None
    return p


def _verdict(comparison: Comparison, p: float, p_equivalence: float, alpha: float) -> Verdict:
    if p < alpha:
        better = _estimate(comparison).value * comparison.endpoint.direction > 0
        return Verdict.BETTER if better else Verdict.WORSE
    return Verdict.EQUIVALENT if p_equivalence < alpha else Verdict.UNDECIDED


def _without_test(comparison: Comparison) -> Comparison | None:
    """The comparison with a verdict that needs no test; None if a test is needed."""
    if comparison.excluded is not None:
        return replace(comparison, reason=comparison.excluded)
    estimate = comparison.estimate
    if estimate is None:
        return replace(comparison, reason="no pair of runs has the same data and seed")
    if comparison.is_identical:
        return replace(comparison, verdict=Verdict.IDENTICAL)
    if estimate.n < FEWEST:
        what = "pair" if comparison.contrast is None else "seed"
        return replace(comparison, verdict=Verdict.UNDECIDED, reason=too_few(estimate.n, what))
    return replace(comparison, verdict=Verdict.UNDECIDED, reason=SAME) if estimate.p is None else None


def against_baseline(
    values: Measured,
    endpoints: Sequence[Endpoint],
    baseline: str,
    *,
    expected: Collection[Any] | None = None,
    excluded: Mapping[str, str] | None = None,
    paired: bool = False,
    test_train_ratio: float = 0.0,
    alpha: float = 0.05,
    tests: int | None = None,
    looks: int = 1,
) -> Family:
    """Every other method against the baseline on every endpoint, as one family.

    A method is compared on all its runs; if runs are paired, on all pairs that it shares with the baseline. It is not
    ranked on an endpoint if it lacks a value on an expected pair for which another method has one.

    Args:
        values: The values of one data set; may contain other metrics than the endpoints'.
        endpoints: One per task.
        baseline: The method that the others are compared to.
        expected: The pairs that every method should have; by default, the pairs of any method.
        excluded: {method: reason} for methods that are not ranked. If the baseline is among them, no method is ranked.
        paired: Whether runs are paired, because their data differ.
        test_train_ratio: Test rows over training rows if pairs have different test rows, else 0.
        alpha: The family's error.
        tests: As for `judge`.
        looks: As for `judge`.
    """
    excluded = excluded or {}
    asked: list[Comparison] = []
    for endpoint in endpoints:
        methods = values.get((endpoint.task, endpoint.metric), {})
        out = unranked(endpoint.metric, methods, excluded, expected)
        own = _asked(endpoint, methods, baseline, out, paired=paired, test_train_ratio=test_train_ratio)
        asked += [
            replace(c, withheld=c.excluded is not None and not {c.method, baseline} & excluded.keys()) for c in own
        ]
    return judge(asked, alpha=alpha, tests=tests, looks=looks)


def unranked(
    metric: str,
    methods: Mapping[str, Mapping[Any, float]],
    excluded: Mapping[str, str],
    expected: Collection[Any] | None = None,
) -> dict[str, str]:
    """{method: reason} for excluded methods, and for methods without a value on an expected pair for which another has one.

    Args:
        metric: The metric of the values.
        methods: {method: {pair: value}}.
        excluded: {method: reason} of methods that are not ranked anyway.
        expected: As for `against_baseline`.
    """
    wanted = {pair for method, row in methods.items() if method not in excluded for pair in row}
    if expected is not None:
        wanted &= set(expected)
    lost = {method: len(wanted - row.keys()) for method, row in methods.items() if method not in excluded}
    return dict(excluded) | {
        method: f"no {metric} in {number} of {len(wanted)} runs where another method has one"
        for method, number in lost.items()
        if number
    }


def _asked(
    endpoint: Endpoint,
    methods: Mapping[str, Mapping[Any, float]],
    baseline: str,
    out: Mapping[str, str],
    *,
    paired: bool,
    test_train_ratio: float,
) -> list[Comparison]:
    assert paired or not test_train_ratio, "runs with test rows of their own are paired"
    arms = None if paired else Arms({method: row.values() for method, row in methods.items() if row}, out)
    known = arms.arms if arms is not None and baseline in arms.arms else {}
    missing = f"the baseline {baseline} is not ranked: {out[baseline]}" if baseline in out else None
    return [
        Comparison.of(
            endpoint, method, methods.get(method, {}), baseline, methods.get(baseline, {}),
            contrast=arms.contrast({method: 1, baseline: -1}) if arms is not None and method in known else None,
            excluded=out.get(method, missing), test_train_ratio=test_train_ratio,
        )
        for method in sorted({*methods, *out} - {baseline})
    ]  # fmt: skip
