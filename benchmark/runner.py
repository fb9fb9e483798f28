"""run(config) -> Record: one run from its configuration to the record it leaves. The flow of the house, in order."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import shlex
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from benchmark import metrics, registry
from benchmark.checkpoint import save_checkpoint
from benchmark.composition import typed
from benchmark.config import RunConfig, digest
from benchmark.datasets import Data, Dataset
from benchmark.progress import RunProgress, command_line
from benchmark.record import TRIAL, Metrics, Record, load_record, record_path
from benchmark.seeding import initialise, seeded
from benchmark.targets import TargetScale
from benchmark.tracking import guarded
from benchmark.trainer import Fit, Trainer, users_of
from benchmark.weightings import Weighting


def run(config: RunConfig | DictConfig) -> Record:
    """Trains, selects and evaluates one configuration, and writes its record.

    A run whose record is there already is not repeated: the record is returned. See `finished_before`.

    Args:
        config: What to run: `RunConfig(dataset="shop", architecture="mmoe")`.

    Returns:
        The record; its `status` is `finished` or `diverged`.

    Raises:
        ValueError, FileNotFoundError: for a configuration that cannot run, before anything is written.
        Exception: whatever ends the run otherwise, after a record of status `failed` was written.
    """
    config = typed(config)
    check(config)
    data = build_dataset(config).build()
    identity = identify(data, config.purpose)
    before = finished_before(config, identity)
    if before is not None:
        return before
    record = new_record(config, data, identity)
    try:
        _execute(config, data, record)
    except Exception as error:  # an interrupted run leaves no record: it did not fail
        record.status = "failed"
        record.error = {
            "type": type(error).__name__,
            "message": str(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
        record.write(config.results_dir)
        raise
    path = record.write(config.results_dir)
    if not config.save_checkpoint:
        path.with_suffix(".safetensors").unlink(
            missing_ok=True
        )  # of an earlier run under this id: it would not fit the record
    return record


def build_dataset(config: RunConfig) -> Dataset:
    """The data set of a configuration; nothing is read yet."""
    return cast(Dataset, registry.datasets.build(config.dataset))


def check(config: RunConfig) -> None:
    """Everything that can be known to be wrong before data is read or anything is trained.

    Raises:
        ValueError: if the architecture does not suit the data set, the weighting or monitor names an unknown task, there is
            no such device, or the results folder cannot be written.
    """
    declared = build_dataset(config).declared()
    reason = registry.architectures.get(config.architecture.name).requires(declared)  # type: ignore[attr-defined]
    if reason is not None:
        raise ValueError(
            f"architecture {config.architecture.name} does not suit dataset {config.dataset.name}: {reason} "
            f"(mtlbench list architectures --for {config.dataset.name})"
        )
    with seeded(config.seed, "weighting"):
        registry.weightings.build(config.weighting, declared.tasks)
    metrics.check_monitor(config.trainer.monitor, declared.tasks)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no GPU; use device=cpu or device=auto")
    folder = Path(config.results_dir).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"results_dir={config.results_dir} cannot be written: {existing} is not a writable folder")


def finished_before(config: RunConfig, identity: dict[str, Any]) -> Record | None:
    """The record of the same run, if it need not be repeated.

    That is: same id, same data prepared and split in the same way, finished or diverged (the same would happen again), and
    the checkpoint is there if one is asked for. `rerun=true` repeats all.

    Args:
        config: The run.
        identity: What `identify` says of its data.
    """
    path = record_path(config.results_dir, config.identity, config.id)
    if config.rerun or not path.is_file():
        return None
    record = load_record(path)
    if record.status == "failed" or any(
        digest(record.dataset.get(key, value)) != digest(value) for key, value in identity.items()
    ):
        return None
    lacks_checkpoint = config.save_checkpoint and not path.with_suffix(".safetensors").is_file()
    return None if lacks_checkpoint and record.status == "finished" else record


def new_record(config: RunConfig, data: Data, identity: dict[str, Any]) -> Record:
    """A record with all that is known before training. Its status is `failed` until it is another."""
    return Record(
        id=config.id,
        status="failed",
        method=f"{config.architecture.name}/{config.weighting.name}",
        purpose=config.purpose,
        seed=config.seed,
        config=asdict(config),
        dataset=describe(config.dataset.name, data, identity),
        selected_by={"split": "validation", "criterion": config.trainer.monitor},
        environment=environment(),
    )


def identify(data: Data, purpose: str) -> dict[str, Any]:
    """What runs share that were trained on the same rows: data, splits, schema, and but for trials a hash of the test rows."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "fingerprint": data.fingerprint,
        "splits": {split: len(rows) for split, rows in splits.items()},
        "schema": data.schema.to_json(),
        **({} if purpose == TRIAL else {"test_rows": _hash_rows(data)}),
    }


def describe(name: str, data: Data, identity: dict[str, Any]) -> dict[str, Any]:
    """A record's `dataset`: what the data are, and but for trials what the test rows alone decide (the constant's metrics).

    Args:
        name: Of the data set.
        data: The same, prepared.
        identity: What `identify` says of it.
    """
    described: dict[str, Any] = {
        "name": name,
        "fields": [f.name for f in data.schema.categorical] + [f.name for f in data.schema.numeric],
        "tasks": list(data.schema.task_names),
        **identity,
        "facts": data.facts,
    }
    if "test_rows" in identity:
        tasks, rows = data.schema.tasks, data.test
        constant = metrics.constant_outputs(tasks, data.train.labels, len(rows))
        described |= {
            "best_reachable": data.best_reachable,
            "constant": metrics.evaluate(tasks, constant, rows.labels, users_of(data, rows))[0],
        }
    return described


