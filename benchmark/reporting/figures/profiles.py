"""Performance profiles: the share of data sets and runs with a gain above each value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.analysis.leaderboard import Leaderboard, Standing
from benchmark.reporting.figures.canvas import Figure, figure, grid
from benchmark.reporting.figures.medium import MUTED, colour, drawing
from benchmark.reporting.figures.styles import Style

MOST = 16
"""Most methods in a panel."""


def performance_profiles(boards: Sequence[Leaderboard], styles: Mapping[str, Style]) -> Figure | None:
    """A panel for tuned methods and one for methods with default parameters. With very many methods, only the best are drawn."""
    drawn = [(board, shown) for board in boards if (shown := _shown(board))]
    if not drawn:
        return None
    with drawing():
        canvas, panels = grid(len(drawn), height=2.9, labelled=True)
        sentences, cut = [], []
        for axes, (board, standings) in zip(panels, drawn, strict=True):
            at = sorted({gain for s in standings for entry in s.judged.values() for gain in entry.runs} | {0.0})
            for standing in standings:
                style = styles[standing.method]
                shares = standing.profile(at)
                # the share falls at each run's gain; left of all gains, every run is above
                xs, ys = [at[0], *at], [1.0, *shares]
                dashes: dict[str, Any] = {"dashes": style.dash} if style.dash else {}
                axes.plot(xs, ys, drawstyle="steps-post", color=colour(style), linewidth=1.4, **dashes)
                sentences.append(f"{standing.method}: {standing.profile([0.0])[0]:.0%} above 0.")
            axes.axvline(0, color=MUTED, linewidth=0.8)
            axes.set_title(f"{board.kind}, {board.num_datasets} data sets")
            axes.set_xlabel(f"gain over {board.baseline}, %")
            axes.set_ylabel("share of data sets and runs")
            if len(standings) < len(board.standings):
                cut.append(f"{len(standings)} of {len(board.standings)} {board.kind} methods are drawn.")
        caption = (
            "The share of data sets and runs with a gain above the value on the axis; each data set counts once, however many "
            "runs it has. Higher is better."
        )
        return figure("Performance profiles", canvas, "over data sets", " ".join([caption, *cut]), sentences)


def _shown(board: Leaderboard) -> list[Standing]:
    """The methods that are ranked on every data set: the profiles of other methods would cover fewer."""
    return [standing for standing in board.standings if standing.judged.keys() == board.families.keys()][:MOST]
