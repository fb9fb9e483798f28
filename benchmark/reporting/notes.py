"""Notes of a report on one data set, and the runs that are left out of all means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark import metrics
from benchmark.analysis.families import not_ranked, resampling, several_seeds_a_draw
from benchmark.analysis.results import Results, label
from benchmark.analysis.study import Group, Replicate
from benchmark.records.record import PLAIN_WEIGHTING, TUNED, Record
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.schema import Task
from benchmark.text import ABSENT, counted, listed, shortened


def task_notes(results: Results, task: Task, shown: Sequence[str]) -> list[str]:
    """Notes under a task's table: what is undefined and why, and which rows some columns use."""
    notes = []
    for metric in (metrics.headline_name(task), *shown):
        reasons = results.undefined.get((task.name, metric))
        if reasons:
            which = "; ".join(f"{why} ({listed(sorted(set(names)))})" for why, names in reasons.items())
            notes.append(f"{label(metric, task)} is undefined where the table shows {ABSENT} or fewer seeds: {which}.")

    def of_any_method(metric: str) -> float | None:
        means = (results.estimate(task.name, metric, method).mean for method in results.group.by_method)
        return next((mean.mean for mean in means if mean), None)

    return notes + metrics.notes(task, of_any_method)


def trouble(group: Group) -> TextTable | None:
    """The runs left out of all means: diverged, failed and missing runs."""
    which: dict[tuple[str, str, str], list[Replicate]] = defaultdict(list)
    for method, runs in group.by_method.items():
        for run in runs:
            if not run.finished:
                which[method, run.record.status, _what_happened(run.record)].append(run.replicate)
        if group.missing[method]:
            which[method, "missing", "no record, but other methods have one"] += group.missing[method]
    if not which:
        return None
    rows = tuple(
        Row((Cell(method, method=method), Cell(status), Cell(group.seeds_of(found)), Cell(what)))
        for (method, status, what), found in which.items()
    )
    heads = ("method", ""), ("status", ""), ("seeds", ""), ("reason", "what happened")
    columns = tuple(Column(key, title, numeric=False) for key, title in heads)
    return TextTable(
        "trouble",
        "Runs left out of all means",
        columns,
        rows,
        subtitle="a method with such a run is shown but not ranked",
        folded=True,
    )


def _what_happened(record: Record) -> str:
    error = record.error or {}
    where = ", ".join(f"{key} {error[key]}" for key in ("task", "epoch", "step") if error.get(key) is not None)
    message = f"{error.get('type', 'unknown')}: {error.get('message', 'the record has no error')}"
    told = shortened(message)  # the record has the whole message
    return f"{told} ({where})" if where else told


def at_the_limit(records: Sequence[tuple[str, Sequence[Record]]], what: str) -> str | None:
    """Which records stopped at `max_epochs`, before their patience ran out.

    Args:
        records: Finished records, with their names.
        what: The word for one of them: `run`, `trial`.
    """
    ended = [sum(map(_used_all_epochs, own)) for _, own in records]
    if not any(ended):
        return None
    total = sum(len(own) for _, own in records)
    which = listed(f"{name} {count} of {len(own)}" for (name, own), count in zip(records, ended, strict=True) if count)
    return (
        f"{sum(ended)} of {counted(total, what)} reached trainer.max_epochs and might improve with more "
        f"epochs: {which}."
    )


def _used_all_epochs(record: Record) -> bool:
    return bool(record.epochs) and bool(record.epochs[-1]["epoch"] >= record.config["trainer"]["max_epochs"])


def no_answer(results: Results) -> list[str]:
    """Why there is no answer, if nothing is compared with the baseline: it has no run, or no method can be ranked."""
    group = results.group
    if results.baseline is not None:
        return _nobody_ranked(results)
    named = [run.record.method for runs in group.finished.values() for run in runs]
    why = "names several methods" if results.wanted in named else "has no finished run"
    done = listed(sorted(method for method, runs in group.finished.items() if runs))
    remedy = f"run it, or choose one of these with --baseline: {done}" if done else "no method has finished a run"
    return [f"No answer: the baseline {results.wanted} {why} on {group.name}; {remedy}."]


def _nobody_ranked(results: Results) -> list[str]:
    compared = results.primary.comparisons if results.primary is not None else ()
    reasons = not_ranked(results.group)
    if not compared or not reasons or any(comparison.verdict is not None for comparison in compared):
        return []
    why = listed(f"{method}: {reason}" for method, reason in reasons.items())
    again = (
        "; repeat the command of these runs, and it trains what is missing"
        if any(results.group.missing.values())
        else ""
    )
    return [f"No answer: no method can be ranked against {results.baseline} on {results.group.name} ({why}){again}."]


