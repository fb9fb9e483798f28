"""What the statistics say in sentences, one for each method and each reference; and the words in cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmark import metrics
from benchmark.analysis.families import have_several_draws
from benchmark.analysis.lines import Line
from benchmark.analysis.results import Results, label
from benchmark.records.record import GAIN
from benchmark.reporting.layout import Cell, Sentence, Sentences
from benchmark.reporting.wording import PRACTICAL, joined
from benchmark.statistics import Comparison, Family, Verdict
from benchmark.statistics.planning import POWER
from benchmark.statistics.wording import WORDS, bracketed, p_number, p_value, places
from benchmark.text import ABSENT, counted

MOST = 40
"""Most methods of a data set with a sentence; the tables have all verdicts."""
FEWEST_TOGETHER = 3
"""Methods with the same verdicts share a sentence from this number on."""
_SAME = {
    Verdict.EQUIVALENT: "to",
    Verdict.IDENTICAL: "to",
    Verdict.UNDECIDED: "from",
}  # the verdicts without a difference


def verdict_cell(comparison: Comparison | None) -> Cell:
    """A verdict; its short form, for tables without a column of p, adds the p: `better, p = 0.004`."""
    if comparison is None or comparison.verdict is None:
        reason = comparison.reason if comparison is not None else None
        return Cell(f"not ranked: {reason}" if reason else ABSENT, short="not ranked" if reason else None)
    return Cell(WORDS[comparison.verdict], short=_word_and_p(comparison, comparison.verdict))


def _word_and_p(comparison: Comparison, verdict: Verdict, before: str = "") -> str:
    """`worse, p = 0.004`, with words before the p; the verdict alone if no p supports it."""
    p = None if verdict is Verdict.UNDECIDED else comparison.p_of_verdict
    return WORDS[verdict] if p is None else f"{WORDS[verdict]}, {before}{p_value(p)}"


def p_cell(comparison: Comparison | None) -> Cell:
    """The adjusted p behind a verdict."""
    p = comparison.p_of_verdict if comparison is not None else None
    return Cell("" if p is None else p_number(p), value=p)


def verdicts(results: Results) -> tuple[Sentences | None, tuple[str, ...]]:
    """One sentence for each method against the baseline, one for each reference, and notes on the tests."""
    sentences: list[Sentence] = []
    notes = [*results.question.notes, *(results.answers.notes if results.answers is not None else ())]
    if results.family is not None:
        methods = [method for method in results.by_gain if method != results.baseline]
        found = [
            [c for c in (results.of_gain(method), *(results.comparison(t, method) for t in results.group.tasks)) if c]
            for method in methods[:MOST]
        ]
        sentences += _sentences(results, [comparisons for comparisons in found if comparisons])
        if len(methods) > MOST:
            notes.append(f"The tables have the verdicts of the {len(methods) - MOST} methods with the smallest gains.")
        if results.family.tests or (results.primary is not None and results.primary.tests):
            notes += _family_notes(results)
    for key, family in results.against_lines.items():
        sentences += _line_sentences(results, results.lines[key], family)
    if any(family.tests for family in results.against_lines.values()):
        notes.append(
            "The tests of all methods against a reference are a separate family. A reference and a method with the same seed "
            "share only their rows."
        )
    return (Sentences(tuple(sentences)) if sentences else None), tuple(notes)


def _sentences(results: Results, found: Sequence[Sequence[Comparison]]) -> list[Sentence]:
    """One sentence for each method. Methods without a difference and with the same verdicts share one."""
    alike: dict[object, list[Sequence[Comparison]]] = defaultdict(list)
    for number, comparisons in enumerate(found):
        is_firm = any(c.verdict not in _SAME or c.reason is not None for c in comparisons)
        alike[number if is_firm else tuple((c.task, c.verdict, c.n) for c in comparisons)].append(comparisons)
    sentences = []
    for members in alike.values():
        if len(members) < FEWEST_TOGETHER:
            sentences += [Sentence(_sentence(results, comparisons), comparisons[0].method) for comparisons in members]
        else:
            names = [comparisons[0].method for comparisons in members]
            sentences.append(Sentence(_sentence_of_all(results, members), ", ".join(names)))
    return sentences


def _sentence_of_all(results: Results, members: Sequence[Sequence[Comparison]]) -> str:
    """The verdicts of several methods that share them, with the largest p and the range of seeds."""
    other = members[0][0].baseline
    clauses: list[str] = []
    for verdict, preposition in _SAME.items():
        tasks: list[tuple[Comparison, str]] = []
        for of in zip(*members, strict=True):
            if of[0].verdict is not verdict:
                continue
            size = ""
            if verdict is Verdict.EQUIVALENT:
                largest = max(c.p_equivalence_adjusted or 0.0 for c in of)
                size = _within(of[0], results, p_value(largest).replace("=", "≤"))
            elif least := [v for c in of if (v := results.least_visible(c)) is not None and v > c.margin]:
                size = f" (least visible difference on these rows: {_number(max(least))} {results.unit(of[0])})"
            elif verdict is Verdict.UNDECIDED:
                needed = [number for c in of if (number := c.seeds_to_decide or PRACTICAL + 1) > c.n]
                size = _about(needed) if needed else ""
            tasks.append((of[0], size))
        if tasks:
            seeds = f" with {counted(members[0][0].n, 'seed')}" if verdict is Verdict.UNDECIDED else ""
            clauses.append(f"{WORDS[verdict]} {preposition} {'it' if clauses else other}{seeds} {_where(tasks)}")
    return f"{joined([comparisons[0].method for comparisons in members])} are {'; '.join(clauses)}."


def _family_notes(results: Results) -> list[str]:
    primary, tasks, contrasts = results.primary, results.family, results.contrasts
    margins = [f"{_number(primary.comparisons[0].margin)} % of gain"] if primary and results.judges_gain else []
    margins += [
        f"{task.name} {_number(margin)} {label(metrics.headline_name(task), task)}"
        for task in results.group.tasks
        if (margin := results.margin(task)) is not None
    ]
    of = []
    if primary is not None and primary.tests:
        what = "the gain over tasks" if results.judges_gain else results.question.primary
        of.append(f"the primary question, {what}, one test per method ({primary.tests})")
    if tasks is not None and tasks.tests:
        of.append(f"methods times {'the other ' if of and not results.judges_gain else ''}tasks ({tasks.tests})")
    if contrasts is not None and contrasts.tests:
        of.append(f"declared contrasts ({contrasts.tests})")
    families = f"{'The family' if len(of) == 1 else 'Families'} of tests against {results.baseline}: {'; '.join(of)}. "
    families += (
        "Within each family, p values are adjusted by Holm: with probability 95 %, all claimed differences are real (92 % if the "
        "methods' spreads differ very much). Each family has its own error. Equivalent means that two one-sided tests place the "
        f"difference inside the margin ({'; '.join(margins)}). They are adjusted in the same way, with their own error of 5 %."
    )
    notes = [families, _how(results)]
    if results.question.looks is not None:
        seeds = results.question.looks.seeds
        notes.append(
            f"Judged at up to {counted(len(seeds), 'look')}, announced in advance, at {joined([str(n) for n in seeds])} seeds. "
            f"The looks share the error of 5 %, so p is also adjusted for {len(seeds)} looks. A decided method got no more seeds "
            "and keeps its verdict."
        )
    notes.append(
        f"Seeds for the margin: with about this many, {POWER:.0%} of all sweeps would find a true difference as large as the "
        f"margin, and {POWER:.0%} would find equal methods equivalent. The number depends on the spread seen here, not on the "
        "difference seen here."
    )
    return notes


def _how(results: Results) -> str:
    if have_several_draws(results.group):
        return "Runs differ in their data, so methods are paired by data and seed (Student's t)."
    return (
        "All runs have the same data, so methods are not paired by seed. Tests are of differences of means, with "
        "Satterthwaite's degrees of freedom; from four methods on, spreads are estimated over all methods together "
        "(empirical Bayes)."
    )


def _number(value: float) -> str:
    return f"{value:.2g}"


def _sentence(results: Results, comparisons: Sequence[Comparison]) -> str:
    """All verdicts of one method in a sentence, differences first."""
    reasons = {c.reason for c in comparisons if c.verdict is None}
    who, other = comparisons[0].method, comparisons[0].baseline
    if all(c.verdict is None for c in comparisons):
        why = [reasons.pop()] if len(reasons) == 1 else [f"{_where([(c, '')])}, {c.reason}" for c in comparisons]
        return f"{who} is not ranked: {'; '.join(map(str, why))}."
    judged = {verdict: [c for c in comparisons if c.verdict is verdict] for verdict in WORDS}
    clauses: list[str] = []
    for c in judged[Verdict.BETTER] + judged[Verdict.WORSE]:
        better = c.verdict is Verdict.BETTER
        verb = (f"{who} beats {other}" if better else f"{who} is worse than {other}") if not clauses else ""
        again = "it is better" if better else "it is worse"
        on = _where([(c, "")])
        clauses.append(f"{verb} {on} {_size(c, results)}" if verb else f"{on} {again} {_size(c, results)}")
    for verdict in (Verdict.EQUIVALENT, Verdict.IDENTICAL, Verdict.UNDECIDED):
        if judged[verdict]:
            tasks = _where([(c, _size(c, results)) for c in judged[verdict]])
            subject = "they are" if clauses else f"{who} and {other} are"
            counts = {c.n for c in judged[verdict]}
            seeds = (
                f" with {counted(counts.pop(), 'seed')}" if verdict is Verdict.UNDECIDED and len(counts) == 1 else ""
            )
            clauses.append(f"{subject} {WORDS[verdict]}{seeds} {tasks}")
    clauses += [f"{_where([(c, '')])} it is not ranked ({c.reason})" for c in comparisons if c.verdict is None]
    return "; ".join(clauses) + "."


def _where(comparisons: Sequence[tuple[Comparison, str]]) -> str:
    """`over all tasks and on click and like`, each followed by its own text."""
    gain = [f"over all tasks{text}" for c, text in comparisons if c.metric == GAIN]
    tasks = [f"{c.task}{text}" for c, text in comparisons if c.metric != GAIN]
    return " and ".join([*gain, *([f"on {joined(tasks)}"] if tasks else [])])


def _size(comparison: Comparison, results: Results) -> str:
    """What follows the task: `by 0.0021 AUC [0.0012, 0.0030], adjusted p = 0.004`, ` (14 seeds would do)`."""
    c, of, name = comparison, places(comparison), results.unit(comparison)
    if c.verdict in (Verdict.BETTER, Verdict.WORSE):
        improvement = c.improvement
        assert improvement is not None
        size = bracketed(improvement if c.verdict is Verdict.BETTER else improvement.scaled(-1), of)
        inside = ", which is inside the margin" if c.within_margin else ""
        return f"by {size.replace(' ', f' {name} ', 1)}, adjusted {p_value(c.p_adjusted)}{inside}"
    if c.verdict is Verdict.EQUIVALENT:
        return _within(c, results, p_value(c.p_equivalence_adjusted))
    if c.verdict is Verdict.IDENTICAL:
        return ""
    if c.reason is not None:
        return f" ({c.reason})"
    least = results.least_visible(c)
    if least is not None and least > c.margin:
        return f" (least visible difference on these rows: {_number(least)} {name})"
    needed = c.seeds_to_decide or PRACTICAL + 1
    return _about([needed]) if needed > c.n else f" (enough for the margin in {POWER:.0%} of sweeps)"


def _within(comparison: Comparison, results: Results, p: str) -> str:
    return f" within {_number(comparison.margin)} {results.unit(comparison)} (adjusted {p})"


def _about(seeds: Sequence[int]) -> str:
    """` (about 14 to 40 seeds for the margin)`, or a text that says that even `PRACTICAL` seeds are not enough."""
    known = [number for number in seeds if number <= PRACTICAL]
    if not known:
        return f" (even {PRACTICAL} seeds would not be enough)"
    ends = [f"{float(f'{of:.2g}'):,.0f}" for of in (min(known), max(known))]
    beyond = "" if len(known) == len(seeds) else ", or more"
    return f" (about {' to '.join(dict.fromkeys(ends))} seeds for the margin{beyond})"


def _line_sentences(results: Results, line: Line, family: Family) -> Iterable[Sentence]:
    """For each task, how many methods are better and worse than a reference, and how the best method compares."""
    for task in results.group.tasks:
        found = [c for c in family.comparisons if c.task == task.name and c.verdict is not None]
        if not found:
            continue
        counts = {word: sum(c.verdict is verdict for c in found) for verdict, word in WORDS.items()}
        said = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
        text = f"{line.name} on {task.name}: of {len(found)} methods compared with it, {said}."
        best = results.best.get((task.name, metrics.headline_name(task)))
        against = family.get(task.name, best) if best is not None else None
        if against is not None and against.verdict is not None and against.difference is not None:
            of = places(against)
            verdict = _word_and_p(against, against.verdict, "adjusted ")
            low = f"Δ {bracketed(against.difference, of).strip()} {results.unit(against)}"
            text += f" The best method, {best}: {low}, {verdict}."
        yield Sentence(text)
