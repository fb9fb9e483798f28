"""run(config) -> Record: one run, from its configuration to its record, step by step."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from benchmark import metrics
from benchmark.datasets import Data, Dataset
from benchmark.files import digest
from benchmark.records.predictions import SUFFIX as PREDICTIONS
from benchmark.records.predictions import path_of_predictions, path_of_test_rows, save_predictions, save_test_rows
from benchmark.records.record import GAIN, TRIAL, Record, SelectionName, find_record
from benchmark.runs.card import keep_card
from benchmark.runs.debug import reduced
from benchmark.runs.described import describe, identify
from benchmark.runs.locks import holder, run_lock
from benchmark.runs.machine import cost, device_of, environment, limited_threads, reset_peak_memory
from benchmark.runs.matching import matched, told
from benchmark.runs.memory import in_words
from benchmark.runs.progress import RunProgress, say
from benchmark.runs.resuming import Clock, forget_state, resumed
from benchmark.schema import Metrics, Task
from benchmark.seeding import initialise, seeded
from benchmark.settings import registry
from benchmark.settings.composition import typed
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import plain
from benchmark.settings.suitability import refusal
from benchmark.temporaries import scratch_folder
from benchmark.text import unknown
from benchmark.trackers import guarded
from benchmark.trained.checkpoint import SUFFIX as WEIGHTS
from benchmark.trained.checkpoint import save_checkpoint
from benchmark.training.judgeable import check_judgeable
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Fit, Trainer
from benchmark.weightings import Weighting


def run(config: RunConfig | DictConfig, *, waits: bool = True) -> Record:
    """Trains, selects and evaluates one configuration, and writes its record.

    A run with an existing record is not repeated: the record is returned. See `finished_before`. A run that another process
    has is not done twice at once, see `benchmark.runs.locks`.

    Args:
        config: What to run: `RunConfig(dataset="shop", architecture="mmoe")`.
        waits: Wait for another process that has the same run, and then return its record; else raise `Busy`.

    Returns:
        The record; its `status` is `finished` or `diverged`.

    Raises:
        ValueError, FileNotFoundError: for a configuration that cannot run, before anything is written.
        Busy: see `waits`.
        Exception: whatever else ends the run, after a record of status `failed` was written.
    """
    config = typed(config)
    check(config)
    data = build_data(config)
    if config.match_parameters is not None and not config.matched:
        config = matched(config, data.schema)
        say(told(config))
    identity = identify(data, config.purpose)
    before = finished_before(config, identity, tell=lambda line: None)  # if it is broken, that is said below
    if before is None:
        check_data(config, data)
        with run_lock(config.record_path, waits=waits):
            before = finished_before(config, identity)  # another process may have done it in the meantime
            if before is None:
                return _run(config, data, identity)
    keep_test_rows(config, identity)
    if holder(config.record_path) is None:  # else another process may repeat the run
        forget_state(config)
    keep_card(config, data, identity)
    return before


def _run(config: RunConfig, data: Data, identity: dict[str, Any]) -> Record:
    """The run itself, whatever records are there."""
    record = new_record(config, data, identity)
    try:
        _execute(config, data, record)
    except Exception as error:  # an interrupted run did not fail, so it leaves no record
        record.status = "failed"
        record.error = {
            "type": type(error).__name__,
            "message": in_words(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
        record.write(config.results_dir)
        if not isinstance(error, OSError):  # then the cause may be in the state: the run starts from the beginning
            forget_state(config)
        raise
    path = record.write(config.results_dir)
    for kept, suffix in _beside(config):
        if not (kept and record.status == "finished"):  # from an earlier run with this id: it would not fit the record
            path.with_suffix(suffix).unlink(missing_ok=True)
    forget_state(config)
    keep_card(config, data, identity)
    return record


def build_dataset(config: RunConfig) -> Dataset:
    """The data set of a configuration; nothing is read yet."""
    return cast(Dataset, registry.datasets.build(config.dataset))


def build_data(config: RunConfig) -> Data:
    """The prepared data of a configuration; under `debug=true` few rows of them, of which the cache knows nothing."""
    data = build_dataset(config).build()
    return reduced(data, config.trainer.batch_size) if config.debug else data


def check(config: RunConfig) -> None:
    """Checks everything that can be checked before data is read.

    Raises:
        ValueError: if the architecture does not suit the data set, the weighting or monitor names an unknown task,
            there is no such device, or the results folder cannot be written.
    """
    declared = build_dataset(config).declared()
    reason = registry.architectures.get(config.architecture.name).requires(declared)  # type: ignore[attr-defined]
    if reason is not None:
        raise ValueError(
            f"architecture {refusal(config.architecture.name, config.dataset.shown, reason)} "
            f"(mtlbench list architectures --for {shlex.quote(getattr(config.dataset, 'file', '') or config.dataset.name)})"
        )
    with seeded(config.seed, "weighting"):
        registry.weightings.build(config.weighting, declared.tasks)
    metrics.check_monitor(config.trainer.monitor, declared.tasks)
    _check_question(config, declared.tasks)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no GPU; use device=cpu or device=auto")
    _check_writable(config.results_dir)


def _check_writable(results_dir: str) -> None:
    """Makes a folder and takes it away: rights alone say too little of /proc, of a full disk, of a network's."""
    folder = Path(results_dir).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with scratch_folder(existing, "writable"):
            pass
    except OSError as error:
        raise ValueError(
            f"results_dir={results_dir} cannot be written: {existing} is not a writable folder ({error.strerror})"
        ) from error


