"""`mtlbench compare --delong`: the checkpoints of two methods, seed by seed, on one test set. R rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.analysis.answer import Answer
from benchmark.analysis.compare import study_of
from benchmark.analysis.lookup import find_method, require
from benchmark.analysis.study import Pair, draw_options
from benchmark.kinds import KINDS
from benchmark.metrics import AUC
from benchmark.records.record import RESULTS_DIR, Record, records_by_path
from benchmark.statistics import DeLong, Interval, delong
from benchmark.statistics.wording import bracketed, p_number, two_digits
from benchmark.text import counted
from benchmark.trained.checkpoint import Predictor, data_of, load

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from benchmark.datasets import Data

TOLERANCE = 1e-6  # of AUCs; or two pairs of rows, whose order may differ on another machine
READING = (
    "DeLong's test: each line is about these two trained checkpoints on this test set, not about the methods. Interval and "
    "p cover the choice of test rows, but not the seeds; p is not adjusted. Rows are treated as independent. With several "
    "rows per user they are not, and the intervals are too narrow. Differences are first minus second."
)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two checkpoints on a binary task.

    Args:
        dataset: Its name.
        task: The task's name.
        seed: The seed of both runs; if the data were drawn several times, also of the draw.
        found: Both AUCs, their difference, its 95 % interval and p.
    """

    dataset: str
    task: str
    seed: str
    found: DeLong


@dataclass(frozen=True)
class Checkpoints(Answer):
    """The result of `compare_checkpoints`. It prints itself.

    Args:
        methods: The first and the second.
        rows: One per data set, task and seed.
        notes: What is not compared.
    """

    methods: tuple[str, str]
    rows: tuple[Compared, ...]
    notes: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        for dataset in dict.fromkeys(row.dataset for row in self.rows):
            yield Text(f"Checkpoints of {' and '.join(self.methods)}, {dataset}", style="bold")
            table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
            table.add_column("task", overflow="fold")
            for title in ("seed", "first AUC", "second AUC", "difference [95 %]", "p"):
                table.add_column(title, justify="right", no_wrap=True)
            of = [row for row in self.rows if row.dataset == dataset]
            for task in dict.fromkeys(row.task for row in of):
                for row in (row for row in of if row.task == task):
                    table.add_row(*map(Text, (task, row.seed, *_numbers(row.found))))
            yield table
        for line in (READING, *self.notes):
            yield Text(line)


def compare_checkpoints(
    first: str, second: str, results: str | Path = RESULTS_DIR, *, skip_broken: bool = False
) -> Checkpoints:
    """Compares the AUCs of two methods' checkpoints by DeLong's test, on every seed with both checkpoints.

    Args:
        first: A method as the report names it.
        second: What it is compared to.
        results: Folder of records, with the weights beside them.
        skip_broken: Whether to continue without broken records.

    Raises:
        FileNotFoundError: if there is no folder `results`, no seed has both checkpoints, or the data set's files are
            missing.
        ValueError: if a method is unknown, with the known names; if no data set has both methods and a binary task; or
            if data or weights do not belong to the records.
    """
    loaded = records_by_path(results, skip_broken=skip_broken)
    # one run may be in several folders, with weights in one of them
    weighed = {_run_of(record): path for path, record in loaded.items() if path.with_suffix(".safetensors").is_file()}
    study = study_of(list(loaded.values()) or results)
    require(study, first, second)
    rows: list[Compared] = []
    notes: list[str] = []
    kept, shared, judged = [0, 0], False, False
    for group in study.groups:
        names = [find_method(group.by_method, wanted) for wanted in (first, second)]
        if None in names or not any(KINDS[task.kind].is_binary for task in group.tasks):
            continue
        shared = True
        finished = [{run.pair: run for run in group.finished[name]} for name in names if name is not None]
        paths = [
            {p: weighed[_run_of(r.record)] for p, r in of.items() if _run_of(r.record) in weighed} for of in finished
        ]
        kept = [number + len(of) for number, of in zip(kept, paths, strict=True)]
        both = [pair for pair in paths[0] if pair in paths[1]]
        lacking = len(finished[0].keys() & finished[1].keys()) - len(both)
        if lacking:
            notes.append(f"{group.name}: {counted(lacking, 'seed')} left out, without the checkpoint of one or both.")
        several = len({pair[1] for pair in both}) > 1
        built: dict[tuple[str, ...], Data] = {}
        for pair in both:
            one, two = load(paths[0][pair]), load(paths[1][pair])
            if pair[:3] not in built:
                built = {pair[:3]: data_of(one.record)}  # one checkpoint at a time
            seed, judged = _seed(pair, one, several=several), True
            found = list(_compare(one, two, built[pair[:3]]))
            rows += [Compared(group.name, task, seed, d) for task, d in found if isinstance(d, DeLong)]
            notes += [f"{group.name}, {task}, seed {seed}: {d}." for task, d in found if isinstance(d, str)]
    if not shared:
        raise ValueError(f"no data set has both {first} and {second}, and a binary task: DeLong's test is of AUCs")
    if not judged:
        raise FileNotFoundError(
            f"no seed has the checkpoints of both {first} and {second} under {results}: expected <id>.safetensors beside "
            f"the records, found {kept[0]} of {first} and {kept[1]} of {second}, and no seed in both; `mtlbench run` with "
            "the same overrides and save_checkpoint=true trains the runs without checkpoints again, and keeps them"
        )
    return Checkpoints((first, second), tuple(rows), tuple(notes))


def _compare(one: Predictor, two: Predictor, data: Data) -> Iterator[tuple[str, DeLong | str]]:
    """By binary task, the result or why there is none."""
    split = data.test
    first, second = (predictor.predict(split.features) for predictor in (one, two))
    for column, task in enumerate(data.schema.tasks):
        if KINDS[task.kind].is_binary:
            labels_R = np.asarray(split.labels[:, column], dtype=np.float64)
            known_R = ~np.isnan(labels_R)
            try:
                found = delong(labels_R[known_R], first[task.name][known_R], second[task.name][known_R])
            except ValueError as reason:
                yield task.name, f"not compared, {reason}"
                continue
            for predictor, auc in ((one, found.first), (two, found.second)):
                _check_auc(predictor, task.name, auc, pairs=int((labels_R == 1).sum() * (labels_R == 0).sum()))
            yield task.name, found


def _run_of(record: Record) -> tuple[str, object]:
    return record.id, record.dataset.get("fingerprint")


def _check_auc(predictor: Predictor, task: str, auc: float, *, pairs: int) -> None:
    record, tolerance = predictor.record, max(TOLERANCE, 2 / pairs)
    recorded = record.metrics["test"][task][AUC]
    if recorded is None or abs(auc - recorded) > tolerance:
        raise ValueError(
            f"the checkpoint of {record.method}, seed {record.seed}, is not what run {record.id} was judged by: expected "
            f"its {task} AUC on test, {recorded}, to {tolerance:.1g}, found {auc}; rerun=true save_checkpoint=true makes both "
            "again"
        )


def _seed(pair: Pair, predictor: Predictor, *, several: bool) -> str:
    draws = draw_options(predictor.record.config["dataset"]).items() if several else ()
    search = [f"search {pair[4]}"] if pair[4] else []
    return ", ".join([str(pair[3]), *search, *(f"{key}={value}" for key, value in draws)])


def _numbers(found: DeLong) -> Iterable[str]:
    places = max(4, two_digits(found.high - found.low))
    difference = bracketed(Interval(found.difference, found.low, found.high, 1), places, sign="+")
    return f"{found.first:.{places}f}", f"{found.second:.{places}f}", difference, p_number(found.p)
