"""The front of fixed weights, with the adaptive methods on it: one panel for each architecture and pair of tasks."""

from __future__ import annotations

from matplotlib.axes import Axes

from benchmark import metrics
from benchmark.analysis.naming import weighting_of
from benchmark.analysis.results import Results, label
from benchmark.analysis.scalarization import Adaptive, Scalarization, scalarizations
from benchmark.reporting.figures.canvas import Figure, Mark, Writing, figure, grid, mark, write
from benchmark.reporting.figures.comparisons import Drawn, towards_better
from benchmark.reporting.figures.medium import INK, MUTED, colour, drawing, named
from benchmark.reporting.scalarization import against_fixed


def scalarization(drawn: Drawn) -> Figure | None:
    """AUC against MSE: what fixed weights reach, and where each adaptive method is."""
    found = scalarizations(drawn.results)
    if not found:
        return None
    several = len({one.architecture for one in found}) > 1
    with drawing():
        canvas, panels = grid(len(found), height=3.6, labelled=True, a_row=2, wide=1.5)
        turned: list[str] = []
        for axes, one in zip(panels, found, strict=True):
            x, y = metrics.headline(one.front.against), metrics.headline(one.front.task)
            axes.set_xlabel(f"{named(one.front.against.name)} {label(x.name, one.front.against)}")
            axes.set_ylabel(f"{named(one.front.task.name)} {label(y.name, one.front.task)}")
            axes.set_title(f"{one.architecture}: {one.front.title}" if several else one.front.title)
            turned += towards_better(axes, x, y)
            _points(axes, drawn, one)
        why = f"{', '.join(dict.fromkeys(turned))}, so " if turned else ""
        return figure(
            "Fixed weights against adaptive weightings", canvas, drawn.results.group.name,
            f"Means on test over seeds; {why}better is up and to the right. Dark circles are fixed weights, filled on their front "
            "(grey line): what lies below and to the left of it is dominated. Coloured marks are adaptive weightings, filled where "
            "no fixed setting dominates their means; their faint marks are the seeds.",
            [against_fixed(drawn.results)],
        )  # fmt: skip


def _points(axes: Axes, drawn: Drawn, one: Scalarization) -> None:
    front = one.front
    along = [front.means[method] for method in front.methods]
    axes.plot(
        [x for x, _ in along], [y for _, y in along], drawstyle="steps-post", color=MUTED, linewidth=0.8, zorder=1
    )  # fmt: skip
    for method, (x, y) in front.means.items():
        face = INK if method in front.methods else "none"
        axes.plot([x], [y], marker="o", markersize=4, color=INK, markerfacecolor=face, linestyle="none", zorder=2)
    for each in one.adaptive:
        ink, seeds = colour(drawn.styles[each.method]), _seeds(drawn.results, one, each)
        shape = drawn.styles[each.method].marker
        axes.scatter(
            [x for x, _ in seeds], [y for _, y in seeds], marker=shape, s=9, color=ink, alpha=0.4, linewidths=0
        )
    mark(axes, [Mark(*each.place, drawn.styles[each.method], filled=not each.dominated_by) for each in one.adaptive])
    texts = [
        Writing(*each.place, weighting_of(each.method), colour(drawn.styles[each.method])) for each in one.adaptive
    ]
    texts += [Writing(*place, _weights(method), INK) for method, place in front.means.items()]
    write(axes, texts, along)


def _weights(method: str) -> str:
    """`duration=0.1` of `mmoe/fixed(duration=0.1)`, and the weighting's name where it has no parameter."""
    name = weighting_of(method)
    return name.partition("(")[2].removesuffix(")") or name


def _seeds(results: Results, one: Scalarization, each: Adaptive) -> list[tuple[float, float]]:
    """A method's values of `against` and of `task`, seed by seed."""
    x, y = (
        results.values.get((task.name, metrics.headline_name(task)), {}).get(each.method, {})
        for task in (one.front.against, one.front.task)
    )
    return [(x[pair], y[pair]) for pair in x if pair in y]
