"""make_references: fits and judges the reference lines of a data set, and writes their records. What is there is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmark import metrics
from benchmark.datasets import Data, Dataset
from benchmark.records.reference import ReferenceRecord, load_reference
from benchmark.records.run import FIRST_TRIAL_SEED, RESULTS_DIR, TRIAL
from benchmark.reference import trees
from benchmark.runs.described import describe, identify
from benchmark.runs.machine import environment
from benchmark.runs.progress import RunProgress, duration, say
from benchmark.schema import Task
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.registry import DatasetConfig, plain
from benchmark.text import unknown
from benchmark.training.judgeable import undefined
from benchmark.training.trainer import users_of

LINES = ("constant", "gbdt")
OF_TEST = ("constant", "best_reachable")  # what a trial does not say of the data


def make_references(
    dataset: str | DatasetConfig,
    *,
    only: Sequence[str] = LINES,
    trials: int = 8,
    seeds: int = 5,
    results_dir: str = RESULTS_DIR,
    threads: int = 0,
    rerun: bool = False,
) -> list[ReferenceRecord]:
    """Makes the reference lines of a data set that are not there yet.

    Of every task's `trials` random draws of LightGBM's parameters, the best on validation is trained on `seeds` seeds. A
    trial reads no test row. A record is written as soon as it is known, so that a call that was interrupted goes on.

    Args:
        dataset: A registered name, or `configure("dataset", name, ...)`.
        only: Which lines: constant, gbdt.
        trials: Draws of parameters for each task: as many as the methods get that the trees are compared with.
        seeds: How many seeds, from 0 on.
        results_dir: Records go to `<results_dir>/reference/<name>/<id>.json`.
        threads: Of LightGBM; 0: all cores.
        rerun: Repeat what is there.

    Returns:
        The records without the trials: one of the constant predictor, and of the trees one a seed.

    Raises:
        ValueError: for an unknown line, a number below 1, a task without trees, or if LightGBM is missing; before data is
            read. If validation cannot judge a task; before the first trial.
    """
    for name, value in (("trials", trials), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")
    for name in only:
        if name not in LINES:
            raise ValueError(unknown("reference line", name, LINES))
    config = registry.datasets.config(dataset) if isinstance(dataset, str) else dataset
    source: Dataset = registry.datasets.build(config)
    if "gbdt" in only:
        for task in source.tasks:
            trees.objective(task)
        trees.lightgbm()
    data = source.build()
    planned = {"constant": 1, "gbdt": trials + seeds}
    maker = _Maker(config, data, results_dir, threads, rerun=rerun, total=sum(planned[name] for name in set(only)))
    records = []
    if "constant" in only:
        records.append(maker.constant())
    if "gbdt" in only:
        records += maker.boosted(trials, seeds)
    maker.sum_up()
    return records


@dataclass
class _Maker:
    """Makes records one by one, or finds them."""

    config: DatasetConfig
    data: Data
    results_dir: str
    threads: int
    rerun: bool
    total: int
    made: int = 0
    found: int = 0
    trees: trees.Trees | None = None
    seconds: list[float] = field(default_factory=list)

    @cached_property
    def described(self) -> dict[str, Any]:
        """What a record says of the data."""
        return describe(self.config.name, self.data, identify(self.data, "default"))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Of the data set."""
        return self.data.schema.tasks

    def constant(self) -> ReferenceRecord:
        """The mean of train as the prediction of every row."""
        record = self._planned("constant", "default", 0, {})
        known = self._known(record)
        if known is not None:
            return known
        splits = {"validation": self.data.validation, "test": self.data.test}
        for name, split in splits.items():
            outputs = metrics.constant_outputs(self.tasks, self.data.train.labels, len(split))
            self._judge(record, name, outputs)
        return self._keep(record)

    def boosted(self, trials: int, seeds: int) -> list[ReferenceRecord]:
        """Tries, chooses by task, and trains the chosen on every seed; the seeds' records."""
        wanted = [(task, metrics.primary(task)) for task in self.tasks]
        for (task, metric), reason in undefined(self.data, wanted).items():
            raise ValueError(f"trials of {task.name!r} cannot be compared: no {metric} on validation, {reason}")
        tried = [self._trial(number) for number in range(trials)]
        best = {task.name: self._best(task, tried) for task in self.tasks}
        tuning = {
            "trials": trials,
            "criterion": trees.criteria(self.tasks),
            "ids": [record.id for record in tried],
            "seconds": sum(record.cost["train_seconds"] for record in tried),
        }
        return [self._tuned(seed, trials, best, tuning) for seed in range(seeds)]

    def _trial(self, number: int) -> ReferenceRecord:
        record = self._planned("gbdt", TRIAL, FIRST_TRIAL_SEED + number, {"trial": number, **_search()})
        drawn = {
            task.name: {"trial": number, "parameters": trees.draw_parameters(task.name, number)} for task in self.tasks
        }
        return self._known(record) or self._fitted(record, drawn, ("validation",))

    def _tuned(
        self, seed: int, trials: int, best: dict[str, dict[str, Any]], tuning: dict[str, Any]
    ) -> ReferenceRecord:
        record = self._planned("gbdt", "tuned", seed, {"trials": trials, **_search()})
        record.tuning = tuning
        return self._known(record) or self._fitted(record, best, ("validation", "test"))

    def _best(self, task: Task, tried: list[ReferenceRecord]) -> dict[str, Any]:
        """The trial of a task with the best metric on validation; the first of equals."""
        metric = metrics.primary(task)
        sign = metrics.direction(metric)
        scores = []
        for record in tried:
            value = record.metrics["validation"][task.name][metric]
            assert value is not None, "what validation cannot judge is refused before the first trial"
            scores.append(sign * value)
        model = tried[int(np.argmax(scores))].models[task.name]
        return {key: model[key] for key in ("trial", "parameters")}

    def _fitted(
        self, record: ReferenceRecord, chosen: dict[str, dict[str, Any]], splits: tuple[str, ...]
    ) -> ReferenceRecord:
        if self.trees is None:
            self.trees = trees.Trees(self.data, self.threads)
        outputs: dict[str, dict[str, np.ndarray]] = {name: {} for name in splits}
        with RunProgress(self._label(record), len(self.tasks)) as progress:
            for task in self.tasks:
                choice = chosen[task.name]
                model = self.trees.fit(task, choice["parameters"], record.seed)
                for name in splits:
                    outputs[name][task.name] = model.predict(getattr(self.data, name))
                found = {"rounds": model.rounds, "rows": model.rows, "seconds": model.seconds}
                record.models[task.name] = {**choice, **found}
                progress.step(1)
        for name in splits:
            self._judge(record, name, outputs[name])
        seconds = sum(model["seconds"] for model in record.models.values())
        record.cost = {"train_seconds": seconds, "threads": self.threads or os.cpu_count()}
        record.environment["lightgbm"] = trees.lightgbm().__version__
        return self._keep(record)

    def _planned(self, name: str, purpose: str, seed: int, settings: dict[str, Any]) -> ReferenceRecord:
        config = {"dataset": plain(self.config), "settings": settings}
        return ReferenceRecord(name=name, purpose=purpose, seed=seed, config=config)

    def _known(self, record: ReferenceRecord) -> ReferenceRecord | None:
        """The record of the same line, if it is there and of the same data."""
        path = record.path(self.results_dir)
        if self.rerun or not path.is_file():
            return None
        known = load_reference(path)
        if known.dataset.get("fingerprint") != self.data.fingerprint:
            return None
        self.found += 1
        return known

    def _judge(self, record: ReferenceRecord, name: str, outputs: dict[str, np.ndarray]) -> None:
        split = getattr(self.data, name)
        found, undefined = metrics.evaluate(self.tasks, outputs, split.labels, users_of(self.data, split))
        record.metrics[name] = found
        record.undefined |= {f"{name}.{key}": reason for key, reason in undefined.items()}

    def _keep(self, record: ReferenceRecord) -> ReferenceRecord:
        left_out = OF_TEST if record.purpose == TRIAL else ()
        record.dataset = {key: value for key, value in self.described.items() if key not in left_out}
        record.environment = {**environment(), **record.environment}
        record.write(self.results_dir)
        self.made += 1
        say(self._line(record))
        return record

    def _line(self, record: ReferenceRecord) -> str:
        place, split = self.made + self.found, "test" if "test" in record.metrics else "validation"
        values = [(task, record.metrics[split][task.name][metrics.primary(task)]) for task in self.tasks]
        shown = [
            f"{task.name} {metrics.headline(task).title} {value:.4f}" for task, value in values if value is not None
        ]
        parts = [f"[{place}/{self.total}] {self._label(record)}: {', '.join(shown)} on {split}"]
        if record.cost:
            self.seconds.append(record.cost["train_seconds"])
            parts.append(duration(self.seconds[-1]))
        if self.seconds and place < self.total:
            parts.append(f"{duration(float(np.mean(self.seconds)) * (self.total - place))} left")
        return " | ".join(parts)

    def _label(self, record: ReferenceRecord) -> str:
        place = {TRIAL: f" trial {record.seed - FIRST_TRIAL_SEED}", "tuned": f" seed {record.seed}"}
        return f"{self.config.name} {record.name}{place.get(record.purpose, '')}"

    def sum_up(self) -> None:
        """Says what was made."""
        say(f"mtlbench: {self.made} made, {self.found} there before and kept; in {self.results_dir}/reference")


def _search() -> dict[str, Any]:
    space = {name: asdict(where) for name, where in trees.SPACE.items()}
    return {"space": space, "max_rounds": trees.MAX_ROUNDS, "patience": trees.PATIENCE}


OWN_KEYS = ("only", "seeds", "trials")
RUN_KEYS = ("dataset", "experiment", "rerun", "results_dir", "threads")


def from_overrides(overrides: Sequence[str]) -> list[ReferenceRecord]:
    """`make_references` from the words of a command line: `dataset=shop dataset.num_rows=5000 trials=8 only=gbdt`.

    Raises:
        ValueError: for a key that has no meaning here, and as `make_references`.
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
