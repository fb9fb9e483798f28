"""The terms of a report and what they mean, each once."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.results import Results
from benchmark.records.record import TUNED, SelectionName
from benchmark.reporting.overview import gain_meaning
from benchmark.reporting.provenance import SELECTIONS
from benchmark.statistics import FEWEST


def glossary(results: Sequence[Results], selection: SelectionName) -> dict[str, str]:
    """{term: what it means} for the terms that these results use."""
    terms = {}
    if any(of.gains for of in results):
        terms["gain"] = gain_meaning(results)
    terms["a ± b, [low, high]"] = (
        "a mean over seeds and the half-width of its 95 % interval, or both ends. Intervals are not adjusted for the number of "
        f"comparisons. Below {FEWEST} seeds there are no intervals and no tests."
    )
    if any(of.primary is not None for of in results):
        terms |= _verdicts()
    if any(of.tiers for of in results):
        terms["tier"] = (
            "methods that cannot be told apart on the primary question. The best method not in a tier above leads the tier. "
            "Pairs without the baseline are adjusted for all such pairs, as a separate family with an error of 5 %."
        )
    if any(of.best for of in results):
        terms["bold"] = "the best mean of a column, among methods with every seed."
    terms["joint, per-task selection"] = (
        f"the epoch whose metrics are reported. Joint: {SELECTIONS['joint']}. Per-task: {SELECTIONS['per_task']}. Both are chosen on "
        f"validation. This report shows the {selection.replace('_', '-')} selection; metrics are measured on test unless marked "
        "as validation."
    )
    if any(run.record.purpose == TUNED for of in results for run in of.group.runs):
        terms["tuned"] = (
            "trained with the parameters that did best on validation in a search. Tuned methods are compared with the tuned "
            "baseline, and methods with default parameters with the default baseline."
        )
    if any(of.rows for of in results):
        terms["over seeds and test rows"] = (
            "an interval that covers the choice of test rows as well as the seeds: the result on other rows of the same kind."
        )
    terms["train s"] = "seconds of training, the median over seeds."
    return terms


def _verdicts() -> dict[str, str]:
    return {
        "better, worse": (
            "the difference to the baseline is statistically significant: its p, adjusted by Holm for all tests of its family, is below "
            "0.05. The primary question, the tasks and the declared contrasts are separate families."
        ),
        "equivalent": (
            "the difference is smaller than the margin, the largest difference that does not matter. Two one-sided tests, adjusted "
            "in the same way, show this. The margins are listed under All comparisons in words."
        ),
        "not distinguishable": "neither a difference nor equivalence is shown. It does not mean equal: more seeds could decide.",
        "not ranked": "a seed failed, diverged or is missing, so the method has no verdict.",
    }
