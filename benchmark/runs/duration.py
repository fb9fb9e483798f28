"""How long a run takes: from records of like runs on a machine like this one, else from a few measured steps."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from statistics import fmean, median
from typing import Any

import torch

from benchmark.analysis.study import undrawn
from benchmark.files import digest
from benchmark.records.record import TRIAL, Record, records_by_path
from benchmark.rows import Batch
from benchmark.runs.machine import device_name, device_of, limited_threads
from benchmark.runs.runner import build_data, build_trainer
from benchmark.seeding import seeded
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import plain
from benchmark.training.trainer import Trainer

STEPS = 20
"""That are timed; fewer, where they take longer than `LONGEST`."""
LONGEST = 3.0  # seconds
_WARM_UP = 4  # the first steps allocate, and gradient weightings look at what tasks reach
_ROWS = 20_000  # of validation, whose evaluation is timed


@dataclass(frozen=True, slots=True)
class Expected:
    """How long one run takes, in seconds of training and validation.

    Args:
        low: If early stopping ends it as soon as it can.
        high: If it continues to the last epoch.
        records: How many records say so, in which case low and high are one; 0: it was measured.
    """

    low: float
    high: float
    records: int = 0


class Durations:
    """Says how long runs take. Reads every folder of results once, and measures every method once."""

    def __init__(self) -> None:
        self._like = cache(_by_likeness)
        self._measured: dict[str, Expected | str] = {}

    def of(self, config: RunConfig) -> Expected | str:
        """How long this run takes; why that is unknown, where its first steps fail."""
        found = self._like(config.results_dir)
        threads, device = config.threads or torch.get_num_threads(), device_name(device_of(config))
        for key in _keys(plain(config)):
            seconds = found.get((key, threads, device))
            if seconds and not config.debug:
                mean = fmean(seconds)
                return Expected(mean, mean, len(seconds))
        method, _ = _keys(plain(config))
        key = digest([method, threads, device, config.debug, config.purpose == TRIAL])
        if key not in self._measured:
            self._measured[key] = _tried(config)
        return self._measured[key]


def _keys(config: Mapping[str, Any]) -> tuple[str, str]:
    """Runs that likely take as long: the same method on the data set, and the same method with other parameters."""
    data = undrawn(config["dataset"])
    names = [config[group]["name"] for group in ("architecture", "weighting")]
    length = {key: config["trainer"].get(key) for key in ("max_epochs", "batch_size")}
    method = {key: config[key] for key in ("architecture", "weighting", "embedding", "trainer") if key in config}
    return digest([data, method]), digest([data, names, config.get("embedding"), length])


def _by_likeness(folder: str) -> dict[tuple[str, int, str], list[float]]:
    """{(key, threads, device): seconds} of the finished runs in a folder that a machine like this one made."""
    try:
        records = records_by_path(folder, skip_broken=True).values()
    except FileNotFoundError:
        return {}
    here = (platform.platform(), os.cpu_count())
    found: dict[tuple[str, int, str], list[float]] = {}
    for record in records:
        made_on = (record.environment.get("platform"), record.environment.get("cores"))
        if record.status == "finished" and made_on == here and (seconds := _seconds(record)):
            for key in _keys(record.config):
                place = key, record.cost.get("threads", 0), record.cost.get("device", "")
                found.setdefault(place, []).append(seconds)
    return found


def _seconds(record: Record) -> float:
    """Seconds of training and validation: the time in steps or the time of all processors, whichever is longer."""
    cost = record.cost
    return max(cost.get("train_seconds") or 0.0, (cost.get("cpu_seconds") or 0.0) / max(cost.get("threads") or 1, 1))


def _tried(config: RunConfig) -> Expected | str:
    try:
        with limited_threads(config.threads), seeded(config.seed, "duration"):
            return _measure(config)
    except Exception as error:  # noqa: BLE001  whatever ends the run later ends it here, and is what one asks for
        return f"{type(error).__name__}: {error}"


def _measure(config: RunConfig) -> Expected:
    data, device = build_data(config), device_of(config)
    trainer = build_trainer(config, data, device)
    step, rows = _step_seconds(trainer, device), min(len(data.validation), _ROWS)
    part = data.validation.cut(0, rows)
    started = time.perf_counter()
    trainer.evaluate(part)
    row = (time.perf_counter() - started) / rows
    once = (len(data.validation) + (0 if config.purpose == TRIAL else len(data.test))) * row  # at the selected epoch
    epoch = trainer.steps_per_epoch * step + len(trainer.stops) * len(data.validation) * row
    most = config.trainer.max_epochs
    least = min(most, config.trainer.patience + 1 / len(trainer.stops))  # the first validation is an improvement
    return Expected(least * epoch + once, most * epoch + once)


def _step_seconds(trainer: Trainer, device: torch.device) -> float:
    """The median of some steps: now and then one takes longer, as under a weighting that looks what tasks reach."""
    trainer.model.train()
    seconds: list[float] = []
    batches, started = _endless(trainer), time.perf_counter()
    for _ in range(_WARM_UP + STEPS):
        begun = time.perf_counter()
        trainer.step(next(batches))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
        if begun - started > LONGEST and len(seconds) > 1:
            break
    return median(seconds[min(_WARM_UP, len(seconds) - 1) :])


def _endless(trainer: Trainer) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(0)
    for _ in count():
        yield from trainer.rows.batches(trainer.config.batch_size, generator)
