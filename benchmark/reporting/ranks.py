"""Mean ranks of the methods over data sets, by their gain, if there are enough data sets."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.leaderboard import FEWEST_FOR_RANK
from benchmark.analysis.results import Results
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.statistics import Ranking, rank


def ranking(all_results: Sequence[Results]) -> Ranking | None:
    """The ranks of the methods that are ranked on every data set: of tuned methods, if as many data sets have them.

    A data set is one block, however many tasks it has: its tasks are not independent.
    """
    found = [[r for r in all_results if r.judges_gain and r.group.is_tuned is is_tuned] for is_tuned in (True, False)]
    results = max(found, key=len)
    if len(results) < FEWEST_FOR_RANK:
        return None
    gains = [_gains(of) for of in results]
    methods = sorted(set.intersection(*(set(of) for of in gains)))
    return rank([[of[method] for method in methods] for of in gains], methods) if len(methods) > 1 else None


def _gains(results: Results) -> dict[str, float]:
    """The mean gains of the ranked methods, including the baseline."""
    return {method: mean for method in results.tier_of if (mean := results.mean_gain(method)) is not None}


def rank_table(found: Ranking) -> TextTable:
    """The mean ranks, with Nemenyi's groups if the statistics allow them."""
    order = sorted(zip(found.mean_ranks, found.methods, strict=True))
    groups = found.groups
    columns = [Column("method", numeric=False), Column("rank", "mean rank")]
    if found.critical_difference is not None:
        columns.append(Column("close", "not distinguishable from", numeric=False))
    rows = []
    for value, method in order:
        cells = [Cell(method, method=method), Cell(f"{value:.2f}", best=value == order[0][0])]
        if found.critical_difference is not None:
            others = dict.fromkeys(other for group in groups if method in group for other in group if other != method)
            cells.append(Cell(", ".join(others)))
        rows.append(Row(tuple(cells)))
    notes = [_note(found), "Adding or removing a method changes the ranks of the others, but not their gains."]
    return TextTable(
        "ranks", "Mean ranks", tuple(columns), tuple(rows), f"by gain over tasks, 1 is best; over {found.blocks} data sets",
        tuple(notes), detail=True,
    )  # fmt: skip


def _note(found: Ranking) -> str:
    if found.critical_difference is None:
        return f"No test of ranks: {found.reason}."
    return (
        f"Friedman p = {found.p:.3g}, Iman-Davenport p = {found.p_f:.3g}; mean ranks that are at least "
        f"{found.critical_difference:.2f} apart differ (Nemenyi, all pairs together, 5 %)."
    )
