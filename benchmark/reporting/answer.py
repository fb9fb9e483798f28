"""The answer, before anything else: at most six sentences per data set, made by rules from its verdicts.

Does a method beat the baseline, and by how much? Which method should one use? On which tasks do methods differ, or which
get beyond the front of fixed weights? How do the declared contrasts and boosted trees come out? What limits the answer?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from benchmark import metrics
from benchmark.analysis.gain import TASKS
from benchmark.analysis.results import Results
from benchmark.analysis.values import cost, median, same_machine
from benchmark.reporting.scalarization import against_fixed
from benchmark.reporting.wording import PRACTICAL, joined, rounded
from benchmark.schema import Task
from benchmark.statistics import FIRM, Comparison, Verdict
from benchmark.statistics.wording import WORDS, bracketed, p_value, places, two_digits
from benchmark.text import counted, duration

FEW = 3
"""Most methods that a sentence names; beyond this it gives the number."""

GOOD = (Verdict.BETTER, Verdict.EQUIVALENT, Verdict.IDENTICAL)
"""The verdicts that show that a method is not worse than the baseline."""
NEAR = 1.1
"""Sizes up to this multiple of the smallest count as about as small."""
MOST_CONTRASTS = 6
"""Most contrasts that the answer lists."""


def answer(results: Results) -> list[str]:
    """The sentences for one data set; empty if nothing is compared."""
    family, front = results.primary, against_fixed(results)
    if family is None:
        compared = results.no_gains is not None and results.family is not None and results.family.comparisons
        reason = f"No answer over all tasks: {results.no_gains}." if compared else ""
        return [part for part in (reason, _tasks(results), front) if part]
    found = [c for c in family.comparisons if c.verdict is not None]
    if not found:
        return [front] if front else []
    found.sort(key=lambda c: -_improvement(c))
    tasks = front or _tasks(results)  # where fixed weights are swept, how tasks are traded is the question
    parts = [_verdict(results, found), _choice(results), tasks, _contrasts(results), _trees(results)]
    return [part for part in (*parts, _limits(results, found)) if part]


def _improvement(comparison: Comparison) -> float:
    improvement = comparison.improvement
    return improvement.mean if improvement is not None else 0.0


def _where(results: Results, comparison: Comparison) -> str:
    return "over all tasks" if comparison.task == TASKS else f"on {comparison.task} {results.unit(comparison)}"


def _size(results: Results, comparison: Comparison, *, plus: bool = False) -> str:
    """`1.20 % [0.40, 2.00]`: how much better; with a sign if `plus`."""
    improvement = comparison.improvement
    assert improvement is not None
    number, _, ends = bracketed(improvement, places(comparison), sign="+" if plus else "-").partition(" ")
    return f"{number} {results.unit(comparison)} {ends}".strip()


def _verdict(results: Results, found: Sequence[Comparison]) -> str:
    """Which methods are better than the baseline, and by how much; else which are worse, and which are as good."""
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
        lost = _lost(results, first)
        return (
            f"Every other method is worse than {where}: from {_size(results, first.turned())} ({first.method}, adjusted "
            f"{p_value(first.p_adjusted)}{_inside(results, first)}{lost}) to {_size(results, last.turned())} ({last.method})."
        )
    if len(of[Verdict.EQUIVALENT]) == len(found):
        largest = p_value(max(c.p_equivalence_adjusted or 0.0 for c in found)).replace("=", "≤")
        return (
            f"{_all(results, len(found))} are equivalent to {where}, within {_margin(results, first)}: from "
            f"{_size(results, last, plus=True)} ({last.method}) to {_size(results, first, plus=True)} ({first.method}), "
            f"adjusted {largest}."
        )
    if len(of[Verdict.IDENTICAL]) == len(found):
        return f"{_all(results, len(found))} are identical to {where}: no run differs from the baseline's with the same seed."
    return (
        f"No method is shown to beat {where}: {_rest(results, of)}; {first.method} has the best mean, "
        f"{_size(results, first, plus=True)}."
    )


def _alone(results: Results, only: Comparison) -> str:
    """The verdict of the only method."""
    who, baseline, where = only.method, results.baseline, _where(results, only)
    if only.verdict is Verdict.IDENTICAL:
        return f"{who} is identical to {baseline} {where}: no run differs from the baseline's with the same seed"
    if only.verdict is Verdict.EQUIVALENT:
        p = p_value(only.p_equivalence_adjusted)
        return f"{who} is equivalent to {baseline} {where}, within {_margin(results, only)}: {_size(results, only, plus=True)}, {p}"
    if only.verdict is Verdict.UNDECIDED:
        return f"{who} is not distinguishable from {baseline} {where}: {_size(results, only, plus=True)}"
    verb, size = ("beats", only) if only.verdict is Verdict.BETTER else ("is worse than", only.turned())
    return (
        f"{who} {verb} {baseline} {where} by {_size(results, size)}, {p_value(only.p_adjusted)}{_inside(results, only)}"
    )


def _lost(results: Results, comparison: Comparison) -> str:
    """`, losing on like`: the tasks with the verdict worse, for a method that is worse over all tasks."""
    family = results.family
    if comparison.task != TASKS or family is None:
        return ""
    found = {c.task: c.verdict for c in family.comparisons if c.method == comparison.method}
    worse = [task.name for task in results.group.tasks if found.get(task.name) is Verdict.WORSE]
    return f", losing on {joined(worse)}" if 0 < len(worse) < len(results.group.tasks) else ""


def _all(results: Results, number: int) -> str:
    """`All 9 methods`, or `All 7 ranked methods` if some are not ranked."""
    assert results.primary is not None
    what = "methods" if number == len(results.primary.comparisons) else "ranked methods"
    return f"Both {what}" if number == 2 else f"All {number} {what}"


def _inside(results: Results, comparison: Comparison) -> str:
    return f", inside the margin of {_margin(results, comparison)}" if comparison.within_margin else ""


def _margin(results: Results, comparison: Comparison) -> str:
    return f"{rounded(comparison.margin)} {results.unit(comparison)}"


def _then(comparisons: Sequence[Comparison]) -> str:
    """`, then a, b, c and 2 more`."""
    return f", then {_some([c.method for c in comparisons])}" if comparisons else ""


def _some(names: Sequence[str]) -> str:
    """`a, b, c and 2 more`."""
    more = [f"{len(names) - FEW} more"] if len(names) > FEW else []
    return joined([*names[:FEW], *more])


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


def _choice(results: Results) -> str:
    """Which method to use: the smallest good one among the methods that these runs cannot separate from the best."""
    if not results.tiers or results.primary is None:
        return ""
    top = results.tiers[0]
    use = "Among the neural methods, use" if _trees_are_better(results) else "Use"
    if len(top) == 1:
        return f"{use} {top[0]}: it is better than every other ranked method.{_beside(results, top[0])}"
    verdicts = {c.method: c.verdict for c in results.primary.comparisons}
    good = [method for method in top if method == results.baseline or verdicts[method] in GOOD]
    chosen, why = _smallest(results, good or [top[0]])
    if results.baseline in top and len(good) == len(top):
        within = _margin(results, results.primary.comparisons[0])
        who = f"the {len(top)} best methods, all equivalent within {within} ({_some(top)})"
    else:
        who = f"the {len(top)} best methods, which these runs cannot separate ({_some(top)})"
    if why and len(good) == len(top):
        return f"{use} {chosen}: it is {why} of {who}.{_beside(results, chosen)}"
    lead = f"{use} {chosen}: it is one of {who}"
    if chosen == top[0]:
        return f"{lead}, and has the best mean.{_beside(results, chosen)}"
    shown = "shown to be equivalent to the baseline or better"
    if len(good) == 1:
        shown = "it is the baseline" if chosen == results.baseline else f"the only one {shown}"
    else:
        if results.baseline in good:
            shown = "that are the baseline or shown to be equivalent to it or better"
        shown = f"{why or 'the best'} of the {len(good)} {shown}"
    return f"{lead}, and {shown}.{_beside(results, chosen)}"


def _smallest(results: Results, methods: Sequence[str]) -> tuple[str, str]:
    """The smallest method, and why. If several are about as small, the fastest of them; if sizes are unknown, the first."""
    finished = results.group.finished
    sizes = {m: s for m in methods if (s := cost(finished[m])[0]) is not None}
    if len(sizes) < len(methods):
        return methods[0], ""
    near = [m for m in methods if sizes[m] <= NEAR * min(sizes.values())]
    seconds = {m: each for m in near if (each := cost(finished[m])[2]) is not None}
    if len(near) > 1 and len(seconds) == len(near) and same_machine(run for m in near for run in finished[m]):
        return min(near, key=lambda m: (seconds[m], sizes[m])), "the fastest of the smallest"
    return min(methods, key=lambda m: sizes[m]), "the smallest" if len(near) == 1 else "among the smallest"


def _beside(results: Results, method: str) -> str:
    """Its cost as a sentence: `It has 0.76 times the parameters and 1.5 times the training time of ...`."""
    base = results.baseline
    if base is None or method == base:
        return ""
    runs = results.group.finished
    mine, theirs = cost(runs[method]), cost(runs[base])
    time = "training time" if same_machine([*runs[method], *runs[base]]) else ""
    ratios = [
        f"{rounded(own / other)} times the {what}"
        for own, other, what in ((mine[0], theirs[0], "parameters"), (mine[2], theirs[2], time))
        if own and other and what
    ]
    return f" It has {joined(ratios)} of {base}." if ratios else ""


def _tasks(results: Results) -> str:
    """How many comparisons are better and worse, task by task; one short sentence if all tasks agree with their mean."""
    family = results.family
    if family is None or not family.tests:
        return ""
    primary = {c.verdict for c in results.primary.comparisons if c.verdict is not None} if results.primary else set()
    if (
        len(primary) == 1
        and Verdict.UNDECIDED not in primary
        and primary == {c.verdict for c in family.comparisons if c.verdict is not None}
    ):
        return f"Each task alone says the same ({joined([task.name for task in _of(results)])})."
    parts = []
    for verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT, Verdict.IDENTICAL):
        counts = {t.name: sum(c.task == t.name for c in family.of(verdict)) for t in results.group.tasks}
        if total := sum(counts.values()):
            where = ", ".join(f"{task} {number}" for task, number in counts.items() if number)
            parts.append(f"{total} {WORDS[verdict]} ({where})")
    if parts and (open_ := len(family.of(Verdict.UNDECIDED))):
        parts.append(f"{open_} {WORDS[Verdict.UNDECIDED]}")
    judged = counted(sum(c.verdict is not None for c in family.comparisons), "comparison")
    others = [task.name for task in _of(results)]
    where = "Task by task" if len(others) == len(results.group.tasks) else f"On {joined(others)}"
    return f"{where}, {judged} with {results.baseline}: {', '.join(parts) or 'none is decided'}."


def _of(results: Results) -> list[Task]:
    """The tasks with comparisons besides the primary endpoint."""
    judged = {c.task for c in results.family.comparisons} if results.family is not None else set()
    return [task for task in results.group.tasks if task.name in judged]


def _contrasts(results: Results) -> str:
    """The declared contrasts; contrasts with a difference come first."""
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


def _trees(results: Results) -> str:
    """Each trained reference, compared with the best method of each task."""
    sentences = []
    for key, by_verdict in _against_lines(results).items():
        said = [f"{LINES[verdict]} {joined(names)}" for verdict, names in by_verdict.items()]
        name = results.lines[key].name
        sentences.append(f"{name[:1].upper()}{name[1:]}: {'; '.join(said)}.")
    return " ".join(sentences)


def _trees_are_better(results: Results) -> bool:
    return any(Verdict.BETTER in by_verdict for by_verdict in _against_lines(results).values())


def _against_lines(results: Results) -> dict[str, dict[Verdict, list[str]]]:
    """{reference: {its verdict against the best method of a task: tasks}}."""
    found: dict[str, dict[Verdict, list[str]]] = {}
    for key, family in results.against_lines.items():
        for task in results.group.tasks:
            best = results.best.get((task.name, metrics.headline_name(task)))
            c = family.get(task.name, best) if best is not None else None
            if c is not None and c.reason is None and (verdict := c.turned().verdict) is not None:
                found.setdefault(key, {}).setdefault(verdict, []).append(task.name)
    return found


LINES = {
    Verdict.BETTER: "better than the best method on", Verdict.WORSE: "worse than the best method on",
    Verdict.EQUIVALENT: "equivalent to the best method on", Verdict.IDENTICAL: "identical to the best method on",
    Verdict.UNDECIDED: "not distinguishable from the best method on",
}  # fmt: skip


def _limits(results: Results, found: Sequence[Comparison]) -> str:
    """What would change the answer: more seeds, searches or rows, and methods that are not ranked."""
    fewest, most = min(c.n for c in found), max(c.n for c in found)
    seeds = counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    parts = [f"{seeds} per method{_searched(results)}", *_undecided(results, found, most)]
    assert results.primary is not None
    if unranked := sum(c.verdict is None for c in results.primary.comparisons):
        parts.append(f"{counted(unranked, 'method')} not ranked")
    parts += [part for part in (_rows(results, found), _stopping(results)) if part]
    return f"What limits this: {'; '.join(parts)}."


def _undecided(results: Results, found: Sequence[Comparison], most: int) -> list[str]:
    """What would decide the undecided methods, and the cost."""
    open_ = [c for c in found if c.verdict is Verdict.UNDECIDED]
    parts = list(dict.fromkeys(c.reason for c in open_ if c.reason is not None))
    needed = {c.method: c.seeds_to_decide for c in open_ if c.reason is None}
    known = {method: number for method, number in needed.items() if number is not None and number <= PRACTICAL}
    if known:
        enough = max(known.values())
        about = f"about {rounded(enough)} seeds would decide" if enough > most else "a few more seeds would decide"
        price = _price(results, known) if enough > most else ""
        parts.append(f"{about} the {_open(len(known))} at the margin of {_margin(results, found[0])}{price}")
    if len(known) < len(needed):
        which = f"{'the' if not known else 'another'} {_open(len(needed) - len(known))}"
        parts.append(f"even {PRACTICAL} seeds would not decide {which} at the margin of {_margin(results, found[0])}")
    return parts


def _price(results: Results, seeds: Mapping[str, int]) -> str:
    """` (2 h 5 min more of training)`: the cost of the missing seeds, including the baseline's."""
    wanted = {**seeds, **({results.baseline: max(seeds.values())} if results.baseline is not None else {})}
    total = 0.0
    for method, number in wanted.items():
        runs = [run.record for run in results.group.finished[method]]
        seconds = median([record.cost.get("train_seconds") for record in runs])
        if seconds is None:
            return ""
        trials = 0.0
        if len({(record.study, record.search_seed) for record in runs if record.study}) == len(runs):
            each = [t.cost.get("train_seconds") for t in results.group.trials if t.method == runs[0].method]
            known = [value for value in each if value is not None]
            trials = runs[0].num_trials * fmean(known) if known else 0.0  # a replicate is a search and a run
        total += max(number - len(runs), 0) * (seconds + trials)
    return f" ({duration(total)} more of training)" if total else ""


