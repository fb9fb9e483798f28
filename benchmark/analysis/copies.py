"""Runs that are copies of others: where tasks share no parameter, a weighting of gradients has nothing to combine.

Sweeps do not train such runs (`benchmark.runs.jobs.without_copies`); records of them count as runs of the plain weighting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.files import digest
from benchmark.records.record import PLAIN_WEIGHTING, TUNED, Record, combines_gradients


@dataclass(frozen=True, slots=True)
class Folded:
    """Records, each copy under the method that it is a copy of.

    Args:
        records: The copies, then the others. A report keeps the last of a run and its copy.
        datasets: The name of each one's data set in the report.
        copies: How many of them are copies.
        methods: {(data set, method): the methods whose runs count as its runs}.
    """

    records: list[Record]
    datasets: list[str]
    copies: int
    methods: Mapping[tuple[str, str], Sequence[str]]


def folded(records: Sequence[Record], datasets: Sequence[str]) -> Folded:
    """Folds copies into the plain weighting, or else into the first method by name.

    A tuned method is not a copy, because its search is its own.

    Args:
        records: The records.
        datasets: The name of each one's data set in the report.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for number, (record, dataset) in enumerate(zip(records, datasets, strict=True)):
        if record.purpose != TUNED:
            shape = {key: value for key, value in record.method_config.items() if key != "weighting"}
            groups[digest([dataset, shape])].append(number)
    models: dict[int, Record] = {}
    for members in groups.values():
        if any(records[number].shared_parameters == 0 for number in members):
            models |= _models({number: records[number] for number in members})
    copies: dict[tuple[str, str], set[str]] = defaultdict(set)
    for number, model in models.items():
        if records[number].method != model.method:
            copies[datasets[number], model.method].add(records[number].method)
    moved = [
        replace(records[n], method=model.method, config={**records[n].config, "weighting": model.config["weighting"]})
        for n, model in models.items()
    ]
    others = [n for n in range(len(records)) if n not in models]
    return Folded(
        [*moved, *(records[n] for n in others)],
        [datasets[n] for n in (*models, *others)],
        len(moved),
        {key: sorted(names) for key, names in copies.items()},
    )


def _models(members: Mapping[int, Record]) -> dict[int, Record]:
    """{copy: a record of the method that it is a copy of}, of runs that differ in their weighting and seed alone."""
    of_gradients = {
        n: record
        for n, record in members.items()
        if combines_gradients(record.config["weighting"]) and not record.shared_parameters  # None: it ended before
    }
    plain = [record for record in members.values() if record.config["weighting"]["name"] == PLAIN_WEIGHTING]
    if not of_gradients:
        return {}
    model = plain[0] if plain else min(of_gradients.values(), key=lambda record: (record.method, record.id))
    return {n: model for n, record in of_gradients.items() if record.config["weighting"] != model.config["weighting"]}
