"""When a run is repeated and when its record is enough."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark import Record, RunConfig, TrainerConfig, configure, load_record, metrics, run
from benchmark.records.predictions import load_predictions, load_test_rows, path_of_predictions, path_of_test_rows
from benchmark.runs import machine, runner
from benchmark.runs.locks import Busy, run_lock
from benchmark.runs.runner import environment, finished_before


def small(folder: Path, **changes: object) -> RunConfig:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    trainer = TrainerConfig(max_epochs=1, batch_size=512)
    return RunConfig(
        dataset=shop, architecture="shared_bottom", trainer=trainer, threads=1, results_dir=str(folder), **changes
    )  # type: ignore[arg-type]


@pytest.fixture
def done(tmp_path: Path) -> Record:
    """As a reader sees it: JSON has lists where a configuration has tuples."""
    return load_record(run(small(tmp_path)).path(tmp_path))


def test_a_finished_run_is_not_repeated(tmp_path: Path, done: Record) -> None:
    assert run(small(tmp_path)).environment["started"] == done.environment["started"]
    assert finished_before(small(tmp_path), done.dataset) == done


def test_a_record_has_the_multiply_adds_of_a_row(tmp_path: Path, done: Record) -> None:
    config = small(tmp_path)
    data = runner.build_dataset(config).build()
    model, _ = runner.build_model(config, data)
    assert done.cost["multiply_adds"] == machine.multiply_adds(model, data.test.features.cut(0, 5)) > 0


def test_a_record_has_the_cpu_seconds_of_training(done: Record) -> None:
    assert done.cost["cpu_seconds"] > 0


def test_other_threads_and_folders_are_the_same_run(done: Record, tmp_path: Path) -> None:
    config = small(tmp_path)
    config.threads = 2
    assert finished_before(config, done.dataset) == done


def test_rerun_other_data_and_a_missing_checkpoint_repeat_it(tmp_path: Path, done: Record) -> None:
    data = {key: done.dataset[key] for key in ("fingerprint", "splits", "schema", "test_rows")}
    assert finished_before(small(tmp_path), data) == done
    assert finished_before(small(tmp_path, rerun=True), data) is None
    for key in data:
        assert finished_before(small(tmp_path), {**data, key: "another"}) is None
    assert finished_before(small(tmp_path, save_checkpoint=True), data) is None


@pytest.mark.parametrize(("status", "repeats"), [("failed", True), ("diverged", False), ("finished", False)])
def test_failed_runs_are_repeated_and_diverged_ones_are_not(
    tmp_path: Path, done: Record, status: str, repeats: bool
) -> None:
    done.status = status
    done.write(tmp_path)
    assert (finished_before(small(tmp_path), done.dataset) is None) is repeats


def test_a_checkpoint_of_an_earlier_run_does_not_outlive_its_record(tmp_path: Path) -> None:
    record = run(small(tmp_path, save_checkpoint=True))
    weights = record.path(tmp_path).with_suffix(".safetensors")
    assert weights.is_file()
    run(small(tmp_path, rerun=True))
    assert not weights.is_file()


def test_predictions_are_what_the_run_was_judged_by(tmp_path: Path) -> None:
    config = small(tmp_path, save_predictions=True)
    record = run(config)
    path, data = path_of_predictions(record.path(tmp_path)), runner.build_dataset(config).build()
    rows = load_test_rows(path_of_test_rows(path, record.dataset["test_rows"]))
    for column, task in enumerate(data.schema.tasks):
        np.testing.assert_array_equal(rows.labels[task.name], data.test.labels[:, column])
    np.testing.assert_array_equal(rows.users, data.users(data.test))
    for selection, expected in (("joint", record.metrics), ("per_task", record.metrics_per_task)):
        found = load_predictions(path, load_record(record.path(tmp_path)), selection)
        judged, _ = metrics.evaluate(data.schema.tasks, found, data.test.labels)
        for task, metric in (("click", "auc"), ("purchase", "auc"), ("duration", "mse")):
            assert judged[task][metric] == pytest.approx(expected["test"][task][metric], rel=1e-3)


def test_missing_predictions_repeat_a_run_and_missing_test_rows_are_written_without(tmp_path: Path) -> None:
    config = small(tmp_path, save_predictions=True)
    record = run(config)
    path = path_of_predictions(record.path(tmp_path))
    rows = path_of_test_rows(path, record.dataset["test_rows"])
    assert finished_before(config, record.dataset) is not None
    before = load_test_rows(rows)
    rows.unlink()
    assert run(config).environment["started"] == record.environment["started"]
    np.testing.assert_equal(dataclasses.asdict(load_test_rows(rows)), dataclasses.asdict(before))
    path.unlink()
    assert finished_before(config, record.dataset) is None
    run(config)
    run(small(tmp_path, rerun=True))
    assert not path.is_file() and rows.is_file()


def test_a_trial_has_no_predictions(tmp_path: Path) -> None:
    config = small(tmp_path, save_predictions=True, purpose="trial")
    record = run(config)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert finished_before(config, record.dataset) is not None


def test_a_diverged_run_keeps_nothing_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path, save_predictions=True, save_checkpoint=True, rerun=True)
    path = run(config).path(tmp_path)
    beside = (path.with_suffix(".safetensors"), path_of_predictions(path))
    assert all(file.is_file() for file in beside)

    def diverged(config: RunConfig, data: object, record: Record) -> None:
        record.status = "diverged"

    monkeypatch.setattr("benchmark.runs.runner._execute", diverged)
    run(config)
    assert not any(file.is_file() for file in beside)


def test_an_interrupt_leaves_the_record_as_it_was(
    tmp_path: Path, done: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.runs.runner._execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(small(tmp_path, rerun=True))
    assert finished_before(small(tmp_path), done.dataset) == done


def test_a_run_that_another_process_did_while_this_one_waited_is_not_repeated(
    tmp_path: Path, done: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = done.path(tmp_path)
    path.unlink()
    monkeypatch.setattr(runner, "check_data", lambda *_: done.write(tmp_path))  # the last step before the lock
    monkeypatch.setattr(runner, "_execute", lambda *_: pytest.fail("it was trained"))
    assert run(small(tmp_path)) == done
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with run_lock(path), pytest.raises(Busy, match="has the same run"):
        run(small(tmp_path, rerun=True), waits=False)


def test_codes_of_test_outside_a_field_s_range_end_a_run_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = runner.build_dataset(small(tmp_path)).build()
    codes = np.array(data.test.features.categorical)
    field = data.schema.categorical[1]
    codes[3, 1] = field.cardinality
    features = dataclasses.replace(data.test.features, categorical=codes)
    wrong = dataclasses.replace(data, test=dataclasses.replace(data.test, features=features))
    monkeypatch.setattr(runner, "build_dataset", lambda config: SimpleNamespace(build=lambda: wrong))
    monkeypatch.setattr(runner, "check", lambda config: None)
    monkeypatch.setattr(runner.Trainer, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=f"test: field {field.name!r} has codes 0 to .*, found {field.cardinality} "):
        run(small(tmp_path))


def test_whole_numbers_for_floats_are_the_same_run() -> None:
    weights = {"click": 1}
    whole = RunConfig(dataset="shop", architecture="mmoe", weighting=configure("weighting", "fixed", weights=weights))  # type: ignore[arg-type]
    exact = RunConfig(
        dataset="shop", architecture="mmoe", weighting=configure("weighting", "fixed", weights={"click": 1.0})
    )  # type: ignore[arg-type]
    assert whole.id == exact.id
    assert TrainerConfig(learning_rate=1) == TrainerConfig(learning_rate=1.0)
    with pytest.raises(ValueError, match=r"trainer.learning_rate must be a finite number"):
        TrainerConfig(learning_rate=float("inf"))


def test_a_record_names_the_commit_of_a_checkout_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    if shutil.which("git") is None or subprocess.run(git, check=False, capture_output=True).returncode:
        pytest.skip("needs git and a checkout")
    head = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    machine._commit.cache_clear()
    assert environment()["commit"].removesuffix("-dirty") == head[:12]
    machine._commit.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert "commit" not in environment()
    machine._commit.cache_clear()


@pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="needs Linux's /proc, where nobody can write and rights say otherwise"
)
def test_a_folder_that_cannot_be_written_is_named_with_its_key() -> None:
    with pytest.raises(ValueError, match=r"^results_dir=/proc/x cannot be written: /proc is not a writable folder"):
        runner.check(RunConfig(dataset="shop", architecture="mmoe", results_dir="/proc/x"))  # type: ignore[arg-type]
