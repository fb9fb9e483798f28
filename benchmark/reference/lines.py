"""make_references: fits and judges the references of a data set, and writes their records. Existing records are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from benchmark.datasets import Dataset
from benchmark.records.record import RESULTS_DIR
from benchmark.records.reference import ReferenceRecord
from benchmark.reference.boosted import BoostedLine
from benchmark.reference.constant import ConstantLine
from benchmark.reference.maker import Maker, ReferenceLine
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.registry import DatasetConfig
from benchmark.text import unknown

LINES: dict[str, ReferenceLine] = {line.name: line for line in (ConstantLine(), BoostedLine())}


def make_references(
    dataset: str | DatasetConfig,
    *,
    only: Collection[str] = LINES.keys(),
    trials: int = 8,
    seeds: int = 5,
    results_dir: str = RESULTS_DIR,
    threads: int = 0,
    rerun: bool = False,
) -> list[ReferenceRecord]:
    """Makes the missing references of a data set.

    For every task, `trials` random draws of LightGBM's parameters are tried, and the best on validation is trained on
    `seeds` seeds. Trials do not read test rows. Each record is written as soon as it is known, so an interrupted call
    continues.

    Args:
        dataset: A registered name, or `configure("dataset", name, ...)`.
        only: Which references of `LINES` to make.
        trials: Draws of parameters per task; use as many as the methods get.
        seeds: Number of seeds, from 0 on.
        results_dir: Records go to `<results_dir>/reference/<name>/<id>.json`.
        threads: Threads of LightGBM; 0: all cores.
        rerun: Make existing records again.

    Returns:
        The records without trials: one for the constant predictor, and one per seed for the trees.

    Raises:
        ValueError: before data is read, for an unknown reference, a number below 1, a task without trees, or if
            LightGBM is missing. Before the first trial, for fields that trees cannot read, or if validation cannot
            judge a task.
    """
    for name, value in (("trials", trials), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")
    for name in only:
        if name not in LINES:
            raise ValueError(unknown("reference line", name, LINES))
    lines = [line for name, line in LINES.items() if name in only]
    config = registry.datasets.config(dataset) if isinstance(dataset, str) else dataset
    source: Dataset = registry.datasets.build(config)
    for line in lines:
        line.check(source.tasks)
    total = sum(line.count(trials, seeds) for line in lines)
    maker = Maker(config, source.build(), results_dir, threads, rerun, total)
    records = [record for line in lines for record in line.make(maker, trials, seeds)]
    maker.sum_up()
    return records


OWN_KEYS = ("only", "seeds", "trials")
RUN_KEYS = ("dataset", "experiment", "rerun", "results_dir", "threads")


def from_overrides(overrides: Sequence[str]) -> list[ReferenceRecord]:
    """`make_references` from a command line: `dataset=shop dataset.num_rows=5000 trials=8 only=gbdt`.

    Raises:
        ValueError: for a key without meaning here, and as `make_references`.
    """
    own: dict[str, Any] = {}
    of_a_run = []
    for word in overrides:
        key, equals, value = word.partition("=")
        if equals and key in OWN_KEYS:
            own[key] = value.split(",") if key == "only" else _whole(key, value)
        elif key.partition(".")[0] in RUN_KEYS:
            of_a_run.append(word)
        else:
            raise ValueError(unknown("key", key, (*OWN_KEYS, *RUN_KEYS)))
    config = compose_run(of_a_run)
    return make_references(
        config.dataset,
        results_dir=config.results_dir,
        threads=config.threads,
        rerun=config.rerun,
        **own,
    )


def _whole(key: str, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{key}: expected a whole number, found {text!r}")
    return int(text)
