"""A run that is interrupted anywhere and started again ends with the same record, to the last bit."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from benchmark import Record, RunConfig, TrainerConfig, configure, run
from benchmark.records.record import load_record
from benchmark.runs import resuming, runner
from benchmark.runs.progress import RunProgress
from benchmark.training.saved import SavedState, path_of_state
from benchmark.training.trainer import Trainer

STEPS_PER_EPOCH, EPOCHS = 4, 3


def small(folder: Path, architecture: str = "mmoe", weighting: str = "uncertainty", **changes: Any) -> RunConfig:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    trainer = TrainerConfig(max_epochs=EPOCHS, batch_size=400, learning_rate=0.01, scheduler="cosine")
    return RunConfig(
        dataset=shop, architecture=configure("architecture", architecture, dropout=0.3),
        weighting=weighting, trainer=trainer, threads=1, results_dir=str(folder), **changes,
    )  # type: ignore[arg-type]  # fmt: skip


def without_times(record: Record) -> dict[str, Any]:
    """A record without times, and without what says where and how it ran."""
    values = asdict(record)
    del values["environment"], values["cost"]
    del values["config"]["results_dir"]
    values["config"].pop("checkpoint_every", None)
    for entry in values["epochs"]:
        del entry["seconds"]
    return values


class Killed(BaseException):
    """Ends a run as a signal would: no record is written."""


def killed_after(steps: int, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a configuration and kills it before its next step."""
    with monkeypatch.context() as patch:
        made = Trainer.__init__

        def counting(self: Trainer, *args: Any, **options: Any) -> None:
            made(self, *args, **options)
            step = self.step

            def killing(batch: Any) -> Any:
                if self.watch.step == steps:
                    raise Killed
                return step(batch)

            self.step = killing  # type: ignore[assignment]

        patch.setattr(Trainer, "__init__", counting)
        with pytest.raises(Killed):
            run(config)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("straight")
    return load_record(run(small(folder, save_checkpoint=True)).path(folder))


def weights(record: Path) -> dict[str, torch.Tensor]:
    return load_file(record.with_suffix(".safetensors"))


