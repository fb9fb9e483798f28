"""The answer, before anything else: at most five sentences a data set, by rules from its verdicts.

1. Is any method better than the baseline on the primary question, and by how much?  2. On which tasks?  3. What of the declared
contrasts?  4. At what cost?  5. What limits the answer, and what would decide it?
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.gain import TASKS
from benchmark.analysis.results import Results, label
from benchmark.analysis.values import cost
from benchmark.records.record import GAIN
from benchmark.reporting.wording import joined, rounded
from benchmark.statistics import Comparison, Verdict
from benchmark.statistics.planning import MOST
from benchmark.statistics.wording import WORDS, bracketed, p_value, places
from benchmark.text import counted

FEW = 3
"""Methods that a sentence names; of more it gives the number."""


def answer(results: Results) -> list[str]:
    """The sentences of one data set; none where nothing is compared."""
    family = results.primary
    found = [c for c in family.comparisons if c.verdict is not None] if family is not None else []
    if not found:
        return []
    found.sort(key=lambda c: -_improvement(c))
    parts = [_verdict(results, found), _tasks(results), _contrasts(results), _cost(results, found[0])]
    return [part for part in (*parts, _limits(results, found)) if part]


def _improvement(comparison: Comparison) -> float:
    improvement = comparison.improvement
    return improvement.mean if improvement is not None else 0.0


def _where(results: Results, comparison: Comparison) -> str:
    return "over all tasks" if comparison.task == TASKS else f"on {comparison.task} {_unit(results, comparison)}"


def _unit(results: Results, comparison: Comparison) -> str:
    if comparison.metric == GAIN:
        return "%"
    return next(label(comparison.metric, task) for task in results.group.tasks if task.name == comparison.task)


def _size(results: Results, comparison: Comparison, *, plus: bool = False) -> str:
    """`1.20 % [0.40, 2.00]`: how much better; with `plus` and a sign."""
    improvement = comparison.improvement
    assert improvement is not None
    number, _, ends = bracketed(improvement, places(comparison), sign="+" if plus else "-").partition(" ")
    return f"{number} {_unit(results, comparison)} {ends}".strip()


def _verdict(results: Results, found: Sequence[Comparison]) -> str:
    baseline, first = results.baseline, found[0]
    of = {verdict: [c for c in found if c.verdict is verdict] for verdict in WORDS}
    better, worse = of[Verdict.BETTER], of[Verdict.WORSE]
    if better:
        who = "1 method beats" if len(better) == 1 else f"{len(better)} of {len(found)} methods beat"
        best = better[0]
        return (
            f"{who} {baseline} {_where(results, best)}: {best.method} by {_size(results, best)}, "
            f"adjusted {p_value(best.p_adjusted)}{_others(better[1:])}; {_rest(of, (Verdict.BETTER,))}."
        ).replace("; .", ".")
    if len(worse) == len(found):
        turned = first.turned()
        return (
            f"No other method reaches {baseline} {_where(results, first)}: the closest, {first.method}, is "
            f"{_size(results, turned)} behind (adjusted {p_value(first.p_adjusted)}), and the last, {found[-1].method}, "
            f"{_size(results, found[-1].turned())}."
            if len(found) > 1
            else f"{first.method} does not reach {baseline} {_where(results, first)}: it is {_size(results, turned)} behind, "
            f"adjusted {p_value(first.p_adjusted)}."
        )
    return (
        f"No method is shown to beat {baseline} {_where(results, first)}: {_rest(of, ())}; the best mean, of {first.method}, "
        f"is {_size(results, first, plus=True)}."
    )


def _others(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    names = [c.method for c in comparisons]
    return (
        f", then {joined(names)}" if len(names) <= FEW else f", then {joined(names[:FEW])} and {len(names) - FEW} more"
    )


def _rest(of: dict[Verdict, list[Comparison]], told: Sequence[Verdict]) -> str:
    """`3 are worse (a, b and c), 1 is equivalent (d)`."""
    parts = []
    for verdict, word in WORDS.items():
        names = [c.method for c in of[verdict]]
        if names and verdict not in told:
            who = f" ({joined(names)})" if len(names) <= FEW else ""
            within = f" within {of[verdict][0].margin:g} %" if _says_margin(verdict, of[verdict][0]) else ""
            parts.append(f"{len(names)} {'is' if len(names) == 1 else 'are'} {word}{within}{who}")
    return ", ".join(parts)


def _says_margin(verdict: Verdict, comparison: Comparison) -> bool:
    return verdict is Verdict.EQUIVALENT and comparison.metric == GAIN


def _tasks(results: Results) -> str:
    family = results.family
    if family is None or len(results.group.tasks) < 2 or not family.tests:
        return ""
    parts = []
    for verdict, word in ((Verdict.BETTER, "better"), (Verdict.WORSE, "worse"), (Verdict.EQUIVALENT, "equivalent")):
        counts = {t.name: sum(c.task == t.name for c in family.of(verdict)) for t in results.group.tasks}
        if total := sum(counts.values()):
            where = ", ".join(f"{task} {number}" for task, number in counts.items() if number)
            parts.append(f"{total} {word} ({where})")
    judged = sum(c.verdict is not None for c in family.comparisons)
    said = ", ".join(parts) if parts else "none has a verdict"
    return f"Task by task, of {judged} comparisons with {results.baseline}: {said}."


def _contrasts(results: Results) -> str:
    family = results.contrasts
    if family is None:
        return ""
    parts = []
    for c in family.comparisons:
        if c.verdict is not None and c.improvement is not None:
            p = None if c.verdict is Verdict.UNDECIDED else c.p_of_verdict
            word = WORDS[c.verdict] + (f", adjusted {p_value(p)}" if p is not None else "")
            parts.append(f"{c.method} against {c.baseline} {_size(results, c, plus=True)} ({word})")
    return f"Declared contrasts: {'; '.join(parts)}." if parts else ""


def _cost(results: Results, best: Comparison) -> str:
    group = results.group
    mine, base = cost(group.finished[best.method]), cost(group.finished[best.baseline])
    ratios = [
        f"{rounded(own / other)} times the {what}"
        for own, other, what in ((mine[0], base[0], "parameters"), (mine[2], base[2], "training time"))
        if own and other
    ]
    return f"{best.method} has {' and '.join(ratios)} of {best.baseline}." if ratios else ""


def _limits(results: Results, found: Sequence[Comparison]) -> str:
    fewest, most = min(c.n for c in found), max(c.n for c in found)
    seeds = counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    parts = [f"{seeds} a method{_searched(results)}"]
    needed = [c.seeds_to_decide for c in found if c.verdict is Verdict.UNDECIDED]
    known = [number for number in needed if number is not None]
    if known:
        about = f"about {rounded(max(known))} would decide" if max(known) > most else "more would decide"
        parts.append(
            f"{about} the {len(needed)} undecided at a margin of {found[0].margin:g} {_unit(results, found[0])}"
        )
    elif needed:
        parts.append(f"no number of seeds up to {MOST:,} would decide the {len(needed)} undecided")
    parts += [part for part in (_rows(results), _stopping(results, found[0])) if part]
    return f"What limits this: {'; '.join(parts)}."


def _searched(results: Results) -> str:
    tuned = [run.record for runs in results.group.finished.values() for run in runs if run.record.study]
    if not tuned:
        return ", parameters not tuned"
    searches = {(record.method, record.search_seed) for record in tuned}
    repeated = any(len({seed for of, seed in searches if of == method}) > 1 for method, _ in searches)
    return ", each with a search of its own" if repeated else " of one search each, whose luck no interval covers"


def _rows(results: Results) -> str:
    rows = {run.pair[2] for runs in results.group.finished.values() for run in runs}
    splits = results.group.example.dataset.get("splits", {})
    return f"one set of {splits['test']:,} test rows" if len(rows) == 1 and "test" in splits else ""


def _stopping(results: Results, best: Comparison) -> str:
    """What each task's own epoch would change."""
    gain = results.other_gains.get(best.method)
    if results.selection != "joint" or best.metric != GAIN or gain is None or gain.total is None:
        return ""
    size = bracketed(gain.total, places(best), sign="+").replace(" ", " % ", 1)
    return f"one epoch for all tasks (with each task's own best, {best.method} gains {size})"
