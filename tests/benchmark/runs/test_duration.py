"""How long runs take: by records of like runs where there are some, else measured."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import RunConfig, TrainerConfig, configure
from benchmark.records.record import Record
from benchmark.runs import duration
from benchmark.runs.duration import Durations, Expected
from benchmark.settings.registry import plain

SHOP = {"num_users": 60, "num_items": 40, "num_rows": 2000}


def small(folder: Path, **changes: object) -> RunConfig:
    config = RunConfig(
        dataset=configure("dataset", "shop", **SHOP),
        architecture="mmoe",
        threads=1,
        device="cpu",
        results_dir=str(folder),
    )  # type: ignore[arg-type]
    return replace(config, **changes)  # type: ignore[arg-type]


def left(config: RunConfig, seconds: float, *, cpu: float = 0.0, threads: int = 1, cores: int | None = None) -> None:
    record = Record(
        id=config.id,
        status="finished",
        method="mmoe/equal",
        purpose=config.purpose,
        seed=config.seed,
        config=plain(config),
        environment={"platform": platform.platform(), "cores": os.cpu_count() if cores is None else cores},
        cost={"train_seconds": seconds, "cpu_seconds": cpu, "threads": threads, "device": "cpu"},
    )
    record.write(config.results_dir)


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_tried", lambda config: "measured")


@pytest.mark.usefixtures("_measured")
def test_records_of_the_same_method_count_whatever_their_seeds(tmp_path: Path) -> None:
    config = small(tmp_path)
    left(config, 10.0)
    left(replace(config, seed=1), 20.0)
    left(replace(config, dataset=configure("dataset", "shop", **SHOP, split_seed=3)), 60.0)
    left(replace(config, architecture=configure("architecture", "mmoe", num_experts=64)), 500.0)
    assert Durations().of(replace(config, seed=7)) == Expected(30.0, 30.0, 3)


@pytest.mark.usefixtures("_measured")
def test_where_there_are_none_those_with_other_parameters_count(tmp_path: Path) -> None:
    config = small(tmp_path, trainer=TrainerConfig(learning_rate=1e-2), purpose="trial")
    left(config, 10.0)
    left(replace(config, architecture=configure("architecture", "mmoe", num_experts=16)), 30.0)
    assert Durations().of(small(tmp_path)) == Expected(20.0, 20.0, 2)


@pytest.mark.usefixtures("_measured")
@pytest.mark.parametrize(
    "other",
    [
        {"dataset": configure("dataset", "shop", num_users=60, num_items=40, num_rows=4000)},
        {"architecture": configure("architecture", "ple")},
        {"weighting": configure("weighting", "pcgrad")},
        {"trainer": TrainerConfig(max_epochs=2)},
        {"trainer": TrainerConfig(batch_size=64)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_takes_another_time_does_not_count(tmp_path: Path, other: dict[str, object]) -> None:
    left(small(tmp_path, **other), 10.0)
    assert Durations().of(small(tmp_path)) == "measured"


@pytest.mark.usefixtures("_measured")
def test_nor_what_another_machine_or_other_threads_made(tmp_path: Path) -> None:
    left(small(tmp_path), 10.0, cores=1000)
    left(small(tmp_path, seed=1), 10.0, threads=2)
    assert Durations().of(small(tmp_path)) == "measured"


def test_processor_time_holds_where_it_is_more_than_that_of_steps(tmp_path: Path) -> None:
    left(small(tmp_path), 10.0, cpu=14.0)
    assert Durations().of(small(tmp_path)) == Expected(14.0, 14.0, 1)


def test_steps_are_multiplied_by_the_epochs_that_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_step_seconds", lambda trainer, device: 1000.0)
    found = Durations().of(small(tmp_path, trainer=TrainerConfig(batch_size=16, max_epochs=12, patience=2)))
    # 1,600 rows of train are 100 steps, in which it is judged 4 times: at best once, and then 8 times in vain
    assert isinstance(found, Expected)
    assert (found.low, found.high) == (pytest.approx(2.25 * 100_000, rel=1e-3), pytest.approx(12 * 100_000, rel=1e-3))
    assert found.records == 0


def test_a_method_is_measured_once_on_the_real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[RunConfig] = []
    measure = duration._measure
    monkeypatch.setattr(duration, "_measure", lambda config: tried.append(config) or measure(config))
    durations = Durations()
    found = [durations.of(small(tmp_path, seed=seed)) for seed in range(3)]
    assert len(tried) == 1 and found[0] == found[1] == found[2]
    assert isinstance(found[0], Expected) and 0 < found[0].low < found[0].high
    assert not list(tmp_path.iterdir())


def test_a_method_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no forward today")

    monkeypatch.setattr(duration, "build_trainer", broken)
    assert Durations().of(small(tmp_path)) == "RuntimeError: no forward today"