def _check_question(config: RunConfig, tasks: Sequence[Task]) -> None:
    known = [GAIN, *(f"{task.name}.{metrics.headline_name(task)}" for task in tasks)]
    if config.primary not in known:
        raise ValueError(unknown("primary endpoint", config.primary, known))
    for text in config.contrasts:
        from benchmark.analysis.question import check_contrast  # with scipy.stats, a second that few runs need

        try:
            check_contrast(text, registry.architectures.names(), registry.weightings.names())
        except ValueError as error:
            raise ValueError(f"contrasts: {error}") from None


def check_data(config: RunConfig, data: Data) -> None:
    """Checks everything that can be checked after data is read and before training.

    Raises:
        ValueError: if a regression target does not vary in train, validation cannot judge what `trainer.monitor` needs, or
            `embedding` is about fields that the data lack.
    """
    config.embedded(data.schema)
    TargetScale.of(data.train, data.schema.tasks)
    check_judgeable(data, config.trainer.monitor)


def finished_before(
    config: RunConfig, identity: dict[str, Any], *, tell: Callable[[str], object] = say
) -> Record | None:
    """The record of the same run, if it need not be repeated.

    That is: same id, same data prepared and split in the same way, finished or diverged (the same would happen again), and
    checkpoint and predictions are there if they are asked for. `rerun=true` repeats all, and `debug=true` too.

    A broken record counts as none, and a line says so.

    Args:
        config: The run.
        identity: The result of `identify` for its data.
        tell: Gets that line.

    Raises:
        ValueError: if a folder has the name of the record.
    """
    path = config.record_path
    if path.is_dir():
        raise ValueError(f"{path} is a folder, and the record of the run would have this name: move the folder")
    try:
        record = None if config.rerun or config.debug else find_record(path)
    except ValueError as error:
        tell(f"mtlbench: {error}; the run counts as not done and runs again")
        return None
    if (
        record is None
        or record.status == "failed"
        or any(digest(record.dataset.get(key, value)) != digest(value) for key, value in identity.items())
    ):
        return None
    if record.status == "finished":
        for kept, suffix in _beside(config):
            try:
                if kept:
                    record.check_file(path.with_suffix(suffix), suffix)
            except FileNotFoundError:
                return None
            except ValueError as error:
                tell(f"mtlbench: {error}; the run is repeated")
                return None
    return record


def _beside(config: RunConfig) -> tuple[tuple[bool, str], ...]:
    """The suffixes of the files that a finished run may save beside its record, and whether it should."""
    return (config.save_checkpoint, WEIGHTS), (config.keeps_predictions, PREDICTIONS)


def keep_test_rows(config: RunConfig, identity: dict[str, Any]) -> None:
    """Writes labels and users of the test rows if predictions are asked for and the file is missing.

    Published records do not contain parts of a data set; anyone who has the data can add this file.

    Args:
        config: The run.
        identity: The result of `identify` for its data.
    """
    if config.keeps_predictions:
        path = path_of_test_rows(config.record_path, identity["test_rows"])
        if not path.is_file():
            data = build_data(config)
            save_test_rows(path, data.schema.task_names, data.test.labels, data.users(data.test))


def new_record(config: RunConfig, data: Data, identity: dict[str, Any]) -> Record:
    """A record with all that is known before training. Its status is `failed` until the run ends otherwise."""
    return Record(
        id=config.id,
        status="failed",
        method=config.method,
        purpose=config.purpose,
        seed=config.seed,
        config=plain(config),
        dataset=describe(config.dataset.shown, data, identity),
        selected_by={"split": "validation", "criterion": config.trainer.monitor},
        environment=environment(),
    )