def _open(number: int) -> str:
    return "undecided method" if number == 1 else f"{number} undecided methods"


def _searched(results: Results) -> str:
    """How many searches the seeds come from."""
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
        return ", all from one search, so the intervals do not include the variability of the search"
    return f", from {min(searches)} searches, so the intervals include only a part of the variability of the search"


def _rows(results: Results, found: Sequence[Comparison]) -> str:
    """The number of test rows, and the differences too small for them."""
    rows = {run.pair[2] for runs in results.group.finished.values() for run in runs}
    splits = results.group.example.dataset.get("splits", {})
    if len(rows) != 1 or "test" not in splits:
        return ""
    least = [size for c in found if (size := results.least_visible(c)) is not None]
    visible = f", too few to show a difference below {max(least):.2g} {results.unit(found[0])}" if least else ""
    return f"one test set of {splits['test']:,} rows{visible}"


def _stopping(results: Results) -> str:
    """The best method, and its gain, if each task stopped at its own best epoch."""
    if results.selection != "joint" or not results.judges_gain:
        return ""
    gains = {m: g.total for m, g in results.other_gains.items() if m in results.tier_of and g.total is not None}
    if not gains:
        return ""
    best = max(gains, key=lambda method: gains[method].mean)
    at = bracketed(gains[best], min(max(two_digits(abs(gains[best].mean)), 2), 3), sign="+").partition(" ")
    size = f"{at[0]} % {at[2]}".strip()
    return f"one stopping epoch for all tasks (if each task stopped at its own best, the best other method, {best}, would be at {size})"
