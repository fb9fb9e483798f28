"""Comparisons in words, made only from the numbers behind them."""

from __future__ import annotations

import math
from typing import Literal

from benchmark.statistics.comparison import Comparison, Verdict
from benchmark.statistics.intervals import Interval
from benchmark.statistics.planning import MOST, POWER

WORDS = {
    Verdict.BETTER: "better", Verdict.WORSE: "worse", Verdict.EQUIVALENT: "equivalent", Verdict.IDENTICAL: "identical",
    Verdict.UNDECIDED: "not distinguishable",
}  # fmt: skip


def sentence(comparison: Comparison, label: str | None = None) -> str:
    """The comparison as a sentence: which method, on which task, by how much, and how certain.

        mmoe/equal beats single_task/equal on income by 0.0021 AUC [0.0012, 0.0030], adjusted p = 0.004.

    The interval is the 95 % one of this comparison alone; p is adjusted for the family.

    Args:
        comparison: A judged one.
        label: The metric's name and unit, if `comparison.metric` is not fit to print.
    """
    c, label = comparison, label or comparison.metric
    who, of = f"{c.method} {{}} {c.baseline} on {c.task}", places(c)
    if c.verdict is None:
        return f"{who.format('is not compared with')}: {c.reason}."
    if c.verdict is Verdict.IDENTICAL:
        return f"{who.format('and')}: identical, every difference of {c.n} is zero."
    improvement = c.improvement
    assert improvement is not None
    if c.verdict in (Verdict.BETTER, Verdict.WORSE):
        better = c.verdict is Verdict.BETTER
        number, _, ends = bracketed(improvement if better else improvement.scaled(-1), of).partition(" ")
        size = f"{number} {label} {ends}"
        inside = f" That is within the margin of {c.margin:.{two_digits(c.margin)}f}." if c.within_margin else ""
        verb = "beats" if better else "is worse than"
        return f"{who.format(verb)} by {size}, adjusted {p_value(c.p_adjusted)}.{inside}"
    if c.verdict is Verdict.EQUIVALENT:
        size = f"within {c.margin:.{two_digits(c.margin)}f} {label}, adjusted {p_value(c.p_equivalence_adjusted)}"
        return f"{who.format('and')}: equivalent {size}."
    return f"{who.format('and')}: {undecided(c, label)}."


def undecided(comparison: Comparison, label: str) -> str:
    """`not distinguishable with 5 seeds; about 14 would distinguish a difference of 0.0010 AUC from none`."""
    c = comparison
    text = f"not distinguishable with {c.n} {'seed' if c.n == 1 else 'seeds'}"
    if c.reason is not None:
        return f"{text} ({c.reason})"
    seeds, margin = c.seeds_to_decide, f"{c.margin:.{two_digits(c.margin)}f} {label}"
    if seeds is None:
        return f"{text}; {beyond(c)} would distinguish a difference of {margin} from none"
    if seeds <= c.n:
        return f"{text}, as many as distinguish a difference of {margin} from none in {POWER:.0%} of sweeps"
    return f"{text}; about {seeds:,} would distinguish a difference of {margin} from none"


def beyond(comparison: Comparison) -> str:
    """What would decide a comparison that `MOST` seeds do not decide."""
    return "no number of seeds on these splits" if comparison.test_train_ratio else f"only more than {MOST:,} seeds"


def places(comparison: Comparison) -> int:
    """Decimals of a comparison's numbers: at least two digits of the margin and of the difference."""
    sizes = [comparison.margin]
    if comparison.estimate is not None and (mean := abs(comparison.estimate.value)) > 0:
        sizes.append(mean)
    return max(two_digits(size) for size in sizes)


def two_digits(size: float) -> int:
    """Decimals that show two digits of a number, at most 8."""
    return max(0, min(8, 1 - math.floor(math.log10(size)))) if math.isfinite(size) and size > 0 else 4


def bracketed(interval: Interval, decimals: int, *, sign: Literal["+", "-"] = "-") -> str:
    """`0.0021 [0.0012, 0.0030]`, with `sign="+"` `+0.0021 [+0.0012, +0.0030]`; for too few seeds the mean alone."""
    mean, *ends = (
        "" if value is None else f"{value:{sign}z.{decimals}f}"
        for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} [{', '.join(ends)}]" if all(ends) else mean


def p_value(p: float | None) -> str:
    """`p = 0.004`; three digits, so that a p just below 0.05 is not printed as 0.05."""
    if p is None:
        return "p unknown"
    number = p_number(p)
    return f"p {number}" if number.startswith("<") else f"p = {number}"


def p_number(p: float) -> str:
    """The same for a column of p: `0.004`."""
    return "< 0.001" if p < 0.001 else f"{p:.3g}"
