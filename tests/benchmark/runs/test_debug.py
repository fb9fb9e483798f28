"""`debug=true`: every piece of a run on few rows, apart from real runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark import RunConfig, TrainerConfig, configure, load_record, load_records, run
from benchmark.datasets import Data
from benchmark.rows import Features, Split
from benchmark.runs.debug import MOST_ROWS, reduced
from benchmark.runs.progress import line_of
from benchmark.runs.runner import build_data, build_dataset
from benchmark.schema import Schema
from benchmark.trained.checkpoint import load
from tests.benchmark.runs.test_tuning import Launcher, _hydra, of, search  # noqa: F401  the fixture is one of this module too


def small(folder: Path, *, debug: bool = True, rows: int = 14_000, **changes: object) -> RunConfig:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=rows)
    return RunConfig(
        dataset=shop, architecture="shared_bottom", threads=1, results_dir=str(folder), debug=debug, **changes
    )  # type: ignore[arg-type]


def test_two_steps_on_a_thousand_rows_leave_a_whole_record(tmp_path: Path) -> None:
    record = run(small(tmp_path, save_checkpoint=True, save_predictions=True))
    assert record.status == "finished"
    assert record.dataset["splits"] == {"train": 1000, "validation": 1000, "test": 1000}
    assert [entry["epoch"] for entry in record.epochs] == [1]
    assert record.config["trainer"]["max_epochs"] == 1
    assert record.config["trainer"]["batch_size"] * 2 == record.dataset["splits"]["train"]
    assert set(record.metrics["test"]) == {"click", "purchase", "duration"}
    assert None not in (record.metrics["test"]["click"]["auc"], record.metrics["test"]["purchase"]["auc"])
    assert "(debug)" in line_of(record)
    path = record.path(tmp_path)
    assert path.parts[len(tmp_path.parts)] == ".debug"
    assert load(path).record.id == record.id


@pytest.mark.parametrize(("batch_size", "train"), [(64, 128), (500, 1000), (4096, 1000)])
def test_train_has_as_many_rows_as_two_steps_take(tmp_path: Path, batch_size: int, train: int) -> None:
    config = small(tmp_path, trainer=TrainerConfig(batch_size=batch_size))
    assert len(build_data(config).train) == train
    assert -(-train // config.trainer.batch_size) == 2


def test_it_is_never_mixed_with_real_runs(tmp_path: Path) -> None:
    config = small(tmp_path, rows=2000)
    real = run(small(tmp_path, debug=False, rows=2000, trainer=config.trainer))
    tried = run(config)
    assert tried.id != real.id
    assert [record.id for record in load_records(tmp_path)] == [real.id]
    assert [record.id for record in load_records(config.records_dir)] == [tried.id]


def test_it_is_always_run_again(tmp_path: Path) -> None:
    config = small(tmp_path, rows=2000)
    path = run(config).path(tmp_path)
    written = path.stat().st_mtime_ns
    run(config)
    assert path.stat().st_mtime_ns > written


def test_the_cache_of_prepared_data_stays_whole(tmp_path: Path) -> None:
    config = small(tmp_path)
    few, whole = build_data(config), build_dataset(config).build()
    assert (len(few.test), len(whole.test), few.fingerprint) == (MOST_ROWS, 1400, whole.fingerprint)
    assert few.best_reachable is None


def test_rare_labels_are_kept_and_rows_are_those_of_few_users() -> None:
    schema = build_dataset(small(Path())).declared()
    rng, rows = np.random.default_rng(0), 5000
    users = np.sort(rng.integers(1, 2000, rows)).astype(np.int32)
    users[:900] = 7  # in front of all others
    labels = np.zeros((rows, 3))
    labels[4990:, 0] = 1  # ten clicks, the last of all rows
    labels[4995:, 1] = 1
    labels[:, 2] = np.where(np.arange(rows) % 2, np.nan, rng.normal(size=rows))
    codes = np.stack([users if field.name == schema.user else users % 3 for field in schema.categorical], axis=1)
    fields = tuple(dataclasses.replace(field, cardinality=2000) for field in schema.categorical)
    split = Split(Features(fields, codes, np.zeros((rows, 0), np.float32)), labels)
    whole = Schema(fields, (), schema.tasks, schema.user, schema.item)
    few = reduced(Data(whole, split, split, split, "of five thousand rows"), batch_size=500).validation
    assert len(few) == MOST_ROWS
    assert few.labels[:, 0].sum() == 10 and few.labels[:, 1].sum() == 5
    assert np.nanmax(few.labels[:, 2]) == np.nanmax(labels[:, 2])
    assert (few.features.column(schema.user) == 7).sum() > 850  # type: ignore[arg-type]


def test_a_search_has_two_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), "debug=true", methods=("mmoe",), seeds=1)
    assert len(of(tmp_path / ".debug", "trial")) == 2
    assert len(of(tmp_path / ".debug", "tuned")) == len(of(tmp_path / ".debug", "default")) == 1
    told = capsys.readouterr().err
    assert f"the records are in {tmp_path / '.debug'}, which no report of other runs reads" in told
    with pytest.raises(FileNotFoundError):
        load_record(tmp_path / "mmoe")
