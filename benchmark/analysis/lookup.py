"""Which method of the records a word of the user names, and what to say if it names none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from benchmark.analysis.naming import base_of
from benchmark.analysis.study import Group, Run, Study, tuned_name
from benchmark.records.record import TUNED
from benchmark.text import listed, near, unknown


def find_baseline(group: Group, wanted: str) -> str | None:
    """The method to compare with, among methods with finished runs: `wanted` as it was tuned, or else as in `find_method`.

    What was tuned is judged by what was tuned alike; by a baseline that was not, tuning itself would pass for a gain.
    """
    methods = {method: runs for method, runs in group.finished.items() if runs}
    if group.is_tuned:
        wanted = wanted.replace(f" ({TUNED})", "", 1)
    return find_method(methods, tuned_name(wanted)) or find_method(methods, wanted)


def find_method(methods: Mapping[str, Sequence[Run]], wanted: str) -> str | None:
    """The method that `wanted` names: exactly, or as the only method with this architecture and weighting.

    If several match, untuned methods are preferred, then methods with a finished run: a run with a mistyped parameter that
    never finished must not make the name ambiguous.
    """
    if wanted in methods:
        return wanted
    same = {method: runs for method, runs in methods.items() if runs and runs[0].record.method == wanted}
    same = {method: runs for method, runs in same.items() if runs[0].record.purpose != TUNED} or same
    done = [method for method, runs in same.items() if any(run.finished for run in runs)] or list(same)
    return done[0] if len(done) == 1 else None


def require(study: Study, *methods: str, what: str = "method") -> None:
    """Refuses a method that no data set has, with the known names, and a name that several have.

    Args:
        study: Where they should be.
        methods: As the user wrote them.
        what: What they are to be, in the error.
    """
    for wanted in methods:
        if all(find_method(group.by_method, wanted) is None for group in study.groups):
            same = sorted({run.method for run in study.runs if run.record.method == wanted})
            if same:
                raise ValueError(f"{what} {wanted!r} names several: {', '.join(same)}; give one of them in full")
            raise ValueError(_unknown(what, wanted, study.methods))


def require_baseline(study: Study, wanted: str) -> None:
    """Refuses a baseline that no data set can be compared with; that only some have it is a note of the report.

    Raises:
        ValueError: if it is unknown, with the known names, or if it names several methods.
    """
    if all(find_baseline(group, wanted) is None for group in study.groups):
        require(study, wanted, what="baseline")


def _unknown(what: str, wanted: str, known: Collection[str]) -> str:
    """One line for a method that is not there. Half of a name gets all methods that have it: any other half would be a guess."""
    having: dict[str, list[str]] = defaultdict(list)
    for method in sorted(known):
        for part in base_of(method).split("/"):
            having[part].append(method)
    meant = [] if "/" in wanted else near(wanted, having)
    if not meant:
        return unknown(what, wanted, known)
    return f"{what} {wanted!r}: expected architecture/weighting; of {meant[0]} there are {listed(having[meant[0]])}"
