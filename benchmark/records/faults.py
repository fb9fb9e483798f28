"""What is wrong in the plain values of a record, in words: types and ranges by their form, and parts that do not fit. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta

from benchmark.kinds import get as get_kind
from benchmark.records.schema import (
    ID_PATTERN,
    NAME_PATTERN,
    REFERENCE,
    SHA256_PATTERN,
    TRIAL,
    Form,
    RecordOf,
    Status,
    Transformed,
)

ROUNDING = 1e-9
"""Metrics may be this far out of their range."""
T = TypeVar("T")


def fault(value: Mapping[str, Any], form: Form) -> str | None:
    """What is wrong in the plain values of a record; None if nothing is.

    Args:
        value: The plain values, with all required keys.
        form: `RecordOf` or `ReferenceOf`.
    """
    wrong = _fault(value, _form(form, frozenset(_metrics(value, 1))))
    if wrong is not None:  # perhaps only that the tasks' rows of later epochs have other metrics
        wrong = _fault(value, _form(form, frozenset(_metrics(value, None))))
    return _agreement(value, form) if wrong is None else wrong


def _fault(value: Mapping[str, Any], whole: Any) -> str | None:
    try:
        msgspec.convert(value, whole)
    except msgspec.ValidationError as error:
        return _in_words(value, whole, str(error))
    return None


def _metrics(value: Mapping[str, Any], epochs: int | None) -> Iterator[str]:
    """The names of the metrics; what is not an object has none, and the form says so."""
    data, validations = value.get("dataset"), value.get("epochs")
    splits: list[Any] = [_parts(data, "constant"), _parts(data, "best_reachable")]
    for key in ("metrics", "metrics_per_task"):
        splits += _parts(value, key).values()
    for entry in validations[:epochs] if isinstance(validations, list) else ():
        splits.append(_parts(entry, "validation"))
    for tasks in splits:
        for row in tasks.values() if isinstance(tasks, dict) else ():
            if isinstance(row, dict):
                yield from row


def _parts(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=64)
def _form(form: type[Any], metrics: frozenset[str]) -> Any:
    """The form of a record with these metrics, each in its range."""
    fields = [(f"m{n}", Annotated[float, _range(name)] | None, None) for n, name in enumerate(sorted(metrics))]
    names = {f"m{n}": name for n, name in enumerate(sorted(metrics))}
    return form[msgspec.defstruct("Metrics", fields, rename=names, forbid_unknown_fields=True, gc=False)]


def _range(metric: str) -> Meta:
    low, high = limits(metric)
    return Meta(ge=None if low is None else low - ROUNDING, le=None if high is None else high + ROUNDING)


def limits(metric: str) -> tuple[float | None, float | None]:
    """The range of a metric, by its key in a record: `auc[purchase|click]` has that of `auc`. Any, if it is unknown."""
    from benchmark.metrics import METRICS  # not when the command line starts

    known = METRICS.get(metric.partition("[")[0])
    return (None, None) if known is None else (known.low, known.high)


def _agreement(value: Mapping[str, Any], form: Form) -> str | None:
    """Where parts of a record, each right alone, do not fit together."""
    return next(_disagreements(value), None) if form is RecordOf else None


def _disagreements(value: Mapping[str, Any]) -> Iterator[str]:
    config, data, status = value["config"], value.get("dataset") or {}, value["status"]
    method = "/".join(config[group]["name"] for group in ("architecture", "weighting"))
    for key, expected in (("method", method), ("purpose", config.get("purpose")), ("seed", config.get("seed"))):
        if expected is not None and value[key] != expected:
            yield f"{key}: expected {shown(expected)}, as its config says, found {shown(value[key])}"
    seeds = (config.get("looks") or {}).get("seeds", [])
    if seeds != sorted(set(seeds)):
        yield f"config.looks.seeds: expected each larger than the one before, found {shown(seeds)}"
    tasks = ((data.get("schema") or {}).get("tasks")) or ()
    for task in tasks:
        try:
            get_kind(task["kind"])
        except ValueError as error:  # of a package that is not installed
            yield f"dataset.schema.tasks: {error}"
    if status != "finished":
        return
    names = data.get("tasks") or [task["name"] for task in tasks]
    splits = ("validation",) if value["purpose"] == TRIAL else ("validation", "test")
    for key in ("metrics", "metrics_per_task") if names else ():
        for split in splits:
            if lost := [name for name in names if not value.get(key, {}).get(split, {}).get(name)]:
                yield f"{key}.{split}: expected every task of a finished run, it lacks {shown(', '.join(lost))}"
    epochs = [entry["epoch"] for entry in value.get("epochs", ())]
    bests = {"best_epoch": value.get("best_epoch")}
    bests |= {f"best_epoch_per_task.{task}": best for task, best in value.get("best_epoch_per_task", {}).items()}
    for key, best in bests.items() if epochs else ():
        if best not in epochs:
            yield f"{key}: expected one of its epochs, found {shown(best)}"


_PLACE = re.compile(r"\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*?)(?:(?<=\[\.\.\.\])\.(.+))?")  # a metric's name is the last step
_STEP = re.compile(r"(\w+|\.\.\.)\]?")
_WORDS = {
    "`float | null`": "a number or null", "`int | null`": "a whole number or null", "`float`": "a number",
    "`int`": "a whole number", "`str | null`": "a text or null", "`str`": "a text", "`array | null`": "a list or null", "`array`": "a list",
    "`bool`": "true or false",
    "`object | null`": "an object or null", "`object`": "an object", "`null`": "null",
    f" matching regex {ID_PATTERN!r}": " of 12 hex digits", f" matching regex {SHA256_PATTERN!r}": " of 64 hex digits",
    f" matching regex {NAME_PATTERN!r}": " that can name a folder",
    "Object missing required": "it lacks the", "Object contains unknown": "it has the unknown",
}  # fmt: skip
_CHOICES = {"status": get_args(Status), "transform": get_args(Transformed), "kind": (REFERENCE,)}
_MOST_TRIED = 1000  # keys of a broken record


def _in_words(value: Any, whole: Any, error: str) -> str:
    """What msgspec says, with the whole place, where it writes `[...]` for a key, and what was found there."""
    text, _, place = error.removesuffix("`").partition(" - at `")
    text = text.partition(", got ")[0]
    for words, plain in _WORDS.items():
        text = text.replace(words, plain)
    known = _PLACE.fullmatch(place)
    steps = [*_STEP.findall(known[1]), *([known[2]] if known[2] else [])] if known else []
    tried = islice(_paths(value, steps), _MOST_TRIED)
    path = next((path for path in tried if _error_of(_only(value, steps, path), whole) == error), ())
    if not path:
        return f"{place.removeprefix('$.') or 'it'}: {text}"
    here = value
    for step in path:
        here = here[step]
    if (
        isinstance(here, (int, float))
        and not isinstance(here, bool)
        and any(limit is not None for limit in limits(str(path[-1])))
    ):
        text = f"expected a number {_between(*limits(str(path[-1])))}"
    if text.startswith("Invalid enum value"):
        text = f"expected {' or '.join(_CHOICES[str(path[-1])])}"
    if text.startswith("it lacks"):
        return f"{'.'.join(map(str, path))}: {text}"
    return f"{'.'.join(map(str, path))}: {text[0].lower()}{text[1:]}, found {shown(here)}"


def converted(value: Any, form: type[T]) -> T:
    """The plain values in a form that says their types.

    Raises:
        ValueError: with the place of the first value that does not fit.
    """
    try:
        made: T = msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(value, form, str(error))) from error
    return made


def _error_of(value: Any, whole: Any) -> str | None:
    try:
        msgspec.convert(value, whole)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _paths(value: Any, steps: Sequence[str]) -> Iterator[tuple[str | int, ...]]:
    """All ways of these steps, where `...` is any key."""
    if not steps:
        yield ()
        return
    keys: Iterable[Any]
    if isinstance(value, list):
        keys = (int(steps[0]),)
    elif steps[0] == "...":
        keys = value
    else:
        keys = (steps[0],) if steps[0] in value else ()
    for key in keys:
        yield from ((key, *rest) for rest in _paths(value[key], steps[1:]))


def _only(value: Any, steps: Sequence[str], path: Sequence[str | int]) -> Any:
    """The value with only the chosen key where the steps allow any."""
    if not steps:
        return value
    inner = _only(value[path[0]], steps[1:], path[1:])
    if steps[0] == "...":
        return {path[0]: inner}
    if isinstance(value, list):
        return [*value[: int(steps[0])], inner]
    return {**value, steps[0]: inner}


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return f"of at most {high:g}"
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"


def shown(value: Any) -> str:
    """A value for an error, not too long."""
    text = repr(value[:_LONG] if isinstance(value, (str, list)) else value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


_LONG = 60
