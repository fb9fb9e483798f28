"""`mtlbench show`: one record in words, as plain text. Imports no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.analysis.balance import SHARE, changes, conflict, scope, whole_epochs
from benchmark.analysis.naming import flatten
from benchmark.analysis.results import label
from benchmark.records.record import TRIAL, Record, checked_record, is_reference, name_of_data
from benchmark.records.reference import ReferenceRecord, checked_reference
from benchmark.schema import Metrics, Task
from benchmark.text import ABSENT, LONGEST_CELL, count, counted, duration, one_line

WIDTH = 100
_MARGIN = 14  # columns of the facts' names
_LONGEST = 20_000  # characters of a fact: what breaks them into lines takes the square of a word's length
_PURPOSES = {"default": "default parameters", "tuned": "tuned parameters", TRIAL: "a trial of a search"}
_Facts = Iterator[tuple[str, str]]


def in_words(value: Mapping[str, Any], place: str = "") -> str:
    """What ran, how it ended, the metrics of every task with split and epoch, cost, environment, and the error if there was one.

    Args:
        value: Plain values of a record or of a reference line, as `benchmark.records.packing.show` gives them.
        place: What errors call it.

    Raises:
        ValueError: if it is not a record.
    """
    lines = _reference(checked_reference(value, place)) if is_reference(value) else _run(checked_record(value, place))
    return "\n".join(lines).rstrip()


def _run(record: Record) -> Iterator[str]:
    config = record.config
    yield f"{record.method} on {name_of_data(config['dataset'])}, seed {record.seed}: {record.status}"
    yield ""
    yield from _listed(_facts(record))
    yield from _command(record.environment)
    if record.status == "finished":
        epoch = f"{record.best_epoch:g}" if record.best_epoch is not None else "?"
        criterion = record.selected_by.get("criterion", "unknown")
        yield from ("", f"At epoch {epoch}, the best for all tasks on validation (criterion: {criterion})")
        yield from _metrics(record, record.metrics)
        own = record.best_epoch_per_task
        if any(epoch != record.best_epoch for epoch in own.values()):
            yield from ("", "Each task at its own best epoch on validation")
            yield from _metrics(record, record.metrics_per_task, own)
    elif record.epochs:
        last = record.epochs[-1]
        yield from ("", f"At epoch {last['epoch']:g}, the last validation before the end")
        yield from _metrics(record, {"validation": last.get("validation", {})})
    yield from _balance(record)
    yield from _undefined(record)
    yield from _error(record.error)


def _facts(record: Record) -> _Facts:
    config, cost = record.config, record.cost
    yield "record", f"{record.id}, {_PURPOSES.get(record.purpose, record.purpose)}"
    yield from _data(record)
    for group in ("architecture", "weighting", "embedding", "trainer"):
        if group in config or group != "embedding":
            yield group, _options(config.get(group, {}))
    if matched := config.get("matched"):
        asked = f"match_parameters={config.get('match_parameters')}"
        before = ", ".join(f"{key}={value}" for key, value in matched["before"].items())
        yield (
            "matched",
            (
                f"{asked}: {matched['parameters']:,} parameters outside the embeddings, {matched['target']:,} asked for"
                + (f"; before: {before}" if before else "")
            ),
        )
    if tuning := config.get("tuning"):
        yield "tuning", ", ".join(f"{key}={value}" for key, value in flatten(tuning).items() if key != "ids")
    if record.epochs:
        validations = counted(len(record.epochs), "validation")
        epochs = record.epochs[-1]["epoch"]
        yield "training", f"{epochs:g} epoch{'' if epochs == 1 else 's'} with {validations}, {_time(cost)}"
    if "parameters" in cost:
        memory = cost.get("peak_memory_bytes")
        peak = f"; at most {count(memory)}B of memory" if memory is not None else ""
        shared = "" if record.shared_parameters is None else f", {record.shared_parameters:,} of them shared by tasks"
        yield "size", f"{cost['parameters']:,} parameters{shared}{_sizes(cost)}{peak}"
    yield from _environment(record)


def _sizes(cost: Mapping[str, Any]) -> str:
    """The parameters outside embeddings and in them, and the multiply-adds."""
    told = ""
    if (embedding := cost.get("embedding_parameters")) is not None:
        told = f"; {cost['parameters'] - embedding:,} outside embeddings and {embedding:,} in them"
    if (adds := cost.get("multiply_adds")) is not None:
        told += f"; {adds:,} multiply-adds a row"
    return told


def _data(record: Record | ReferenceRecord) -> _Facts:
    yield "data set", _options(record.config["dataset"])
    if splits := record.dataset.get("splits"):
        rows = ", ".join(f"{number:,} of {split}" for split, number in splits.items())
        fields = counted(len(record.dataset.get("fields", ())), "field")
        yield "rows", f"{rows}; {fields}; fingerprint {record.dataset['fingerprint'][:12]}"


def _options(config: Mapping[str, Any]) -> str:
    """`mmoe: embedding_dim=16, num_experts=8`; all that the record has."""
    flat = flatten(config)
    name = flat.pop("name", "")
    options = ", ".join(f"{key}={value}" for key, value in flat.items())
    return f"{name}: {options}" if name and options else name or options


def _time(cost: Mapping[str, Any]) -> str:
    words = [duration(cost["train_seconds"])] if cost.get("train_seconds") is not None else ["time unknown"]
    if cost.get("rows_per_second") is not None:
        words.append(f"{cost['rows_per_second']:,.0f} rows a second")
    if cost.get("threads") is not None:
        words.append(counted(cost["threads"], "thread") + (f" on {cost['device']}" if "device" in cost else ""))
    return ", ".join(words)


def _environment(record: Record | ReferenceRecord) -> _Facts:
    known = flatten(record.environment)
    known.pop("command", None)
    started = known.pop("started", None)
    if known:
        yield "environment", ", ".join(f"{key} {value}" for key, value in known.items())
    if started is not None:
        yield "started", started


def _command(environment: Mapping[str, Any]) -> Iterator[str]:
    # whole, so that it can be copied
    if "command" in environment:
        yield f"{'command':{_MARGIN}}{environment['command']}"


def _listed(facts: _Facts) -> Iterator[str]:
    for name, text in facts:
        if text:
            indent = " " * _MARGIN
            yield textwrap.fill(
                one_line(text, _LONGEST),
                WIDTH,
                initial_indent=f"{name:{_MARGIN}}",
                subsequent_indent=indent,
                break_on_hyphens=False,
            )


def _metrics(
    record: Record | ReferenceRecord, metrics: Mapping[str, Metrics], epochs: Mapping[str, float] | None = None
) -> Iterator[str]:
    """A table with a line for each task and metric, a column for each split, and one for the epoch if tasks differ in it."""
    schema = record.dataset.get("schema") or {"tasks": []}
    tasks = {task.name: task for task in map(Task.from_json, schema["tasks"])}
    head = ["task", *(["epoch"] if epochs is not None else []), "metric", *metrics]
    rows, before = [head], None
    for task, values in next(iter(metrics.values()), {}).items():
        for metric in values:
            epoch = [] if epochs is None else [f"{epochs[task]:g}" if task in epochs and task != before else ""]
            name = label(metric, tasks[task]) if task in tasks else metric
            numbers = [_number(of_split.get(task, {}).get(metric)) for of_split in metrics.values()]
            rows.append([task if task != before else "", *epoch, name, *numbers])
            before = task
    yield from _aligned(rows, right=len(metrics))


def _balance(record: Record) -> Iterator[str]:
    """Effective weights and conflicts in the first, the selected and the last epoch, if weights change or conflicts are logged."""
    conflicts = [
        SHARE,
        *dict.fromkeys(pair for e in record.epochs for pair in (e.get("conflicts") or {}).get("cosine", {})),
    ]
    has_conflicts = any(entry.get("conflicts") for entry in record.epochs)
    if not (has_conflicts or changes(record)):
        return
    epochs = whole_epochs(record)
    selected = [record.selected] if record.selected else []
    chosen = {entry["epoch"]: entry for entry in (epochs[0], *selected, epochs[-1])}
    tasks = list(dict.fromkeys(task for entry in epochs for task in entry.get("effective_weights") or {}))
    keys = conflicts if has_conflicts else []
    words = ["conflicting steps" if key == SHARE else f"cosine {key}" for key in keys]
    yield ""
    conflicting = f" and conflicts of gradients, scope {scope(record)}" if has_conflicts else ""
    yield f"Effective weights{conflicting}, means over the epoch so far"
    rows = [["epoch", *tasks, *words]]
    for epoch, entry in sorted(chosen.items()):
        weights = [(entry.get("effective_weights") or {}).get(task) for task in tasks]
        rows.append([f"{epoch:g}", *map(_number, weights), *(_number(conflict(key, entry)) for key in keys)])
    yield from _aligned(rows, right=len(rows[0]) - 1)


def _aligned(rows: Sequence[Sequence[str]], right: int) -> Iterator[str]:
    """Rows as lines of columns, the last `right` ones flush right."""
    rows = [[one_line(text, LONGEST_CELL) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = len(widths) - right
    for row in rows:
        cells = [
            text.ljust(width) if n < left else text.rjust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= 2 and value == int(value) else f"{value:,.{4 if abs(value) < 100 else 1}f}"


def _undefined(record: Record | ReferenceRecord) -> Iterator[str]:
    if record.undefined:
        yield from ("", "Without a value")
        yield from (f"  {what}: {why}" for what, why in record.undefined.items())


def _error(error: Mapping[str, Any] | None) -> Iterator[str]:
    if error is None:
        return
    yield ""
    if "step" in error:
        yield f"Diverged in epoch {error.get('epoch', '?')}, at step {error['step']}, task {error.get('task', 'unknown')}:"
        yield f"  {error.get('message', '')}"
        return
    yield f"{error.get('type', 'Error')}: {error.get('message', '')}"
    yield from ("", *str(error.get("traceback", "")).splitlines())


def _reference(record: ReferenceRecord) -> Iterator[str]:
    yield f"Reference line {record.label} on {name_of_data(record.config['dataset'])}, seed {record.seed}"
    yield ""
    facts: list[tuple[str, str]] = [
        ("record", f"{record.id}, {_PURPOSES.get(record.purpose, record.purpose)}"),
        *_data(record),
    ]
    facts.append(("settings", _options(record.config.get("settings", {}))))
    facts += [("model", f"{task}: {_options(model)}") for task, model in record.models.items()]
    if record.cost:
        facts.append(("training", _time(record.cost)))
    yield from _listed(iter([*facts, *_environment(record)]))
    yield from _command(record.environment)
    yield ""
    yield from _metrics(record, record.metrics)
    yield from _undefined(record)
