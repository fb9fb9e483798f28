"""Two records of one run, number by number: are they the same, and if not, what differs around them? Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from benchmark.analysis.answer import Answer
from benchmark.analysis.study import draw_of, settings_of, undrawn
from benchmark.metrics import headline_name
from benchmark.records.record import LAST_BIT, TRIAL, Record, SelectionName, name_of_data
from benchmark.schema import Metrics, Task
from benchmark.statistics.intervals import FEWEST
from benchmark.text import ABSENT, counted, listed

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

SHARE = 0.1
"""Where bits cannot be expected to agree, a headline metric may move by this share of the seeds' standard deviation."""
DIRTY = "-dirty"  # what the commit of changed files ends in: two of them may differ
_TIMES = "seconds"  # of an entry of `epochs`: how long it took
_SIZES = ("parameters", "embedding_parameters", "multiply_adds")

Outcome: TypeAlias = Literal["same", "near", "different", "unjudged"]
"""`near`: bits differ, as surroundings do, but no headline metric moved far. `unjudged`: too few seeds to say so."""


@dataclass(frozen=True, slots=True)
class NumberGroup:
    """One group of a record's numbers, compared with those of another record.

    Args:
        name: What people call them.
        compared: How many the record has.
        differing: How many of them differ or are missing in the other record.
        largest: The largest relative difference between two numbers; None if none differ in size.
    """

    name: str
    compared: int
    differing: int
    largest: float | None


@dataclass(frozen=True, slots=True)
class Surrounding:
    """What a bit may depend on, as the record has it and as it is now; None: not known.

    Args:
        name: What it is: torch, threads.
        before: In the record.
        now: In this run.
    """

    name: str
    before: str | None
    now: str | None

    @property
    def is_equal(self) -> bool:
        """Is it known to be equal? A commit with changed files is not; both may lack a commit."""
        if self.name == "commit" and self.before is None:
            return self.now is None
        return self.before is not None and self.before == self.now and not self.before.endswith(DIRTY)


@dataclass(frozen=True, slots=True)
class Headline:
    """A task's headline metric in both records, and its standard deviation over the seeds of the method, if known."""

    selection: SelectionName
    split: str
    task: str
    metric: str
    before: float | None
    now: float | None
    spread: float | None

    @property
    def difference(self) -> float | None:
        """What it is now less what it was; None if it was or is undefined."""
        return None if self.before is None or self.now is None else self.now - self.before

    @property
    def is_near(self) -> bool:
        """Did it move by at most a tenth of the spread? Two undefined ones did not move."""
        if self.difference is None:
            return self.before is self.now
        return self.difference == 0 or (self.spread is not None and abs(self.difference) <= SHARE * self.spread)


@dataclass(frozen=True)
class Reproduction(Answer):
    """How a run went the second time. It prints itself.

    Args:
        record: The record.
        again: The record of the same run, made now.
        seeds: The records of its method on other seeds, and the record itself: their spread is the yardstick.
    """

    record: Record
    again: Record
    seeds: tuple[Record, ...]

    @cached_property
    def numbers(self) -> tuple[NumberGroup, ...]:
        """All that training determined, group by group. Times and memory are not compared."""
        before, now = _groups(self.record), _groups(self.again)
        return tuple(_compared(name, group, now[name]) for name, group in before.items() if group)

    @cached_property
    def surroundings(self) -> tuple[Surrounding, ...]:
        """What bits may depend on."""
        both = _surroundings(self.record), _surroundings(self.again)
        return tuple(Surrounding(name, value, both[1][name]) for name, value in both[0].items())

    @cached_property
    def headlines(self) -> tuple[Headline, ...]:
        """The headline metric of every task, split and selection."""
        return tuple(self._headlines())

    @property
    def differing(self) -> int:
        """How many numbers differ."""
        return sum(group.differing for group in self.numbers)

    @property
    def expects_bits(self) -> bool:
        """Is everything around the run known to be equal, so that every bit should be?"""
        return all(one.is_equal for one in self.surroundings)

    @property
    def outcome(self) -> Outcome:
        """Whether it is the same run."""
        if not self.differing:
            return "same"
        if self.expects_bits or self.record.status != "finished" or self.again.status != "finished":
            return "different"
        if len(self.seeds) < FEWEST:
            return "unjudged"
        return "near" if all(one.is_near for one in self.headlines) else "different"

    @property
    def is_same(self) -> bool:
        """Is it the same to the last bit, or as near as may be expected?"""
        return self.outcome in ("same", "near")

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        apart = listed([one.name for one in self.surroundings if not one.is_equal])
        total = counted(sum(group.compared for group in self.numbers), "number")
        if self.outcome == "same":
            around = f" These differ, or are not known: {apart}." if apart else ""
            return f"The same to the last bit: {total}.{around}"
        some = f"{self.differing:,} of {total}"
        if self.expects_bits:
            return f"Different: {some} differ, and nothing around the run does."
        if self.record.status != self.again.status or self.record.status != "finished":
            return f"Different: {some} differ. The run {self.record.status}; now it {self.again.status}. Around it differ: {apart}."
        equal = f"Not the same to the last bit, which only equal surroundings promise: {some} differ, and so do, or are not known: {apart}."
        if self.outcome == "unjudged":
            return (
                f"{equal} Whether that is much cannot be judged: the spread over seeds takes at least {FEWEST} seeds of the "
                f"method, found {len(self.seeds)}."
            )
        far = sum(not one.is_near for one in self.headlines)
        yardstick = f"a tenth of the standard deviation over {len(self.seeds)} seeds"
        if far:
            return f"{equal} Different: {far} of {len(self.headlines)} headline metrics moved by more than {yardstick}."
        return f"{equal} No headline metric moved by more than {yardstick}."

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        record = self.record
        yield Text(f"{record.id}: {record.method} on {name_of_data(record.config['dataset'])}, seed {record.seed}")
        yield Text(self.sentence, style="bold")
        yield Text()
        yield _table(("numbers", "compared", "differ", "largest relative difference"), self._number_rows())
        yield Text()
        yield _table(("around the run", "in the record", "now", ""), self._surrounding_rows())
        if self.differing and self.headlines:
            yield Text()
            yield _table(
                ("epoch", "split", "metric", "in the record", "now", "difference", "sd over seeds", ""),
                self._headline_rows(),
            )

    def _number_rows(self) -> Iterator[tuple[str, ...]]:
        for group in self.numbers:
            largest = ABSENT if group.largest is None else f"{group.largest:.2g}"
            yield group.name, f"{group.compared:,}", f"{group.differing:,}", largest

    def _surrounding_rows(self) -> Iterator[tuple[str, ...]]:
        for one in self.surroundings:
            known = ["not known" if value is None else value for value in (one.before, one.now)]
            yield one.name, *known, "" if one.is_equal else "differs" if one.before != one.now else "may differ"

    def _headline_rows(self) -> Iterator[tuple[str, ...]]:
        for one in self.headlines:
            values = [ABSENT if value is None else f"{value:.6g}" for value in (one.before, one.now)]
            moved = ABSENT if one.difference is None else f"{one.difference:+.2g}" if one.difference else "0"
            spread = ABSENT if one.spread is None else f"{one.spread:.2g}"
            mark = "" if one.is_near else "not judged" if one.spread is None else "too far"
            yield one.selection, one.split, f"{one.task} {one.metric}", *values, moved, spread, mark

    def _headlines(self) -> Iterator[Headline]:
        tasks = [Task.from_json(task) for task in self.record.dataset.get("schema", {}).get("tasks", ())]
        for selection in get_args(SelectionName):
            before, now = _metrics(self.record, selection), _metrics(self.again, selection)
            for split, metrics in before.items():
                for task in (task for task in tasks if task.name in metrics):
                    name = headline_name(task)
                    over = [_value(_metrics(record, selection), split, task.name, name) for record in self.seeds]
                    known = [value for value in over if value is not None]
                    yield Headline(
                        selection, split, task.name, name,
                        before=_value(before, split, task.name, name),
                        now=_value(now, split, task.name, name),
                        spread=stdev(known) if len(known) >= FEWEST else None,
                    )  # fmt: skip


