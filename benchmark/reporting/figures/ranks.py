"""Mean ranks with Nemenyi's critical difference, drawn only where the statistics allow it."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.reporting.figures.canvas import Figure, figure, rows
from benchmark.reporting.figures.medium import INK, MUTED, colour, drawing
from benchmark.reporting.figures.styles import Style
from benchmark.statistics import Ranking

MOST = 40


def critical_difference(ranking: Ranking, styles: Mapping[str, Style]) -> Figure | None:
    """The methods by mean rank; a bar joins methods less than the critical difference apart."""
    if ranking.critical_difference is None or len(ranking.methods) > MOST:
        return None
    order = [method for _, method in sorted(zip(ranking.mean_ranks, ranking.methods, strict=True))]
    ranks = dict(zip(ranking.methods, ranking.mean_ranks, strict=True))
    with drawing():
        canvas, (axes,) = rows(order, 1)
        for row, method in enumerate(order):
            style = styles[method]
            axes.plot([ranks[method]], [row], marker=style.marker, markersize=6, color=colour(style), linestyle="none")
        right = max(ranks.values())
        step = (right - min(ranks.values())) / 25 or 0.1
        for number, group in enumerate(ranking.groups, start=1):
            ends = [order.index(group[0]), order.index(group[-1])]
            axes.plot([right + number * step] * 2, ends, color=INK, linewidth=2.4, solid_capstyle="round")
        start = min(ranks.values())
        axes.plot([start, start + ranking.critical_difference], [-0.45, -0.45], color=MUTED, linewidth=2)
        axes.set_xlabel(
            f"mean rank over {ranking.blocks} tasks, 1 is best; critical difference (grey line, top) "
            f"{ranking.critical_difference:.2f}"
        )
        return figure(
            "Mean ranks with the critical difference", canvas, "",
            "A bar on the right joins methods whose mean ranks are less than the critical difference apart, so they cannot be told apart "
            "(Nemenyi, 5 %, all pairs together).",
            [f"{method}: {ranks[method]:.2f}." for method in order],
        )  # fmt: skip
