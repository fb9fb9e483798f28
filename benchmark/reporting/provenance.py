"""What was compared and how: data, seeds, selection, versions, commands and configurations, from the records."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.analysis.lines import fitting
from benchmark.analysis.naming import flatten
from benchmark.analysis.study import Group, Run, Study, draw_options
from benchmark.records.record import SelectionName
from benchmark.reporting.layout import Cell, Column, Row, TextTable
from benchmark.text import ABSENT, numbers

if TYPE_CHECKING:
    from benchmark.records.reference import ReferenceRecord

SELECTIONS = {
    "joint": "one epoch for all tasks",
    "per_task": "each task's own best epoch",
}
_MOST, _MOST_COMMANDS = 6, 30


def dataset_facts(group: Group) -> tuple[tuple[str, str], ...]:
    """Labels and texts about the data, from the records."""
    data = group.example.dataset
    facts = [("seeds", numbers(group.seeds))]
    if "splits" in data:
        facts.append(("rows", ", ".join(f"{name} {rows:,}" for name, rows in data["splits"].items())))
    if group.tasks:
        facts.append(
            ("tasks", ", ".join(f"{t.name} ({t.kind}{f', given {t.given}' if t.given else ''})" for t in group.tasks))
        )
    configurations = [run.record.config["dataset"] for run in group.runs]
    options = flatten(group.example.config["dataset"])
    for key in draw_options(group.example.config["dataset"]):
        options[key] = numbers(config[key] for config in configurations)
    facts.append(("configuration", ", ".join(f"{key}={value}" for key, value in options.items())))
    facts += [(key.replace("_", " "), value) for key, value in flatten(data.get("facts") or {}).items()]
    fields = data.get("fields", [])
    if fields:
        facts.append((f"features ({len(fields)})", ", ".join(fields)))
    drawn = {run.pair[:3] for runs in group.finished.values() for run in runs}
    if len(drawn) > 1:
        facts.append(("draws of the data", f"{len(drawn)}, each with its fingerprint in its records"))
    elif "fingerprint" in data:
        facts.append(("fingerprint", f"{data['fingerprint']}, test rows {data.get('test_rows', 'unknown')}"))
    return tuple(facts)


def provenance(study: Study, selection: SelectionName) -> tuple[tuple[str, str], ...]:
    """Labels and texts about how the runs were made."""
    records = [run.record for run in study.runs]
    criteria = _distinct(r.selected_by.get("criterion") for r in records if r.selected_by)
    trainers = [flatten(config) for config in _different(r.config["trainer"] for r in records)]
    facts = [
        (
            "selection",
            f"{SELECTIONS[selection]}, chosen on validation by {criteria or 'unknown'}; test is read once, at the end",
        ),
        ("purpose", _distinct(sorted(r.purpose for r in records))),
        ("trainer", ", ".join(f"{key}={_distinct(t.get(key) for t in trainers)}" for key in trainers[0])),
        ("device", _distinct(r.cost.get("device") for r in records)),
        ("threads", _distinct(r.cost.get("threads") for r in records)),
    ]
    environments = [flatten(environment) for environment in _different(r.environment for r in records)]
    keys = dict.fromkeys(key for environment in environments for key in environment)
    facts += [(key, _distinct(e.get(key) for e in environments)) for key in keys if key != "command"]
    return tuple((label, text) for label, text in facts if text)


def command(runs: Sequence[Run]) -> str:
    """The command that trains one method again, with every parameter written out."""
    config = runs[0].record.config
    words = [f"{group}={config[group]['name']}" for group in ("dataset", "architecture", "weighting")]
    for group in (
        group for group in ("dataset", "architecture", "weighting", "embedding", "trainer") if group in config
    ):
        words += [f"{group}.{key}={value}" for key, value in flatten(config[group]).items() if key != "name"]
    words.append(f"seed={','.join(str(seed) for seed in sorted({run.record.seed for run in runs}))}")
    return " ".join(["mtlbench run", *(shlex.quote(word) for word in words)])


def commands(study: Study, references: Sequence[ReferenceRecord]) -> tuple[str, ...]:
    """The command lines that made the runs and the references, from the records; only the first if there are very many."""
    environments = [record.environment for group in study.groups for record in fitting(group, references)]
    environments += [run.record.environment for run in study.runs]
    found = list(dict.fromkeys(e["command"] for e in environments if "command" in e))
    more = (f"... and {len(found) - _MOST_COMMANDS} more, in the records",) if len(found) > _MOST_COMMANDS else ()
    return (*found[:_MOST_COMMANDS], *more)


def configurations(study: Study) -> TextTable:
    """The parameters of every method; the trainer's parameters only where they differ.

    A tuned method has its own parameters, and a row, on every data set. If its searches chose several values of a
    parameter, all are shown.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in study.runs:
        found.setdefault(run.method, {}).setdefault(run.dataset, []).append(run.record.method_config)
    trainers = [flatten(config) for config in _different(run.record.config["trainer"] for run in study.runs)]
    differing = {key for key in trainers[0] if len({trainer.get(key) for trainer in trainers}) > 1}
    rows = []
    for method, configs in sorted(found.items()):
        by_options: dict[tuple[str, ...], list[str]] = {}
        for dataset, every in sorted(configs.items()):
            own = _different(every)
            trainer = [{key: value for key, value in c["trainer"].items() if key in differing} for c in own]
            options = (
                _options([c["architecture"] | _embedding(c) for c in own]), _options([c["weighting"] for c in own]),
                _options(trainer),
            )  # fmt: skip
            by_options.setdefault(options, []).append(dataset)
        for texts, datasets in by_options.items():
            where = ", ".join(datasets) if len(by_options) > 1 else "all" if len(study.groups) > 1 else datasets[0]
            rows.append(Row((Cell(method, method=method), Cell(where), *map(Cell, texts))))
    heads = (
        ("method", ""), ("dataset", "data set"), ("architecture", ""), ("weighting", ""),
        ("trainer", "trainer, where it differs"),
    )  # fmt: skip
    columns = tuple(Column(key, title, numeric=False) for key, title in heads)
    return TextTable("configurations", "Configurations of the methods", columns, tuple(rows), detail=True, folded=True)


def _embedding(config: Mapping[str, Any]) -> dict[str, Any]:
    """How lists are embedded, under the key of the command line, where it is not the default."""
    return {"embedding": config["embedding"]} if "embedding" in config else {}


def _different(configs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The different configurations in order of appearance. Thousands of runs have only a few, and flattening one is slow."""
    return list({repr(config): config for config in configs}.values())


def _options(configs: Sequence[Mapping[str, Any]]) -> str:
    found = [flatten(config) for config in _different(configs)]
    keys = dict.fromkeys(key for flat in found for key in flat)
    return ", ".join(f"{key}={' / '.join(dict.fromkeys(flat.get(key, ABSENT) for flat in found))}" for key in keys)


def _distinct(values: Iterable[Any]) -> str:
    """All different values in order of appearance; if there are many, their number and range."""
    found: Sequence[str] = list(dict.fromkeys(str(value) for value in values if value is not None))
    if len(found) <= _MOST:
        return ", ".join(found)
    try:
        ordered = sorted(found, key=float)
    except ValueError:
        ordered = sorted(found)
    return f"{ordered[0]} to {ordered[-1]} ({len(found)} different)"