def same_method(record: Record, records: Sequence[Record]) -> tuple[Record, ...]:
    """The finished runs of a record's method and data, one for each seed and draw, the record among them.

    A tuned method is the procedure: each seed may have parameters of its own.
    """

    def key(other: Record) -> Any:
        settings = other.method_config if other.purpose == TRIAL else settings_of(other)
        return other.purpose, other.method, undrawn(other.config["dataset"]), settings

    def replicate(other: Record) -> tuple[int, int, str]:
        return other.seed, other.search_seed, draw_of(other.config["dataset"])

    own = key(record)
    found = {replicate(other): other for other in records if other.status == "finished" and key(other) == own}
    return tuple((found | {replicate(record): record} if record.status == "finished" else found).values())


def _groups(record: Record) -> dict[str, dict[str, Any]]:
    epochs = [{key: value for key, value in entry.items() if key != _TIMES} for entry in record.epochs]
    error = record.error or {}
    best = {"validations": len(epochs), "joint": record.best_epoch, **record.best_epoch_per_task}
    sizes = {key: record.cost[key] for key in _SIZES if key in record.cost} | {"shared": record.shared_parameters}
    return {
        "how it ended": {"status": record.status, **{key: error[key] for key in ("task", "step", "epoch") if key in error}},
        "metrics, one epoch for all tasks": dict(_leaves(record.metrics)),
        "metrics, each task's own epoch": dict(_leaves(record.metrics_per_task)),
        "best epochs": dict(_leaves(best)),
        "losses, metrics, weights: first validation": dict(_leaves(epochs[:1])),  # before rounding has grown
        "losses, metrics, weights: later ones": dict(_leaves(epochs[1:])),
        "parameters": sizes,
        "gates": dict(_leaves(record.gates)),
    }  # fmt: skip


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{place}/{number}")
    else:
        yield place, value


def _compared(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> NumberGroup:
    """What only the new record has is not compared: later versions compute more."""
    apart = [(value, now.get(key)) for key, value in before.items() if key not in now or now[key] != value]
    sizes = [
        abs(one - other) / max(abs(one), abs(other))
        for one, other in apart
        if isinstance(one, int | float) and isinstance(other, int | float)
    ]
    return NumberGroup(name, len(before), len(apart), max(sizes, default=None))


def _surroundings(record: Record) -> dict[str, str | None]:
    environment, cost = record.environment, record.cost
    found: dict[str, Any] = {"Python" if key == "python" else key: environment.get(key) for key in LAST_BIT}
    found |= {"device": cost.get("device"), "threads": cost.get("threads")}
    found |= {"data": record.dataset.get("fingerprint", "")[:12] or None}  # both are whole where they are checked
    if record.purpose != TRIAL:  # a trial knows nothing of test
        found["test rows"] = record.dataset.get("test_rows")
    return {name: None if value is None else str(value) for name, value in found.items()}


def _metrics(record: Record, selection: SelectionName) -> dict[str, Metrics]:
    return record.metrics if selection == "joint" else record.metrics_per_task


def _value(metrics: Mapping[str, Metrics], split: str, task: str, metric: str) -> float | None:
    return metrics.get(split, {}).get(task, {}).get(metric)


def _table(heads: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="italic")
    for head in heads:
        table.add_column(Text(head), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
