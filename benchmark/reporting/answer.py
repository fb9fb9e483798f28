"""The answer, before anything else: at most five sentences a data set, by rules from its verdicts.

1. Is any method better than the baseline on the primary question, and by how much?  2. On which tasks?  3. What of the declared
contrasts?  4. At what cost?  5. What limits the answer, and what would decide it?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.analysis.compare import FIRM
from benchmark.analysis.gain import TASKS
from benchmark.analysis.results import Results
from benchmark.analysis.values import cost
from benchmark.records.record import GAIN
from benchmark.reporting.wording import joined, rounded
from benchmark.statistics import Comparison, Verdict
from benchmark.statistics.planning import MOST
from benchmark.statistics.wording import WORDS, bracketed, p_value, places
from benchmark.text import counted

FEW = 3
"""Methods that a sentence names; of more it gives the number."""
MOST_CONTRASTS = 6
"""Contrasts that are told."""


def answer(results: Results) -> list[str]:
    """The sentences of one data set; none where nothing is compared."""
    family = results.primary
    if family is None:
        tasks = _tasks(results)
        return [f"No answer over all tasks: {results.no_gains}.", tasks] if tasks else []
    found = [c for c in family.comparisons if c.verdict is not None]
    if not found:
        return []
    found.sort(key=lambda c: -_improvement(c))
    parts = [_verdict(results, found), _tasks(results), _contrasts(results), _cost(results, found[0])]
    return [part for part in (*parts, _limits(results, found)) if part]


def _improvement(comparison: Comparison) -> float:
    improvement = comparison.improvement
    return improvement.mean if improvement is not None else 0.0


def _where(results: Results, comparison: Comparison) -> str:
    return "over all tasks" if comparison.task == TASKS else f"on {comparison.task} {results.unit(comparison)}"


def _size(results: Results, comparison: Comparison, *, plus: bool = False) -> str:
    """`1.20 % [0.40, 2.00]`: how much better; with `plus` and a sign."""
    improvement = comparison.improvement
    assert improvement is not None
    number, _, ends = bracketed(improvement, places(comparison), sign="+" if plus else "-").partition(" ")
    return f"{number} {results.unit(comparison)} {ends}".strip()


def _verdict(results: Results, found: Sequence[Comparison]) -> str:
    """Who is better than the baseline, and by how much; else who is worse, and who is as good."""
    of = {verdict: [c for c in found if c.verdict is verdict] for verdict in WORDS}
    if len(found) == 1:
        return f"{_alone(results, found[0])}."
    where = f"{results.baseline} {_where(results, found[0])}"
    better, worse, first, last = of[Verdict.BETTER], of[Verdict.WORSE], found[0], found[-1]
    if better:
        best = better[0]
        who = _all(results, len(found)) if len(better) == len(found) else f"{len(better)} of {len(found)} methods"
        said = (
            f"{who} {'beats' if len(better) == 1 else 'beat'} {where}: {best.method} by {_size(results, best)}, "
            f"adjusted {p_value(best.p_adjusted)}{_inside(results, best)}{_then(better[1:])}"
        )
        rest = _rest(results, of, told=Verdict.BETTER)
        return f"{said}; {rest}." if rest else f"{said}."
    if len(worse) == len(found):
        return (
            f"No other method reaches {where}: the closest, {first.method}, is {_size(results, first.turned())} behind, "
            f"adjusted {p_value(first.p_adjusted)}{_inside(results, first)}, and the last, {last.method}, "
            f"{_size(results, last.turned())}."
        )
    if len(of[Verdict.EQUIVALENT]) == len(found):
        largest = p_value(max(c.p_equivalence_adjusted or 0.0 for c in found)).replace("=", "≤")
        return (
            f"{_all(results, len(found))} are equivalent to {where}, within {_margin(results, first)}: from "
            f"{_size(results, last, plus=True)} ({last.method}) to {_size(results, first, plus=True)} ({first.method}), "
            f"adjusted {largest}."
        )
    if len(of[Verdict.IDENTICAL]) == len(found):
        return (
            f"{_all(results, len(found))} are identical to {where}: no run differs from the baseline's with its seed."
        )
    return (
        f"No method is shown to beat {where}: {_rest(results, of)}; the best mean, of {first.method}, is "
        f"{_size(results, first, plus=True)}."
    )


def _alone(results: Results, only: Comparison) -> str:
    """The verdict of the only method."""
    who, baseline, where = only.method, results.baseline, _where(results, only)
    if only.verdict is Verdict.IDENTICAL:
        return f"{who} is identical to {baseline} {where}: no run differs from the baseline's with its seed"
    if only.verdict is Verdict.EQUIVALENT:
        p = p_value(only.p_equivalence_adjusted)
        return f"{who} is equivalent to {baseline} {where}, within {_margin(results, only)}: {_size(results, only, plus=True)}, {p}"
    if only.verdict is Verdict.UNDECIDED:
        return f"{who} is not distinguishable from {baseline} {where}: {_size(results, only, plus=True)}"
    verb, size = ("beats", only) if only.verdict is Verdict.BETTER else ("is worse than", only.turned())
    return (
        f"{who} {verb} {baseline} {where} by {_size(results, size)}, {p_value(only.p_adjusted)}{_inside(results, only)}"
    )


def _all(results: Results, number: int) -> str:
    """`All 9 methods`, of those that are ranked, as it says where some are not."""
    assert results.primary is not None
    what = "methods" if number == len(results.primary.comparisons) else "ranked methods"
    return f"Both {what}" if number == 2 else f"All {number} {what}"


def _inside(results: Results, comparison: Comparison) -> str:
    return f", inside the margin of {_margin(results, comparison)}" if comparison.within_margin else ""


def _margin(results: Results, comparison: Comparison) -> str:
    return f"{rounded(comparison.margin)} {results.unit(comparison)}"


def _then(comparisons: Sequence[Comparison]) -> str:
    """`, then a, b, c and 2 more`."""
    if not comparisons:
        return ""
    names = [c.method for c in comparisons[:FEW]]
    more = [f"{len(comparisons) - FEW} more"] if len(comparisons) > FEW else []
    return f", then {joined([*names, *more])}"


def _rest(results: Results, of: Mapping[Verdict, Sequence[Comparison]], told: Verdict | None = None) -> str:
    """`3 are worse (a, b and c), 1 is equivalent within 0.5 % (d)`."""
    parts = []
    for verdict, word in WORDS.items():
        names = [c.method for c in of[verdict]]
        if names and verdict is not told:
            who = f" ({joined(names)})" if len(names) <= FEW else ""
            within = f" within {_margin(results, of[verdict][0])}" if verdict is Verdict.EQUIVALENT else ""
            if verdict in FIRM and all(c.within_margin for c in of[verdict]):
                within = " by less than the margin"
            parts.append(f"{len(names)} {'is' if len(names) == 1 else 'are'} {word}{within}{who}")
    return ", ".join(parts)


def _tasks(results: Results) -> str:
    """How many comparisons are better and worse, task by task."""
    family = results.family
    if family is None or not family.tests:
        return ""
    parts = []
    for verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT, Verdict.IDENTICAL):
        counts = {t.name: sum(c.task == t.name for c in family.of(verdict)) for t in results.group.tasks}
        if total := sum(counts.values()):
            where = ", ".join(f"{task} {number}" for task, number in counts.items() if number)
            parts.append(f"{total} {WORDS[verdict]} ({where})")
    if parts and (open_ := len(family.of(Verdict.UNDECIDED))):
        parts.append(f"{open_} {WORDS[Verdict.UNDECIDED]}")
    judged = counted(sum(c.verdict is not None for c in family.comparisons), "comparison")
    others = {c.task for c in family.comparisons}
    where = "Task by task" if len(others) == len(results.group.tasks) else f"On {joined(sorted(others))}"
    return f"{where}, of {judged} with {results.baseline}: {', '.join(parts) or 'none is decided'}."


def _contrasts(results: Results) -> str:
    """The declared contrasts, those with a difference first."""
    family = results.contrasts
    known = [c for c in family.comparisons if c.verdict is not None and c.improvement is not None] if family else []
    if not known:
        return ""
    known.sort(key=lambda c: c.verdict not in FIRM)
    parts = []
    for c in known[:MOST_CONTRASTS]:
        p = None if c.verdict is Verdict.UNDECIDED else c.p_of_verdict
        word = WORDS[c.verdict] + (f", adjusted {p_value(p)}" if p is not None else "")  # type: ignore[index]
        parts.append(f"{c.method} against {c.baseline} {_size(results, c, plus=True)} ({word})")
    if len(known) > MOST_CONTRASTS:
        parts.append(f"{len(known) - MOST_CONTRASTS} more, in the CSV file")
    return f"{'Declared contrast' if len(known) == 1 else 'Declared contrasts'}: {'; '.join(parts)}."


def _cost(results: Results, best: Comparison) -> str:
    group = results.group
    mine, base = cost(group.finished[best.method]), cost(group.finished[best.baseline])
    ratios = [
        f"{own / other:.{2 if own < other else 1}f} times the {what}"
        for own, other, what in ((mine[0], base[0], "parameters"), (mine[2], base[2], "training time"))
        if own and other
    ]
    return f"{best.method} has {' and '.join(ratios)} of {best.baseline}." if ratios else ""


def _limits(results: Results, found: Sequence[Comparison]) -> str:
    """What would change the answer: seeds, searches, rows, methods that are not ranked."""
    fewest, most = min(c.n for c in found), max(c.n for c in found)
    seeds = counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    parts = [f"{seeds} per method{_searched(results)}", *_undecided(results, found, most)]
    assert results.primary is not None
    if unranked := sum(c.verdict is None for c in results.primary.comparisons):
        parts.append(f"{counted(unranked, 'method')} not ranked")
    parts += [part for part in (_rows(results, found), _stopping(results, found[0])) if part]
    return f"What limits this: {'; '.join(parts)}."


def _undecided(results: Results, found: Sequence[Comparison], most: int) -> list[str]:
    """What would decide those that are not."""
    open_ = [c for c in found if c.verdict is Verdict.UNDECIDED]
    parts = list(dict.fromkeys(c.reason for c in open_ if c.reason is not None))
    needed = [c.seeds_to_decide for c in open_ if c.reason is None]
    known = [number for number in needed if number is not None]
    if known:
        about = (
            f"about {rounded(max(known))} seeds would decide" if max(known) > most else "a few more seeds would decide"
        )
        parts.append(f"{about} the {_open(len(known))} at the margin of {_margin(results, found[0])}")
    if len(known) < len(needed):
        parts.append(
            f"no number of seeds up to {MOST:,} would decide {'the' if not known else 'another'} {_open(len(needed) - len(known))}"
        )
    return parts


def _open(number: int) -> str:
    return "undecided method" if number == 1 else f"{number} undecided methods"


def _searched(results: Results) -> str:
    """Whether a replicate is a search and a seed."""
    tuned = {
        method: [run.record for run in runs if run.record.study] for method, runs in results.group.finished.items()
    }
    known = [own for own in tuned.values() if own]
    if not known:
        return ", parameters not tuned"
    searches = [len({record.search_seed for record in own}) for own in known]
    if all(number == len(own) for number, own in zip(searches, known, strict=True)):
        return ", each with a search of its own"
    if min(searches) == 1:
        return ", all from one search, whose luck the intervals leave out"
    return f", from {min(searches)} searches, whose luck the intervals cover in part"


def _rows(results: Results, found: Sequence[Comparison]) -> str:
    """How many test rows there are, and what no number of seeds shows on them."""
    rows = {run.pair[2] for runs in results.group.finished.values() for run in runs}
    splits = results.group.example.dataset.get("splits", {})
    if len(rows) != 1 or "test" not in splits:
        return ""
    least = [size for c in found if (size := results.least_visible(c)) is not None]
    visible = f", on which the least visible difference is {max(least):.2g} {results.unit(found[0])}" if least else ""
    return f"one set of {splits['test']:,} test rows{visible}"


def _stopping(results: Results, best: Comparison) -> str:
    """What each task's own epoch would change."""
    gain = results.other_gains.get(best.method)
    if results.selection != "joint" or best.metric != GAIN or gain is None or gain.total is None:
        return ""
    size = bracketed(gain.total, places(best), sign="+").replace(" ", " % ", 1)
    return f"one stopping point for all tasks (with each task's own, {best.method} is at {size})"
