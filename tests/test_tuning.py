"""A search through the command line, trained for real: any launcher, killed and resumed, and the test split unread."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark import RunConfig, TrainerConfig, configure, load_records, run
from benchmark.datasets import Data, Dataset
from benchmark.records.record import Record, record_files
from tests.command import mtlbench

SEARCH = [
    "hydra/sweeper=tuning", "hydra.sweeper.trials=2", "dataset=shop", "dataset.num_users=60", "dataset.num_items=40",
    "dataset.num_rows=3000", "trainer.max_epochs=2", "trainer.batch_size=512", "threads=1", "seed=0,1",
    "architecture=single_task,mmoe",
]  # fmt: skip


def command(folder: Path, *arguments: str) -> list[str]:
    """For a process of its own."""
    return [sys.executable, "-m", "benchmark", *SEARCH, f"results_dir={folder}", *arguments]


def result(record: Record) -> tuple[Any, ...]:
    """What must not depend on who ran it, or when."""
    losses = [(epoch["train_losses"], epoch["validation"], epoch["criterion"]) for epoch in record.epochs]
    return record.id, record.status, record.purpose, record.metrics, record.config["tuning"], losses


def test_killed_and_resumed_and_in_parallel_the_records_are_the_same(tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    with subprocess.Popen(command(cut), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and (not cut.is_dir() or sum(1 for _ in record_files(cut)) < 2):
            time.sleep(0.02)
        process.kill()
    kept = {path: path.read_bytes() for path in record_files(cut)}
    assert 2 <= len(kept) < 16
    done = mtlbench("run", *SEARCH, f"results_dir={cut}")
    assert done.returncode == 0, done.stderr
    assert f"{min(len(kept), 8)} done before and skipped" in done.stderr
    assert all(path.read_bytes() == content for path, content in kept.items())
    records = load_records(cut)
    assert [record.purpose for record in records].count("trial") == 8
    assert len(records) == 16
    assert {(r.seed, r.search_seed) for r in records if r.purpose == "tuned"} == {(0, 0), (1, 1)}
    for trial in (record for record in records if record.purpose == "trial"):
        assert list(trial.metrics) == list(trial.metrics_per_task) == ["validation"]
        assert not {"test_rows", "constant", "best_reachable"} & set(trial.dataset)
        assert not any(key.startswith("test") for key in trial.undefined)
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        pytest.skip("needs joblib's plugin")
    workers = command(tmp_path / "parallel", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    told = subprocess.run(workers, capture_output=True, text=True, check=True).stderr
    lines = [line for line in told.splitlines() if not line.startswith("mtlbench: ")]
    assert [line.partition("]")[0].partition("/")[2] for line in lines] == ["8"] * 16, told
    assert sum("mean " in line and " on validation" in line for line in lines) == 8
    assert list(map(result, load_records(tmp_path / "parallel"))) == list(map(result, records))
    assert sorted(entry.name for entry in (tmp_path / "parallel").iterdir()) == ["shop", "trials"]
    assert sorted(entry.name for entry in (tmp_path / "parallel" / "trials").iterdir()) == ["shop"]


class Sealed:
    """A test split whose rows may be counted and not read."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test split's {name} was read")


def test_a_trial_never_touches_the_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=3000)
    build = type(shop_dataset(shop)).build

    def sealed(self: Dataset) -> Data:
        data = build(self)
        return dataclasses.replace(data, test=Sealed(len(data.test)))  # type: ignore[arg-type]

    monkeypatch.setattr(type(shop_dataset(shop)), "build", sealed)
    trainer = TrainerConfig(max_epochs=2, batch_size=512)
    config = RunConfig(
        dataset=shop, architecture="mmoe", weighting="pcgrad", trainer=trainer,  # type: ignore[arg-type]
        purpose="trial", seed=10_000, threads=1, results_dir=str(tmp_path),
    )  # fmt: skip
    record = run(config)
    assert record.status == "finished"
    assert list(record.metrics) == ["validation"]
    assert record.path(tmp_path).is_relative_to(tmp_path / "trials")
    assert '"test"' not in json.dumps(record.metrics | record.metrics_per_task | {"epochs": record.epochs})
    with pytest.raises(AssertionError, match="was read"):
        run(dataclasses.replace(config, purpose="default", seed=0))


def shop_dataset(config: Any) -> Dataset:
    from benchmark.settings.registry import datasets

    return datasets.build(config)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["+hydra.sweeper.space.architecture.num_expert='choice(4)'"], "did you mean num_experts?"),
        (["hydra.sweeper.trial=4"], "did you mean trials?"),
        (["hydra/sweeper=tunin"], "did you mean tuning?"),
        (["hydra.sweeper.space.architecture.num_experts='interval(4,8)'"], "num_experts: expected int, found"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = mtlbench("run", *SEARCH, f"results_dir={tmp_path / 'none'}", *arguments)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "none").exists()


def test_experiments_search_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """census_tuned_small as a user starts it, on made-up files."""
    from tests.benchmark.datasets.fixtures import write_census

    write_census(tmp_path / "data" / "census_income")
    arguments = ["experiment=census_tuned_small", "dataset.train_rows=2000", "trainer.max_epochs=1", "seed=0"]
    arguments += ["architecture=shared_bottom,mmoe", f"results_dir={tmp_path / 'out'}", "threads=1"]
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    done = mtlbench("run", *arguments)
    assert done.returncode == 0, done.stderr
    assert "mtlbench: trials: 8 finished" in done.stderr
    records = load_records(tmp_path / "out")
    assert {record.dataset["splits"]["train"] for record in records} == {2000}
    assert {record.config["dataset"]["train_rows"] for record in records} == {2000}