def _execute(config: RunConfig, data: Data, record: Record) -> None:
    device = torch.device(config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    with _threads(config.threads) as threads, guarded(registry.trackers.build(config.tracker)) as tracker:
        model, weighting = build_model(config, data)
        model.to(device), weighting.to(device)
        scale = TargetScale.of(data.train, data.schema.tasks)
        trainer = Trainer(
            model, weighting, data, config.trainer, scale=scale, seed=config.seed, device=device
        )  # fmt: skip
        tracker.start(
            id=record.id, method=record.method, config=record.config, dataset=record.dataset["name"], seed=config.seed
        )
        _reset_peak_memory(device)
        label = f"{record.dataset['name']} {record.method} seed {record.seed}"
        with RunProgress(label, config.trainer.max_epochs * trainer.steps_per_epoch) as progress:
            fit = trainer.fit(progress, tracker.epoch)
        record.cost = _cost(model, fit, data, threads, device)
        record.shared_parameters = fit.shared_parameters
        record.epochs = fit.epochs
        if fit.diverged is not None:
            record.status = "diverged"
            record.error = {
                "type": "Diverged",
                "message": str(fit.diverged),
                "task": fit.diverged.task,
                "step": fit.diverged.step,
                "epoch": len(fit.epochs) + 1,
            }
        else:
            _evaluate_selected(trainer, fit, record)
            record.status = "finished"
            if config.save_checkpoint:
                path = record.path(config.results_dir).with_suffix(".safetensors")
                save_checkpoint(path, fit.selection.state(fit.selection.best_epoch), scale.mean_T, scale.std_T)
        tracker.finish(record)


def build_model(config: RunConfig, data: Data) -> tuple[Any, Weighting]:
    """The architecture and the weighting with their initial values, from the streams `init` and `weighting` of the seed."""
    with seeded(config.seed, "init"):
        model: nn.Module = registry.architectures.build(config.architecture, data.schema)
    initialise(model, config.seed)
    with seeded(config.seed, "weighting"):
        weighting: Weighting = registry.weightings.build(config.weighting, data.schema.tasks)
    return model, weighting


def _evaluate_selected(trainer: Trainer, fit: Fit, record: Record) -> None:
    """Validation and test, once, at the jointly selected epoch, and each task at its own best epoch; of a trial, no test."""
    selection = fit.selection
    record.best_epoch, record.best_epoch_per_task = selection.best_epoch, selection.best_epoch_per_task
    splits = {"validation": trainer.data.validation}
    if record.purpose != TRIAL:
        splits["test"] = trainer.data.test
    by_epoch: dict[int, dict[str, Metrics]] = {}
    for epoch in sorted({selection.best_epoch, *selection.best_epoch_per_task.values()}):
        trainer.model.load_state_dict(selection.state(epoch))
        by_epoch[epoch] = {}
        for name, split in splits.items():
            by_epoch[epoch][name], undefined = trainer.evaluate(split)
            record.undefined |= {f"{name}.{key}": reason for key, reason in undefined.items()}
    record.metrics = by_epoch[selection.best_epoch]
    record.metrics_per_task = {
        name: {task: by_epoch[epoch][name][task] for task, epoch in selection.best_epoch_per_task.items()}
        for name in splits
    }
    trainer.model.load_state_dict(selection.state(selection.best_epoch))
    record.gates = trainer.mean_gates(trainer.data.validation)


def _cost(model: nn.Module, fit: Fit, data: Data, threads: int, device: torch.device) -> dict[str, Any]:
    embeddings = {id(p): p.numel() for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "embedding_parameters": sum(embeddings.values()),
        "train_seconds": fit.train_seconds,
        "rows_per_second": fit.rows / fit.train_seconds if fit.train_seconds else None,
        "peak_memory_bytes": _peak_memory(device),
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


@contextmanager
def _threads(number: int) -> Iterator[int]:
    before = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the high water mark starts again at what is in use


def _peak_memory(device: torch.device) -> int | None:
    """Highest memory in use since the reset: the GPU's allocations, or the whole process on Linux; else unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _hash_rows(data: Data) -> str:
    """Of the test rows: equal in two records if they were judged on the same rows."""
    hashed = hashlib.sha256()
    for array in (data.test.categorical, data.test.numeric, data.test.labels):
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]


def _command() -> str:
    program, *arguments = command_line()
    name = Path(program).name
    # `mtlbench run` is one word there
    words = ["python", "-m", "benchmark"] if name == "__main__.py" else name.split()
    return shlex.join([*words, *arguments])


@lru_cache
def _commit() -> str | None:
    """The git commit of this code, with `-dirty` where files differ; None if it is no checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  no user's words

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # or it is installed within somebody else's checkout
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def environment() -> dict[str, Any]:
    """A record's `environment`: versions, machine, command and the time now."""
    commit = _commit()
    return {
        "mtlbench": version("mtlbench"),
        **({} if commit is None else {"commit": commit}),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "command": _command(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