def _execute(config: RunConfig, data: Data, record: Record) -> None:
    device = device_of(config)
    with limited_threads(config.threads) as threads, guarded(registry.trackers.build(config.tracker)) as tracker:
        if (
            record.purpose != TRIAL
        ):  # the trainer checks the splits that it reads; test is checked before hours are spent
            data.test.features.check(data.schema, "test")
        trainer = build_trainer(config, data, device)
        model, scale = trainer.model, trainer.scale
        tracker.start(
            id=record.id, method=record.method, config=record.config, dataset=record.dataset["name"], seed=config.seed
        )
        reset_peak_memory(device)
        label = f"{record.dataset['name']} {record.method} seed {record.seed}"
        clock = Clock()
        saving = resumed(config, record, trainer, clock, threads, label)
        for entry in trainer.state.entries:
            tracker.epoch(entry)
        num_epochs = config.trainer.max_epochs
        with RunProgress(label, num_epochs * trainer.steps_per_epoch, num_epochs, trainer.watch.step) as progress:
            fit = trainer.fit(progress, tracker.epoch, saving)
        record.cost = {**cost(model, fit, data, threads, device), "cpu_seconds": clock.seconds}
        record.shared_parameters = fit.shared_parameters
        record.epochs = fit.epochs
        if fit.diverged is not None:
            record.status = "diverged"
            record.error = {
                "type": "Diverged",
                "message": str(fit.diverged),
                "task": fit.diverged.task,
                "step": fit.diverged.step,
                "epoch": int(fit.epochs[-1]["epoch"]) + 1 if fit.epochs else 1,
            }
        else:
            outputs = _evaluate_selected(trainer, fit, record, keeps_outputs=config.keeps_predictions)
            record.status = "finished"
            path = record.path(config.results_dir)
            if config.save_checkpoint:
                state = fit.selection.state(fit.selection.best)
                record.files[WEIGHTS] = save_checkpoint(path.with_suffix(WEIGHTS), state, scale.mean_T, scale.std_T)
            if config.keeps_predictions:
                keep_test_rows(config, record.dataset)
                record.files[PREDICTIONS] = save_predictions(path_of_predictions(path), record, outputs)
        tracker.finish(record)


def build_model(config: RunConfig, data: Data) -> tuple[Any, Weighting]:
    """The architecture and the weighting with their initial values, from the streams `init` and `weighting` of the seed."""
    with seeded(config.seed, "init"):
        model: nn.Module = registry.architectures.build(config.architecture, config.embedded(data.schema))
    initialise(model, config.seed)
    with seeded(config.seed, "weighting"):
        weighting: Weighting = registry.weightings.build(config.weighting, data.schema.tasks)
    return model, weighting


def build_trainer(config: RunConfig, data: Data, device: torch.device) -> Trainer:
    """What trains a run, before its first step."""
    model, weighting = build_model(config, data)
    model.to(device), weighting.to(device)
    scale = TargetScale.of(data.train, data.schema.tasks)
    return Trainer(
        model, weighting, data, config.trainer,
        scale=scale, seed=config.seed, device=device, log_conflicts=config.log_conflicts,
    )  # fmt: skip


def _evaluate_selected(
    trainer: Trainer, fit: Fit, record: Record, *, keeps_outputs: bool
) -> dict[SelectionName, dict[str, np.ndarray]]:
    """Evaluates validation and test once: at the jointly selected epoch, and each task at its own best epoch. Trials skip test.

    Returns:
        The outputs for test, as `save_predictions` takes them; none for a trial, or if they are not to be kept.
    """
    selection, epochs = fit.selection, [entry["epoch"] for entry in fit.epochs]
    record.best_epoch = epochs[selection.best - 1]
    record.best_epoch_per_task = {task: epochs[number - 1] for task, number in selection.best_per_task.items()}
    splits = {"validation": trainer.data.validation}
    if record.purpose != TRIAL:
        splits["test"] = trainer.data.test
    found: dict[int, dict[str, Metrics]] = {}
    kept: dict[SelectionName, dict[str, np.ndarray]] = {"joint": {}, "per_task": {}}
    for number in sorted(selection.chosen):
        trainer.model.load_state_dict(selection.state(number))
        found[number] = {}
        for name, split in splits.items():
            found[number][name], undefined, outputs = trainer.evaluate(split)
            record.undefined |= {f"{name}.{key}": reason for key, reason in undefined.items()}
            if name == "test" and keeps_outputs and number == selection.best:
                kept["joint"] = outputs
            elif name == "test" and keeps_outputs:
                its = [task for task, best in selection.best_per_task.items() if best == number]
                kept["per_task"] |= {task: outputs[task] for task in its}
            del outputs  # of a large split they take much memory
    record.metrics = found[selection.best]
    record.metrics_per_task = {
        name: {task: found[number][name][task] for task, number in selection.best_per_task.items()} for name in splits
    }
    trainer.model.load_state_dict(selection.state(selection.best))
    record.gates = trainer.mean_gates(trainer.data.validation)
    kept["per_task"] = {task: kept["per_task"][task] for task in selection.best_per_task if task in kept["per_task"]}
    return kept if "test" in splits else {}
