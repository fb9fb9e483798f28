"""Statistics of comparisons: pure functions of numbers. Imports numpy and scipy, nothing else of mtlbench, no torch.

    values {(task, metric): {method: {pair: value}}} -> a family of comparisons -> one verdict each

- `intervals`: intervals of a mean over seeds.
- `significance`: paired t and its correction for varying test rows, sign flips, Holm.
- `comparison`: one comparison, its endpoint and margin.
- `verdicts`: better, worse, equivalent, identical, undecided; families against a baseline.
- `tiers`: groups of methods that cannot be told apart.
- `arms`: methods on the same rows, unpaired, with spreads estimated together.
- `looks`: comparisons judged again as seeds come in, at moments announced in advance.
- `wording`: a comparison as a sentence.
- `planning`: which difference S seeds can find, and how many seeds a difference needs.
- `gains`: multi-task gain, seesaw, Pareto front and hypervolume.
- `aggregates`: several data sets in one number.
- `ranks`: mean ranks, Friedman, Nemenyi.
- `delong`: comparison of two scorers on one test set.
- `rows`: seeds and test rows together, with rows in clusters (users).
"""

from __future__ import annotations

from benchmark.statistics.arms import Arms, Contrast
from benchmark.statistics.comparison import FIRM, Comparison, Endpoint, Margin, Verdict
from benchmark.statistics.delong import DeLong, delong
from benchmark.statistics.gains import Seesaw, hypervolume, multi_task_gain, pareto_front, relative_gain, seesaw
from benchmark.statistics.intervals import FEWEST, Interval, t_interval
from benchmark.statistics.looks import DECIDED, Looks, over_looks
from benchmark.statistics.planning import (
    detectable_difference,
    equivalence_power,
    power_of_test,
    seeds_for_equivalence,
    seeds_needed,
)
from benchmark.statistics.ranks import Ranking, rank
from benchmark.statistics.significance import Outcome, holm, paired_t_test, sign_flip_test
from benchmark.statistics.tiers import all_pairs, tiers
from benchmark.statistics.verdicts import Family, against_baseline, judge, unranked
from benchmark.statistics.wording import sentence

__all__ = [
    "DECIDED",
    "FEWEST",
    "FIRM",
    "Arms",
    "Comparison",
    "Contrast",
    "DeLong",
    "Endpoint",
    "Family",
    "Interval",
    "Looks",
    "Margin",
    "Outcome",
    "Ranking",
    "Seesaw",
    "Verdict",
    "against_baseline",
    "all_pairs",
    "delong",
    "detectable_difference",
    "equivalence_power",
    "holm",
    "hypervolume",
    "judge",
    "multi_task_gain",
    "over_looks",
    "paired_t_test",
    "pareto_front",
    "power_of_test",
    "rank",
    "relative_gain",
    "seeds_for_equivalence",
    "seeds_needed",
    "seesaw",
    "sentence",
    "sign_flip_test",
    "t_interval",
    "tiers",
    "unranked",
]  # fmt: skip