@pytest.mark.parametrize(("every", "killed", "saved"), [("epoch", 6, 4), ("epoch", 11, 8), (3, 5, 3), (1, 7, 7)])
def test_a_killed_run_goes_on_and_ends_with_the_same_record(
    every: int | str, killed: int, saved: int, straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = small(tmp_path, checkpoint_every=every, save_checkpoint=True)
    killed_after(killed, config, monkeypatch)
    state = path_of_state(config.record_path)
    assert state.is_file()
    assert not config.record_path.is_file()
    record = load_record(run(config).path(tmp_path))
    assert f"continues after step {saved}, where it was interrupted" in capsys.readouterr().err
    assert without_times(record) == without_times(straight)
    assert not state.is_file()
    assert [path for path in config.record_path.parent.iterdir() if path.name.startswith(".")] == []


def test_it_may_be_killed_as_often_as_you_like(
    straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(tmp_path, checkpoint_every=1, save_checkpoint=True)
    for steps in range(1, STEPS_PER_EPOCH * EPOCHS):
        killed_after(steps, config, monkeypatch)
    assert without_times(load_record(run(config).path(tmp_path))) == without_times(straight)


def test_killed_in_the_last_evaluation_it_trains_no_more(
    straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(tmp_path, checkpoint_every="epoch", save_checkpoint=True)

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_evaluate_selected", killed)
        with pytest.raises(Killed):
            run(config)
    monkeypatch.setattr(Trainer, "_train", killed)
    assert without_times(load_record(run(config).path(tmp_path))) == without_times(straight)


def test_a_tracker_sees_the_epochs_from_before_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, seen = small(tmp_path, checkpoint_every="epoch"), []
    killed_after(9, config, monkeypatch)
    monkeypatch.setattr("benchmark.trackers.none.NoTracker.epoch", lambda self, entry: seen.append(entry["epoch"]))
    record = run(config)
    assert seen == [entry["epoch"] for entry in record.epochs]


def test_checkpoint_every_is_no_part_of_identity(tmp_path: Path) -> None:
    assert small(tmp_path, checkpoint_every="epoch").id == small(tmp_path).id == small(tmp_path, checkpoint_every=7).id
    for wrong in (0, -1, True, 2.0, "step"):
        with pytest.raises(
            ValueError, match="checkpoint_every must be epoch, a number of steps of at least 1, or null"
        ):
            small(tmp_path, checkpoint_every=wrong)


def damaged(state: Path, kind: str) -> None:
    content = bytearray(state.read_bytes())
    if kind == "cut":
        state.write_bytes(content[: len(content) // 2])
    elif kind == "a bit":
        content[-5] ^= 1
        state.write_bytes(content)
    elif kind == "a bit of the plain values":
        place = content.index(b"last_gain")
        content[place + 5] ^= 1
        state.write_bytes(content)
    elif kind == "empty":
        state.write_bytes(b"")
    else:
        with safe_open(state, framework="pt") as file:
            metadata = file.metadata()
        tensors = load_file(state)
        name = next(name for name in tensors if name.startswith("model."))
        save_file(tensors | {name: tensors[name] + 1}, state, metadata)


@pytest.mark.parametrize("kind", ["cut", "a bit", "a bit of the plain values", "empty", "another tensor"])
def test_a_damaged_state_is_told_and_not_used(
    kind: str, straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path, checkpoint_every="epoch", save_checkpoint=True)
    killed_after(9, config, monkeypatch)
    damaged(path_of_state(config.record_path), kind)
    record = load_record(run(config).path(tmp_path))
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "starts from the beginning" in line]
    assert "damaged" in told or "it cannot be read" in told
    assert without_times(record) == without_times(straight)


@pytest.mark.parametrize(
    ("key", "now"),
    [
        ("torch", "1.0"),
        ("commit", "abc"),
        ("python", "2.7"),
        ("code", "other"),
        ("threads", 2),
        ("processor", "a calculator"),
    ],
)
def test_a_state_that_would_change_the_last_bit_is_told_and_not_used(
    key: str, now: Any, straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = small(tmp_path, checkpoint_every="epoch", save_checkpoint=True)
    killed_after(9, config, monkeypatch)
    known = resuming._fits
    monkeypatch.setattr(resuming, "_fits", lambda *args: {**known(*args), key: now})
    record = load_record(run(config).path(tmp_path))
    assert f"{key} was" in capsys.readouterr().err
    assert without_times(record) == without_times(straight)


def test_the_code_is_that_of_the_package_and_of_outside_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    found = set()
    for place, text in (("own", "class Own: size = 1"), ("own", "class Own: size = 2"), ("base", "class Base: pass")):
        (tmp_path / f"{place}.py").write_text(text)
        resuming._hash_of_sources.cache_clear()
        sys.modules.pop("own", None)
        own = importlib.import_module("own")
        found.add(resuming.code_digest(own.Own))
    assert len(found) == 2  # the third is not of the class
    assert resuming.code_digest(own.Own) == resuming.code_digest(own.Own)
    del sys.modules["own"]


def test_without_source_no_state_fits() -> None:
    made: dict[str, Any] = {"__name__": "__main__"}
    exec("class Typed: pass", made)
    made["Typed"].__module__ = "typed_at_a_prompt"
    sys.modules["typed_at_a_prompt"] = ModuleType("typed_at_a_prompt")
    first, second = (resuming.code_digest(made["Typed"]) for _ in range(2))
    del sys.modules["typed_at_a_prompt"]
    assert first != second


PROMPT = """
from architectures.shared_bottom import SharedBottom
from benchmark.settings.registry import architectures
architectures.register("typed")(type("Typed", (SharedBottom,), {"__module__": "__main__", "__doc__": SharedBottom.__doc__,
                                                              "__init__": SharedBottom.__init__}))
from benchmark import RunConfig, TrainerConfig, configure, run
shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
print(run(RunConfig(dataset=shop, architecture="typed", trainer=TrainerConfig(max_epochs=1), results_dir=PLACE, checkpoint_every=1)).status)
"""


def test_a_class_from_a_prompt_trains(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-"],
        input=PROMPT.replace("PLACE", repr(str(tmp_path))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "finished", done.stderr


def test_a_state_that_cannot_be_saved_costs_nothing(
    straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path, checkpoint_every=1, save_checkpoint=True)
    save, saved = SavedState.save, []

    def full(self: SavedState, snapshot: Any) -> None:
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, snapshot)
        saved.append(snapshot["watch.step"])

    monkeypatch.setattr(SavedState, "save", full)
    killed_after(9, config, monkeypatch)
    assert capsys.readouterr().err.count("its state was not saved, and the run continues: [Errno 28]") == 1
    monkeypatch.setattr(SavedState, "save", save)
    record = load_record(run(config).path(tmp_path))
    assert "continues after step 3," in capsys.readouterr().err
    assert without_times(record) == without_times(straight)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT as Python begins with it: what started the tests, or one of them, may have changed that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("at", ["_validate", "_select", "epoch"])
def test_a_signal_during_validation_is_followed_by_the_state_of_that_step(
    at: str, straight: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path, "mmoe", checkpoint_every="epoch", save_checkpoint=True)
    with monkeypatch.context() as patch:
        place = RunProgress if at == "epoch" else Trainer
        called = getattr(place, at)
        times = []

        def asked(self: Any, *args: Any) -> Any:
            times.append(at)
            if len(times) == 2:
                signal.raise_signal(signal.SIGINT)
            return called(self, *args)

        patch.setattr(place, at, asked)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    record = load_record(run(config).path(tmp_path))
    assert "continues after step 8, where it was interrupted" in capsys.readouterr().err
    assert without_times(record) == without_times(straight)


def test_what_failed_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path, checkpoint_every=1)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_evaluate_selected", broken)
        with pytest.raises(RuntimeError, match="a bug"):
            run(config)
    assert load_record(config.record_path).status == "failed"
    assert not path_of_state(config.record_path).is_file()


SCRIPT = """
import sys
from pathlib import Path
from benchmark import run
from tests.benchmark.runs.test_resuming import small
from benchmark.training.trainer import Trainer
step = Trainer._save_if_due
def slow(self, *args):
    print(self.watch.step, flush=True)
    return step(self, *args)
Trainer._save_if_due = slow
config = small(Path(sys.argv[1]), checkpoint_every=1000)
config.trainer.max_epochs = 2000
run(config)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_step_and_the_state_is_saved(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        lines = process.stdout.read().split()
    assert process.returncode != 0
    config = small(tmp_path, checkpoint_every=1000)
    config.trainer.max_epochs = 2000
    with safe_open(path_of_state(config.record_path), framework="pt") as file:
        plain = file.metadata()["plain"]
    assert f'"watch.step": {lines[-1] if lines else 1}' in plain