def dataset_notes(results: Results) -> list[str]:
    """Notes on all tables of the data set."""
    group = results.group
    notes = []
    rows = {run.pair[2] for runs in group.finished.values() for run in runs}
    if len(rows) == 1:
        notes.append(
            "All runs use the same test rows, so intervals cover the training seeds, not the choice of test rows."
        )
    elif rows:
        notes.append(f"Runs use {len(rows)} different sets of test rows; differences only pair runs on the same rows.")
    notes += [*_rows_in_train(group), *_zeros_filled_in(group)]
    finished = [(method, [run.record for run in runs]) for method, runs in group.finished.items()]
    if at_limit := at_the_limit(finished, "run"):
        notes.append(at_limit)
    notes += _search_luck(group)
    if ratio := resampling(group):
        notes.append(
            "The splits are redrawn from the same rows, so their train rows overlap. Every interval and test therefore uses "
            f"Nadeau and Bengio's correction: the variance's 1 / n grows by {ratio:.3g}, the ratio of test rows to train rows."
        )
    expected = set(group.expected)
    if several_seeds_a_draw(run.pair for runs in group.finished.values() for run in runs if run.replicate in expected):
        notes.append("Seeds on one draw of the data are averaged to one replicate, so n is the number of draws.")
    if group.unshared:
        notes.append(
            f"{listed(sorted(group.unshared))}: no parameter is shared between tasks, so a weighting of gradients has "
            f"nothing to balance and is exactly the {PLAIN_WEIGHTING} weighting."
        )
    return notes


def _search_luck(group: Group) -> list[str]:
    """Whether the intervals of tuned methods cover the luck of the search as well as the luck of the seed."""
    kinds: dict[str, list[str]] = defaultdict(list)
    tuned = [
        m for m, runs in group.finished.items() if runs and runs[0].record.purpose == TUNED and runs[0].record.study
    ]
    for method in tuned:
        runs = group.finished[method]
        searches = {(run.record.study, run.record.search_seed) for run in runs}
        if len(runs) > 1:
            kinds[_ONE if len(searches) == 1 else _OWN if len(searches) == len(runs) else _SOME].append(method)

    def intervals(methods: Sequence[str]) -> str:
        if len(methods) == len(group.finished):
            return "These intervals"
        return "The intervals of tuned methods" if len(methods) == len(tuned) else f"The intervals of {listed(methods)}"

    return [f"{intervals(methods)} {kind}" for kind, methods in kinds.items()]


_ONE = "do not cover the search: all seeds share one search (hydra.sweeper.replicate=search repeats it too)."
_SOME = "cover the search only in part: several seeds share one search (hydra.sweeper.replicate=search repeats it too)."
_OWN = "cover search and seed together: each seed has its own search."


def _rows_in_train(group: Group) -> list[str]:
    """How many test rows also occur in train: a model that memorises does well on them."""

    def found(data: Mapping[str, Any]) -> dict[str, int]:
        return data["facts"].get("test_rows_in_train") or {"same_features": 0}

    data, varies = _most(group, lambda data: found(data)["same_features"])
    if data is None:
        return []
    counts, up_to = found(data), "Up to " if varies else ""
    of = f"{counts['same_features']:,} of {data['splits']['test']:,} test rows"
    too = f"{counts['same_features_and_labels']:,} with the same labels too"
    return [f"{up_to}{of} occur in train with the same features ({too})."]


def _zeros_filled_in(group: Group) -> list[str]:
    """The number of rows on which a funnel's child was not observed and counts as 0."""
    notes = []
    for task in group.tasks:

        def zeros(data: Mapping[str, Any], name: str = task.name) -> int:
            return int((data["facts"].get("zeros_filled_in") or {}).get(name, 0))

        data, varies = _most(group, zeros)
        if data is not None:
            what = counted(zeros(data), "missing label")
            notes.append(
                f"{task.name}: {'up to ' if varies else ''}{what} counted as 0, since {task.given} is 0 there."
            )
    return notes


def _most(group: Group, count: Callable[[Mapping[str, Any]], int]) -> tuple[Mapping[str, Any] | None, bool]:
    """The facts of the draw of the data with the largest count (None if the count is 0), and whether draws differ in it."""
    known = [run.record.dataset for runs in group.finished.values() for run in runs if run.record.dataset.get("facts")]
    counts = [count(data) for data in known]
    if not any(counts):
        return None, False
    return known[counts.index(max(counts))], len(set(counts)) > 1
