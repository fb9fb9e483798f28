"""Boosted trees as a reference: as many trials as the methods get, then each task's best trial on every seed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmark import metrics
from benchmark.records.record import FIRST_TRIAL_SEED, TRIAL, TUNED
from benchmark.records.reference import ReferenceRecord
from benchmark.reference import trees
from benchmark.reference.maker import Maker, ReferenceLine
from benchmark.runs.progress import RunProgress, say
from benchmark.schema import Task
from benchmark.training.judgeable import undefined


class BoostedLine(ReferenceLine):
    """LightGBM, one model per task, on the categorical and numeric columns of the methods, and their splits."""

    name = "gbdt"
    label = "boosted trees (gbdt), one model per task"

    def check(self, tasks: tuple[Task, ...]) -> None:
        """See `ReferenceLine.check`."""
        for task in tasks:
            trees.objective(task)
        trees.lightgbm()

    def count(self, trials: int, seeds: int) -> int:
        """See `ReferenceLine.count`."""
        return trials + seeds

    def make(self, maker: Maker, trials: int, seeds: int) -> list[ReferenceRecord]:
        """Runs the trials, chooses for each task, and trains the choice on every seed. Returns the seeds' records."""
        trees.check(maker.data.schema)
        if names := trees.left_out(maker.data.schema):
            say(f"mtlbench: {self.name} reads categorical and numeric fields, and leaves out {names}")
        wanted = [(task, metrics.headline_name(task)) for task in maker.tasks]
        for (task, metric), reason in undefined(maker.data, wanted).items():
            raise ValueError(f"trials of {task.name!r} cannot be compared: no {metric} on validation, {reason}")
        boosting = _Boosting(self, maker)
        tried = [boosting.trial(number) for number in range(trials)]
        best = {task.name: _best(task, tried) for task in maker.tasks}
        tuning = {
            "trials": trials,
            "criterion": trees.criteria(maker.tasks),
            "ids": [record.id for record in tried],
            "seconds": sum(record.cost["train_seconds"] for record in tried),
        }
        return [boosting.tuned(seed, best, tuning) for seed in range(seeds)]


@dataclass
class _Boosting:
    """Makes the trials and the tuned records of one data set."""

    line: BoostedLine
    maker: Maker

    @cached_property
    def trees(self) -> trees.Trees:
        """The binned data, made only if something must be fitted."""
        return trees.Trees(self.maker.data, self.maker.threads)

    def trial(self, number: int) -> ReferenceRecord:
        record = self._planned(TRIAL, FIRST_TRIAL_SEED + number, {"trial": number, **_search()})
        drawn = {
            task.name: {"trial": number, "parameters": trees.draw_parameters(task.name, number)}
            for task in self.maker.tasks
        }
        return self.maker.find(record) or self._fitted(record, drawn, ("validation",))

    def tuned(self, seed: int, best: dict[str, dict[str, Any]], tuning: dict[str, Any]) -> ReferenceRecord:
        record = self._planned(TUNED, seed, {"trials": tuning["trials"], **_search()})
        record.tuning = tuning
        return self.maker.find(record) or self._fitted(record, best, ("validation", "test"))

    def _planned(self, purpose: str, seed: int, settings: dict[str, Any]) -> ReferenceRecord:
        """A planned record, whose label says what the trees do not read."""
        record = self.maker.plan(self.line, purpose, seed, settings)
        if names := trees.left_out(self.maker.data.schema):
            record.label += f", without {names}"
        return record

    def _fitted(
        self, record: ReferenceRecord, chosen: dict[str, dict[str, Any]], splits: tuple[str, ...]
    ) -> ReferenceRecord:
        maker = self.maker
        outputs: dict[str, dict[str, np.ndarray]] = {name: {} for name in splits}
        with RunProgress(maker.called(record), len(maker.tasks)) as progress:
            for task in maker.tasks:
                choice = chosen[task.name]
                model = self.trees.fit(task, choice["parameters"], record.seed)
                for name in splits:
                    outputs[name][task.name] = model.predict(getattr(maker.data, name))
                found = {"rounds": model.rounds, "rows": model.rows, "seconds": model.seconds}
                record.models[task.name] = {**choice, **found}
                progress.step(1)
        for name in splits:
            maker.judge(record, name, outputs[name])
        seconds = sum(model["seconds"] for model in record.models.values())
        record.cost = {"train_seconds": seconds, "threads": maker.threads or os.cpu_count()}
        record.environment["lightgbm"] = trees.lightgbm().__version__
        return maker.keep(record)


def _best(task: Task, tried: list[ReferenceRecord]) -> dict[str, Any]:
    """The trial of a task with the best metric on validation; the first of several equal ones."""
    metric = metrics.headline_name(task)
    sign = metrics.direction(metric)
    scores = []
    for record in tried:
        value = record.metrics["validation"][task.name][metric]
        assert value is not None, "tasks that validation cannot judge are refused before the first trial"
        scores.append(sign * value)
    model = tried[int(np.argmax(scores))].models[task.name]
    return {key: model[key] for key in ("trial", "parameters")}


def _search() -> dict[str, Any]:
    kept = ("low", "high", "log", "whole")
    space = {name: {key: getattr(where, key) for key in kept} for name, where in trees.SPACE.items()}
    return {"space": space, "max_rounds": trees.MAX_ROUNDS, "patience": trees.PATIENCE}
